# SPDX-License-Identifier: BSD-2-Clause
"""Checks bugs.md, contract.md and threats.md: each named test and scenario exists, and each row names one. A case of tests/run.
"""
import glob
import re

import affected
from os.path import abspath, dirname, join

LISTS = {"bugs.md": 40, "contract.md": 25, "threats.md": 15}  # and how many rows there are at least
CASES = r"\w*(?:TEST|CONFORMANCE)\w*"  # the macros that define a case, such as QUEUE_TEST_ON
ROOT = dirname(dirname(abspath(__file__)))


def found(pattern, expression):
    """What the group of the expression matches in those files."""
    names = set()
    for path in glob.glob(join(ROOT, pattern), recursive=True):
        with open(path, encoding="utf-8") as file:
            names.update(re.findall(expression, file.read(), re.M))
    return names


def defined(pattern, macro):
    """The names that are defined by that macro in those files."""
    return found(pattern, rf"^{macro}\((\w+)")


def defined_tests():
    return set().union(*(defined(folder + "/**/test_*.c", CASES) for folder in affected.PROGRAMS))


def rows(name):
    """First cell, tests and scenarios of each row of the tables, whose first rows name the columns."""
    columns = None
    with open(join(ROOT, "tests", name), encoding="utf-8") as file:
        for line in file:
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                columns = None
            elif columns is None:
                columns = cells
            elif cells[0] != "---":
                named = dict(zip(columns, cells))
                yield cells[0], *(re.findall(r"`(\w+)`", named.get(column, "")) for column in ("tests", "scenarios"))


def complaints_of(list_name, least):
    tests = defined_tests()
    # macros of one line for each scenario
    tables = found("stress/cases/**/*.[ch]", r"^#define (\w+)\(test,.*(?:\\\n.*)?\bSCENARIO\(test")
    scenarios = defined("stress/cases/**/*.c", f"(?:FL_STRESS(?:_PROCESSES)?|FL_LIN|LIN_IS|SCENARIO|{'|'.join(tables)})")
    count = 0
    for name, named_tests, named_scenarios in rows(list_name):
        count += 1
        yield from (f"{name}: no test is called {t}" for t in named_tests if t not in tests)
        yield from (f"{name}: no scenario is called {s}" for s in named_scenarios if s not in scenarios)
        if not named_tests and not named_scenarios:
            yield f"{name}: neither a test nor a scenario"
    if count < least:
        yield f"only {count} rows found in {list_name}: has the form of the table changed?"


def complaints():
    return [complaint for name, least in LISTS.items() for complaint in complaints_of(name, least)]
