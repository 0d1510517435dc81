#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures how much there is to read: `./dev check size`. Exit status 1 when a figure is above that of tests/size.txt.

- tokens: names, numbers, strings and signs of code in the tracked files of folders; a string or a number is one token, so that
  short names gain nothing. Documents, pictures and results do not count.
- words: of the comments in C and C++.
- functions, macros and headers: the public interface.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIMITS = os.path.join(ROOT, "tests", "size.txt")
STRINGS = r'"(?:\\.|[^"\\\n])*"'
C_TOKEN = re.compile(rf"(/\*.*?\*/|//[^\n]*)|{STRINGS}|'(?:\\.|[^'\\\n])*'|\w+|[^\w\s]", re.S)
OTHER_TOKEN = re.compile(rf'((?:^|(?<=\s))#[^\n]*)|"""(?:\\.|[^\\])*?"""|{STRINGS}|\'(?:\\.|[^\'\\\n])*\'|\w+|[^\w\s]', re.S | re.M)
C_FILE = re.compile(r"\.(c|h|cc|inc|S|in)$")
NO_CODE = re.compile(r"\.(md|svg|png|json|csv|litmus)$")
NOT_PUBLIC = re.compile(r"private|/stress|consumers|^tests/|^docs/")


def tracked(*patterns):
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", *patterns], check=True, capture_output=True, text=True).stdout
    return [name for name in out.split("\0") if name]


def text_of(name):
    try:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        return ""


def read(folders):
    """The tokens and the words of the files of `folders`, separated by commas."""
    tokens = words = 0
    for name in tracked(*folders.split(",")):
        if NO_CODE.search(name):
            continue
        of_c = C_FILE.search(name)
        for found in (C_TOKEN if of_c else OTHER_TOKEN).finditer(text_of(name)):
            comment = found.group(1)
            tokens += comment is None
            words += len(comment.split()) if comment and of_c else 0
    return {"tokens": tokens, "words": words}


def surface():
    functions, macros, headers = set(), set(), 0
    for name in tracked("*.h"):
        if "include/fairlead" not in name or NOT_PUBLIC.search(name):
            continue
        headers += 1
        code = re.sub(r"/\*.*?\*/", "", text_of(name), flags=re.S)
        functions |= set(re.findall(r"^(?:FL_API|FL_INLINE|static inline)\b[^;{]*?\b(fl_[a-z0-9_]+)\s*\(", code, re.M))
        macros |= set(re.findall(r"^#\s*define\s+(FL_[A-Z0-9_]+)", code, re.M))
    return {"functions": len(functions), "macros": len(macros), "headers": headers}


def main():
    status = 0
    with open(LIMITS, encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    figures = {folders: surface() if folders == "interface" else read(folders) for folders in {row[0] for row in rows}}
    for folders, unit, most in rows:
        is_ = figures[folders][unit]
        above = is_ > int(most)
        status |= above
        print(f"{folders:18}{is_:9} {unit:10} of {most}{', which is too many' if above else ''}")
    for folder in sorted({name.rsplit("/", 1)[0] for name in tracked("lib", "include", "stress") if "/" in name}):
        size = read(folder)
        print(f"  {folder:30}{size['tokens']:9} tokens {size['words']:8} words")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
