#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the binary interface of the shared library with that of the last release: `./dev check abi`. Exit status 1 when a
program that was built against the release could break, or when a list is not complete:

- lib/fairlead.map names each exported symbol, and the headers declare each;
- tests/core/base/test_interface.c, which the compiler checks, has each public struct's size and each enumerator's value;
- abidiff finds no difference from tests/abi/fairlead.abi.xz but new symbols.

--update stores no other difference either, unless the soname (soversion in lib/meson.build) is another: no program
then loads a library with which it would break. An interface without any difference is not stored again: abidw orders
its description by the folders in which the objects were compiled, and ccache has objects of other folders.
"""
import argparse
import glob
import lzma
import re
import shutil
import subprocess
import sys
import tempfile
from os.path import abspath, dirname, isdir, join

ROOT = dirname(dirname(abspath(__file__)))
LIBRARY = "lib/libfairlead.so"
SHARED = ["--buildtype=debug", "-Ddefault_library=shared", "-Dmpi=disabled", "-Ddocs=disabled"]
# What a change must not do, the change, and the words that must be in what this check says of it.
PLANTED = [
    ("an enumerator between two", "include/fairlead/future.h", "FL_PENDING, FL_RUNNING", "FL_PENDING, FL_STARTING, FL_RUNNING", "FL_STARTING"),
    ("a member before others", "include/fairlead/executor.h", "typedef struct fl_map_config {", "typedef struct fl_map_config {\n\tint more;", "fl_map_config"),
    ("a function that is gone", "lib/fairlead.map", "    fl_mutex_lock;\n", "", "fl_mutex_lock"),
]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read(name):
    with open(join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def headers():
    """The code of the public headers of the library itself."""
    names = glob.glob(join(ROOT, "include/fairlead/**/*.h*"), recursive=True)
    return re.sub(r"/\*.*?\*/", "", "".join(map(read, names)), flags=re.S)


def compare(title, needed, found):
    for name in sorted(needed - found):
        print(f"check_abi: {name} is missing: {title}")
    return not needed - found


def lists(code, exported):
    """Whether the lists name all that there is."""
    listed = set(re.findall(r"^\s+(fl_\w+);", read("lib/fairlead.map"), re.M))
    test = read("tests/core/base/test_interface.c")
    structs = set(re.findall(r"\b(?:struct|union) (fl_[a-z]\w+)\s*\{", code))
    enums = {name for text in re.findall(r"\benum\s*\w*\s*\{([^}]*)\}", code) for name in re.findall(r"(?:^|,)\s*(FL_[A-Z]\w+)", text)}
    results = [
        compare("the library exports it, lib/fairlead.map does not name it", exported, listed),
        compare("lib/fairlead.map names it, the library does not export it", listed, exported),
        compare("the library exports it, no header declares it", exported, set(re.findall(r"\b(fl_\w+)\b", code))),
        compare("a public struct, of which test_interface.c has no size", structs, set(re.findall(r"\bSIZE\((fl_\w+)", test))),
        compare("an enumerator, of which test_interface.c has no value", enums, set(re.findall(r"\bVALUE\((FL_\w+)", test))),
    ]
    return all(results)


def describe(code, library, suppressed, path):
    """Writes abidw's description, without types whose members only the library knows."""
    opaque = set(re.findall(r"\bstruct (fl_\w+)", code)) - set(re.findall(r"\bstruct (fl_\w+)\s*\{", code))
    with open(suppressed, "w", encoding="utf-8") as file:
        file.write(f"[suppress_type]\n  name_regexp = ^({'|'.join(sorted(opaque))})$\n  drop = yes\n")
    output("abidw", "--suppressions", suppressed, "--headers-dir", join(ROOT, "include"), "--drop-private-types",
           "--drop-undefined-syms", "--exported-interfaces-only", "--no-show-locs", "--no-corpus-path", "--no-comp-dir-path",
           "--no-elf-needed", "--type-id-style", "hash", "--out-file", path, library)


def soname(description):
    with open(description, encoding="utf-8") as file:
        return re.search(r"soname='([^']+)'", file.read())[1]


def check(build, update):
    code = headers()
    library = join(build, LIBRARY)
    exported = {name for name in re.findall(r"(fl_\w+)@@", output("nm", "-D", "--defined-only", library))}
    ok = lists(code, exported)
    stored = join(ROOT, "tests/abi/fairlead.abi.xz")
    with tempfile.TemporaryDirectory() as folder:
        now, then = join(folder, "now.abi"), join(folder, "release.abi")
        describe(code, library, join(folder, "suppressed"), now)
        with lzma.open(stored) as source, open(then, "wb") as target:
            target.write(source.read())
        found, any_change = (subprocess.run(["abidiff", *option, then, now], capture_output=True, text=True)
                             for option in (["--no-added-syms"], []))
        if found.returncode != 0:
            print(found.stdout + found.stderr)
        if update:
            if found.returncode != 0 and soname(now) == soname(then):
                print(f"check_abi: not stored: old programs would load {soname(now)}; soversion in lib/meson.build")
                return False
            if any_change.returncode != 0:
                with open(now, "rb") as source, lzma.open(stored, "w", preset=9) as target:
                    target.write(source.read())
            return ok
    return ok and found.returncode == 0


def planted():
    """Whether each change that breaks programs is seen, in a copy of the tree."""
    seen = True
    for title, name, old, new, word in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            for part in ("include", "lib", "mpi", "tests", "docs/site", "cmake", "tools", "meson.build", "meson_options.txt"):
                source, copy = join(ROOT, part), join(folder, part)
                (shutil.copytree if isdir(source) else shutil.copy)(source, copy)
            text = read(name)
            if text.count(old) != 1:
                sys.exit(f"check_abi: {name} has {text.count(old)} times {old!r}")
            with open(join(folder, name), "w", encoding="utf-8") as file:
                file.write(text.replace(old, new))
            output("meson", "setup", join(folder, "build"), folder, *SHARED)
            output("ninja", "-C", join(folder, "build"))
            found = subprocess.run([join(folder, "tests/check_abi.py"), "--update", "--build", join(folder, "build")],
                                   capture_output=True, text=True)
            if found.returncode == 0 or word not in found.stdout or "not stored" not in found.stdout:
                print(f"check_abi: {title} is not seen:\n{found.stdout}{found.stderr}")
                seen = False
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="a build of the shared library with debugging information")
    parser.add_argument("--update", action="store_true", help="store the interface as it is: for a release")
    parser.add_argument("--planted", action="store_true", help="also plant changes that break programs: each must be seen")
    args = parser.parse_args()
    build = abspath(args.build)
    sys.exit(0 if check(build, args.update) and (not args.planted or planted()) else 1)


if __name__ == "__main__":
    main()
