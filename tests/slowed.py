# SPDX-License-Identifier: BSD-2-Clause
"""Slows the threads of running programs down at random, so that rare interleavings become likely.

One busy loop a CPU runs beside the programs. A few times a second each thread of a program draws its scheduling class:
SCHED_IDLE, in which a thread runs only when nothing else wants the CPU; or SCHED_OTHER, half of the time with a low priority. A
thread of another class, which a test gave it, keeps that class. Nothing is ever stopped: a test that waits for a state gets
there, only later and in another order.
"""
import os
import random
import subprocess
import sys
import threading

TICK = 0.05  # seconds between two draws
IDLE = 0.3   # share of the threads that are SCHED_IDLE
LOW = 0.2    # share of the threads that have a low priority
BUSY = [sys.executable, "-c", "while True: pass"]


def descendants(root, without):
    """Process ids of all descendants of `root` but the processes `without`."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue  # the process has ended
            children.setdefault(parent, []).append(int(name))
    found, left = [], [root]
    while left:
        for child in children.get(left.pop(), []):
            if child not in without:
                found.append(child)
                left.append(child)
    return found


class Slowed:
    """A context: while it lasts, threads of this process's descendants are slowed down at random."""

    def __init__(self):
        self.over = threading.Event()
        self.busy = []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.busy = [subprocess.Popen(BUSY) for _ in os.sched_getaffinity(0)]
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.thread.join()
        for process in self.busy:
            process.kill()
            process.wait()

    def run(self):
        without = {process.pid for process in self.busy}
        while not self.over.wait(TICK):
            for pid in descendants(os.getpid(), without):
                self.draw(pid)

    def draw(self, pid):
        """Draws the class and the priority of each thread of a process."""
        try:
            threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
        except OSError:
            return
        for thread in threads:
            drawn = random.random()
            try:
                if os.sched_getscheduler(thread) not in (os.SCHED_OTHER, os.SCHED_IDLE):
                    continue
                os.sched_setscheduler(thread, os.SCHED_IDLE if drawn < IDLE else os.SCHED_OTHER, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, thread, 15 if IDLE <= drawn < IDLE + LOW else 0)
            except (ProcessLookupError, PermissionError):
                continue  # the thread has ended, or is another user's by now
