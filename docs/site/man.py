#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""usage: man.py FOLDER VERSION HEADER...

Writes the manual pages of the public headers into FOLDER: a page for each header, a page for each comment with functions, and a
line `.so` for each further name. A comment that begins with "Does the same as fl_x()" goes to the page of fl_x.
"""
import os
import re
import sys
import textwrap
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import headers  # noqa: E402

SECTION = "3"


def escaped(text):
    """Escapes a part of a line for mdoc(7)."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")


def plain(text):
    """Escapes whole lines for mdoc(7)."""
    return re.sub(r"^(?=[.'])", r"\\&", escaped(text), flags=re.M)


def argument(text):
    return '"' + plain(text).replace('"', "\\(dq") + '"'


def prose(text, parameters=()):
    """Text with marks: `code` and functions are bold, parameters italic."""
    out = ""
    for part in re.split(r"(`[^`]+`|\bfl_\w+(?=\()|\bFL_\w+)", text):
        code = part.strip("`")
        if part.startswith("`") and part.endswith("`") and len(part) > 2:
            out += rf"\%\f{'I' if code in parameters else 'B'}{escaped(code)}\fP"
        elif re.match(r"fl_\w+$|FL_\w+$", part):
            out += rf"\%\fB{escaped(part)}\fP"
        else:
            out += escaped(part).replace("\\(ga", "`")
    out = re.sub(r"(^|[\s(])(?=\\-E[A-Z]|[\w./]*\w[_/]\w|[a-z]+\\-[a-z]|[A-Z]{2})", r"\1\\%", out)  # no hyphens within names
    out = re.sub(r"(^|\s)([^\s\\]+)\\%", r"\1\\%\2", out)
    return re.sub(r"(?<=[\w)][.;:]) (?=[A-Z\\])", "\n", re.sub(r"^(?=[.'])", r"\\&", out))


def broken(line, width):
    """The line in parts of at most `width` columns. A part of code ends behind a comma, an operator or a brace, not within a string."""
    first, text, further = re.match(r"\s*", line)[0], line.strip(), "// "
    if not text.startswith("//"):
        text = re.sub(r'"(?:\\.|[^"\\])*"', lambda string: string[0].replace(" ", "\xa0"), text)
        text, further = re.sub(r"(?<![,;{?:&|]) ", "\xa0", text), "    "
    parts = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=first + further, break_long_words=False, break_on_hyphens=False)
    return [part.replace("\xa0", " ") + " \\" * (text[0] == "#" and part is not parts[-1]) for part in parts]


def code(lines, width=0):
    """Literal lines. Where one is wider, the remarks at their ends move to the left. A remark for which a line still has no space
    moves above it, and what is too wide then is broken."""
    wide, found = width and max(map(len, lines)) > width, []
    if wide:
        for at in range(len(lines) - 1, 0, -1):  # a statement of several lines
            if len(lines[at - 1]) > width and lines[at - 1].endswith(","):
                lines = [*lines[:at - 1], f"{lines[at - 1]} {lines[at].strip()}", *lines[at + 1:]]
    for line in lines:
        statement, mark, remark = line.partition("//")
        if wide and mark and statement.strip():
            line = f"{statement.rstrip()}  //{remark}"
            if len(line) > width:
                found += broken(re.match(r"\s*", line)[0] + "//" + remark, width)
                line = statement.rstrip()
        found += broken(line, width) if wide and len(line) > width else [line]
    return [plain(line) or "\\&" for line in found]


def blocks(parts, parameters=()):
    """A comment, without the mark of its first paragraph."""
    lines = []
    for kind, content in parts:
        if kind == "text":
            lines += [".Pp"] * (not lines or not lines[-1].startswith(".Ss")) + [prose(content, parameters)]
        elif kind == "heading":
            lines += [f".Ss {plain(content)}"]
        elif kind == "code":
            lines += [".Bd -literal -offset indent", *code(content, 69), ".Ed"]
        elif kind == "list":
            lines += [".Bl -bullet"] + [line for item in content for line in (".It", prose(item, parameters))] + [".El"]
        else:
            keys = [key for key, text in content if text and len(key) <= 18]
            lines += [f".Bl -tag -width {argument(max(keys, key=len, default='-ECANCELED') + 'x')}"]
            for key, text in content:
                lines += [".It " + argument(key.replace("`", ""))] + ([prose(text, parameters)] if text else [])
            lines += [".El"]
    return lines[1:] if lines[:1] == [".Pp"] else lines


