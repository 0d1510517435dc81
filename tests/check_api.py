#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds the public interface against its comments and its tests.

Every FL_API and FL_INLINE function has a comment directly above; is executed by the tests (gcov, over a
build with -Db_coverage=true); and each result that its comment names (-EPIPE, FL_ETASK) stands in a test function that
also names the function, another function of the same comment, or one of its typed calls. An inline function passes on
the results of the public functions that it calls, as fl_sem_acquire() does with those of fl_sem_acquire_until(), whose
tests assert them: its own tests assert the results that its own code names. The names and the order of arguments follow
CONTRIBUTING.md and fairlead/defs.h. Prints what falls short; exit status 1 if anything does.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
from os.path import abspath, basename, dirname, join, relpath

TESTS = dirname(abspath(__file__))
ROOT = dirname(TESTS)
DECLARATION = re.compile(r"^FL_(API|INLINE)\b[^;{=]*?\b(fl_\w+)\s*\(((?:[^;{()]|\([^()]*\))*)\)[^;{]*[;{]", re.M)
UNEXPORTED = re.compile(r"^(?!FL_(?:API|INLINE)\b|typedef\b|static\b|constexpr\b|inline\b|#)\w[\w \t*]*\b(fl_\w+)\s*\(", re.M)
SWEEPS = {"test_past_deadline.c": "_until", "test_results_apart.c": "_join_until"}  # which call every function with this ending
# Subjects that are not a type: they concern the process, or several objects.
NOUNS = {"fl_" + noun for noun in "cpu futures log mpi panic poll sequential stats trace".split()}
WITHOUT_NOUN = {"fl_now", "fl_after", "fl_sleep", "fl_sleep_until", "fl_perror", "fl_version"}  # CONTRIBUTING.md says why
REFUSED = {r"_get_(?!many|until|frame)": "a getter is named after its result, without get_",
           r"_recv": "receive", r"_close_(send|receive)": "close_write, close_read", r"_watch_stop|_timer_stop": "cancel",
           r"_(get|take)_error": "error"}
CODE = re.compile(r"-E[A-Z0-9]+|\bFL_ETASK\b")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Function:
    def __init__(self, name, parameters, exported, header, comment, body):
        self.name, self.exported, self.header, self.comment = name, exported, header, comment
        self.parameters = [" ".join(parameter.split()) for parameter in parameters.split(",")]
        self.calls, self.own = set(re.findall(r"\bfl_\w+(?=\()", body)), set(CODE.findall(body))
        implied = {"-ETIMEDOUT"} if comment and name.endswith("_until") else set()  # defs.h: forms
        self.codes = sorted(set(CODE.findall(comment)) | implied)

    def names(self, tasks, queues):
        """The function's name, and the names by which tests call it: macros, typed calls such as job_queue_put."""
        def typed(types, suffix):
            return [name + suffix for name in types]

        others = {"fl_executor_submit": typed(tasks, "_submit"), "fl_executor_submit_with": typed(tasks, "_submit_with"),
                  "fl_executor_map": typed(tasks, "_map"), "fl_wait_any_until": ["FL_WAIT_ANY", "FL_WAIT_ANY_UNTIL"],
                  "fl_cancel_scope_set": ["FL_CANCEL_SCOPE"]}
        if re.match(r"fl_future_(try_)?get(_until)?$", self.name):
            others[self.name] = typed(tasks, self.name[len("fl_future"):])
        if self.name.startswith("fl_queue_"):
            others[self.name] = typed(queues, self.name[len("fl_queue"):])
        return {self.name, *others.get(self.name, [])}


def comment_above(text, start):
    """The comment on the line before; a type or declaration may stand between, a blank line may not."""
    paragraph = text[:start].rstrip("\n").rsplit("\n\n", 1)[-1]
    comments = re.findall(r"/\*.*?\*/", paragraph, re.S)
    return comments[0] if comments and text[start - 2:start] != "\n\n" else ""


def headers():
    """All headers except those of the laboratory, whose own tests test those functions."""
    return sorted(set(glob.glob(join(ROOT, "include/fairlead/**/*.h*"), recursive=True))
                  | set(glob.glob(join(ROOT, "mpi/include/fairlead/*.h"))))


def public_functions():
    for path in headers():
        text, seen = read(path), set()
        for found in DECLARATION.finditer(text):
            if found[2] in seen:  # the definition of an inline function that is declared above
                continue
            seen.add(found[2])
            body = text[found.end():].split("\n}", 1)[0] if found[0].endswith("{") else ""
            yield Function(found[2], found[3], found[1] == "API", relpath(path, ROOT), comment_above(text, found.start()), body)


def test_sources():
    return [path for folder in (TESTS, join(ROOT, "mpi/tests")) for pattern in ("**/test_*.c", "support/*.[ch]")
            for path in glob.glob(join(folder, pattern), recursive=True)]


def test_functions():
    """The top-level blocks of all test sources, as text."""
    for path in test_sources():
        yield from re.findall(r"^\S.*?^\}", read(path), re.M | re.S)


