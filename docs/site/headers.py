# SPDX-License-Identifier: BSD-2-Clause
"""Reads the public headers: their comments and declarations, for the manual pages and the site.

A header is a list of units. A unit is a comment and the declarations below it, up to an empty line. A comment is a list of blocks:

  ("text", sentences)              a paragraph
  ("heading", words)               a line without a full stop in the first comment of a header, but not its first line
  ("list", [sentences, ...])       lines that begin with "- "
  ("table", [(key, sentences)])    indented by two or three columns: results, terms
  ("code", lines)                  indented by more
"""
import re
import textwrap



class Declaration:
    """kind: function, macro (with parameters), constant (a macro without), or type. `others`: names that it also declares."""

    def __init__(self, kind, name, text, result="", parameters=(), others=()):
        self.kind, self.name, self.text = kind, name, text
        self.result, self.parameters, self.others = result, list(parameters), list(others)

    def signature(self):
        return f"{self.result}{'' if self.result.endswith('*') else ' '}{self.name}({', '.join(self.parameters)})"


class Unit:
    def __init__(self, blocks, declarations):
        self.blocks, self.declarations, self.is_first = blocks, declarations, False

    def has_page(self):
        """Whether it has a manual page of its own, and not only that of its header."""
        return bool(self.blocks) and any(d.kind == "function" or d.kind == "macro" and not self.is_first for d in self.declarations)

    def names(self):
        return [d.name for d in self.declarations if d.kind != "type"]

    def refers_to(self):
        """The function that this comment builds upon: `Does the same as fl_queue_put(), and never waits.`"""
        found = self.blocks and self.blocks[0][0] == "text" and re.match(r"(?:As|Does the same as) `?(fl_\w+)\b", self.blocks[0][1])
        return found[1] if found else None


class Header:
    def __init__(self, path):
        self.include = re.search(r"(fairlead/)?\w+\.h(?=$|\.in$)", path)[0]  # fairlead/queue.h
        with open(path, encoding="utf-8") as file:
            self.units = units_of(file.read())
        self.units[0].is_first = True
        self.page = self.include.replace("/", "_")
        self.title = sentence(self.units[0].blocks[0][1])


def sentence(text):
    """The first sentence, without its end; if it is long, only up to a semicolon."""
    whole = re.split(r"(?<=[\w)`'\"+])[.;:]?(?:(?<=[.])\s|$)", text, maxsplit=1)[0]
    return whole if len(whole) <= 100 else re.split(r"(?<=[\w)`'\"+]);\s", whole, maxsplit=1)[0]


def fit(text, width):
    """A declaration in at most `width` columns where that is possible: tabs become four spaces, comments are wrapped again."""
    lines, paragraph = [], None
    text = re.sub(r"(?s)(?<=[;,])[ \t]*/\*.*?\*/", lambda found: " " + " ".join(found[0].split()) if "\n" in found[0] else found[0], text)
    for line in text.replace("\t", "    ").split("\n"):
        member = re.match(r"( *)(\S.*?|) *(/\*.*\*/)$", line)
        inside = re.match(r"( +)\*(?!/) ?(.*)", line)
        if inside and paragraph and inside[2] and not re.match("- " if paragraph[1].startswith("- ") else "- |  ", inside[2]) and paragraph[1]:
            paragraph[1] += " " + inside[2].strip()
            continue
        if paragraph:
            lines += textwrap.wrap(paragraph[1], width, initial_indent=paragraph[0] + "* ",
                                   subsequent_indent=paragraph[0] + "* " + "  " * paragraph[1].startswith("- ")) or [paragraph[0] + "*"]
            paragraph = None
        if inside:
            paragraph = [inside[1], inside[2]]
        elif member and len(line) > width:
            wrapped = textwrap.wrap(member[3].replace(" */", "\xa0*/"), width, initial_indent=member[1], subsequent_indent=member[1] + " * ")
            lines += [part.replace("\xa0", " ") for part in wrapped]
            lines += [member[1] + member[2]] if member[2] else []
        elif len(line) > width and not line.startswith("#"):
            lines += textwrap.wrap(line, width, subsequent_indent=re.match(" *", line)[0] + "    ", break_long_words=False)
        else:
            lines.append(line)
    return lines


