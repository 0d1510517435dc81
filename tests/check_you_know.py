# SPDX-License-Identifier: BSD-2-Clause
"""Holds docs/you-know.md to the headers, and to the names of the sources that it covers as a whole (you_know.txt).

Each fl_ or FL_ name of a row is declared in a header that the row names; `type.member` is a member of that struct. Each
name of a source in you_know.txt has one row, and no row has another name. In no section a name stands twice.
A case of tests/run.
"""
import glob
import re
from os.path import abspath, basename, dirname, join

ROOT = dirname(dirname(abspath(__file__)))
PAGE = join(ROOT, "docs/you-know.md")
NAMES = join(ROOT, "tests/you_know.txt")
HEADERS = join(ROOT, "include/fairlead")
ROWS = 900  # there are at least so many

FUNCTION = re.compile(r"^(?:FL_API|FL_INLINE|static inline)\b[^;{=]*?\b(fl_[a-z]\w*)\(", re.M)
MACRO = re.compile(r"^#\s*define\s+(FL_[A-Z]\w*)", re.M)
TYPE = re.compile(r"^typedef\b[^;{]*?\b(fl_[a-z]\w*)\s*(?:;|\([^;{]*\);)|^typedef (?:enum|struct) (fl_[a-z]\w*) \{|^\}\s*(fl_[a-z]\w*)\s*;|^struct\s+(fl_[a-z]\w*)\s*\{", re.M)
ENUMERATION = re.compile(r"\benum\b[^;{]*\{(.*?)\}", re.S)
STRUCT = re.compile(r"^(?:typedef )?struct\s+(fl_[a-z]\w*)\s*\{(.*?)^\}", re.M | re.S)
OURS = re.compile(r"\b((?:fl|FL)_\w+)((?:\(\))?)(?:\.(\w+))?")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Header:
    """What one public header declares: functions, all names, and the members of each struct."""

    def __init__(self, path):
        text = read(path)
        for private in re.findall(r"<fairlead/(private/\w+_of\.h)>", text):  # FL_QUEUE_OF and its like
            text += read(join(HEADERS, private))
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        self.functions = set(FUNCTION.findall(text))
        self.names = {*self.functions, *MACRO.findall(text), *(n for found in TYPE.findall(text) for n in found if n)}
        for body in ENUMERATION.findall(text):
            self.names.update(re.findall(r"\bFL_\w+", body))
        self.members = {name: set(re.findall(r"(\w+)\s*(?:\[\w*\]|\)\([^;]*\))?\s*[;,]", body))
                        for name, body in STRUCT.findall(text)}


def headers():
    return {basename(path): Header(path) for path in glob.glob(join(HEADERS, "*.h"))}


def sections(text):
    """(heading, cells of each row) of each section; a row is a line of a table, without its head."""
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        heading, _, body = part.partition("\n")
        rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in body.splitlines() if line.startswith("|")]
        yield heading.strip(), [r for r in rows if not r[0].startswith(("you know", "not here", "---"))]


def listed():
    """The names of each source in you_know.txt."""
    return {source: set(names.split()) for source, names in re.findall(r"^\[(.*)\]\n([^\[]*)", read(NAMES), re.M)}


def complaints_of_row(section, cells, known):
    """What is wrong with the names of the library in one row."""
    named = re.findall(r"\[(\w+\.h)\]", cells[2]) if len(cells) == 4 else []
    where = f"{section}: {cells[0]}"
    if len(cells) not in (2, 4):
        yield f"{where}: {len(cells)} cells: is there a bar in a cell?"
    yield from (f"{where}: there is no header {name}" for name in named if name not in known)
    found = [known[name] for name in named if name in known]
    if len(cells) == 2:  # a row of what is not here may name anything
        found = list(known.values())
    for name, call, member in OURS.findall(" ".join(cells[1:])):
        holders = [header for header in found if name in header.names]
        if not holders:
            yield f"{where}: {name} is not declared in {' or '.join(named) or 'any header'}"
        elif call and not any(name in header.functions for header in holders):
            yield f"{where}: {name} is no function"
        elif member and not any(member in header.members.get(name, ()) for header in holders):
            yield f"{where}: {name} has no member {member}"
    if len(cells) == 4 and not OURS.search(cells[1]):
        yield f"{where}: names nothing of the library"


def complaints():
    text, known, wanted = read(PAGE), headers(), listed()
    result, count, seen_sections = [], 0, set()
    for section, rows in sections(text):
        seen = set()
        for cells in rows:
            names = re.findall(r"`([^`]+)`", cells[0])
            count += len(names)
            result += complaints_of_row(section, cells, known)
            result += [f"{section}: {name} stands twice" for i, name in enumerate(names) if name in seen or name in names[:i]]
            seen.update(names)
            if not names or (len(cells) == 4 and len(names) != 1):
                result.append(f"{section}: {cells[0]}: a row is about one name, in backticks")
        if section in wanted:
            seen_sections.add(section)
            result += [f"{section}: {name} has no row" for name in sorted(wanted[section] - seen)]
            result += [f"{section}: {name} is no name of the source" for name in sorted(seen - wanted[section])]
    result += [f"the page has no section {source}" for source in sorted(set(wanted) - seen_sections)]
    linked = dict(re.findall(r"^\[(\w+\.h)\]: \.\./include/fairlead/(\S+)$", text, re.M))
    result += [f"[{name}] leads nowhere" for name in sorted(set(re.findall(r"\[(\w+\.h)\]", text))) if linked.get(name) != name]
    if count < ROWS:
        result.append(f"only {count} names found: has the form of the tables changed?")
    return result
