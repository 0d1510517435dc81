// SPDX-License-Identifier: BSD-2-Clause
// check_search.js STATIC QUERIES: prints a line for each query of the file that does not find what stands there. A line is
// `query: n: page or name`: this must be among the first n results.
"use strict";
const fs = require("fs"), path = require("path");
const [folder, queries] = process.argv.slice(2);

global.lunr = require(path.resolve(folder, "lunr.min.js"));
const { makeIndex, find } = require(path.resolve(folder, "search.js"));
const { SECTIONS, SYNONYMS } = new Function(fs.readFileSync(path.join(folder, "sections.js"), "utf8") + "return { SECTIONS, SYNONYMS };")();
const index = makeIndex(SECTIONS);

for (const line of fs.readFileSync(queries, "utf8").split("\n").filter((text) => text && !text.startsWith("#"))) {
  const [query, most, wanted] = line.split(": ");
  const found = find(index, SECTIONS, SYNONYMS, query);
  if (!found.slice(0, Number(most)).some((s) => s.title === wanted || s.url.startsWith(wanted)))
    console.log(`search for "${query}": ${wanted} is not among the first ${most}: ${found.slice(0, 5).map((s) => s.url).join(", ")}`);
  const last = found.findIndex((s) => s.rank === 3);
  if (last >= 0 && found.slice(last).some((s) => s.rank < 3)) console.log(`search for "${query}": bugs of other libraries are not last`);
}
