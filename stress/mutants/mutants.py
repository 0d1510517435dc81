# SPDX-License-Identifier: BSD-2-Clause
"""Reads the mutants of stress/mutants/*.txt and applies them to a copy of the source.

The place of a mutant is found by the name of a function and by its code. White space and comments do
not count, so a mutant needs no change when a comment, the layout or the file's name changes.
README.md beside this file describes the format.
"""
import dataclasses
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOKEN = re.compile(r"""
      (?P<skip>\s+|/\*.*?\*/|//[^\n]*)
    | (?P<directive>\#(?:[^\n\\]|\\.|\\\n)*)
    | (?P<token>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\w+|<<=|>>=|\.\.\.|->|\+\+|--|<<|>>|&&|\|\||[-+*/%&|^=!<>]=|.)
    """, re.X | re.S)
ENTRY = re.compile(r"(\w+):(?: (\w+))?")
PLACE = re.compile(r"in (\w+)(?: of (\S+))?")


class Wrong(Exception):
    """A mutant that cannot be read, or that does not fit the source."""


@dataclasses.dataclass(frozen=True)
class Token:
    text: str
    start: int
    end: int


def tokens(text, directives=False):
    """Returns the tokens of C code; a preprocessor directive counts as one token, or as its words."""
    found, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match["directive"] is not None and directives:
            found.append(Token(re.sub(r"\s+", " ", match[0]), match.start(), match.end()))
        elif match["directive"] is not None:
            found.append(Token("#", position, position + 1))
            position += 1
            continue
        elif match["skip"] is None:
            found.append(Token(match[0], match.start(), match.end()))
        position = match.end()
    return found


def words(text):
    """Returns the texts of the tokens."""
    return [token.text for token in tokens(text)]


class Source:
    """A C file: its tokens, and where its functions and macros begin and end."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.functions = {}  # name: [(start, end) in the text]
        self.find_macros()
        self.find_functions()

    def add(self, name, start, end):
        self.functions.setdefault(name, []).append((start, end))

    def find_macros(self):
        for match in re.finditer(r"^#\s*define\s+(\w+)(?:[^\n\\]|\\.|\\\n)*", self.text, re.M):
            self.add(match[1], match.start(), match.end())

    def find_functions(self):
        """A function: at the top level a name and arguments in parentheses before a brace."""
        depth, head = 0, []
        for token in tokens(self.text, directives=True):
            if depth == 0:
                if token.text == "{":
                    self.begin = (head[0].start if head else token.start, self.name_of(head))
                elif token.text == ";" or token.text.startswith("#"):
                    head = []
                    continue
                else:
                    head.append(token)
            depth += (token.text == "{") - (token.text == "}")
            if token.text == "}" and depth == 0:
                start, name = self.begin
                if name:
                    self.add(name, start, token.end)
                head = []

    @staticmethod
    def name_of(head):
        """The name of a function, of an initialized variable, or else the word before the brace."""
        texts = [token.text for token in head]
        while "__attribute__" in texts:  # with its parentheses
            at, depth = texts.index("__attribute__"), 0
            for end in range(at + 1, len(texts)):
                depth += (texts[end] == "(") - (texts[end] == ")")
                if depth == 0:
                    break
            del texts[at:end + 1]
        for mark in ("[", "=", "("):
            if mark in texts and ("=" in texts or mark == "("):
                texts = texts[:texts.index(mark)]
        return texts[-1] if texts else ""


@dataclasses.dataclass
class Edit:
    """One change: the function, its file if the name is not unique, and the lines with signs."""
    function: str
    file: str
    lines: list

    def old(self):
        return "\n".join(line[1:] for line in self.lines if line[0] != "+")

    def new(self):
        return " ".join(line[1:] for line in self.lines if line[0] != "-")  # one line: the place may be in a macro

    def places(self, sources):
        """(source, start, end) of each place whose tokens are those of the old code."""
        old = words(self.old())
        for source in sources:
            if self.file and self.file != source.path:
                continue
            for start, end in source.functions.get(self.function, []):
                inside = tokens(source.text[start:end])
                texts = [token.text for token in inside]
                for at in range(len(texts) - len(old) + 1):
                    if texts[at:at + len(old)] == old:
                        yield source, start + inside[at].start, start + inside[at + len(old) - 1].end


@dataclasses.dataclass
class Mutant:
    """One error of logic."""
    name: str
    scenario: str  # empty until one is known
    edits: list

    def changes(self, sources):
        """Returns what to write: {path: text}. Raises Wrong if an edit does not fit at exactly one place."""
        replacements = {}
        for edit in self.edits:
            places = list(edit.places(sources))
            if len(places) != 1:
                where = ", ".join(sorted({place[0].path for place in places}))
                raise Wrong(f"{self.name}: in {edit.function}: " + (
                    f"the code fits at {len(places)} places ({where})" if places else "there is no such code") +
                    ":\n" + edit.old())
            source, start, end = places[0]
            replacements.setdefault(source, []).append((start, end, edit.new()))
        changed = {}
        for source, spans in replacements.items():
            text = source.text
            for start, end, new in sorted(spans, reverse=True):
                text = text[:start] + new + text[end:]
            changed[source.path] = text
        return changed


def sources():
    """Returns the library's files, with paths relative to the root."""
    files = sorted([*ROOT.glob("lib/**/*.[ch]"), *ROOT.glob("include/fairlead/**/*.h")])
    return [Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in files]


def read(path):
    """Returns the mutants of one file."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        last = found[-1] if found else None
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in "+- " and last and last.edits:
            last.edits[-1].lines.append(line)
        elif last and (place := PLACE.fullmatch(line)):
            last.edits.append(Edit(place[1], place[2] or "", []))
        elif entry := ENTRY.fullmatch(line):
            found.append(Mutant(entry[1], entry[2] or "", []))
        else:
            raise Wrong(f"{path.name}:{number}: neither a name, a place nor code: {line}")
    for mutant in found:
        if not mutant.edits or not all(words(edit.old()) for edit in mutant.edits):
            raise Wrong(f"{path.name}: {mutant.name} does not say which code it replaces")
    return found


def catalogue():
    """Returns all mutants."""
    found = sorted((mutant for path in HERE.glob("*.txt") for mutant in read(path)), key=lambda mutant: mutant.name)
    twice = [a.name for a, b in zip(found, found[1:]) if a.name == b.name]
    if twice:
        raise Wrong(f"two mutants are called {twice[0]}")
    return found


def is_unit_test(name):
    """Tells whether a program of tests/ has the name; else it is the name of a scenario."""
    return any(ROOT.glob(f"tests/**/{name}.c"))


def complaints(scenarios):
    """Returns what keeps a mutant from being applied, or from being noticed; for the tests.

    A mutant can be noticed if it names one of the scenarios, or a test program.
    """
    try:
        found, files = catalogue(), sources()
    except Wrong as error:
        return [str(error)]
    texts = []
    for mutant in found:
        if not mutant.scenario:
            texts.append(f"{mutant.name}: no scenario: stress/mutants/run {mutant.name} looks for a scenario")
        elif mutant.scenario not in scenarios and not is_unit_test(mutant.scenario):
            texts.append(f"{mutant.name}: no scenario is called {mutant.scenario}")
        try:
            mutant.changes(files)
        except Wrong as error:
            texts.append(str(error))
    return texts
