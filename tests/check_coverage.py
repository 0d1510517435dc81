#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds the lines of lib that the tests execute against tests/unreached.md: `./dev check coverage`. Prints lines and branches of
each part. Exit status 1 when

- a line is not executed, and the list does not have it;
- a line is executed, and the list says that none reaches it; or the list has what is not there;
- the tests execute a smaller share of a part's lines than FLOORS says;
- the check does not see one of these faults, planted in the counters.
"""
import argparse
import collections
import glob
import re
import subprocess
import sys
from os.path import abspath, dirname, exists, join, relpath

ROOT = dirname(dirname(abspath(__file__)))
LIST = "tests/unreached.md"
FLOORS = {"core": 98.9, "fd": 99.0, "process": 98.7, "loop": 99.0, "inspect": 97.0}
HEADING = re.compile(r"## (never|sometimes): .")
ENTRY = re.compile(r"- `(lib/\S+)` `(\w+)`(?: #(\d+))?(?: \+(\d+))?: `(.+)`$")
DEFINED = re.compile(r"(?!typedef)[A-Za-z_][^;=]*?[ *](\w+)\([^;]*$")  # the first line of a function
ATTRIBUTE = re.compile(r"__attribute__\(\(.*?\)\)+ ")
COLUMNS = 100

Entry = collections.namedtuple("Entry", "at kind path function number more text")


class Source:
    """A file: how often each line was executed, the function of each, and whether each outcome of a branch came."""

    def __init__(self, path):
        self.path, self.part, self.counts, self.branches, self.text, self.functions = path, path.split("/")[1], {}, [], [], ["?"]
        with open(join(ROOT, path), encoding="utf-8") as file:
            for line in file:
                self.text.append(line.strip())
                begins = DEFINED.match(ATTRIBUTE.sub("", line.rstrip()))
                self.functions.append(begins[1] if begins else self.functions[-1])

    def function_of(self, line):
        return self.functions[line]

    def find(self, function, text):
        """The lines of a function that begin so; of "*" all."""
        return [line for line in range(1, len(self.text) + 1) if self.function_of(line) == function
                and (text == "*" or self.text[line - 1].startswith(text))]

    def unreached(self):
        """The runs of lines, each in one function, that were not executed: first and last."""
        runs, before = [], None
        for line in sorted(self.counts):
            if self.counts[line] == 0:
                if runs and runs[-1][1] == before and self.function_of(runs[-1][0]) == self.function_of(line):
                    runs[-1][1] = line
                else:
                    runs.append([line, line])
            before = line
        return runs


def executed(build):
    """The files of lib, by path, with the counters that the processes of the tests have left in the folder `counters`."""
    profile = join(build, "profile")
    counters = glob.glob(join(build, "counters/*.profraw"))
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", profile, *counters], check=True)
    objects = sorted(glob.glob(join(build, "**/*.o"), recursive=True))  # llvm-cov reads no thin archives
    listing = subprocess.run(["llvm-cov", "export", "--format=lcov", f"--instr-profile={profile}", *(f"--object={o}" for o in objects)],
                             text=True, check=True, stdout=subprocess.PIPE).stdout
    files, source = {}, None
    for line in listing.splitlines():
        key, _, value = line.partition(":")
        values = value.split(",")
        if key == "SF":
            path = relpath(join(build, value), ROOT)
            source = files.setdefault(path, Source(path)) if path.startswith("lib/") else None
        elif source is None:
            continue
        elif key == "DA" and not source.text[int(values[0]) - 1].startswith((";", "#")):  # a loop without a body: another attempt
            source.counts[int(values[0])] = int(values[1])
        elif key == "BRDA":
            source.branches.append(values[3] not in ("-", "0"))
    return files


def read_list(complaints):
    kind = None
    with open(join(ROOT, LIST), encoding="utf-8") as file:
        for at, line in enumerate(file, 1):
            heading, entry = HEADING.match(line), ENTRY.match(line)
            kind = heading[1] if heading else kind
            if entry and kind:
                yield Entry(at, kind, entry[1], entry[2], int(entry[3] or 0), int(entry[4] or 0), entry[5])
            elif line.startswith(("- ", "## ")) and not heading:
                complaints.append(f"{LIST}:{at}: not of the form that the head of the file shows")


def lines_of(entry, files, complaints):
    """The lines that an entry names."""
    source = files.get(entry.path)
    found = source.find(entry.function, entry.text) if source else []
    if entry.number:
        found = found[entry.number - 1:entry.number]
    if not found or (entry.text != "*" and len(found) > 1):
        complaints.append(f"{LIST}:{entry.at}: {len(found) or 'no'} such lines: {entry.path}, {entry.function}: {entry.text}")
        return []
    return [line for line in range(found[0], found[-1] + entry.more + 1) if line in source.counts]


def complaints():
    """What the list names and the tree does not have: without counters."""
    wrong, files = [], {}
    for entry in read_list(wrong):
        if exists(join(ROOT, entry.path)):
            files.setdefault(entry.path, Source(entry.path))
        lines_of(entry, files, wrong)
    return wrong


def proposal(source, first, last):
    """The entry that would name these lines."""
    function = source.function_of(first)
    whole = [line for line in source.find(function, "*") if line in source.counts]
    if whole[0] >= first and whole[-1] <= last:
        return f"- `{source.path}` `{function}`: `*`"
    more = f" +{last - first}" if last > first else ""
    room = COLUMNS - len(f"- `{source.path}` `{function}` #9{more}: ``")
    text = source.text[first - 1][:max(room, 12)].strip()
    found = source.find(function, text)
    number = f" #{found.index(first) + 1}" if len(found) > 1 else ""
    return f"- `{source.path}` `{function}`{number}{more}: `{text}`"


def share(files, part, of):
    outcomes = [outcome for source in files.values() if source.part == part for outcome in of(source)]
    return 100 * sum(outcomes) / max(len(outcomes), 1), len(outcomes)


def lines(source):
    return [count > 0 for count in source.counts.values()]


def compare(files, floors):
    """Returns the complaints, and the number of listed lines by part and kind."""
    complaints, listed, counts = [], collections.defaultdict(set), collections.Counter()
    for entry in read_list(complaints):
        named = lines_of(entry, files, complaints)
        listed[entry.path].update(named)
        counts[entry.path.split("/")[1], entry.kind] += len(named)
        for line in [line for line in named if files[entry.path].counts[line]][:entry.kind == "never"]:
            complaints.append(f"{LIST}:{entry.at}: a test reaches {entry.path}:{line}: {files[entry.path].text[line - 1]}")
    for path, source in sorted(files.items()):
        for first, last in source.unreached() if source.part in floors else ():
            if not listed[path].issuperset(line for line in range(first, last + 1) if line in source.counts):
                complaints.append(f"{path}:{first}: no test reaches it, and {LIST} does not have it:\n{proposal(source, first, last)}")
    for part, floor in floors.items():
        percent = share(files, part, lines)[0]
        if percent < floor:
            complaints.append(f"{part}: {percent:.2f} % of the lines, not {floor} %")
    return complaints, counts


def planted(files):
    """The faults that this check does not see, in counters that say the contrary of those that were read."""
    entry, missed = next(entry for entry in read_list([]) if entry.kind == "never"), []
    source = files[entry.path]

    def plant(line, count, words, floors):
        before = source.counts[line]
        source.counts[line] = count
        if not any(complaint.startswith(words) for complaint in compare(files, floors)[0]):
            missed.append(f"a planted fault is not seen: {words}")
        source.counts[line] = before

    reached = next(line for line, count in source.counts.items() if count)
    plant(reached, 0, f"{entry.path}:{reached}: no test reaches it", FLOORS)
    plant(lines_of(entry, files, [])[0], 1, f"{LIST}:{entry.at}: a test reaches", FLOORS)
    plant(reached, 0, f"{source.part}: ", {source.part: share(files, source.part, lines)[0]})
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="a build of clang with its counters in the folder `counters`, after its tests have run")
    files = executed(abspath(parser.parse_args().build))
    wrong, counts = compare(files, FLOORS)
    wrong += planted(files)
    print("\n".join(wrong))
    for part in sorted({source.part for source in files.values()}):
        (percent, n), (outcomes, m) = share(files, part, lines), share(files, part, lambda source: source.branches)
        print(f"{part:8} {percent:6.2f} % of {n:5} lines, {outcomes:6.2f} % of {m:5} branches; "
              f"listed: {counts[part, 'never']} lines never reached, {counts[part, 'sometimes']} sometimes")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
