#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Which tests the changes since a commit can break.

A test program is a static link of its own objects and of the library's objects that it needs, so it can behave differently
only when one of these was compiled from a changed file. The build folder tells which object was compiled from which files, and the
symbols of a program tell which of the library's objects it has. A program that was linked before one of its other objects was
compiled counts as affected.

    tests/affected.py BUILD COMMIT FILE      builds the objects, and writes to FILE which targets of ninja the affected tests need

The objects of the build folder must be up to date. The programs may be older, where no change can break them.
"""
import glob
import os
import re
import subprocess
import sys
from os.path import abspath, basename, dirname, exists, isfile, join, normpath, relpath

ROOT = dirname(dirname(abspath(__file__)))
# The folders of test programs, here and in a build.
PROGRAMS = ("tests", "mpi/tests", "laboratory/tests")
# What the cases that are no test programs look at; a folder ends with a slash.
KINDS = {
    "laboratory": ("lib/", "include/", "laboratory/"),
    "stress": ("lib/", "include/", "laboratory/", "stress/", "tests/bugs.md", "tests/contract.md"),
    "consumers": ("lib/", "include/", "mpi/", "tests/consumers/", "tests/gdb/", "tests/trace/", "tools/", "docs/", "README.md",
                  "tests/check_opcodes.py"),
}
# Cases of these kinds that look at less.
NARROWER = (
    (r"litmus_|planted_|program_|stress_(program|usage|statuses|skipped|newcomer|files)$", ("laboratory/",)),
    (r"rc11_", ("laboratory/engine/", "laboratory/tests/rc11/", "laboratory/litmus/")),
    (r"consumer_trace_(?!is_installed)", ("tools/fairlead-trace", "tests/trace/")),
    (r"consumer_(headers_alone|common_names|tasks_of_common_names)_", ("include/", "tests/consumers/")),
)
# A change here can break anything.
EVERYTHING = ("meson.build", "meson_options.txt", "tests/run", "tests/affected.py", "tests/cross/", "tests/denied/", "dev")


def output(*command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True, **options).stdout


def changed_since(commit):
    """The files that differ from the commit, also those that git does not know yet."""
    listed = output("git", "-C", ROOT, "diff", "--name-only", "-z", commit)
    listed += output("git", "-C", ROOT, "ls-files", "-z", "--others", "--exclude-standard")
    return {name for name in listed.split("\0") if name}


def symbols(paths):
    """For each program or archive: its defined names, with the defining object of the archive."""
    found, member, path = {path: {} for path in paths}, "", paths[0]
    for line in output("nm", "--extern-only", "--defined-only", *paths, stderr=subprocess.DEVNULL).splitlines():
        words = line.split()
        if line.endswith(":") and line[:-1] in found:
            path, member = line[:-1], ""
        elif len(words) == 1 and line.endswith(":"):
            member = line[:-1]
        elif len(words) == 3:
            found[path][words[2]] = member
    return found


class Affected:
    """What the changes since a commit can break, in one build."""

    def __init__(self, build, commit):
        self.build, self.changed = build, changed_since(commit)
        self.everything = any(self.is_in(name, EVERYTHING) or basename(name) == "meson.build"
                              or not exists(join(ROOT, name)) for name in self.changed)
        self.objects = set() if self.everything else self.changed_objects()
        self.helpers = [path for path in glob.glob(join(build, "tests/process/process-*")) if isfile(path)]
        archive = join(build, "lib/libfairlead.a")
        programs = [path for folder in PROGRAMS for path in glob.glob(join(build, folder, "test_*")) if isfile(path)]
        self.symbols = symbols([archive, *programs, *self.helpers])
        self.library = self.symbols[archive]
        self.compiled = {}  # by folder: when the last of its unaffected objects was compiled

    @staticmethod
    def is_in(name, places):
        return any(name.startswith(place) if place.endswith("/") else name == place for place in places)

    def changed_objects(self):
        """The objects that were compiled from a changed file."""
        found, target = set(), ""
        for line in output("ninja", "-C", self.build, "-t", "deps").splitlines():
            if not line.startswith(" "):
                target = line.split(":")[0]
            elif relpath(normpath(join(self.build, line.strip())), ROOT) in self.changed:
                found.add(target)
        return found

    def kind(self, name):
        """Whether the cases of that kind can break."""
        return self.everything or any(self.is_in(file, KINDS[name]) for file in self.changed)

    def case(self, name):
        """Whether a case can break; one of a kind that can."""
        return self.everything or not any(re.match(pattern, name) and not any(self.is_in(file, places) for file in self.changed)
                                          for pattern, places in NARROWER)

    def program(self, path):
        """Whether a test program can break, or one that it starts."""
        if self.everything or not exists(path):
            return True
        if self.links(path) or self.is_outdated(path):
            return True
        with open(path, "rb") as file:
            text = file.read()
        if b"test-plugin.so" in text and any(name.startswith(("lib/", "tests/plugin/")) for name in self.objects):
            return True  # the plugin has all of the library
        return any(basename(helper).encode() in text and self.links(helper) for helper in self.helpers)

    def last_compiled(self, folder):
        if folder not in self.compiled:
            paths = glob.glob(join(self.build, folder, "*.o"))
            self.compiled[folder] = max((os.stat(path).st_mtime_ns for path in paths
                                         if relpath(path, self.build) not in self.objects), default=0)
        return self.compiled[folder]

    def is_outdated(self, path):
        """Whether a program was linked before one of its unaffected objects was compiled."""
        folders = (relpath(path, self.build) + ".p", "tests/libfl_test.a.p", "lib/libfairlead.a.p")
        return max(map(self.last_compiled, folders)) > os.stat(path).st_mtime_ns

    def links(self, path):
        """Whether a program was linked from a changed object."""
        folder = relpath(path, self.build) + ".p/"
        support = "tests/libfl_test.a.p/"
        if any(name.startswith((folder, support)) for name in self.objects):
            return True
        if basename(path).startswith("test_mpi_") and any(name.startswith("mpi/libfairlead-mpi.a.p/") for name in self.objects):
            return True
        members = {self.library[name] for name in self.symbols[path] if name in self.library}
        changed = {basename(name) for name in self.objects if re.match(r"lib/libfairlead\.a\.p/", name)}
        return bool(members & changed)


def targets(build, commit):
    """Builds the objects of the tests and of the library. Returns what else the affected tests need."""
    outputs = [line.split(":")[0] for line in output("ninja", "-C", build, "-t", "targets", "all").splitlines()]
    inputs = [name for name in outputs if re.match(r"(lib|mpi|tests|laboratory/tests)/.*\.o$|lib/libfairlead\.a$", name)]
    subprocess.run(["ninja", "-C", build, *inputs], check=True)
    changes = Affected(build, commit)
    programs = [name for name in outputs if re.fullmatch(r"((mpi|laboratory)/)?tests/test_\w+", name)]
    others = [name for name in outputs if re.fullmatch(r"(laboratory/)?tests/\w+/[\w-]+(\.so)?", name)]
    return others + [name for name in programs if changes.program(join(build, name))]


if __name__ == "__main__":
    with open(sys.argv[3], "w", encoding="utf-8") as file:
        print(*targets(*sys.argv[1:3]), sep="\n", file=file)