def table_of(lines):
    """A key that ends with a comma goes on in the next line."""
    base = len(lines[0]) - len(lines[0].lstrip())
    rows = []
    for line in lines:
        if len(line) - len(line.lstrip()) == base:
            key, _, text = line.strip().partition("  ")
            if rows and rows[-1][0].endswith(","):
                rows[-1] = [f"{rows[-1][0]} {key}", f"{rows[-1][1]} {text.strip()}".strip()]
            else:
                rows.append([key, text.strip()])
        else:
            rows[-1][1] = (rows[-1][1] + " " + line.strip()).strip()
    return "table", [tuple(row) for row in rows]


def paragraphs_of(lines):
    """Ends at an empty line, and where an indented part begins or ends; the items of a list are one paragraph."""
    found = [[]]
    for line in lines:
        indented = line.startswith("  ")
        if not line or found[-1] and indented != found[-1][0].startswith("  ") and not found[-1][0].startswith("- "):
            found.append([])
        if line:
            found[-1].append(line)
    return [paragraph for paragraph in found if paragraph]


def blocks_of(comment):
    """The blocks of a comment, given with its marks."""
    inner = comment[2:-2].strip("\n ")
    blocks = []
    for lines in paragraphs_of([re.sub(r"^ ?\* ?", "", line).rstrip() for line in inner.split("\n")]):
        indent = len(lines[0]) - len(lines[0].lstrip())
        if lines[0].lstrip().startswith("- "):
            items = re.split(r"(?:^|\n) *- ", "\n".join(lines))
            blocks.append(("list", [" ".join(item.split()) for item in items if item]))
        elif indent >= 4 and blocks and blocks[-1][0] == "code":
            blocks[-1][1].extend(["", *(line[4:] for line in lines)])
        elif indent >= 4:
            blocks.append(("code", [line[4:] for line in lines]))
        elif indent >= 2 and any(re.search(r"\S {2,}\S.* {2,}\S", line) for line in lines):  # of three columns
            blocks.append(("code", [line[indent:] for line in lines]))
        elif indent >= 2:
            blocks.append(table_of(lines))
        elif re.match(r"FL_\w+\(.*;$", lines[0]):
            blocks.append(("code", lines))
        elif blocks and len(lines) == 1 and re.match(r"[A-Z][\w ,-]*$", lines[0]):
            blocks.append(("heading", lines[0]))
        else:
            blocks.append(("text", " ".join(" ".join(lines).split())))
    return blocks


def split_parameters(text):
    parts, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]


