# SPDX-License-Identifier: BSD-2-Clause
"""Counts the instructions of a mutex's uncontended path, in the object code that is shipped.

From the entry of fl_mutex_lock, and of fl_mutex_unlock, to the first return, that included: at most so many.
"""
import re
import subprocess

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
    """Complaints, unless both functions are as short as `most` says, one for each."""
    listing = subprocess.run([objdump, "-d", "--no-show-raw-insn", archive], text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    for function, at_most in zip(FUNCTIONS, most):
        try:
            path = instructions(listing, function)
            if len(path) > at_most:
                yield f"{function}: {len(path)} instructions, at most {at_most} wanted:\n  " + "\n  ".join(path)
        except ValueError as error:
            yield str(error)
