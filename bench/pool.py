#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures Python for the rows python_...: fairlead-bench starts `pool.py CASE` and asks it over a
pipe.

The program sets up, warms up, and says "ready". It answers each line with a number of operations by
the nanoseconds that they took, and the 99th percentile of single ones (0 where none is meant). It
ends with its input. Pools start their processes as Python does by default, unless the case says
otherwise.
"""
import contextlib
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from time import perf_counter_ns

WORKERS, BATCH, WARM = 2, 10000, 1000


def check(good):
    if not good:
        raise SystemExit("pool.py: a wrong result")


def echo(x):
    return x


def timed(batch, most=BATCH):
    """Returns measure(), which makes `n` operations in batches of up to `most`."""
    def measure(n):
        start = perf_counter_ns()
        for first in range(0, n, most):
            batch(min(most, n - first))
        return perf_counter_ns() - start, 0
    return measure


# Tasks and maps.

@contextlib.contextmanager
def tasks():
    def batch(n):
        futures = [pool.submit(echo, i) for i in range(n)]
        for i, future in enumerate(futures):
            check(future.result() == i)
    with ProcessPoolExecutor(WORKERS) as pool:
        batch(WARM)
        yield timed(batch)


@contextlib.contextmanager
def roundtrip():
    def batch(n):
        for i in range(n):
            check(pool.submit(echo, i).result() == i)
    with ProcessPoolExecutor(1) as pool:
        batch(WARM)
        yield timed(batch)


@contextlib.contextmanager
def map_pool(chunk):
    def batch(n):
        check(pool.map(echo, range(n), chunksize=int(chunk)) == list(range(n)))
    with multiprocessing.Pool(WORKERS) as pool:
        batch(WARM)
        yield timed(batch)


# Results of any length.

def fill(i, size):
    return bytes([i % 256]) * size


@contextlib.contextmanager
def filled(kind, size):
    """The results are bytes, which the worker pickles."""
    size = int(size)

    def batch(n):
        for i in range(n):
            result = pool.apply(fill, (i, size)) if kind == "pool" else pool.submit(fill, i, size).result()
            check(len(result) == size and result[::4096] == fill(i, (size + 4095) // 4096))
    with multiprocessing.Pool(1) if kind == "pool" else ProcessPoolExecutor(1) as pool:
        batch(2)
        yield timed(batch)


# Starts: the time from nothing to the first result of each of two workers (`until` "result"), or
# until they are joined, too ("end").

meeting = None  # in a worker: the barrier by which each worker has one of the two tasks


def join_meeting(barrier):
    global meeting
    meeting = barrier


def meet():
    meeting.wait()
    return 1


@contextlib.contextmanager
def start(until):
    """The first pool of a program: it is asked once, without a warm-up. With "again" after `until`,
    a first pool warms up.
    """
    until, _, again = until.partition("_")

    def measure(n):
        total = 0
        for _ in range(n):
            barrier = multiprocessing.Barrier(WORKERS)
            begin = perf_counter_ns()
            with ProcessPoolExecutor(WORKERS, None, join_meeting, (barrier,)) as pool:
                futures = [pool.submit(meet) for _ in range(WORKERS)]
                check(all(future.result() == 1 for future in futures))
                took = perf_counter_ns() - begin
            total += took if until == "result" else perf_counter_ns() - begin
        return total, 0
    if again:
        measure(1)
    yield measure


# Kills: a worker dies in a task. The time is that until the death is known, or until another worker
# has run a task.

started = os.pipe()


def block():
    os.write(started[1], b"%16d" % os.getpid())
    signal.pause()


def kill(served):
    """A death breaks the executor for good, so the caller has to make another one to go on."""
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(block)
        pid = int(os.read(started[0], 16))
        begin = perf_counter_ns()
        os.kill(pid, signal.SIGKILL)
        check(isinstance(future.exception(), BrokenProcessPool))
        took = perf_counter_ns() - begin
    if served:
        with ProcessPoolExecutor(1) as pool:
            check(pool.submit(echo, 1).result() == 1)
            took = perf_counter_ns() - begin
    return took


@contextlib.contextmanager
def kills(until):
    yield lambda n: (sum(kill(until == "served") for _ in range(n)), 0)


CASES = {f.__name__: f for f in (tasks, roundtrip, map_pool, filled, start, kills)}


def main(case, *arguments):
    with CASES[case](*arguments) as measure:
        print("ready", flush=True)
        for line in sys.stdin:
            print(*measure(int(line.split()[0])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
