#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Counts the instructions of a mutex's uncontended path, in the object code that is shipped.

    check_opcodes.py OBJDUMP LIBFAIRLEAD.A LOCK UNLOCK

From the entry of fl_mutex_lock, and of fl_mutex_unlock, to the first return, that included: at most so many.
"""
import re
import subprocess
import sys

FUNCTIONS = ("fl_mutex_lock", "fl_mutex_unlock")
LEAVES = re.compile(r"(call|jmp|bl|blr|br|b)\b(?!\.)")  # always leaves: the path does not end here


def instructions(listing, function):
    """The instructions of the function up to its first return."""
    body = re.search(rf"^[0-9a-f]+ <{function}>:\n((?:.+\n)*)", listing, re.M)
    if not body:
        raise ValueError(f"{function} is not in the archive")
    path = []
    for line in body[1].splitlines():
        code = line.split("\t")[-1].strip() if "\t" in line else ""
        if not code:
            continue
        path.append(code)
        if re.match(r"(repz? )?ret", code):
            return path
        if LEAVES.match(code):
            raise ValueError(f"{function} leaves by `{code}` before it returns")
    raise ValueError(f"{function} has no return")


def check(objdump, archive, most):
    """A list of complaints; empty when both functions are as short as `most` says, one for each."""
    listing = subprocess.run([objdump, "-d", "--no-show-raw-insn", archive], text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    complaints = []
    for function, at_most in zip(FUNCTIONS, most):
        try:
            path = instructions(listing, function)
        except ValueError as error:
            complaints.append(str(error))
            continue
        if len(path) > at_most:
            complaints.append(f"{function}: {len(path)} instructions, at most {at_most} wanted:\n  " + "\n  ".join(path))
    return complaints


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    found = check(sys.argv[1], sys.argv[2], (int(sys.argv[3]), int(sys.argv[4])))
    print("\n".join(found) or "ok")
    sys.exit(1 if found else 0)