def split_results(parts):
    """The blocks of a comment without its results, and those: a sentence that begins with Returns, and the table after it."""
    rest, results = [], []
    for number, (kind, content) in enumerate(parts):
        before = parts[number - 1] if number else None
        if kind == "text":
            sentences = re.split(r"(?<=[\w)`][.]) (?=[A-Z`])", content)
            ours = [s for s in sentences[number == 0:] if re.match(r"(Also r|R)eturns\b|(It|Both) returns?\b.*:$", s)]
            if before and before[0] == "table" and results and results[-1] == before and content.startswith("or "):
                results.append((kind, content))
            else:
                others = [s for s in sentences if s not in ours]
                rest += [(kind, " ".join(others))] if others else []
                results += [(kind, " ".join(ours))] if ours else []
        elif kind == "table" and results and results[-1][0] == "text" and before[1].endswith(results[-1][1]):
            results.append((kind, content))
        else:
            rest.append((kind, content))
    return rest, results


def purpose(unit):
    """What the first name of a unit does: the first sentence of its comment, without the names and the "is" that it may begin with."""
    text = next((content for kind, content in unit.blocks if kind == "text"), "")
    said = re.sub(rf"^((?:{'|'.join(unit.names())})(\([^()]*\))?(, |: | and | ))+((is|are) )?", "", headers.sentence(text))
    return said[:1].upper() + said[1:] if said[:3] != "fl_" else said


