// SPDX-License-Identifier: BSD-2-Clause
// The search: finds sections of the site by lunr.js, and shows the sentence in which the words stand. SECTIONS and SYNONYMS are in
// sections.js. Everything is loaded by script elements, so it works without a server.
"use strict";

lunr.tokenizer.separator = /[^\w]+/;

// Words that stand on most pages. They count little, and need not be found. lunr leaves out words such as "a" and "every".
const weak = new Set(["many", "much", "function", "functions", "call", "calls", "order", "one", "two", "several", "use", "using", "without", "with"]);
const isWeak = (word) => weak.has(word) || /^\d+$/.test(word);
const isStopped = (word) => lunr.stopWordFilter(new lunr.Token(word)) === undefined;

// A name of the reference, or a heading such as "Limits" that many headers have. What stands in it says less than a heading of a guide.
const isMinor = (section) => /^reference\/.*#/.test(section.url);

const makeIndex = (sections) => lunr(function () {
  this.ref("id");
  this.field("title", { boost: 12 });
  this.field("parts", { boost: 8 }); // of a name, so that "mutex lock" finds fl_mutex_lock_until()
  this.field("lead", { boost: 5 }); // the first sentence of a page
  this.field("page", { boost: 3 });
  this.field("text");
  this.field("code", { boost: 0.4 });
  this.b(0.3); // a long section is not much worse than a short one
  sections.forEach((s, id) => this.add({ id, title: isMinor(s) && !s.url.includes("#c.") ? "" : s.title, parts: s.title.replace(/_/g, " "), page: s.page,
    lead: s.url.includes("#") ? "" : s.sentences[0] || "", text: s.sentences.join(" "), code: s.code.join(" ") },
    { boost: /^docs\/guide/.test(s.url) ? 1.5 : 1 }));
});

const wordsOf = (query) => query.toLowerCase().split(lunr.tokenizer.separator).filter((word) => word);

// The sections that the query finds, best first: what a synonym names that is at least a third of the query, then the sections with
// all words, then those with some of them. Of the last, a section with more of the words comes before one with a word in its title.
const find = (index, sections, synonyms, query) => {
  const words = wordsOf(query), said = ` ${words.join(" ")} `;
  if (!words.length) return [];
  const strong = (list) => list.filter((word) => !isStopped(word) && !isWeak(word)).length;
  const pinned = synonyms.map(([phrase, urls]) => [wordsOf(phrase), urls])
    .filter(([phrase]) => said.includes(` ${phrase.join(" ")} `) && 3 * Math.max(strong(phrase), 1) >= strong(words)).flatMap(([, urls]) => urls);
  const asked = (presence) => index.query((q) => {
    words.forEach((word, i) => {
      if (isStopped(word)) return;
      q.term(lunr.tokenizer(word).map((token) => lunr.stemmer(token).toString()),
        isWeak(word) ? { presence: lunr.Query.presence.OPTIONAL, boost: 1 } : { presence, boost: 10 });
      if (i === words.length - 1 && word.length > 2 && presence === lunr.Query.presence.OPTIONAL)
        q.term(word, { wildcard: lunr.Query.wildcard.TRAILING });
    });
  });
  const nameOf = (text) => text.trim().toLowerCase().replace(/\(\)$/, "").replace(/^fl_/, "").replace(/_/g, " ");
  const whole = sections.findIndex((s) => nameOf(s.title) === nameOf(query));
  const ids = [...pinned.map((url) => sections.findIndex((s) => s.url === url)), whole];
  for (const presence of [lunr.Query.presence.REQUIRED, lunr.Query.presence.OPTIONAL]) {
    const value = ({ score, matchData }) => score * Object.keys(matchData.metadata).filter((word) => !isWeak(word)).length;
    const found = asked(presence).sort((a, b) => value(b) - value(a)).map((result) => Number(result.ref));
    ids.push(...found.sort((a, b) => sections[a].rank - sections[b].rank)); // stable: by score among equal ranks
    if (ids.length > 10) break;
  }
  const unique = [...new Set(ids)].filter((id) => id >= 0).map((id) => sections[id]);
  return [...unique.filter((s) => s.rank < 3), ...unique.filter((s) => s.rank === 3)];
};

// The sentence, or the line of code, with the most of the words; and which parts of it are the words.
const sentenceOf = (section, query) => {
  const stems = wordsOf(query).map((word) => lunr.stemmer(new lunr.Token(word)).toString());
  const has = (text, stem) => wordsOf(text.replace(/_/g, " ")).some((word) => lunr.stemmer(new lunr.Token(word)).toString() === stem);
  let best = section.sentences[0] || section.code[0] || "", most = 0;
  for (const text of [...section.sentences, ...section.code]) {
    const n = stems.filter((stem) => has(text, stem)).length;
    if (n > most) [best, most] = [text, n];
  }
  return best.split(/(\w+)/).map((part) => ({ part, marked: /\w/.test(part) && stems.some((stem) => has(part, stem)) }));
};

const show = () => {
  const query = new URLSearchParams(location.search).get("q") || "", out = document.getElementById("search-results");
  const make = (tag, parent, text = "") => Object.assign(parent.appendChild(document.createElement(tag)), { textContent: text });
  document.querySelectorAll("input[name=q]").forEach((input) => { input.value = query; });
  const found = find(makeIndex(SECTIONS), SECTIONS, SYNONYMS, query).slice(0, 40);
  make("h1", out, query ? `Search: ${query}` : "Search");
  if (!found.length) make("p", out, query ? "Nothing was found. The index of all names is linked in the reference." : "Write words, or the name of a function.");
  const list = make("ul", out);
  for (const section of found) {
    const item = make("li", list), title = make("p", item);
    Object.assign(make("a", title, section.title), { href: document.documentElement.dataset.content_root + section.url });
    if (section.page !== section.title) make("span", title, section.page);
    const text = make("p", item);
    for (const { part, marked } of sentenceOf(section, query)) make(marked ? "mark" : "span", text, part);
  }
};

if (typeof document === "undefined") module.exports = { makeIndex, find };
else {
  document.getElementById("search-results").textContent = "Searching ...";
  setTimeout(() => { document.getElementById("search-results").textContent = ""; show(); }, 0); // the index takes a moment
}
