#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Counts the fragments of sentences that this project no longer writes, in comments of C files and in documents: `./dev check
size`. Exit status 1 when there are more of a kind than tests/words.txt says, or when a number there is greater than in an earlier
version of that file. `tests/check_words.py KIND` lists those of one kind.

- pointing: "as above", "likewise" and the like: the reader must find another place to understand this one.
- see: a comment of a line that begins with "see" or "as in": it gives no reason of its own.
- bare: a sentence that begins with a few words without a verb and a colon ("Units: bytes"), outside of tables and lists.
"""
import re
import sys

from check_size import C_FILE, C_TOKEN, git, text_of, tracked

LIMITS = "tests/words.txt"
FILES = ("lib", "include", "mpi", "laboratory", "stress", "bench", "docs", "*.md")
KINDS = {
    "pointing": re.compile(r"\b(?:as (?:above|below|before)|likewise|ditto|its twin|the (?:former|latter))\b", re.I),
    "see": re.compile(r"/\* (?:see|as (?:in|above|there|before|at)|the same)\b[^\n]*\*/", re.I),
    "bare": re.compile(r"(?:/\* |^ ?\* |^|\. )[A-Z]\w*(?: \w+){0,2}: [a-z]", re.M),
}


def prose_of(name):
    text = text_of(name)
    if name.endswith(".md"):
        return re.sub(r"^```.*?^```|^(?:    |\t|[|*-] ).*?$", "", text, flags=re.S | re.M)
    if C_FILE.search(name):
        return "\n".join(found.group(1) for found in C_TOKEN.finditer(text) if found.group(1))
    return ""


def limits_of(text):
    return {kind: int(most) for kind, most in re.findall(r"^(\w+) (\d+)", text, re.M)}


def main():
    found = [(kind, name, hit.group()) for name in tracked(*FILES) for kind, pattern in KINDS.items()
             for hit in pattern.finditer(prose_of(name))]
    if sys.argv[1:]:
        print(*(f"{name}: {hit.strip()}" for kind, name, hit in found if kind == sys.argv[1]), sep="\n")
        return 0
    before = [limits_of(git("show", f"{commit}:{LIMITS}")) for commit in git("log", "--format=%H", "--", LIMITS).split()]
    wrong = False
    for kind, most in limits_of(text_of(LIMITS)).items():
        count, least = sum(k == kind for k, *_ in found), min((limits.get(kind, most) for limits in before), default=most)
        wrong |= count > most or most > least
        print(f"{kind:12}{count:9} of {most}{f', and {least} before: the count only falls' if most > least else ''}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
