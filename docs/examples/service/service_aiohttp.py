#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The same service as service.c, with the same tests, on Python's asyncio and aiohttp: service_aiohttp.py DATABASE [PORT]"""
import asyncio
import signal
import sqlite3
import sys
from concurrent.futures import ProcessPoolExecutor

from aiohttp import web

HANDLES, NOTE_MAX, CHUNK = 4, 65536, 100000
TABLES = """PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;
    CREATE TABLE IF NOT EXISTS notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL);"""


def list_primes(first, last):
    found = []
    for n in range(first, last + 1):
        if n == 2 or (n > 2 and n % 2 == 1 and all(n % d for d in range(3, int(n ** 0.5) + 1, 2))):
            found.append(n)
    return "".join(f"{n}\n" for n in found)


class Service:
    def __init__(self, path):
        self.pool = ProcessPoolExecutor()
        self.handles = asyncio.Queue()
        self.added = asyncio.Condition()
        self.ending = False
        self.notes_added = 0
        for _ in range(HANDLES):
            handle = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            handle.executescript(TABLES)
            self.handles.put_nowait(handle)
    async def query(self, function, *arguments):
        handle = await self.handles.get()
        try:
            return await asyncio.to_thread(function, handle, *arguments)
        finally:
            self.handles.put_nowait(handle)

    async def compute(self, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    async def add_note(self, request):
        text = (await request.read()).decode()
        if not text:
            raise web.HTTPBadRequest
        number = await self.query(lambda handle: handle.execute("INSERT INTO notes(text) VALUES(?)", (text,)).lastrowid)
        async with self.added:
            self.notes_added += 1
            self.added.notify_all()
        return web.Response(status=201, text=f"{number}\n")

    async def get_note(self, request):
        if not request.match_info["number"].isdigit():
            raise web.HTTPNotFound
        until = asyncio.get_running_loop().time() + number(request, "ms", 0, 60000) / 1000
        while True:
            before = self.notes_added
            row = await self.query(lambda handle: handle.execute("SELECT text FROM notes WHERE id = ?", (request.match_info["number"],)).fetchone())
            if row is not None:
                return web.Response(text=row[0])
            try:
                async with asyncio.timeout_at(until), self.added:
                    await self.added.wait_for(lambda: self.notes_added > before or self.ending)  # noqa: B023
            except TimeoutError as error:
                raise web.HTTPNotFound from error
            if self.ending:
                raise web.HTTPServiceUnavailable

    async def primes(self, request):
        """Sends parts; drain(), which write() calls, is the back-pressure."""
        first, to = number(request, "from", 1, 2**32 - 2), number(request, "to", 100, 2**32 - 2)
        text = await self.compute(list_primes, first, min(first + CHUNK - 1, to))
        if first + CHUNK > to:
            return web.Response(text=text)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(text.encode())
        while (first := first + CHUNK) <= to:
            await response.write((await self.compute(list_primes, first, min(first + CHUNK - 1, to))).encode())
        return response


def number(request, name, missing, most):
    text = request.query.get(name, str(missing))
    if not text.isdigit() or int(text) > most:
        raise web.HTTPBadRequest
    return int(text)


async def main():
    service = Service(sys.argv[1])
    app = web.Application(client_max_size=NOTE_MAX + 1)
    app.add_routes([web.post("/notes", service.add_note), web.get("/notes/{number}", service.get_note),
                    web.get("/primes", service.primes)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 7080, shutdown_timeout=10, backlog=4096)
    await site.start()
    print(f"listening on 127.0.0.1:{site._server.sockets[0].getsockname()[1]}", flush=True)
    ended, numbers = asyncio.Event(), []
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda number=number: (numbers.append(int(number)), ended.set()))
    await ended.wait()
    service.ending = True
    async with service.added:
        service.added.notify_all()
    await runner.cleanup()
    service.pool.shutdown()
    print(f"signal {numbers[0]}")


if __name__ == "__main__":
    asyncio.run(main())
