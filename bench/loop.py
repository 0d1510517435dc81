#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures asyncio for the rows loop/...: fairlead-bench starts `loop.py CASE` and asks it over a
pipe (remote.h, loop.h).
"""
import asyncio
import os
import socket
import sys
import threading
from time import perf_counter_ns

TIMERS, TASKS, GROUP = 10000, 10000, 20000


def check(good):
    if not good:
        raise SystemExit("loop.py: a wrong result")


async def timed(awaitable):
    start = perf_counter_ns()
    await awaitable
    return perf_counter_ns() - start


async def one():
    return 1


async def spawn_join(n):
    async def spawn():
        for _ in range(n):
            check(await asyncio.create_task(one()) == 1)
    return await timed(spawn())


async def group_20000(n):
    async def groups(n):
        while n > 0:
            some = min(n, GROUP)
            check(sum(await asyncio.gather(*(one() for _ in range(some)))) == some)
            n -= some
    await groups(GROUP)
    return await timed(groups(n))


async def pingpong(n):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def returns():
        for _ in range(n):
            await back.put(await there.get())

    async def sends():
        for i in range(n):
            await there.put(i)
            check(await back.get() == i)
    return await timed(asyncio.gather(returns(), sends()))


async def cancel(n):
    took = 0
    while n > 0:
        tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(min(n, TASKS))]
        await asyncio.sleep(0.001)

        async def cancel_all():
            for task in tasks:
                task.cancel()
            for task in tasks:
                try:
                    await task
                    check(False)
                except asyncio.CancelledError:
                    pass
        took += await timed(cancel_all())
        n -= len(tasks)
    return took


async def timer(n):
    loop = asyncio.get_running_loop()

    def when(i):
        return base + 1 + (i * 0x9e3779b97f4a7c15 >> 32) % 10000 / 1000
    base = loop.time() + 3600
    handles = [loop.call_at(when(i), check, False) for i in range(TIMERS)]
    times = [when(i) for i in range(n)]

    async def restart():
        for i in range(n):
            handles[i % TIMERS].cancel()
            handles[i % TIMERS] = loop.call_at(times[i], check, False)
            if i % 1000 == 0:
                await asyncio.sleep(0)  # asyncio forgets the cancelled timers in a turn of its loop
    return await timed(restart())


# Programs.

async def program_start(n):
    async def start_and_reap():
        for _ in range(n):
            process = await asyncio.create_subprocess_exec("/bin/true")
            check(await process.wait() == 0)
    return await timed(start_and_reap())


async def program_100mb(n):
    data = bytes(i * 2654435761 >> 24 & 255 for i in range(1 << 20)) * 100
    pipe = asyncio.subprocess.PIPE

    async def transfer():
        for _ in range(n):
            process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe, stderr=pipe)
            out, _ = await process.communicate(data)
            check(process.returncode == 0 and out == data)
    return await timed(transfer())


# Servers.

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo_streams(reader, writer):
    while data := await reader.read(1024):
        writer.write(data)
        await writer.drain()


async def serve(streams):
    s = socket.create_server(("127.0.0.1", 0), backlog=4096)
    if streams:
        server = await asyncio.start_server(echo_streams, sock=s, backlog=4096)
    else:
        server = await asyncio.get_running_loop().create_server(Echo, sock=s, backlog=4096)
    print(s.getsockname()[1], flush=True)
    await server.serve_forever()


def echo(streams):
    def end_with_input():
        sys.stdin.read()
        os._exit(0)
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus[:1])
    threading.Thread(target=end_with_input, daemon=True).start()
    asyncio.run(serve(streams))


# Memory.

def resident():
    with open("/proc/self/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


async def wait(event):
    await event.wait()


async def idle(n):
    event = asyncio.Event()
    before = resident()
    tasks = [asyncio.create_task(wait(event)) for _ in range(n)]
    await asyncio.sleep(0.1)
    took = resident() - before
    event.set()
    await asyncio.gather(*tasks)
    return took


CASES = {f.__name__: f for f in (spawn_join, group_20000, pingpong, cancel, timer, idle, program_start, program_100mb)}


def main(case):
    print("ready", flush=True)
    if case in ("echo", "echo_streams"):
        echo(case == "echo_streams")
        return
    for line in sys.stdin:
        print(asyncio.run(CASES[case](int(line.split()[0]))), 0, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
