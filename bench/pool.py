#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Python's part of the rows python_...: fairlead-bench starts `pool.py CASE` and asks it over a pipe.

Sets up, warms up, says "ready"; then answers each line with a number of operations by the nanoseconds that they took, and the
99th percentile of single ones (0 where none is meant). Ends with its input. Start methods are Python's defaults, unless the
case says which.
"""
import contextlib
import multiprocessing
import multiprocessing.pool
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.shared_memory import SharedMemory
from time import perf_counter_ns

WORKERS, BATCH, WARM = 2, 10000, 1000
LARGE = 64 << 20


def check(good):
    if not good:
        raise SystemExit("pool.py: a wrong result")


def echo(x):
    return x


def timed(batch, most=BATCH):
    """measure() for batches of up to `most` operations."""
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


@contextlib.contextmanager
def map_ppe(chunk):
    def batch(n):
        check(list(pool.map(echo, range(n), chunksize=int(chunk))) == list(range(n)))
    with ProcessPoolExecutor(WORKERS) as pool:
        batch(WARM)
        yield timed(batch)


# 64 MiB: pickled, or in memory that both sides keep.

attached = {}


def attach(names):
    """Runs in a worker. A fork shares the resource tracker: what is registered there twice is removed once, at the end."""
    for name in names:
        attached[name] = SharedMemory(name)


def ends(data):
    return data[0], data[-1]


def ends_shared(name):
    return ends(attached[name].buf)


def copy_shared(source, target):
    attached[target].buf[:LARGE] = attached[source].buf[:LARGE]


@contextlib.contextmanager
def shared(n):
    """n blocks, every page of which is written, and a worker that has mapped them."""
    blocks = [SharedMemory(create=True, size=LARGE) for _ in range(n)]
    for block in blocks:
        block.buf[:] = bytes(LARGE)
    with ProcessPoolExecutor(1, initializer=attach, initargs=([block.name for block in blocks],)) as pool:
        yield pool, *blocks
    for block in blocks:
        block.close()
        block.unlink()


@contextlib.contextmanager
def look_shared():
    with shared(1) as (pool, block):
        def batch(n):
            for i in range(n):
                block.buf[0] = block.buf[LARGE - 1] = i % 256
                check(pool.submit(ends_shared, block.name).result() == (i % 256, i % 256))
        batch(WARM)
        yield timed(batch)


@contextlib.contextmanager
def look_pickled():
    data = bytes(LARGE)

    def batch(n):
        for _ in range(n):
            check(pool.submit(ends, data).result() == (0, 0))
    with ProcessPoolExecutor(1) as pool:
        batch(2)
        yield timed(batch)


@contextlib.contextmanager
def copy_kept():
    data = bytes(LARGE)
    with shared(2) as (pool, there, back):
        def batch(n):
            for _ in range(n):
                there.buf[:LARGE] = data
                pool.submit(copy_shared, there.name, back.name).result()
                check(ends(back.buf) == (0, 0))
        batch(2)
        yield timed(batch)


@contextlib.contextmanager
def copy_pickled():
    data = bytes(LARGE)

    def batch(n):
        for _ in range(n):
            result = pool.submit(echo, data).result()
            check(len(result) == LARGE and ends(result) == (0, 0))
    with ProcessPoolExecutor(1) as pool:
        batch(2)
        yield timed(batch)


# Starts: from nothing to the first result of each of two workers; `until` "result", or "end": they
# are joined, too.

def answer(end):
    end.send(1)
    end.close()


def start_processes(context, _meeting):
    """As little as Python can do: two processes, a pipe each."""
    pairs = [context.Pipe(False) for _ in range(WORKERS)]
    processes = [context.Process(target=answer, args=(pair[1],)) for pair in pairs]
    for process in processes:
        process.start()
    check(all(pair[0].recv() == 1 for pair in pairs))
    yield
    for process in processes:
        process.join()
    yield


meeting = None  # in a worker: so that each has one of the two tasks


def join_meeting(barrier):
    global meeting
    meeting = barrier


def meet():
    meeting.wait()
    return 1


def start_ppe(context, barrier):
    with ProcessPoolExecutor(WORKERS, context, join_meeting, (barrier,)) as pool:
        futures = [pool.submit(meet) for _ in range(WORKERS)]
        check(all(future.result() == 1 for future in futures))
        yield
    yield


def start_pool(context, barrier):
    with context.Pool(WORKERS, join_meeting, (barrier,)) as pool:
        results = [pool.apply_async(meet) for _ in range(WORKERS)]
        check(all(result.get() == 1 for result in results))
        yield
        pool.close()
        pool.join()
    yield


@contextlib.contextmanager
def start(kind, method, until):
    """`kind`: processes, ppe, pool. The first of a program: asked once, without a warm-up; "again" after `until` warms up."""
    run = {"processes": start_processes, "ppe": start_ppe, "pool": start_pool}[kind]
    context = multiprocessing.get_context(method)
    until, _, again = until.partition("_")

    def measure(n):
        total = 0
        for _ in range(n):
            barrier = context.Barrier(WORKERS) if kind != "processes" else None
            begin = perf_counter_ns()
            steps = run(context, barrier)
            next(steps)
            took = perf_counter_ns() - begin
            next(steps)
            total += took if until == "result" else perf_counter_ns() - begin
        return total, 0
    if again:
        measure(1)
    yield measure


# Kills: a worker dies in a task; until that is known, and until another has run one.

started = os.pipe()


def block():
    os.write(started[1], b"%16d" % os.getpid())
    signal.pause()


def kill_ppe(served):
    """A death breaks this one for good: the caller makes another to go on."""
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
def kills_ppe(until):
    yield lambda n: latency([kill_ppe(until == "served") for _ in range(n)])


@contextlib.contextmanager
def kills_pool():
    """It replaces a worker; the job of the dead one never ends."""
    def kill():
        pool.apply_async(block)
        pid = int(os.read(started[0], 16))
        result = pool.apply_async(echo, (1,))
        begin = perf_counter_ns()
        os.kill(pid, signal.SIGKILL)
        check(result.get() == 1)
        return perf_counter_ns() - begin
    with multiprocessing.Pool(1) as pool:
        yield lambda n: latency([kill() for _ in range(n)])


def latency(samples):
    """Their sum, and the 99th percentile where there are enough of them."""
    samples.sort()
    return sum(samples), samples[len(samples) * 99 // 100] if len(samples) >= 100 else 0


CASES = {f.__name__: f for f in (tasks, roundtrip, map_pool, map_ppe, look_shared, look_pickled, copy_kept, copy_pickled, start,
                                 kills_ppe, kills_pool)}


def main(case, *arguments):
    with CASES[case](*arguments) as measure:
        print("ready", flush=True)
        for line in sys.stdin:
            print(*measure(int(line)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
