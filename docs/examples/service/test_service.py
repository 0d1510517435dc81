#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the service by curl, and by sockets where a client behaves badly: test_service.py COMMAND... -- the command that starts it.

A database and port 0 are added to the command. No case is about times.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile

LIMIT = 120  # seconds, for what hangs


class Service:
    def __init__(self, command):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([*command, os.path.join(self.folder.name, "notes.db"), "0"], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def busy(self):
        """The processes that the service has started and that compute now."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    state, _, _, session = file.read().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state == "R" and int(session) == self.process.pid != int(pid):
                found.append(int(pid))
        return found

    def curl(self, path, *options):
        """What `curl` prints, and then the status."""
        return subprocess.Popen(["curl", "-s", "--max-time", str(LIMIT), "-w", "%{http_code}", *options,
                                 f"http://127.0.0.1:{self.port}{path}"], text=True, stdout=subprocess.PIPE)

    def get(self, path, *options):
        out, _ = self.curl(path, *options).communicate(timeout=LIMIT)
        return int(out[-3:]), out[:-3]

    def post(self, text, path="/notes"):
        return self.get(path, "--data-binary", text)

    def socket(self, receive=0):
        s = socket.socket()
        s.settimeout(LIMIT)
        if receive:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        s.connect(("127.0.0.1", self.port))
        return s

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def ends_well(self):
        assert self.process.wait(timeout=LIMIT) == 0, self.process.returncode
        assert (text := self.process.stdout.read()) in ("signal 15\n", "signal 15; 0 requests were cut off\n"), text


def same(value, wanted):
    assert value == wanted, f"{value!r}, not {wanted!r}"


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def head(lines):
    """The status, and the headers."""
    status = int(lines.readline().split()[1])
    headers = {}
    while (line := lines.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return status, headers


def primes(limit):
    sieve = bytearray([1]) * (limit + 1)
    for n in range(2, limit + 1):
        if sieve[n]:
            yield n
            sieve[n * n::n] = bytes(len(range(n * n, limit + 1, n)))


def notes(s):
    same(s.get("/notes/1")[0], 404)
    texts = ["to be, or not to be", 'a "note"\nof lines', "x" * 65536] + [f"note {n}" for n in range(20)]
    for n, text in enumerate(texts, 1):
        same(s.post(text), (201, f"{n}\n"))
    for n, text in enumerate(texts, 1):
        same(s.get(f"/notes/{n}"), (200, text))
        same(s.get(f"/notes/{n}x")[0], 404)


def lists_of_primes(s):
    for to in (0, 1, 2, 30, 99999, 100000, 100001, 450000):
        same(s.get(f"/primes?to={to}"), (200, "".join(f"{n}\n" for n in primes(to))))
    same(s.get("/primes?from=90&to=101"), (200, "97\n101\n"))
    same(s.get("/primes?from=101&to=90"), (200, ""))
    same(s.get("/primes?from=4294967290&to=4294967294"), (200, "4294967291\n"))


def what_is_wrong(s):
    for path, status in (("/", 404), ("/notes/7", 404), ("/notes/x", 404), ("/notes/1?ms=x", 400), ("/notes/1?ms=-1", 400),
                         ("/primes?to=-1", 400), ("/primes?to=99999999999", 400), ("/primes?from=1x", 400), ("/primes?to=", 400)):
        same(s.get(path)[0], status)
    same(s.post("x", "/nowhere")[0], 404)
    same(s.post("")[0], 400)
    same(s.get("/notes/1", "-X", "DELETE")[0], 405)
    same(s.post("x" * 65537)[0], 413)
    same(s.get("/notes/1")[0], 404)
    garbage = s.socket()
    garbage.sendall(b"\0\1 what\r\n\r\n")
    same(s.post("x"), (201, "1\n"))
    garbage.close()


def long_polls(s):
    """They end by the note, or at the deadline."""
    same(s.get("/notes/1?ms=1")[0], 404)
    polls = [s.curl(f"/notes/{n // 20 + 1}?ms=60000") for n in range(40)]
    never = s.curl("/notes/3?ms=1")
    same(s.post("one"), (201, "1\n"))
    same(s.post("two"), (201, "2\n"))
    for n, poll in enumerate(polls):
        same(poll.communicate(timeout=LIMIT)[0], ("one200", "two200")[n // 20])
    same(never.communicate(timeout=LIMIT)[0][-3:], "404")


def kill_worker(s, ended):
    """Kills a process that computes, unless the request ends before one is found."""
    while not (busy := s.busy()):
        if ended():
            return
    os.kill(busy[0], signal.SIGKILL)


def killed_workers(s):
    """The request that a killed worker computes for ends with an error, and the next one is answered."""
    path = "/primes?from=4294000000&to=4294049999"  # one task
    whole = s.get(path)
    same(whole[0], 200)
    for _ in range(5):
        status = 0
        while status != 500:
            curl = s.curl(path)
            kill_worker(s, lambda: curl.poll() is not None)
            out = curl.communicate(timeout=LIMIT)[0]
            status = int(out[-3:])
            assert status == 500 or (status, out[:-3]) == whole, out  # the task was faster than the signal
        same(s.get("/primes?to=10"), (200, "2\n3\n5\n7\n"))
    text = b"0\r\n\r\n"
    while text.endswith(b"0\r\n\r\n"):  # the end of an answer in parts
        client = s.socket()
        client.sendall(request("/primes?from=4293400000&to=4294000000"))
        text = client.recv(15)
        same(text, b"HTTP/1.1 200 OK")
        kill_worker(s, lambda: False)
        while part := client.recv(65536):
            text += part
            if text.endswith(b"0\r\n\r\n"):
                break
        client.close()
    same(s.get("/primes?to=10"), (200, "2\n3\n5\n7\n"))


def descriptors(s):
    """After requests of all kinds, also of clients that leave early, the service has as many as before."""
    def requests(first, last):
        for n in range(first, last):
            same(s.post("x" * 60000)[0], 201)
            same(s.get(f"/notes/{n}")[0], 200)
            same(s.get("/notes/x")[0], 404)
            same(s.get("/primes?to=300000")[0], 200)
            same(s.get(f"/notes/{n + 1}?ms=1")[0], 404)

    requests(1, 9)  # with the threads, and a worker
    before = s.descriptors()
    for n in range(9, 29):
        requests(n, n + 1)
        for text in (request("/primes?to=4000000000"), request("/notes/1"), b"POST /notes HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"):
            client = s.socket(4096)
            client.sendall(text)
            if text.startswith(b"GET"):
                same(client.recv(12), b"HTTP/1.1 200")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            client.close()
    while s.descriptors() >= before + 20:  # less than one a round: further workers have some
        os.sched_yield()


def slow_readers(s):
    """They hold neither handles nor much memory: others are served, and the service ends when they leave."""
    slow = [s.socket(4096) for _ in range(30)]
    for client in slow:
        client.sendall(request("/primes?to=4000000000"))
    for client in slow:
        same(client.recv(15), b"HTTP/1.1 200 OK")
    same(s.post("one"), (201, "1\n"))
    same(s.get("/primes?to=10"), (200, "2\n3\n5\n7\n"))
    with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
        peak = [int(line.split()[1]) for line in file if line.startswith("VmHWM")]
    assert peak[0] < 300_000, f"{peak[0]} KiB"
    s.stop()
    for client in slow:
        client.close()
    s.ends_well()


def end(s):
    """SIGTERM ends the long polls, and lets other requests end, also one that is behind another."""
    same(s.post("one"), (201, "1\n"))
    poll, work = s.socket(), s.socket()
    poll.sendall(request("/notes/1") + request("/notes/2?ms=60000"))
    work.sendall(request("/notes/1") + request("/primes?to=1000000"))
    poll_lines, work_lines = poll.makefile("rb"), work.makefile("rb")
    for lines in (poll_lines, work_lines):
        same(head(lines)[0], 200)
        same(lines.read(3), b"one")
    s.stop()
    same(head(poll_lines)[0], 503)
    status, headers = head(work_lines)
    same((status, headers["transfer-encoding"]), (200, "chunked"))
    text = b""
    while (size := int(work_lines.readline(), 16)) > 0:
        text += work_lines.read(size)
        same(work_lines.readline(), b"\r\n")
    same(text.decode(), "".join(f"{n}\n" for n in primes(1000000)))
    s.ends_well()


CASES = (notes, lists_of_primes, what_is_wrong, long_polls, slow_readers, descriptors, end, killed_workers)


def main():
    for case in CASES:
        signal.alarm(LIMIT)
        with Service(sys.argv[1:]) as s:
            case(s)
            if s.process.poll() is None:
                s.stop()
                s.ends_well()
        print(f"ok {case.__name__}", flush=True)
    print(f"{len(CASES)} passed")


if __name__ == "__main__":
    main()
