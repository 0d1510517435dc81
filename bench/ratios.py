# SPDX-License-Identifier: BSD-2-Clause
"""From the rows of Google Benchmark to ratios: the medians, and which implementation is ahead."""
import functools
import json
import math
import statistics

import machine

REPETITIONS = 5  # the fewest repetitions; fewer are an error
# Our names of figures, and those of Google Benchmark.
FIGURES = {"unfairness": "unfairness", "p99": "p99", "longest": "longest", "cpu": "cpu_time"}
ROLES = {"peer": "peers", "weaker": "weaker", "floor": "floor"}

CHANCE = 0.01  # how likely any row at all may differ between equal programs
LEAST = 0.02   # a smaller difference of the medians counts as none
WITHIN = "within the spread"


def samples_by_row(benchmarks, field):
    """The figures of all repetitions, by the name of the row."""
    samples = {}
    for b in benchmarks:
        if b["run_type"] == "iteration" and not b.get("error_occurred") and field in b:
            samples.setdefault(b["name"], []).append(b[field])
    return samples


def compare(rows, benchmarks):
    """One entry for each case and thread count, in the order of `rows` (what `fairlead-bench
    --list` says).
    """
    # where rows have the median of single operations, that is what is compared
    medians = samples_by_row(benchmarks, "p50")
    times = samples_by_row(benchmarks, "real_time") | medians
    more = {name: samples_by_row(benchmarks, field) for name, field in FIGURES.items()}
    entries = {}
    for row in rows:
        name, implementation = row["name"], row["implementation"]
        if len(times.get(name, [])) < REPETITIONS:
            raise machine.Failed(f"{name} is listed and was not measured {REPETITIONS} times")
        key = (row["family"], row["case"], row["threads"])
        entry = entries.setdefault(key, {
            "family": row["family"], "case": row["case"], "threads": row["threads"], "unit": row["unit"], "better": "lower",
            "fairlead": None, "peers": {}, "weaker": {}, "floor": {}, "best_peer": None, "ratio": None, "spread": {},
            **{figure_name: {} for figure_name in FIGURES}, "of": "p50" if name in medians else "mean"})
        median = statistics.median(times[name])
        if row["role"] == "fairlead":
            entry["fairlead"] = median
        else:
            entry[ROLES[row["role"]]][implementation] = median
        entry["spread"][implementation] = [min(times[name]), max(times[name])]
        for figure_name, samples in more.items():
            if name in samples:
                entry[figure_name][implementation] = statistics.median(samples[name])
    for key, entry in entries.items():
        if entry["fairlead"] is None:
            raise machine.Failed("/".join(map(str, key)) + " has no row of Fairlead")
        if entry["peers"]:  # a row of Fairlead alone has no peers, and so no ratio
            entry["best_peer"] = min(entry["peers"], key=entry["peers"].get)
            entry["ratio"] = entry["peers"][entry["best_peer"]] / entry["fairlead"]
    return list(entries.values())


def as_json(entries, machine):
    """The entries as JSON, one a line, each with the machine that it was measured on."""
    return "[\n" + ",\n".join(json.dumps({"machine": machine} | entry) for entry in entries) + "\n]\n"


