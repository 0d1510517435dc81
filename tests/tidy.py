#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs clang-tidy over all sources; each folder is checked as the .clang-tidy above it says.

    tidy.py BUILD [--jobs N]

BUILD is a build folder that clang was configured in. A file is skipped when clang-tidy found nothing wrong in the same text
before: the key of a result is the text of the file and of every header of ours that it can include, the flags, the
settings, and the version of clang-tidy and of the system's headers. Results are kept in ~/.cache/fairlead/tidy.

Exit status: 0, 1 when something is wrong.
"""
import argparse
import concurrent.futures
import functools
import glob
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from os.path import abspath, dirname, exists, expanduser, getsize, isfile, join, normpath, relpath

ROOT = dirname(dirname(abspath(__file__)))
FOLDERS = ("lib/", "docs/", "tests/", "laboratory/", "stress/", "mpi/", "bench/")
LEFT_OUT = ("bench/queues_unbounded.c",)  # in the analyzer ck lacks the compare-and-swap of its FIFO
# The limit of states for one function: a third of the default, at which a few functions take half
# of the time.
NODES = "75000"
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">]', re.M)
EXTRA = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", f"max-nodes={NODES}")]
SYSTEM = ["/usr/include", *glob.glob("/usr/include/*-linux-gnu*")]
CACHE = join(os.environ.get("XDG_CACHE_HOME") or expanduser("~/.cache"), "fairlead/tidy")


@functools.lru_cache(None)
def read(path):
    """The text of a file of ours, and what it includes."""
    with open(path, "rb") as file:
        text = file.read()
    return text, INCLUDE.findall(text)


@functools.lru_cache(None)
def stamp(path):
    """What changes when a package of the system brings another version of its header."""
    found = os.stat(path)
    return f"{path} {found.st_size} {found.st_mtime_ns}"


class Unit:
    """A file with the flags that it is compiled with."""

    def __init__(self, entry):
        self.path = normpath(join(entry["directory"], entry["file"]))
        self.name = relpath(self.path, ROOT)
        self.build = entry["directory"]
        self.words = shlex.split(entry["command"])
        self.folders = [join(self.build, word[2:]) for word in self.words if word.startswith("-I")]
        self.folders += [join(self.build, folder) for flag, folder in zip(self.words, self.words[1:])
                         if flag in ("-isystem", "-iquote")]

    def headers(self):
        """All headers that the file can include under any condition; of the system only the direct ones."""
        found, left = {}, [self.path]
        while left:
            path = left.pop()
            for include in read(path)[1]:
                for folder in [dirname(path), *self.folders, *SYSTEM]:
                    header = normpath(join(folder, include.decode()))
                    if header in found:
                        break
                    if isfile(header):
                        ours = header.startswith((ROOT + os.sep, self.build + os.sep))
                        found[header] = ours
                        if ours:
                            left.append(header)
                        break
        return sorted(found.items(), key=lambda header: header[0].replace(ROOT, ""))  # the same order in every clone

    def key(self, settings):
        digest = hashlib.sha256(settings)
        digest.update("\0".join(word.replace(ROOT, "") for word in self.words).encode())
        digest.update(read(self.path)[0])
        for header, ours in self.headers():
            digest.update(read(header)[0] if ours else stamp(header).encode())
        return digest.hexdigest()

    def check(self, database):
        """What clang-tidy complains of, and the seconds that it took."""
        started = time.monotonic()
        done = subprocess.run(["clang-tidy", "--quiet", "-p", database, *EXTRA, self.path], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        complaints = done.stdout
        if done.returncode != 0 and not complaints:
            complaints = done.stderr
        return complaints, time.monotonic() - started


def units(build):
    """The files to check, one entry a file: clang-tidy 14 checks a file once for each entry, and errs in the second."""
    with open(join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        unit = Unit(entry)
        if unit.name.startswith(FOLDERS) and unit.name not in LEFT_OUT:
            found[unit.name] = (unit, entry)
    database = join(build, "tidy")
    os.makedirs(database, exist_ok=True)
    with open(join(database, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump([entry for _, entry in found.values()], file)
    return [unit for unit, _ in found.values()], database


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    files, database = units(abspath(options.build))
    settings = b"".join(read(path)[0] for path in [join(ROOT, ".clang-tidy"), *sorted(
        path for folder in FOLDERS for path in glob.glob(join(ROOT, folder, "**/.clang-tidy"), recursive=True))])
    settings += " ".join(EXTRA).encode()
    settings += subprocess.run(["clang-tidy", "--version"], stdout=subprocess.PIPE, check=True).stdout
    os.makedirs(CACHE, exist_ok=True)
    keys = {unit: join(CACHE, unit.key(settings)) for unit in files}
    left = sorted((unit for unit in files if not exists(keys[unit])), key=lambda unit: -getsize(unit.path))
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as workers:
        for unit, (complaints, seconds) in zip(left, workers.map(lambda unit: unit.check(database), left)):
            if complaints:
                wrong += 1
                print(f"{unit.name}:\n{complaints}")
            else:
                with open(keys[unit], "w", encoding="utf-8") as file:
                    file.write(f"{unit.name} {seconds:.1f} s\n")
    print(f"{len(files)} files, {len(files) - len(left)} of them as they were when nothing was found; {wrong} with complaints")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