def declaration_of(text):
    """The public declaration in `text`, or None. Without the attributes of fairlead/thread_safety.h."""
    if not text.startswith("#"):
        text = re.sub(r"\s+(?:FL__SCOPED_LOCKABLE|FL__REENTRANT|"
                      r"FL_(?:REQUIRES|EXCLUDES|ACQUIRE|TRY_ACQUIRE|RELEASE|ASSERT_HELD|CAPABILITY)(?:_SHARED)?\([^)]*\))", "", text)
    plain = " ".join(re.sub(r"/\*.*?\*/", "", text, flags=re.S).split())
    macro = re.match(r"# ?define (FL_(?!_)\w*[A-Za-z0-9]\b)(\([^)]*\))?", text)
    if macro and macro[1] not in ("FL_API", "FL_INLINE", "FL_MUST_CHECK", "FL_PRINTF", "FL_BEGIN_DECLS", "FL_END_DECLS", "FL_THREAD_SAFETY"):
        if macro[2]:
            return Declaration("macro", macro[1], macro[1] + macro[2])
        return Declaration("constant", macro[1], text if len(text) < 90 and "\n" not in text else "#define " + macro[1])
    if re.match(r"(typedef|struct|enum|union)\b", plain) and re.search(r"[;]$", plain) and not re.match(r"\w+ fl__|struct \w+;", plain):
        names = re.findall(r"\b(FL_\w+[A-Z])\b(?=[^/]*?[,}=])", plain) if plain.startswith(("enum", "typedef enum")) else []
        function = re.match(r"typedef [^{]*?\b(fl_\w+)\(", plain)
        tag = re.match(r"(?:struct|enum|union) (\w+)", plain)
        last = re.search(r"(\w+)(?:\[\w*\])?;$", plain)
        name = function[1] if function else tag[1] if tag else last[1] if last and "enum {" not in plain else names[0]
        return None if name.startswith("fl__") else Declaration("type", name, text, others=[n for n in names if n != name])
    inline = re.match(r"(?:FL_INLINE|static inline FL_MUST_CHECK) ([^({=]*?\bfl_(?!_)\w+\([^{]*)\{", plain)  # a definition that is its only declaration
    if inline:
        plain = re.sub(r"\b_(?=\w)", "", inline[1].strip()) + ";"
    function = re.match(r"([^({=#]*?)\b(fl_(?!_)\w+)\s*\((.*)\)[^)]*;$", re.sub(r" FL_PRINTF\(.*?\)|__attribute__\(\(.*?\)\)", "", plain))
    if function and "{" not in plain and not plain.startswith(("static", "typedef", "return")):
        result = " ".join(w for w in function[1].split() if w not in ("FL_API", "FL_INLINE", "FL_MUST_CHECK", "extern"))
        return Declaration("function", function[2], plain, result, split_parameters(function[3])) if result else None
    return None


def items_of(text):
    """Comments at the first column, directives, declarations with their bodies, and empty lines, in order."""
    lines, at = text.split("\n"), 0
    while at < len(lines):
        line, begin = lines[at], at
        if not line.strip() or re.match(r'FL_(BEGIN|END)_DECLS$|FL__(SCOPED|SCOPED_LOCK|QUEUE_FORMS|COND_FORMS)\(.*\)$|extern "C" \{$|\}$', line):
            yield ""
        elif line.startswith("/*"):
            while "*/" not in lines[at]:
                at += 1
            rest = lines[at].partition("*/")[2]
            yield "\n".join(lines[begin:at + 1])[:-len(rest) or None]
        elif line.startswith("#"):
            while lines[at].endswith("\\"):
                at += 1
            yield "\n".join(lines[begin:at + 1])
        else:
            depth = 0
            while True:
                code = re.sub(r"/\*.*?(\*/|$)|^ *\t* \* .*", "", lines[at])
                depth += code.count("{") + code.count("(") - code.count("}") - code.count(")")
                if depth == 0 and re.search(r"[;}{]\s*$", code) or at + 1 == len(lines):
                    break
                at += 1
            yield "\n".join(lines[begin:at + 1])
        at += 1


def units_of(text):
    found, seen, current = [], set(), None
    for item in items_of(text):
        if item == "/* Used by the macros. */":
            break
        if item.startswith("/*"):
            if item.startswith(("/* SPDX", "/* clang-format")):
                continue
            current = Unit(blocks_of(item), [])
            found.append(current)
        elif not item:
            current = None
        else:
            declaration = declaration_of(item)
            if declaration and declaration.name not in seen and (current or not item.startswith("static")):
                seen.add(declaration.name)
                if current is None:
                    current = Unit([], [])
                    found.append(current)
                current.declarations.append(declaration)
    for unit in found:  # defs.h, "Forms": one comment describes both
        limited = [d.name for d in unit.declarations if d.kind == "function" and d.name.endswith("_until")]
        if limited and len(unit.declarations) > len(limited) and "-ETIMEDOUT" not in str(unit.blocks):
            unit.blocks.append(("text", " ".join(f"{name}() also returns -ETIMEDOUT." for name in limited)))
    for unit in found[1:]:  # a macro that a private header defines
        named = re.match(r"(FL_(?!_)\w+_OF)\(", unit.blocks[0][1]) if not unit.declarations and unit.blocks[0][0] == "text" else None
        if named:
            unit.declarations.append(Declaration("macro", named[1], named[1] + "(type, name)"))
    return found[:1] + [unit for unit in found[1:] if unit.declarations]