class Manual:
    def __init__(self, version, paths):
        self.version = version
        changed = int(os.environ.get("SOURCE_DATE_EPOCH") or max(os.stat(path).st_mtime for path in paths))
        self.date = time.strftime("%B %d, %Y", time.gmtime(changed)).replace(" 0", " ")
        self.headers = sorted((headers.Header(path) for path in paths), key=lambda h: h.include)
        self.pages, self.links, self.page_of, opaque = {}, {}, {}, {}
        for header in self.headers:
            self.page_of[header.include] = header.page
            for unit in header.units:
                base = unit.refers_to()
                page = header.page if not unit.has_page() else self.page_of.get(base) or unit.names()[0]
                if unit.has_page() and base and self.pages.get(page, (None,))[0] is not header:
                    page = unit.names()[0]
                if unit.has_page():
                    self.pages.setdefault(page, (header, []))[1].append(unit)
                for declaration in unit.declarations:
                    for name in [declaration.name, *declaration.others]:
                        own = page if declaration.kind in ("function", "macro", "constant") else header.page
                        if name not in self.page_of or opaque.get(name):
                            self.page_of[name] = own
                            opaque[name] = declaration.kind == "type" and "{" not in declaration.text

    def top(self, name, names, title):
        """The line of the names, without what follows a colon where a function's line is long."""
        if len(title) > 100 and name in self.pages and title.find(": ") >= 20:
            title = title.partition(": ")[0]
        title = re.sub(r"(?<!\.)[.:;]$", "", title).replace("`", "")
        return [f".Dd {self.date}", f".Dt {name} {SECTION}", ".ds doc-volume Fairlead", f".Os Fairlead {self.version}", ".Sh NAME",
                *[f".Nm {n}" + (" ," if n is not names[-1] else "") for n in names], ".Nd " + prose(title).replace('"', "\\(dq").replace("\n", " ")]

    def see_also(self, own, texts, *more):
        """The pages of the names in `texts`."""
        named = re.findall(r"\b(?:fl|FL)_\w+|fairlead/\w+\.h", " ".join(texts))
        pages = {self.page_of[n] for n in named if n in self.page_of} | set(more)
        pages = sorted(pages - {own}, key=str.lower)
        return [".Sh SEE ALSO"] + [f".Xr {p} {SECTION}" + (" ," if p != pages[-1] else "") for p in pages]

    def structs(self, page, declarations):
        """Where the structs of the parameters are described that a caller fills, or reads."""
        found = sorted(set(re.findall(r"\bfl_\w+_(?:config|stats)\b", str([d.parameters for d in declarations]))))
        pages = {self.page_of[name] for name in found if name in self.page_of and self.page_of[name] != page}
        return [".Pp", *(line for of in sorted(pages) for line in (
            f".Xr {of} {SECTION}", "describes " + prose(" and ".join(f"`{n}`" for n in found if self.page_of.get(n) == of)) + "."))] if pages else []

    def function_page(self, page):
        header, units = self.pages[page]
        declarations = [d for unit in units for d in unit.declarations]
        names = [d.name for d in declarations if d.kind != "type"]
        parameters = {re.search(r"(\w+)(?:\[\w*\])?$", p)[1] for d in declarations for p in d.parameters if re.search(r"\w$|\]$", p)}
        lines = self.top(page, names, purpose(units[0]))
        lines += [".Sh SYNOPSIS", f".In {header.include}"]
        for d in declarations:
            if d.kind == "function":
                lines += [f".Ft {argument(d.result)}", " ".join([f".Fn {d.name}", *(argument(p) for p in d.parameters)])]
            elif d.kind == "macro":
                lines += [f".Fn {d.name} " + " ".join(argument(p) for p in headers.split_parameters(d.text[len(d.name) + 1:-1]) if p)]
            else:
                lines += [".Bd -literal", *code(headers.fit(d.text, 74)), ".Ed"]
        rest, results = split_results(units[0].blocks)
        lines += [".Sh DESCRIPTION", *blocks(rest, parameters), *self.structs(page, declarations)]
        for unit in units[1:]:
            lines += [f".Ss {' , '.join(unit.names())}", *blocks(unit.blocks, parameters)]
        results = [block for block in results if block != ("text", "Returns:")]
        if results:
            lines += [".Sh RETURN VALUES", *blocks(results, parameters)]
        siblings = [sibling for sibling, (of, _) in self.pages.items() if of is header]
        at = siblings.index(page)
        texts = [str(u.blocks) for u in units] + [d.text for d in declarations]
        return lines + self.see_also(page, texts, header.page, *siblings[max(at - 2, 0):at + 3])

    def header_page(self, header):
        first = header.units[0]
        lines = self.top(header.page, [header.page], header.title) + [".Sh SYNOPSIS", f".In {header.include}"]
        pages = [page for page, (of, _) in self.pages.items() if of is header]
        lines += [".Sh DESCRIPTION", *blocks(first.blocks)]
        types = [u for u in header.units if u.declarations and not u.has_page()]
        if types:
            lines += [".Sh TYPES AND CONSTANTS"]
            for unit in types:
                if unit is not first and unit.blocks:
                    lines += [".Pp"] * (not lines[-1].startswith(".Sh")) + blocks(unit.blocks)
                lines += [".Bd -literal"]
                for d in unit.declarations:
                    text = "#define " + d.text if d.kind == "macro" else d.text
                    lines += code(headers.fit(text, 74))
                lines += [".Ed"]
        if pages:
            lines += [".Sh FUNCTIONS", ".Bl -tag -width Ds"]
            for page in pages:
                units = self.pages[page][1]
                names = [name for unit in units for name in unit.names()]
                lines += [".It " + " , ".join(f"Xr {name} {SECTION}" for name in names), prose(purpose(units[0]))]
            lines += [".El"]
        if header.include == "fairlead.h":
            others = [h for h in self.headers if h is not header]
            lines += [".Sh HEADERS", ".Bl -tag -width Ds"] + [line for h in others for line in (f".It Xr {h.page} {SECTION}", prose(h.title))] + [".El"]
        return lines + self.see_also(header.page, [str(first.blocks)], "fairlead.h", "fairlead_defs.h")

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        for old in os.listdir(folder):
            os.remove(os.path.join(folder, old))
        texts = {page: self.function_page(page) for page in self.pages}
        texts.update({header.page: self.header_page(header) for header in self.headers})
        for name, page in self.page_of.items():
            if "/" not in name and name != page:
                texts.setdefault(name, [f".so man{SECTION}/{page}.{SECTION}"])
        texts["fairlead"] = [f".so man{SECTION}/{self.page_of['fairlead.h']}.{SECTION}"]
        for name, lines in texts.items():
            with open(os.path.join(folder, f"{name}.{SECTION}"), "w", encoding="utf-8") as file:
                file.write('.\\" SPDX-License-Identifier: BSD-2-Clause\n' * (not lines[0].startswith(".so")) + "\n".join(lines) + "\n")
        return texts


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    Manual(sys.argv[2], sys.argv[3:]).write(sys.argv[1])