def figure(x):
    """Three digits that mean something: 9.31, 93.1, 931, 9,310."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def overlap(entry):
    """Whether the repetitions of Fairlead and of the best peer reach into each other."""
    ours, theirs = entry["spread"]["fairlead"], entry["spread"][entry["best_peer"]]
    return ours[0] <= theirs[1] and theirs[0] <= ours[1]


def verdict(entry):
    """Who is ahead, by the medians. Spreads that overlap are mentioned, and change nothing."""
    return ("ahead" if entry["ratio"] >= 1 else "BEHIND") + (", spreads overlap" if overlap(entry) else "")


def with_spread(entry, name, value):
    low, high = entry["spread"][name]
    return f"{figure(value)} ({figure(low)}-{figure(high)})"


def others(entry):
    """The lines below an entry: all implementations but Fairlead and the best peer."""
    for role in ("peers", "weaker", "floor"):
        names = [name for name in entry[role] if name != entry["best_peer"]]
        if names:
            yield f"{role}: " + ", ".join(f"{name} {with_spread(entry, name, entry[role][name])}" for name in names)


def columns(lines):
    """Lines of cells as lines of text, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def table(entries, quick, laps=False):
    """The lines of the table, and what it comes to. With `laps`, they have the figures of single
    operations, and CPU times.
    """
    lines = [("case", "threads", "unit", "fairlead", "best peer", "ratio", "")]
    for e in entries:
        best = e["best_peer"]
        unit = e["unit"] + (f", {e['of']}" if laps else "")
        lines.append((f"{e['family']}/{e['case']}", str(e["threads"]), unit, with_spread(e, "fairlead", e["fairlead"]),
                      *((f"{best} {with_spread(e, best, e['peers'][best])}", f"{e['ratio']:.2f}", verdict(e))
                        if best else ("no peer", "", ""))))
    text = ["Median of the repetitions (least-most); ratio above 1: Fairlead is ahead of the best peer."]
    for line, entry in zip(columns(lines), [None] + entries):
        text.append(line)
        if entry:
            text += ["    " + other for other in others(entry)]
            if entry["unfairness"] and not quick:
                text.append("    most/least operations a thread: " + ", ".join(
                    f"{name} {figure(value)}" for name, value in entry["unfairness"].items()))
            if entry["p99"]:
                text.append("    99th percentile: " + ", ".join(
                    f"{name} {figure(value)}" for name, value in entry["p99"].items()))
            if laps and entry["cpu"]:
                text.append("    cpu, ns: " + ", ".join(f"{name} {figure(value)}" for name, value in entry["cpu"].items()))
            if entry["longest"] and not quick:
                text.append("    longest wait, ms: " + ", ".join(
                    f"{name} {figure(value / 1e6)}" for name, value in entry["longest"].items()))
    return text + summary(entries, quick)


def late(entry):
    """How many times the 99th percentile of Fairlead goes into that of the best peer; 0 where there
    is none.
    """
    ours, theirs = entry["p99"].get("fairlead", 0), entry["p99"].get(entry["best_peer"], 0)
    return ours / theirs if theirs else 0


def summary(entries, quick):
    """Says how many cases Fairlead wins, and names those that it does not win."""
    entries = [e for e in entries if e["peers"]]
    behind = sorted((e for e in entries if e["ratio"] < 1), key=lambda e: e["ratio"])
    text = ["", f"Fairlead against its best peer: ahead in {len(entries) - len(behind)} of {len(entries)} cases, behind in "
                f"{len(behind)}; in {sum(map(overlap, entries))} of them the spreads overlap."]
    for e in behind:
        text.append(f"  behind: {e['family']}/{e['case']} at {e['threads']} threads costs {1 / e['ratio']:.2f} times as much "
                    f"as {e['best_peer']}" + (" (spreads overlap)" if overlap(e) else ""))
    for e in sorted((e for e in entries if late(e) > 1.2), key=late, reverse=True):
        text.append(f"  late: the 99th percentile of {e['family']}/{e['case']} at {e['threads']} threads is {late(e):.2f} times "
                    f"that of {e['best_peer']}")
    if quick:
        text.append("These were short runs (--quick): good for seeing that all works, too rough to quote.")
    return text


@functools.lru_cache(None)
def ways(smaller, n, m):
    """In how many orders of n and m samples exactly `smaller` pairs have the greater sample among
    the n.
    """
    if smaller < 0:
        return 0
    if n == 0 or m == 0:
        return 1 if smaller == 0 else 0
    return ways(smaller - m, n - 1, m) + ways(smaller, n, m - 1)


def chance(a, b):
    """How likely samples of equal programs lie as far apart as these samples: the exact two-sided
    Mann-Whitney test.
    """
    above = sum((x > y) + (x == y) / 2 for x in a for y in b)
    far = int(min(above, len(a) * len(b) - above))
    total = sum(ways(u, len(a), len(b)) for u in range(len(a) * len(b) + 1))
    return min(1, 2 * sum(ways(u, len(a), len(b)) for u in range(far + 1)) / total)


def can_differ(rounds, together):
    """Whether so many samples of each side can show a difference in a row, if so many rows are
    judged together.
    """
    return rounds > 0 and 2 / math.comb(2 * rounds, rounds) * together < CHANCE


def judge(a, b, together):
    """The verdict on the samples `a` beside `b`, of a row that is judged together with others."""
    ratio = statistics.median(a) / statistics.median(b)
    if chance(a, b) * together >= CHANCE or abs(ratio - 1) < LEAST:
        return WITHIN
    return "SLOWER" if ratio > 1 else "faster"
