#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures how much there is to read: `./dev check size`. Exit status 1 when a part has more tokens than its budget in
tests/size.txt, or the budgets together are more than in an earlier version of that file.

- Tokens: names, numbers, strings and signs of code in the tracked files of a part; a string or a number is one token, so that
  short names gain nothing. Comments, documents, pictures and results do not count.
- The public interface is counted, too, and has no budget.
"""
import re
import subprocess
import sys
from os.path import abspath, dirname, join

ROOT = dirname(dirname(abspath(__file__)))
BUDGETS = "tests/size.txt"
STRINGS = r'"(?:\\.|[^"\\\n])*"'
C_TOKEN = re.compile(rf"(/\*.*?\*/|//[^\n]*)|{STRINGS}|'(?:\\.|[^'\\\n])*'|\w+|[^\w\s]", re.S)
OTHER_TOKEN = re.compile(rf'((?:^|(?<=\s))#[^\n]*)|"""(?:\\.|[^\\])*?"""|{STRINGS}|\'(?:\\.|[^\'\\\n])*\'|\w+|[^\w\s]', re.S | re.M)
C_FILE = re.compile(r"\.(c|h|cc|inc|S|in)$")
HEAD = "# Budgets"
NO_CODE = re.compile(r"\.(md|svg|png|json|csv|litmus)$")
NOT_PUBLIC = re.compile(r"private|/stress|consumers|^tests/|^docs/")


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True).stdout


def tracked(*patterns):
    return [name for name in git("ls-files", "-z", *patterns).split("\0") if name]


def text_of(name):
    try:
        with open(join(ROOT, name), encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        return ""


def tokens_of(patterns):
    """The tokens of the tracked files that match."""
    tokens = 0
    for name in tracked(*patterns):
        if not NO_CODE.search(name):
            pattern = C_TOKEN if C_FILE.search(name) else OTHER_TOKEN
            tokens += sum(found.group(1) is None for found in pattern.finditer(text_of(name)))
    return tokens


def budgets_of(text):
    """(part, its budget, its files) of each line."""
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [(part, int(most), files) for part, most, *files in rows]


def sum_of(text):
    """The budgets together, less what `# granted:` in the file allows on top of them."""
    granted = re.search(r"^# granted: (\d+)", text, re.M)
    return sum(most for _, most, _ in budgets_of(text)) - int(granted[1] if granted else 0)


def least_before():
    """The least sum of the budgets in the versions of the file that have its present form; None without one."""
    sums = []
    for commit in git("log", "--format=%H", "--", BUDGETS).split():
        text = git("show", f"{commit}:{BUDGETS}") if git("ls-tree", commit, BUDGETS) else ""
        if not text.startswith(HEAD):
            break
        sums.append(sum_of(text))
    return min(sums, default=None)


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
    text = text_of(BUDGETS)
    budgets, before = budgets_of(text), least_before()
    wrong = not text.startswith(HEAD)
    for part, most, files in budgets:
        is_ = tokens_of(files)
        wrong |= is_ > most
        print(f"{part:12}{is_:9} tokens of {most}{', which is too many' if is_ > most else ''}")
    together = sum_of(text)
    raised = before is not None and together > before
    print(f"{'budgets':12}{together:9} together{f', and {before} before: a budget that rises takes its tokens from another' if raised else ''}")
    print("interface:", ", ".join(f"{n} {what}" for what, n in surface().items()))
    for folder in sorted({dirname(name) for name in tracked("lib", "include", "stress", "laboratory", "mpi")}):
        print(f"  {folder:36}{tokens_of([folder]):9} tokens")
    return int(wrong or raised)


if __name__ == "__main__":
    sys.exit(main())
