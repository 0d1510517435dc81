# SPDX-License-Identifier: BSD-2-Clause
"""Random litmus programs, and an engine against the enumerator.

    python3 laboratory/tests/rc11/random_litmus.py RC11 ENGINE [SEED [COUNT [PERCENT]]]

ENGINE is a shell command that reads programs from its standard input and writes their outcomes, as
`fairlead-stress --litmus -` does. It must show no outcome that RC11 forbids. If it says that a
program is proved, it must show all outcomes that RC11 allows. For another short program, it must
show those of prompt executions. It must prove PERCENT of the programs.
"""
import collections
import random
import re
import subprocess
import sys

# How many of 100 orders are relaxed, and how many are SC. Orders come in families; otherwise,
# hardly two operations of a program would ever synchronize.
FAMILIES = ((33, 33), (15, 5), (5, 80), (5, 80), (80, 10))


class Maker:
    """The operations of one program. The stores of a location are numbered."""

    def __init__(self, rng):
        self.rng, self.family, self.stores = rng, rng.choice(FAMILIES), collections.Counter()

    def order(self, synchronizing):
        at, (relaxed, sc) = self.rng.randrange(100), self.family
        return "rlx" if at < relaxed else "sc" if at < relaxed + sc else synchronizing

    def access(self, place, kinds):
        """One of `kinds`, each as often as it occurs there."""
        rng, kind, before = self.rng, self.rng.choice(kinds), self.stores[place]
        words = [kind, place]
        if kind == "C":
            words.append(rng.randrange(before + 2))
        if kind != "R":
            words.append(rng.choice((1, 1, 10)) if kind == "A" else before + 1 if rng.random() < .9 else rng.randrange(3))
            self.stores[place] += 1
        words.append(self.order({"R": "acq", "W": "rel"}.get(kind) or rng.choice(("acq", "rel", "ar"))))
        return " ".join(map(str, words + [self.order("acq")] * (kind == "C")))

    def fence(self):
        """A fence, or none."""
        likely = .65 if self.family == FAMILIES[-1] else .1
        return ["F " + self.rng.choice(("acq", "rel", "ar", "sc", "sc", "sc"))] if self.rng.random() < likely else []


def history(make, threads):
    """One thread stores eight times, and the other one stores, too. Or one thread loads eight times
    what the other one stores.
    """
    del threads[2:]
    more, kind = make.rng.choice((("WRR", "W"), ("WWR", "R")))
    threads[0] += [make.access("x", kinds) for kinds in ["W"] + [more] * make.rng.randrange(3)]
    threads[1] += [make.access("x", kind) for _ in range(8)]
    return ""


def writers(make, threads):
    """Two threads store to both locations, as in 2+2W."""
    for t, thread in enumerate(threads):
        kinds = "WWWWWWX" if t < 2 else "WRRRRC"
        one, other = make.rng.sample("xy", 2)
        thread += [make.access(one, kinds)] + make.fence() + [make.access(other, kinds)]
    return "xy"


def ring(make, threads):
    """Each thread goes from the last location of the thread before to a new one, as in SB, MP, IRIW
    and Z6; or it only stores.
    """
    single = make.rng.choice([None] + list(range(len(threads)))) if len(threads) > 2 else None
    places, at = "xyz"[:len(threads) - (single is not None)], 0
    for t, thread in enumerate(threads):
        thread.append(make.access(places[at], "WWWWX" if t == single else "WWWWWRRRRX"))
        if t != single:
            at = (at + 1) % len(places)
            thread += make.fence() + [make.access(places[at], "WWWWRRRRRRRC")]
    return places


def anything(make, threads, most):
    """Random operations, more often to another location than not."""
    places = make.rng.choice(("x", "xy", "xy", "xy", "xyz"))
    for thread in threads:
        for _ in range(make.rng.randint(1, most)):
            thread += (make.fence() if thread else []) + [make.access(make.rng.choice(places), "WWWWWWRRRRRRXAACC")]
    return ""


def program(rng, most, histories):
    """The operations of each thread. Without fences and a history, a thread has at most so many."""
    while True:
        make, threads = Maker(rng), [[] for _ in range(rng.choice((2, 3)))]
        shape = rng.choice([ring] * 6 + [writers] + [history] * histories + [None] * 3)
        places = shape(make, threads) if shape else anything(make, threads, most)
        for thread in rng.choices(threads, k=rng.randrange(3)) if places else []:
            if len(thread) < most:
                thread.append(make.access(rng.choice(places), "WRRRAC"))
        used = [(op.split()[1], t, op[0]) for t, ops in enumerate(threads) for op in ops if op[0] != "F"]
        # At least two threads use each location, and one of them writes it.
        if all(len({t for place, t, _ in used if place == one}) > 1 and any(place == one and kind != "R" for place, _, kind in used) for one, _, _ in used):
            return threads


def text_of(seed, count, most=4, histories=True):
    """So many programs, in the format of program.h."""
    rng = random.Random(seed)
    return "".join(f"P random-{seed}-{i}\n" + "".join(f"T {'; '.join(ops)}\n" for ops in program(rng, most, histories)) + "E\n" for i in range(count))


def parts_of(text):
    """The first line of each program, and its other lines."""
    return [part.splitlines() for part in re.split("^E\n", text, flags=re.M)[:-1]]


def is_short(threads):
    """Whether eight remembered stores and four loads of an old value are enough for the program."""
    ops = [re.findall(r"([RWXAC]) (\w)", line) for line in threads]
    return all(sum(other != "R" and at == place for line in ops for other, at in line) < 8 and
               all(sum(other != "W" and at == place for other, at in line) < 5 for line in ops) for line in ops for _, place in line)


def check(rc11, engine, seed, count):
    """What is wrong, in words, and how many of the programs are proved."""
    text, wrong, proved = text_of(seed, count), [], 0
    allowed, shown = [subprocess.run(command, shell=True, input=text, text=True, stdout=subprocess.PIPE, check=True).stdout
                      for command in (f"'{rc11}' enumerate", engine)]
    parts = [parts_of(each) for each in (text, allowed, shown)]
    if len(parts[2]) != count:
        wrong.append(f"{len(parts[2])} answers")
    for (name, *threads), (_, *outcomes), (said, *seen) in zip(*parts):
        is_proved = said.endswith(" proved=1")
        proved += is_proved
        whole = "+-" if is_proved else "+" if is_short(threads) else ""
        bad = [f"shows what RC11 forbids: {one}" for one in set(seen) - {line[2:] for line in outcomes}]
        bad += [f"{'says proved, and ' * is_proved}does not show: {line}" for line in outcomes if line[0] in whole and line[2:] not in seen]
        if not said.startswith(name + " ") or " exhausted=1" not in said:
            bad.append(f"answers {said}")
        wrong += ["\n".join([f"the engine {one}", name, *threads, "E"]) for one in bad]
    return wrong, proved


def main():
    """Prints the differences. The status is 1 if there are any, or too few proofs."""
    seed, count, percent = [int(text) for text in (sys.argv[3:] + ["1", "1000", "0"][len(sys.argv) - 3:])]
    wrong, proved = check(*sys.argv[1:3], seed, count)
    print(*wrong, f"{count} programs, {len(wrong)} violations", f"{proved} of them proved, at least {percent} % expected", sep="\n")
    return int(bool(wrong) or 100 * proved < percent * count)


if __name__ == "__main__":
    sys.exit(main())
