# SPDX-License-Identifier: BSD-2-Clause
"""Which tests the changes since a commit can break.

A test program is a static link of its own objects and of the library's objects that it needs, so it can behave differently
only when one of these was compiled from a changed file. The build folder, which must be up to date, tells which object was
compiled from which files, and the symbols of a program tell which of the library's objects it has.
"""
import glob
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What the cases that are no test programs look at; a folder ends with a slash.
KINDS = {
    "stress": ("lib/", "include/", "stress/", "tests/stress/", "docs/stress.md", "docs/examples/stress/", "docs/bugs.md", "docs/contract.md"),
    "rc11": ("stress/engine/", "tests/rc11/", "stress/litmus/"),
    "consumers": ("lib/", "include/", "tests/consumers/", "docs/examples/", "README.md", "tests/check_opcodes.py"),
}
# A change here can break anything.
EVERYTHING = ("meson.build", "meson_options.txt", "tests/run", "tests/affected.py", "tests/cross/", "tests/denied/", "dev")


def output(*command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True, **options).stdout


def changed_since(commit):
    """The files that differ from the commit, also those that git does not know yet."""
    listed = output("git", "-C", ROOT, "diff", "--name-only", "-z", commit)
    listed += output("git", "-C", ROOT, "ls-files", "-z", "--others", "--exclude-standard")
    return {name for name in listed.split("\0") if name}


def symbols(path):
    """The names that a program or an archive defines, with the object of the archive that defines each."""
    found, member = {}, ""
    for line in output("nm", "--defined-only", path, stderr=subprocess.DEVNULL).splitlines():
        words = line.split()
        if len(words) == 1 and line.endswith(":"):
            member = line[:-1]
        elif len(words) == 3 and words[1].isupper():
            found[words[2]] = member
    return found


class Affected:
    """What the changes since a commit can break, in one build."""

    def __init__(self, build, commit):
        self.build, self.changed = build, changed_since(commit)
        self.everything = any(self.is_in(name, EVERYTHING) or os.path.basename(name) == "meson.build"
                              or not os.path.exists(os.path.join(ROOT, name)) for name in self.changed)
        self.objects = set() if self.everything else self.changed_objects()
        self.library = symbols(os.path.join(build, "lib", "libfairlead.a")) if self.objects else {}

    @staticmethod
    def is_in(name, places):
        return any(name.startswith(place) if place.endswith("/") else name == place for place in places)

    def changed_objects(self):
        """The objects that were compiled from a changed file."""
        found, target = set(), ""
        for line in output("ninja", "-C", self.build, "-t", "deps").splitlines():
            if not line.startswith(" "):
                target = line.split(":")[0]
            elif os.path.relpath(os.path.normpath(os.path.join(self.build, line.strip())), ROOT) in self.changed:
                found.add(target)
        return found

    def kind(self, name):
        """Whether the cases of that kind can break."""
        return self.everything or any(self.is_in(file, KINDS[name]) for file in self.changed)

    def program(self, path):
        """Whether a test program can break, or one that it starts."""
        if self.everything:
            return True
        if self.links(path):
            return True
        with open(path, "rb") as file:
            text = file.read()
        if b"test-plugin.so" in text and any(name.startswith(("lib/", "tests/plugin/")) for name in self.objects):
            return True  # the plugin has all of the library
        return any(os.path.basename(helper).encode() in text and self.links(helper)
                   for helper in glob.glob(os.path.join(self.build, "tests", "process", "process-*")) if os.path.isfile(helper))

    def links(self, path):
        """Whether a program was linked from a changed object."""
        folder = os.path.relpath(path, self.build) + ".p/"
        support = "tests/libfl_test.a.p/"
        if any(name.startswith((folder, support)) for name in self.objects):
            return True
        members = {self.library[name] for name in symbols(path) if name in self.library}
        changed = {os.path.basename(name) for name in self.objects if re.match(r"lib/libfairlead\.a\.p/", name)}
        return bool(members & changed)
