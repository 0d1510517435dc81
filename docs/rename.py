#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""usage: docs/rename.py FILE...

Moves a program to the present names of Fairlead: replaces in the files each old name of docs/renames.txt by its new name,
and prints which files it has changed. Names of members are replaced only after `.` or `->`.
"""
import os
import re
import sys

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "renames.txt")


def main(paths):
    if not paths or paths[0].startswith("-"):
        sys.exit(__doc__)
    with open(TABLE, encoding="utf-8") as file:
        names = dict(line.split() for line in file if not line.startswith("#"))
    members = "|".join(name for name in names if not name.lower().startswith(("fl_", "fairlead/")))
    others = "|".join(re.escape(name) for name in names if name.lower().startswith(("fl_", "fairlead/")))
    finder = re.compile(rf"(?:(?<!\w)(?:{others})|(?:(?<=\.)|(?<=->))(?:{members}))(?!\w)")
    for path in paths:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            before = file.read()
        after = finder.sub(lambda found: names[found[0]], before)
        if after != before:
            with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(after)
            print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
