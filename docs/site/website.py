#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""usage: website.py SOURCES SITE

Makes the site: collects the Markdown documents that README.md reaches by links, the source files that they link, and the reference
from the headers' comments in SOURCES; then runs Sphinx, and checks each link of the result. Exit status 1 for a dead link, or one
whose text is the name of a document's file.
"""
import glob
import html.parser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import charts  # noqa: E402
import headers  # noqa: E402
import man  # noqa: E402
import sections  # noqa: E402

RESULTS = "bench/results/README.md"

VERSION = re.search(r"version: '([0-9.]+)'", open(os.path.join(ROOT, "meson.build"), encoding="utf-8").read())[1]
CONVENTION = re.compile(r"""\bdefs\.h,(?:\s|\*|//|#)+"(\w[^"]*)\"""")  # a reference to a row of the first comment of defs.h
LINK = re.compile(r"(\]\(|^\[[^\]\n]+\]: )([^)\s]+)", re.M)
CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`|^(?: {4,}|\t)(?!\s*[-*])[^\n]*$)", re.M | re.S)
LANGUAGES = {".c": "c", ".h": "c", ".cc": "cpp", ".py": "python", ".build": "meson", ".sh": "sh"}
GUIDE = [f"docs/guide/{name}.md" for name in (
    "tasks", "workers", "limits", "groups", "lazy-map", "in-order", "processes", "bytes", "futures", "loops", "timers", "threads",
    "locks", "checked-locks", "cpp", "queues", "several-queues", "deadlines", "cancelling", "signals", "event-loop", "other-programs",
    "shared-memory", "dead-owners", "laboratory", "mistakes")]
# The sidebar; what the documents link beyond these stands under "More".
CHAPTERS = (
    ("Begin", ("README.md", "docs/install.md", "docs/guide.md", "docs/examples/README.md")),
    ("Guide", GUIDE),
    ("Reference", ("reference/index.rst",)),
    ("Coming from", ("docs/from-pthreads.md", "docs/from-python.md", "docs/from-libuv.md", "docs/you-know.md")),
    ("In production", ("docs/platforms.md", "docs/debugging.md", "docs/in-your-process.md", "mpi/guide.md", "docs/security.md", "docs/refused.md")),
    ("The laboratory", ("laboratory/guide.md", "laboratory/scenarios.md", "laboratory/modelled.md", "laboratory/coming-from.md", "laboratory/README.md", "stress/README.md")),
    ("How it is built", ("docs/design.md", "docs/decisions/README.md", "docs/glossary.md", "lib/README.md", "tests/README.md",
                         "bench/README.md", RESULTS, "tests/contract.md", "tests/bugs.md", "tests/threats.md")),
)
# The rows of the table of README.md that the front page shows.
FAST = ("lock and unlock a mutex |", "a bounded queue", "10,000 tasks", "recursive fib", "a task to a worker process")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def unbroken(text):
    """Prose and tables whose errors and quantities no browser breaks: -ECANCELED after its minus, 11 ns at its space."""
    text = re.sub(r"^(?!#)(.*)$", lambda line: re.sub(r"(?<![\w/])-E[A-Z0-9]+\b", r'<span class="pre">\g<0></span>', line[0]), text, flags=re.M)
    return re.sub(r"(?<=\d) (?=(ns|us|ms|kB|KiB|MiB)\b)", "\xa0", text)


class Sources:
    """The sources for Sphinx, in a folder of the same form as the tree."""

    def __init__(self, folder):
        self.folder, self.dead, self.pages, self.waiting = folder, [], {}, []
        self.roles = {}  # the kind of each name of the reference
        shutil.rmtree(folder, ignore_errors=True)

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def page_of(self, path):
        """The page that shows a file of the tree; None if there is no such file."""
        full = os.path.join(ROOT, path)
        if os.path.isdir(full):
            path = os.path.join(path, "README.md")
        if not os.path.isfile(os.path.join(ROOT, path)):
            return None
        header = re.match(r"(?:mpi/)?include/(?:fairlead/)?(\w+)\.h$", path)
        if header:
            return f"reference/{header[1]}.rst"
        if path not in self.pages:
            self.pages[path] = path if path.endswith((".md", ".svg")) else path + ".md"
            self.waiting.append(path)
        return self.pages[path]

    def link(self, page, target):
        """What a link of a page becomes."""
        if re.match(r"[a-z]+:|#|reference/", target):
            return target
        path, mark, anchor = target.partition("#")
        there = self.page_of(os.path.normpath(os.path.join(os.path.dirname(page), path)))
        if there is None:
            self.dead.append(f"{page}: {target}")
            return target
        return os.path.relpath(there, os.path.dirname(self.pages.get(page, "")) or ".") + mark + anchor

    def code(self, before, text):
        """A piece of code: a name of the reference becomes a link, unless it stands in a heading or is one already."""
        name = re.match(r"`(\w+)(?:\(\))?`$", text)
        if not name or name[1] not in self.roles or before.endswith("[") or before.rpartition("\n")[2].startswith("#"):
            return text
        return f"{{c:{self.roles[name[1]]}}}`{name[1]}`"

    def collect(self):
        self.page_of("README.md")
        for path in self.waiting:
            name, ending = os.path.basename(path), os.path.splitext(path)[1]
            if ending == ".svg":
                os.makedirs(os.path.dirname(os.path.join(self.folder, path)), exist_ok=True)
                shutil.copy(os.path.join(ROOT, path), os.path.join(self.folder, path))
            elif ending == ".md":
                parts = CODE.split(read(path))
                self.dead += [f"{path}: the text of a link is the name of a file: {text}"
                              for text in re.findall(r"\[(\S+\.md)\]\(", "".join(parts[::2]))]
                parts[1::2] = [self.code(before, part) for before, part in zip(parts[::2], parts[1::2])]
                parts[::2] = [unbroken(LINK.sub(lambda found, path=path: found[1] + self.link(path, found[2]), part)) for part in parts[::2]]
                self.write(self.pages[path], "".join(parts) + (self.charts() if path == RESULTS else ""))
            else:
                self.write(self.pages[path], f"---\norphan: true\n---\n\n# {name}\n\n`{path}`\n\n````{LANGUAGES.get(ending, 'text')}\n"
                           + read(path) + "\n````\n")

    def charts(self):
        """The charts of the benchmarks, for the page of the results: of each case one a maker of the CPU."""
        text, folder = "", os.path.dirname(RESULTS)
        for title, name in (("On an idle machine", "idle"), ("On a busy machine", "busy")):
            cases = {}
            for maker in ("Intel", "AMD"):
                path = os.path.join(ROOT, folder, f"{name}-{maker.lower()}.json")
                for heading, file, svg in charts.charts(path) if os.path.exists(path) else ():
                    image = f"{name}-{maker.lower()}/{file}"
                    self.write(f"{folder}/{image}", svg)
                    cases.setdefault(heading, []).append(f"\n{maker}:\n\n![{heading.replace('`', '')}, {maker}]({image})\n")
            text += f"\n## {title}\n" + "".join(f"\n### {heading}\n" + "".join(images) for heading, images in cases.items())
        return text

    def front(self):
        """The first page, with some rows of the README's table of figures."""
        text, readme = read("docs/site/front.md"), read("README.md")
        rows = [re.search(rf"^\| ({re.escape(row.rstrip(' |'))}{' ' if row.endswith('|') else ''}.*?)\s*\| [^|]*\| (.*?) \| (.*?) \|", readme, re.M) for row in FAST]
        text = text.replace("FAST", "\n".join("| " + " | ".join(row.groups()) + " |" for row in rows))
        wants = re.search(r"^## I want to .*?(^\|.*?)\n\n", read("docs/guide.md"), re.M | re.S)[1]
        text = text.replace("WANTS", LINK.sub(lambda found: found[1] + os.path.normpath(os.path.join("docs", found[2])), wants))
        self.write("index.md", LINK.sub(lambda found: found[1] + self.link("front.md", found[2]), text))

    def contents(self):
        """The sidebar, at the end of the first page; the pages of a folder stand below its README where that is the chapter's."""
        listed = {page for _, pages in CHAPTERS for page in pages}
        more = sorted(page for path, page in self.pages.items() if path.endswith(".md") and page not in listed)
        below = [page for page in more if page.startswith("docs/decisions/")]
        text = ""
        for caption, pages in (*CHAPTERS, ("More", [page for page in more if page not in below])):
            text += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(
                "What it is <README>" if page == "README.md" else os.path.splitext(page)[0] for page in pages) + "\n```\n"
        self.append("index.md", text)
        if below:
            self.append("docs/decisions/README.md", "\n```{toctree}\n:hidden:\n\n" + "\n".join(os.path.basename(page)[:-3] for page in below) + "\n```\n")

    def append(self, path, text):
        with open(os.path.join(self.folder, path), "a", encoding="utf-8") as file:
            file.write(text)


def anchors(text):
    """The anchors of the headings of a Markdown document, as GitHub names them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S), re.M):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).strip().lower()).replace(" ", "-")
        found.add(name if name not in found else next(f"{name}-{n}" for n in range(1, 99) if f"{name}-{n}" not in found))
    return found


def conventions():
    """The terms of the first comment of defs.h, each a section of its page."""
    return [key for kind, rows in headers.Header(os.path.join(ROOT, "include/fairlead/defs.h")).units[0].blocks if kind == "table"
            for key, _ in rows if not key.startswith("-E")]


def lost_conventions(there):
    """The references such as `fairlead/defs.h, "Fork"` in comments and documents that lead to none of the sections."""
    for folder in ("include", "lib", "laboratory", "mpi", "docs", "tests", "stress"):
        for path in sorted(glob.glob(os.path.join(ROOT, folder, "**", "*.*"), recursive=True)):
            if re.search(r"\.(h|in|c|cc|py|md|txt)$", path):
                for name in CONVENTION.findall(read(os.path.relpath(path, ROOT))):
                    if name not in there:
                        yield f'{os.path.relpath(path, ROOT)}: defs.h has no section "{name}"'


def dead_in_documents():
    """The faulty links of the documents, for `./dev test`, which needs no Sphinx."""
    with tempfile.TemporaryDirectory(prefix="fairlead-docs-") as folder:
        sources = Sources(os.path.join(folder, "sources"))
        sources.front()
        sources.collect()
    for page in [path for path in sources.pages if path.endswith(".md")]:
        for link in [found[2] for part in CODE.split(read(page))[::2] for found in LINK.finditer(part)]:
            path, _, anchor = link.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if anchor and there.endswith(".md") and os.path.exists(os.path.join(ROOT, there)) and anchor not in anchors(read(there)):
                sources.dead.append(f"{page}: {link}: no such heading")
    return sources.dead + [*lost_conventions(conventions())]


def form(name, plain):
    """What distinguishes a form of a function from its plain form: "try" of fl_x_try_op(), "until" of fl_x_op_until()."""
    return " ".join(word for word in name.split("_") if word not in plain.split("_"))


def label(convention):
    """The anchor of a section of the page of defs.h."""
    return "conventions-" + re.sub(r"\W+", "-", convention.lower()).strip("-")


class Reference:
    """A page for each public header, in reStructuredText."""

    def __init__(self, sources):
        paths = [os.path.join(ROOT, "include", "fairlead.h"), *glob.glob(os.path.join(ROOT, "include", "fairlead", "*.h*")),
                 *glob.glob(os.path.join(ROOT, "laboratory", "include", "fairlead", "*.h")),
                 os.path.join(ROOT, "mpi", "include", "fairlead", "mpi_executor.h")]
        self.headers = sorted((headers.Header(path) for path in paths), key=lambda h: h.include)
        self.roles = sources.roles = {d.name: {"function": "func", "type": "type"}.get(d.kind, "macro")
                      for h in self.headers for u in h.units for d in u.declarations}
        for declaration in [d for h in self.headers for u in h.units for d in u.declarations]:
            declaration.text = declaration.text.replace("@version@", VERSION)  # of version.h.in
        for header in self.headers:
            sources.write(f"reference/{os.path.basename(header.include)[:-2]}.rst", "\n".join(self.page(header)) + "\n")
        sources.write("reference/index.rst", self.index())

    def index(self):
        """The headers in the groups of include/README.md, in its order; what is in none of its rows comes last."""
        groups = [("All of them", ["fairlead.h", "core.h"])]
        groups += [(name, re.findall(r"`(\w+\.h)`", row)) for row, name in re.findall(r"^\| `[\w/.]+` \| (.*?) \| (.*?) \|$", read("include/README.md"), re.M)]
        parts = {name: "These headers belong to :doc:`the core <core>`, which also works on macOS and Windows." if part.startswith("core")
                 else "These headers are for Linux alone." for part, name in
                 re.findall(r"^\| `([\w/.]+)` \| .*? \| (.*?) \|$", read("include/README.md"), re.M)}
        listed = {name for _, names in groups for name in names}
        by_name = {os.path.basename(h.include): h for h in self.headers}
        groups += [("Other machines; the laboratory; the version", [name for name in by_name if name not in listed])]
        lines = ["Reference", "=========", "", "Each header is about one subject, and ``fairlead.h`` has all of them. What holds for every function stands in "
                 ":doc:`fairlead/defs.h <defs>`. An installation has the same as manual pages: ``man fl_queue_put``. :ref:`All names <genindex>`.", ""]
        first = re.search(r"^## (The twelve .*?)\n(.*?)^## ", read("docs/guide.md"), re.M | re.S)
        lines += [first[1], "-" * len(first[1]), "", ".. list-table::", "   :class: calls", "   :widths: auto", ""]
        for call, what in re.findall(r"^\| (`.*?) \| (.*?) \|$", first[2], re.M):
            lines += [f"   * - {self.prose(call)}", f"     - {self.prose(what)}"]
        lines += [""]
        for name, names in groups:
            lines += [name, "-" * len(name), "", *([f"{parts[name]}", ""] if name in parts else []), ".. list-table::", "   :class: calls", "   :widths: auto", ""]
            for header in (by_name[name] for name in names):
                lines += [f"   * - :doc:`{header.include} <{os.path.basename(header.include)[:-2]}>`",
                          "     - " + ". ".join(filter(None, [self.prose(header.title).rstrip("."), self.functions(header)]))]
            lines += ["", ".. toctree::", "   :hidden:", "", *("   " + name[:-2] for name in names), ""]
        return "\n".join(lines) + "\n"

    @staticmethod
    def functions(header):
        """The functions of a header. The forms of one function stand behind it: try, until, with, n."""
        names = dict.fromkeys(d.name for u in header.units for d in u.declarations if d.kind == "function")
        forms = {}
        for name in names:
            plain = re.sub(r"_(until|with|n)$", "", name.replace("_try_", "_"))
            plain = plain if plain in names else re.sub(r"_(until|with|n)$", "", name)
            forms.setdefault(plain if plain in names else name, []).append(name)
        return ", ".join(f":c:func:`{plain}`" + (f" ({', '.join(form(name, plain) for name in of if name != plain)})" if len(of) > 1 else "")
                         for plain, of in forms.items())

    def prose(self, text):
        out = ""
        for part in re.split(r"(\bfairlead/defs\.h, \"\w[^\"]*\"|`[^`]+`|\b(?:fl|FL)_\w+(?:\(\))?|\bfairlead/\w+\.h\b|(?<![\w/])-E[A-Z0-9]+)", text):
            name = part.strip("`").removesuffix("()")
            if name in self.roles and part[-1] in "`)" + name[-1]:
                mark = f":c:{self.roles[name]}:`{name}`"
            elif CONVENTION.search(part):
                mark = f":ref:`{part} <{label(CONVENTION.search(part)[1])}>`"
            elif re.match(r"fairlead/\w+\.h$", name) and any(h.include == name for h in self.headers):
                mark = f":doc:`{name} <{name[len('fairlead/'):-2]}>`"
            elif re.match(r"`.+`$|-E", part):
                mark = f"``{part.strip('`')}``"
            else:
                out += re.sub(r"([\\*|`_])", r"\\\1", part)
                continue
            out += ("\\ " if out and not out[-1].isspace() else "") + mark + "\\ "
        return re.sub(r"\\ (?=[\s.,;:)]|$)", "", out)

    def blocks(self, parts):
        lines = []
        for kind, content in parts:
            if kind == "text":
                lines += [self.prose(content), ""]
            elif kind == "heading":
                lines += [content, "-" * len(content), ""]
            elif kind == "code":
                lines += [".. code-block:: c", "   :force:", "", *("   " + line for line in content), ""]
            elif kind == "list":
                lines += ["* " + self.prose(item) for item in content] + [""]
            else:
                lines += [".. list-table::", "   :class: results", "   :widths: auto", ""]
                for key, text in content:
                    lines += [f"   * - {self.prose(key)}", f"     - {self.prose(text)}"]
                lines += [""]
        return lines

    def page(self, header):
        title = header.include
        lines = [title, "=" * len(title), ""]
        if header.include != "fairlead.h":
            lines += [".. code-block:: c", "", f"   #include <{header.include}>", ""]
        first = header.units[0]
        shown = 1 + (len(first.blocks) > 1 and first.blocks[1][0] == "code")  # the first paragraph and its example come before the list
        lines += self.blocks(first.blocks[:shown])
        types = [u for u in header.units if u.declarations and not any(d.kind in ("function", "macro") for d in u.declarations)]
        calls = [u for u in header.units if u not in types and u.declarations]
        if len(calls) > 1:
            lines += [".. list-table::", "   :class: calls", "   :widths: auto", ""]
            for unit in calls:
                names = ", ".join(f":c:{self.roles[d.name]}:`{d.name}`" for d in unit.declarations if d.kind in ("function", "macro"))
                lines += [f"   * - {names}", f"     - {self.prose(man.purpose(unit)) if unit.blocks and unit is not first else ''}"]
            lines += [""]
        if header.include == "fairlead/defs.h":
            for kind, content in first.blocks[shown:]:
                if kind == "table" and not content[0][0].startswith("-E"):
                    for key, text in content:
                        lines += [f".. _{label(key)}:", "", self.prose(key), "-" * 4 * len(key), "", self.prose(text), ""]
                else:
                    lines += self.blocks([(kind, content)])
        else:
            lines += self.blocks(first.blocks[shown:])
        for name, units in (("Functions and macros", calls), ("Types and constants", types)):
            if units:
                lines += [name, "-" * len(name), ""]
            for unit in units:
                lines += self.unit(unit, unit is not first)
        return lines

    def unit(self, unit, comment):
        lines = []
        for d in sorted(unit.declarations, key=lambda d: d.kind == "function"):  # the comment follows the last
            if d.kind == "type":
                lines += [f".. c:type:: {d.name}", "", "   .. code-block:: c", "      :force:", "", *("      " + line for line in headers.fit(d.text, 84)), ""]
            elif d.kind == "function":
                lines += [f".. c:function:: {d.signature()}", ""]
            else:
                lines += [f".. c:macro:: {d.text if d.kind == 'macro' else d.name}", ""]
                if d.kind == "constant" and "\n" not in d.text and d.text != "#define " + d.name:
                    lines += ["   .. code-block:: c", "      :force:", "", "      " + " ".join(d.text.split()), ""]
        return lines + (["   " + line if line else "" for line in self.blocks(unit.blocks)] if comment else [])


def mend_the_theme(static):
    """Debian's furo has lost the rule that shows a page dark because the system is dark (its colors are there), and its script
    imports another one, which a browser refuses in a script that is no module."""
    with open(os.path.join(static, "styles", "furo.css"), encoding="utf-8") as file:
        dark = re.search(r"body\[data-theme=\"dark\"\] \{(\s*--color-problematic[^}]*)\}", file.read())
    if dark:
        with open(os.path.join(static, "site.css"), "a", encoding="utf-8") as file:
            file.write("@media (prefers-color-scheme: dark) { body[data-theme=\"auto\"] {" + dark[1] + "} }\n")
    scripts = os.path.join(static, "scripts")
    with open(os.path.join(scripts, "furo.js"), encoding="utf-8") as file:
        script = file.read()
    imported = re.match(r'import \w+ from "\./(.*?)";', script)
    if imported:
        shutil.copy(os.path.join(scripts, imported[1]), os.path.join(scripts, "furo.js"))
        with open(os.path.join(scripts, "furo.js"), "a", encoding="utf-8") as file:
            file.write(script[imported.end():])


class Links(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], {""}
        with open(path, encoding="utf-8") as file:
            self.feed(file.read())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name") if tag == "a" else None}
        self.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]


def dead_links(site):
    pages = {os.path.relpath(path, site): Links(path) for path in glob.glob(os.path.join(site, "**", "*.html"), recursive=True)}
    for page, links in pages.items():
        for link in links.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = os.path.normpath(os.path.join(os.path.dirname(page), urllib.parse.unquote(parts.path))) if parts.path else page
            if there in pages:
                if urllib.parse.unquote(parts.fragment) not in pages[there].anchors:
                    yield f"{page}: {link}: no such place"
            elif not os.path.isfile(os.path.join(site, there)):
                yield f"{page}: {link}: no such file"


def make_the_search(site):
    """Puts the index of the sections beside lunr.js, in place of Sphinx's search. Where node is installed, the queries of queries.txt
    must find what stands there. Returns the faults."""
    static, library = os.path.join(site, "_static"), os.environ.get("FL_LUNR", "/usr/share/javascript/lunr/lunr.min.js")
    if not os.path.exists(library):
        return [f"{library} is missing: Debian has it in libjs-lunr; FL_LUNR names another one"]
    shutil.copy(library, os.path.join(static, "lunr.min.js"))
    for name in ("searchindex.js", "_static/searchtools.js", "_static/language_data.js"):
        os.remove(os.path.join(site, name))
    faults = sections.write(site, os.path.join(HERE, "synonyms.txt"))
    if shutil.which("node"):
        said = subprocess.run(["node", os.path.join(HERE, "check_search.js"), static, os.path.join(HERE, "queries.txt")],
                              text=True, stdout=subprocess.PIPE, check=False)
        faults += said.stdout.splitlines() or ["check_search.js has failed"] * (said.returncode != 0)
    return faults


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if not shutil.which("sphinx-build"):
        sys.exit("website.py: sphinx-build is not installed")
    folder, site = sys.argv[1:]
    sources = Sources(folder)
    Reference(sources)
    sources.dead += lost_conventions(conventions())
    sources.front()
    sources.collect()
    sources.contents()
    shutil.copytree(os.path.join(HERE, "static"), os.path.join(folder, "static"))
    if sources.dead:
        sys.exit("faulty links:\n" + "\n".join(sources.dead))
    shutil.rmtree(site, ignore_errors=True)
    status = subprocess.run(["sphinx-build", "-q", "-W", "--keep-going", "-j", "auto", "-c", HERE, "-d", folder + ".cache",
                             folder, site], check=False).returncode
    faults = []
    if status == 0:
        mend_the_theme(os.path.join(site, "_static"))
        faults = make_the_search(site)
    faults += sorted(set(dead_links(site)))
    if faults:
        print("faults of the site:\n" + "\n".join(faults), file=sys.stderr)
    return 1 if status or faults else 0


if __name__ == "__main__":
    sys.exit(main())