def conventions(functions):
    """Names and the order of arguments: CONTRIBUTING.md, "Style", and fairlead/defs.h, "Names", "Arguments"."""
    text = "".join(read(path) for path in headers())
    types = set(re.findall(r"\b(fl_\w+);", text)) | set(re.findall(r"\bstruct (fl_\w+)", text))
    subjects = types | NOUNS | {"fl_" + basename(path).split(".")[0] for path in headers()}
    for f in functions:
        if f.name.startswith("fl__"):
            continue
        noun = max((s for s in subjects if f.name.startswith(s + "_")), key=len, default=None)
        if noun is None and f.name not in WITHOUT_NOUN:
            yield f"{f.name}: no type or subject begins its name"
        for refused, instead in REFUSED.items():
            if re.search(refused, f.name):
                yield f"{f.name}: {instead}"
        objects = [i for i, p in enumerate(f.parameters) if re.match(rf"(const )?(struct )?{noun} \*", p)]
        made = [i for i, p in enumerate(f.parameters) if re.match(r"fl_\w+ \*\*", p)]
        if objects and objects[0] > 0 and not re.match(r"fl_\w+ \*", f.parameters[0]):
            yield f"{f.name}: its object is not the first argument"
        if re.search(r"_(create|open|connect|attach|from_fd|start)(_|$)", f.name) and made and made[0] > 0:
            yield f"{f.name}: what it makes is not the first argument"
        names = [re.search(r"(\w*)(\[\w*\])?$", p)[1].lstrip("_") for p in f.parameters]
        if f.name.endswith("_until") and names[-2:] != ["deadline", "cancel"]:
            yield f"{f.name}: does not end with deadline and cancel"


def typed_names():
    """What FL_TASK... and FL_QUEUE_OF make in the tests."""
    text = "".join(read(path) for path in test_sources())
    return (set(re.findall(r"\bFL_TASK(?:_STATIC|_DECLARE|_DEFINE)?\((\w+),", text)),
            set(re.findall(r"\bFL_QUEUE_OF\([^,]+, *(\w+)\)", text)))


def executed(build):
    """How often each function of the library ran in the tests before, and the share of its lines that did."""
    objects = join(build, "lib")
    data = sorted(glob.glob(join(objects, "**/*.gcda"), recursive=True))
    if not data:
        sys.exit(f"check_api: no coverage data in {objects}")
    listing = subprocess.run(["gcov", "--json-format", "--stdout", *data], text=True, check=True, cwd=build,
                             stdout=subprocess.PIPE).stdout
    counts, lines, lines_run = {}, 0, 0
    for unit in listing.splitlines():
        for file in json.loads(unit)["files"]:
            if "lib/" not in file["file"]:
                continue
            for function in file["functions"]:
                counts[function["name"]] = counts.get(function["name"], 0) + function["execution_count"]
            lines += len(file["lines"])
            lines_run += sum(1 for line in file["lines"] if line["count"])
    return counts, lines_run / max(lines, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", help="a meson build with -Db_coverage=true, after its tests have run; without it execution is not checked")
    options = parser.parse_args()
    functions, blocks = list(public_functions()), [(set(re.findall(r"\w+", b)), set(CODE.findall(b))) for b in test_functions()]
    tasks, queues = typed_names()
    counts, share = executed(abspath(options.build)) if options.build else (None, None)

    complaints = [f"{os.path.relpath(path, ROOT)}: {name} lacks FL_API or FL_INLINE"
                  for path in headers() for name in UNEXPORTED.findall(read(path))]
    for f in functions:
        if not f.comment:
            complaints.append(f"{f.header}: {f.name} has no comment directly above")
        names = f.names(tasks, queues)
        if not any(words & names for words, _ in blocks):
            complaints.append(f"{f.name}: no test names it")
        names = set().union(*(other.names(tasks, queues) for other in functions if (other.header, other.comment) == (f.header, f.comment)))
        naming = [codes for words, codes in blocks if words & names]
        optional = f.header.startswith("mpi/")  # not in every build
        if counts is not None and f.exported and not optional and not counts.get(f.name):
            complaints.append(f"{f.name}: no test executes it")
        inherited = set().union(*(other.codes for other in functions if other.name in f.calls))
        for code in f.codes:
            if code not in inherited - f.own and not any(code in codes for codes in naming):
                complaints.append(f"{f.name}: no test asserts {code}")
    complaints += conventions(functions)
    for file, ending in SWEEPS.items():
        text = read(join(TESTS, "loop", file))
        complaints += [f"{f.name}: {file} does not call it" for f in functions
                       if f.name.endswith(ending) and not re.search(rf"\b{f.name}\(", text)]
    if len({f.name for f in functions}) < 50:
        complaints.append(f"only {len(functions)} public functions found: has the form of a declaration changed?")

    print(f"{len(functions)} public functions, {sum(f.exported for f in functions)} of them exported, {sum(len(f.codes) for f in functions)} documented results" +
          ("" if share is None else f", {share:.1%} of the library's lines executed"))
    print("\n".join(complaints) or "all documented, tested and executed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
