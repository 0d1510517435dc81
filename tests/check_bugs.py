# SPDX-License-Identifier: BSD-2-Clause
"""Checks bugs.md and contract.md: each named test and scenario exists, and each row names one.
Likewise the tests that docs/threat-model.md names. A case of tests/run.
"""
import glob
import re

import affected
from os.path import abspath, dirname, join

LISTS = {"bugs.md": 40, "contract.md": 25}  # and how many rows there are at least
THREATS = 15  # and how many tests there are at least
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
    """First cell, tests and scenarios of each row of the tables."""
    with open(join(ROOT, "tests", name), encoding="utf-8") as file:
        for line in file:
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if line.startswith("|") and cells[0] not in ("name", "promise", "---"):
                yield cells[0], *(re.findall(r"`(\w+)`", c) for c in cells[-2:])


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


def complaints_of_threats():
    tests = defined_tests()
    with open(join(ROOT, "docs/threat-model.md"), encoding="utf-8") as file:
        cells = [line.strip("| \n").split("|")[-1] for line in file if line.count("|") == 5]
    names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    return [f"threat-model.md: no test is called {name}" for name in sorted(names - tests)] + (
        [] if len(names) >= THREATS else ["few tests found in threat-model.md: has the form of the table changed?"])


def complaints():
    return [*(complaint for name, least in LISTS.items() for complaint in complaints_of(name, least)),
            *complaints_of_threats()]
