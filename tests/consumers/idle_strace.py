#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Traces a program that prints `idle` and then has nothing to do: for two seconds it makes no system call.

usage: idle_strace.py PROGRAM

The program ends when it reads a line. Exit status: 0; 1 with the calls that it made; 77 where strace is missing or tracing is
not permitted, with the reason.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

SKIPPED = 77


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def settled(path, limit):
    """The trace once it has stopped growing: until what spins for a moment has gone to sleep."""
    end = time.monotonic() + limit
    lines = None
    while lines != (lines := lines_of(path)):
        if time.monotonic() > end:
            sys.exit(f"still calling the system after {limit} s:\n" + "\n".join(lines[-20:]))
        time.sleep(0.2)
    return lines


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not shutil.which("strace"):
        print("strace is not installed")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        process = subprocess.Popen(["strace", "-f", "-qq", "-o", log, sys.argv[1]], text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            if process.stdout.readline() != "idle\n":
                said = process.communicate()[1].strip()
                print(f"not idle: {said}")
                return SKIPPED if "ptrace" in said.lower() else 1
            before = settled(log, 60)
            time.sleep(2)
            after = lines_of(log)
            process.communicate("\n", timeout=60)
        finally:
            process.kill()
            process.wait()
        if after != before:
            print("\n".join(after[len(before):]))
            return 1
        asleep = {line.split()[0] for line in before if "<unfinished ...>" in line}
        print(f"no system call in two seconds; {len(asleep)} threads asleep")
        return 0 if process.returncode == 0 and len(asleep) > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
