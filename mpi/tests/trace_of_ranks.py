#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`trace_of_ranks.py FOLDER TASKS` checks that the files of ranks 0 and 1 are one timeline.

They are one also if rank 1 has a clock of its own, which is a second ahead.
"""
import glob
import os
import re
import subprocess
import sys

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "fairlead-trace")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1}


def check(*files):
    done = subprocess.run([sys.executable, TOOL, "--check", *files], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


folder, tasks = sys.argv[1:]
first, second = (glob.glob(f"{folder}/t-r{rank}-*.json")[0] for rank in range(2))
joined = f"\n{tasks} tasks: each with submit, start and get\n"
said = check(first, second)
assert joined in said and "clock" not in said, said
with open(second, encoding="utf-8") as file:
    text = file.read()
text = re.sub(r'"ts":([\d.]+)', lambda m: f'"ts":{float(m[1]) + 1e6:.3f}', re.sub(r'"boot":"', '"boot":"other', text))
with open(second, "w", encoding="utf-8") as file:
    file.write(text)
said = check(first, second)
clock, width, unit = re.search(r"rank 1: clock (\S+) s, \+-(\S+) (\w+)\n", said).groups()
assert joined in said and abs(float(clock) + 1) <= (float(width) + 0.1) * UNITS[unit] + 1e-6 < 1, said  # both are rounded
