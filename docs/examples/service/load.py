#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Loads the service and its Python twin by wrk, over the loopback interface, by turns: load.py SERVICE [SECONDS [ROUNDS]]

Each server has 100 notes of 1,000 bytes. A row is the median of the rounds.
"""
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
from test_service import Service  # noqa: E402

UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}


def load(port, path, connections, seconds):
    text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", f"http://127.0.0.1:{port}{path}"],
                          text=True, check=True, stdout=subprocess.PIPE).stdout
    rate = float(re.search(r"Requests/sec: +([\d.]+)", text)[1])
    times = {p: float(n) * UNITS[unit] for p, n, unit in re.findall(r"(50|99)% +([\d.]+)(us|ms|s|m)\b", text)}
    errors = sum(map(int, re.findall(r"\d+", (re.search(r"Socket errors: (.*)", text) or [0, "0"])[1])))
    errors += int((re.search(r"Non-2xx or 3xx responses: (\d+)", text) or [0, "0"])[1])
    return rate, times["50"], times["99"], errors


def main():
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    servers = {"service": [os.path.abspath(sys.argv[1])], "aiohttp": ["/usr/bin/python3", os.path.join(HERE, "service_aiohttp.py")]}
    rows = [("/notes/7", 100), ("/notes/7", 10000), ("/primes?to=10000", 100)]
    results = {}
    for _ in range(rounds):
        for name, command in servers.items():
            with Service(command) as s:
                for _ in range(100):
                    assert s.post("word " * 200)[0] == 201
                for row in rows:
                    results.setdefault((row, name), []).append(load(s.port, *row, seconds))
                with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
                    peak = next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))
                print(f"{name}: at most {peak} MiB", flush=True)
    print("| request | connections | server | a second | 50 % ms | 99 % ms | errors |\n| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for ((path, connections), name), each in sorted(results.items(), key=lambda item: rows.index(item[0][0])):
        rate, half, most, errors = (statistics.median(column) for column in zip(*each))
        print(f"| {path} | {connections:,} | {name} | {rate:,.0f} | {half:.1f} | {most:.1f} | {errors:.0f} |")


if __name__ == "__main__":
    main()
