#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the library as two files, fairlead.c and fairlead.h, into a folder: `./dev amalgamate [--parts core,process,loop] [FOLDER]`.

Each header and source is copied once, in the order of lib/meson.build, with its includes of other files of the library
left out. That works because all names of the library's files are different. Concurrency Kit is not needed: hazard_list.c
takes the place of hazard_ck.c.
"""
import argparse
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<(fairlead(?:/[^>]+)?(?:\.h)?)>).*\n', re.M)


# What <stddef.h> has from C11 on.
GNU99 = """#if !defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L
typedef struct {
	long long a __attribute__((aligned(__alignof__(long long))));
	long double b __attribute__((aligned(__alignof__(long double))));
} max_align_t;
#endif
"""


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def version():
    return re.search(r"version: '([0-9.]+)'", text_of(os.path.join(ROOT, "meson.build")))[1]


def revision():
    """The commit, where there is one; a changed tree is marked."""
    try:
        return subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], check=True, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no commit"


class Output:
    """One of the two files. Files that are in `there` are not copied again."""

    def __init__(self, there, parts):
        self.there, self.without = there, [part for part in ("process", "loop") if part not in parts]
        if len(self.without) == 2:
            self.without.append("fd")  # which only these two use
        self.parts = []

    def add(self, path):
        if path in self.there:
            return
        self.there.add(path)
        name = os.path.relpath(path, ROOT)
        if name.endswith("version.h.in"):
            text = text_of(path).replace("@version@", version())
            for part in ("process", "loop"):
                text = text.replace(f"@{part}@", str(int(part not in self.without)))
        else:
            text = text_of(path)
        text = text.replace("/* SPDX-License-Identifier: BSD-2-Clause */\n", "", 1).replace("#pragma once\n", "", 1)
        for part in self.without:  # their blocks of fairlead.h
            text = re.sub(rf"/\* {part} \*/\n(#include.*\n)+\n", "", text)
        at = 0
        self.parts.append(f"\n/* ---- {name} ---- */\n\n")
        for include in INCLUDE.finditer(text):
            self.parts.append(text[at:include.start()])
            at = include.end()
            self.add(self.path_of(include, os.path.dirname(path)))
        self.parts.append(text[at:])

    @staticmethod
    def path_of(include, folder):
        if include[1]:
            near = os.path.normpath(os.path.join(folder, include[1]))
            return near if os.path.exists(near) else os.path.join(ROOT, "lib", include[1])
        path = os.path.join(ROOT, "include", include[2])
        return path if os.path.exists(path) else path + ".in"


def head(what):
    return (f"/*\n * Fairlead {version()} ({revision()}): {what}\n * Written by ./dev amalgamate: change the sources instead.\n"
            " *     cc -O2 -fvisibility=hidden -I. app.c fairlead.c -pthread\n *\n" +
            "".join(f" * {line}".rstrip() + "\n" for line in text_of(os.path.join(ROOT, "LICENSE")).splitlines()) + " */\n")


def sources_of(text):
    return re.findall(r"'([a-z_/]+/[a-z0-9_]+\.c)'", text)


def write(folder, parts):
    os.makedirs(folder, exist_ok=True)
    there = set()
    header = Output(there, parts)
    header.add(os.path.join(ROOT, "include", "fairlead.h"))
    source = Output(there, parts)
    build = text_of(os.path.join(ROOT, "lib", "meson.build"))
    of_systems = re.search(r"^if windows\n(.*?)else\n(.*?)endif\n", build, re.S | re.M)
    for name in sources_of(build.replace(of_systems[0], "")):
        if not {*source.without, "hazard_ck.c"} & {*name.split("/")}:
            source.add(os.path.join(ROOT, "lib", name))
    for line, names in ("#ifdef _WIN32", of_systems[1]), ("#else", of_systems[2]):
        source.parts.append(f"\n{line}\n")
        for name in sources_of(names):
            source.add(os.path.join(ROOT, "lib", name))
    source.parts.append("\n#endif\n")
    with open(os.path.join(folder, "fairlead.h"), "w", encoding="utf-8") as file:
        file.write(head("the public headers") + "".join(header.parts))
    with open(os.path.join(folder, "fairlead.c"), "w", encoding="utf-8") as file:
        file.write(head("the library") + "#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n"
                   '#include "fairlead.h"\n\n' + GNU99 + '\n#pragma GCC diagnostic ignored "-Wmissing-field-initializers"\n'
                   '#pragma GCC diagnostic ignored "-Wunused-function"\n' +
                   "".join(source.parts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["process", "loop"])
    parser.add_argument("folder")
    options = parser.parse_args()
    if wrong := [part for part in options.parts if part not in ("core", "process", "loop")]:
        parser.error(f"there is no part {wrong[0]!r}; the parts are core, process and loop")
    write(options.folder, options.parts)
