# SPDX-License-Identifier: BSD-2-Clause
"""The sections of the finished site, for its search.

A section is what stands below a heading, up to the next heading; or what stands below a name of the reference. It has a title, the
page that it is on, its address, its prose as a list of sentences, and the lines of its code.
"""
import html.parser
import json
import os
import re

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
BLOCKS = {"p", "li", "td", "th", "dd", "dt", "pre", "figcaption"}


def rank_of(page):
    """Which results come first: 0 for what users read, 1 for how the library is built, 2 for source files and changes, 3 for the bugs
    of other libraries."""
    if page == "tests/bugs.html":
        return 3
    if page == "CHANGELOG.html" or re.search(r"\.\w+\.html$", page):
        return 2
    return 0 if re.match(r"index|README|docs/(?!design|decisions)|reference/|laboratory/(guide|scenarios|modelled|coming)|mpi/guide", page) else 1


class Page(html.parser.HTMLParser):
    def __init__(self, page, text):
        super().__init__()
        self.page, self.sections, self.stack = page, [], []
        self.inside = self.heading = False
        self.text = ""
        self.feed(text)
        self.flush()

    def open(self, anchor, title=""):
        self.flush()
        self.sections.append({"title": title, "url": f"{self.page}#{anchor}" if anchor else self.page, "sentences": [], "code": []})
        return self.sections[-1]

    def flush(self, code=False):
        """Ends a paragraph, whose sentences belong to the innermost section."""
        text, self.text = self.text, ""
        sections = [entry[1] for entry in self.stack if entry[1] is not None]
        if not sections or not text.strip():
            return
        if code:
            sections[-1]["code"] += [" ".join(line.split()) for line in text.split("\n") if line.strip()]
        else:
            sections[-1]["sentences"] += re.split(r"(?<=[\w)`'\"][.?!]) (?=[A-Z`\"(])", " ".join(text.split()))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in VOID:
            return
        if tag == "article" and attributes.get("role") == "main":
            self.inside = True
        if not self.inside:
            return
        section, skipped = None, "headerlink" in (attributes.get("class") or "") or tag in ("style", "script", "nav")
        if tag == "section":
            section = self.open(attributes.get("id") if self.sections else "")
        elif tag == "dl" and re.match(r"c (function|macro|type)", attributes.get("class") or ""):
            section = self.open("")
        elif tag == "dt" and (attributes.get("id") or "").startswith("c.") and self.stack and self.stack[-1][1] is not None:
            own = self.stack[-1][1]
            if not own["title"]:
                own["title"], own["url"] = attributes["id"][2:], f"{self.page}#{attributes['id']}"
        elif tag in BLOCKS or re.match(r"h\d$", tag):
            self.flush()
        self.stack.append((tag, section, skipped))

    def handle_endtag(self, tag):
        if not self.inside or tag in VOID:
            return
        if tag == "article":
            self.flush()
            self.inside = False
            return
        if re.match(r"h\d$", tag) and self.sections:
            self.sections[-1]["title"] = self.sections[-1]["title"] or " ".join(self.text.split())
            self.text = ""
        elif tag in BLOCKS or tag in ("section", "dl"):
            self.flush(code=tag == "pre" or tag == "dt")
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if self.inside and not any(skipped for _, _, skipped in self.stack):
            self.text += data


def of_site(site):
    """All sections; those of a source file without its code but for its first comment."""
    found = []
    for folder, _, names in sorted(os.walk(site)):
        for name in sorted(names):
            page = os.path.relpath(os.path.join(folder, name), site)
            if not name.endswith(".html") or page in ("genindex.html", "search.html"):
                continue
            with open(os.path.join(site, page), encoding="utf-8") as file:
                sections = Page(page, file.read()).sections
            rank = rank_of(page)
            for section in sections:
                if rank == 2 and page != "CHANGELOG.html":
                    comment = re.match(r".*?\*/", "\n".join(section["code"][1:]), re.S)
                    section["code"] = comment[0].split("\n") if comment else []
                if section["title"]:
                    found.append({**section, "page": sections[0]["title"], "rank": rank})
    return found


def synonyms(path, sections):
    """What the words of others lead to: lines `words, words: name, page#anchor`. Returns them, and the names that do not exist."""
    places = {section["title"] if "#c." in section["url"] else section["url"]: section["url"] for section in sections}
    found, unknown = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            words, _, names = line.partition("#! ")[0].strip().partition(": ")
            if words and not words.startswith("# "):
                names = [name.strip() for name in names.split(", ")]
                unknown += [name for name in names if name not in places]
                found += [[word.strip(), [places[name] for name in names if name in places]] for word in words.split(", ")]
    return sorted(found, key=lambda row: -len(row[0])), unknown


def write(site, path_of_synonyms):
    """Writes the index of the search as a script, which a browser also loads from a disk. Returns the faults."""
    sections = of_site(site)
    rows, unknown = synonyms(path_of_synonyms, sections)
    with open(os.path.join(site, "_static", "sections.js"), "w", encoding="utf-8") as file:
        for name, value in (("SECTIONS", sections), ("SYNONYMS", rows)):
            file.write(f"var {name} = {json.dumps(value, ensure_ascii=False, separators=(',', ':'))};\n")
    return [f"synonyms.txt: {name}: no such name or place" for name in unknown]
