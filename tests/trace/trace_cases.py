# SPDX-License-Identifier: BSD-2-Clause
"""tools/fairlead-trace: on small files as the flight recorder writes them, with planted faults, and on damaged ones."""
import functools
import json
import os
import re
import shutil
import subprocess

from consumers import expect, expect_all, Failure, read, run

TASK = 0x1000  # address of a task block
KEY = "0x800000c800000001"  # of a task of a worker process


class Sample:
    """Events of one file. Times in us."""

    def __init__(self, pid=100, boot="b1", **other):
        self.pid, self.other, self.events, self.ids = pid, {"pid": pid, "rank": -1, "boot": boot, "lost": 0, **other}, [], 0
        self.names, self.late = [], 0  # the clock of this file is late by so much

    def name(self, tid, name, pid=None, **args):
        pid = pid or self.pid
        if not any(e["pid"] == pid for e in self.names):
            self.names.append({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": "album"}})
        self.names.append({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name, **args}})

    def add(self, ph, at, tid, cat=None, name=None, pid=None, args=None, **more):
        e = {"ph": ph, "cat": cat, "name": name, "pid": pid or self.pid, "tid": tid, "ts": at - self.late, "args": args, **more}
        self.events.append({k: v for k, v in e.items() if v is not None})

    def slice(self, at, tid, cat, name, *arrows, end=None, pid=None, **args):
        """From `at` to `end`, or for a ns, with arrows, each (phase, name, id), at its begin ("f") or end ("s")."""
        if end is None:
            self.add("X", at, tid, cat, name, pid, args, dur=0.001)
        else:
            self.add("B", at, tid, cat, name, pid, args)
        for ph, what, number in arrows:
            rank = isinstance(number, str)
            self.add(ph, at if ph == "f" or end is None else end, tid, "rank" if rank else "wake" if what == "wake" else "task", what, pid,
                     id=number, bp="e" if ph == "f" else None)
        if end is not None and end < 1e9:
            self.add("E", end, tid, pid=pid, args={"error": 0})

    def id(self):
        self.ids += 1
        return self.ids

    def submit(self, at, tid, name, task=TASK):
        arrow = self.id()
        self.slice(at, tid, "task", f"submit {name}", ("s", "start", arrow), task=hex(task), arg="0xa0")
        return arrow

    def task(self, submitted, begin, end, got, name="thumb", by=1, on=2, task=TASK):
        """A task of a pool's worker."""
        start, done = self.submit(submitted, by, name, task), self.id()
        self.slice(begin, on, "task", name, ("f", "start", start), ("s", "end", done), end=end, task=hex(task), queued=begin - submitted)
        self.slice(got, by, "task", f"get {name}", ("f", "end", done), task=hex(task))

    def text(self):
        lines = ",\n".join(json.dumps(e) for e in self.names + sorted(self.events, key=lambda e: e["ts"]))
        return '{"displayTimeUnit":"ns","otherData":' + json.dumps(self.other) + ',\n"traceEvents":[\n' + lines + "\n]}\n"


def sample(**other):
    """A pool with a worker, a waiting fiber, and a worker process."""
    s = Sample(**other)
    s.name(1, "main")
    s.name(2, "album-0")
    s.name(3, "fetch 17", fiber=1)
    s.name(1, "thumbs-0", pid=200)
    s.slice(0, 2, "idle", "a task of executor", end=1000, object="0xe0")
    s.task(100, 1000, 5000, 6000)
    s.slice(2000, 2, "wait", "mutex progress", ("f", "wake", 90), end=3000, object="0x55")
    s.events[-2]["ts"] = 3000  # the arrow reaches the end of the wait
    s.slice(3000 - 1, 1, "wake", "wake", ("s", "wake", 90), woken=2)
    s.task(5100, 5200, 5300, 6000, name="down")
    s.add("i", 5150, 1, "task", "index", s="t", args={"task": hex(TASK), "index": 17})
    start, post, taken, got = s.submit(6100, 1, "remote", 0x2000), s.id(), s.id(), s.id()
    s.slice(6200, 1, "task", "post remote", ("f", "start", start), ("s", "start", post), task="0x2000", key=KEY)
    s.slice(7000, 1, "task", "remote", ("f", "start", post), ("s", "end", taken), end=9000, pid=200, task=KEY)
    s.slice(9100, 1, "task", "taken remote", ("f", "end", taken), ("s", "end", got), task="0x2000", key=KEY, error=0)
    s.slice(9200, 1, "task", "get remote", ("f", "end", got), task="0x2000")
    s.slice(0, 3, "wait", "future", end=4000, object="0x71")
    s.slice(4100, 3, "wait", "future", end=4200, object="0x72")
    s.slice(4300, 1, "loop", "poll", end=4400, object="0x40")
    s.slice(4500, 1, "fiber", "fetch 17", end=4900, fiber=3)
    s.add("i", 4600, 1, "lock", "hand-off", s="t", args={"object": "0x20"})
    s.slice(9500, 1, "wait", "the end of thread or fiber", end=1e9, object="3")  # runs on
    return s


def fits(e, which):
    return all(e.get(k) == v for k, v in which.items())


def without(s, **which):
    s.events = [e for e in s.events if not fits(e, which)]


def find(s, **which):
    return next(e for e in s.events if fits(e, which))


FAULTS = {  # what is done to the sample, and what --check says
    "no_start_of_arrow": (lambda s: without(s, ph="s", id=1), "arrow task start 0x1 has only its f, on album-0 at 0.001 s"),
    "no_end_of_arrow": (lambda s: without(s, ph="f", id=1), "arrow task start 0x1 has only its s, on main"),
    "arrow_twice": (lambda s: s.add("s", 100, 1, "task", "start", id=3), "arrow task start 0x3 has s after s"),
    "arrow_back": (lambda s: (find(s, ph="s", id=1).update(ph="f"), find(s, ph="f", id=1, tid=2).update(ph="s")),
                   "arrow task start 0x1 has s after f"),
    "arrow_outside": (lambda s: without(s, ph="X", name="submit down"), "arrow task start 0x3 has its s outside of a slice, on main"),
    "arrow_elsewhere": (lambda s: s.slice(1100, 2, "lock", "inner", end=5000.5), "a slice of the kind lock"),
    "no_begin": (lambda s: without(s, ph="B", name="mutex progress"), "E without its B, on album-0"),
    "end_inside": (lambda s: s.add("X", 2500, 2, "lock", "inner", dur=1000), "E inside of inner, on album-0 at 0.003 s"),
    "end_too_late": (lambda s: (s.add("X", 3500, 2, "lock", "outer", dur=500), s.slice(3600, 2, "lock", "inner", end=4900)),
                     "inner ends after outer, in which it began"),
    "time_back": (lambda s: s.events.reverse(), "time goes back by"),
    "no_submit": (lambda s: (without(s, name="submit down"), without(s, id=3), find(s, ph="B", name="down").update(args={"queued": 1})),
                  "task down has no submit, on album-0 at 0.005 s"),
    "no_post": (lambda s: (without(s, name="post remote"), without(s, id=5), without(s, id=6)),
                "task remote has no submit, on thumbs-0 (process 200)"),
    "no_start": (lambda s: (without(s, ph="s", id=1), without(s, ph="f", id=1)), "submit thumb has no start, on main"),
}
DAMAGED = {  # of the sample's text; what is said of it
    "empty": (lambda t: "", "is not a file of the flight recorder"),
    "zeros": (lambda t: "\0" * 4096, "is not a file of the flight recorder"),
    "other_json": (lambda t: '{"traceEvents":[]}', "is not a file of the flight recorder"),
    "no_events": (lambda t: "\n".join(t.split("\n")[:1]), "is not a file of the flight recorder"),
    "pid_of_text": (lambda t: t.replace('"pid": 100, "rank"', '"pid": "x", "rank"'), "is not a file of the flight recorder"),
    "cut_in_a_line": (lambda t: t[:len(t) // 2], "is cut off"),
    "cut_after_a_line": (lambda t: t[:t.rindex("\n", 0, -3)], "is cut off"),
    "no_json": (lambda t: t.replace('"ph": "i"', '"ph": i'), r"line \d+ is not an event: {\"ph\": i"),
    "unknown_phase": (lambda t: t.replace('"ph": "i"', '"ph": "Z"'), r"line \d+ is not an event"),
    "list": (lambda t: t.replace('{"ph": "i"', '[{"ph": "i"'), r"line \d+ is not an event"),
    "nan": (lambda t: t.replace('"ts": 4600', '"ts": NaN'), r"line \d+ is not an event"),
    "time_of_text": (lambda t: t.replace('"ts": 4600', '"ts": "4600"'), r"line \d+ is not an event"),
    "number_of_digits": (lambda t: t.replace('"ts": 4600', '"ts": ' + "9" * 5000), r"line \d+ is not an event"),
    "nested": (lambda t: t.replace('"ts": 4600', '"ts": ' + "[" * 100000), r"line \d+ is not an event"),
    "id_of_text": (lambda t: t.replace('"id": 3', '"id": "y"'), r"line \d+ is not an event"),
    "args_list": (lambda t: t.replace('"args": {"object": "0x20"}', '"args": [1]'), r"line \d+ is not an event"),
    "no_utf8": (lambda t: t.encode().replace(b"hand-off", b"hand\xff"), r"line \d+ is not an event"),
    "long_line": (lambda t: t.replace('"hand-off"', '"' + "h" * (1 << 21) + '"'), r"line \d+ is not an event"),
}


class Tool:
    def __init__(self, kit):
        self.kit, self.script = kit, os.path.join(kit.source, "tools/fairlead-trace")

    def file(self, name, text):
        path = self.kit.at("trace", name + ".json")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def says(self, *arguments, status=0):
        return run([self.script, *arguments], status)

    def good(self):
        """A file without a fault: the summary, and the report."""
        path = self.file("good", sample().text())
        expect(self.says("--check", path), f"{path}: 0.009 s, 2 processes, 3 threads, 1 fiber, 48 events; 9 arrows\n"
               "3 tasks: each with submit, start and get\n")
        said = self.says(path)
        for line in (r"   in the queue +task +argument +ran for +where +submitted by\n", r"1 +900.0 us +thumb +0xa0 +4.0 ms +album-0 +main at 0.000 s\n",
                     r"2 +900.0 us +remote +0xa0 +2.0 ms +thumbs-0 \(process 200\) +main at 0.006 s\n",
                     r"3 +100.0 us +down +element 17 +100.0 us +album-0 +main at 0.005 s\n",
                     r"mutex progress 0x55 +1 +1.0 ms +1.0 ms +album-0 +main\n", r"future, 2 of them +2 +4.1 ms +4.0 ms +fetch 17 \(2\)\n",
                     r"the end of fetch 17 +1 ", r"album-0 +58% +19% +19% +1.0 ms\n", r"thumbs-0 \(process 200\) +100% +0% +0%\n",
                     r"main +\d% +0% +\d% +100.0 us +400.0 us: fetch 17\n", r"\nlost: 0 events overwritten before the file was written\n$"):
            if not re.search(line, said):
                raise Failure(f"expected {line!r} in:\n{said}")

    def fault(self, name):
        plant, wanted = FAULTS[name]
        s = sample()
        plant(s)
        text = s.text()
        if name == "time_back":
            lines = text.split("\n")
            lines[7], lines[-4] = lines[-4], lines[7]
            text = "\n".join(lines)
        path = self.file(name, text)
        said = self.says("--check", path, status=1)
        expect(said, "fault: ", wanted)
        self.says(path)  # is printed all the same

    def more_than_ten_faults(self):
        s = sample()
        for i in range(25):
            s.add("s", 9000 + i, 9, "task", "start", id=1000 + i)
        said = self.says("--check", self.file("many", s.text()), status=1)
        expect(said, "and 15 faults more\n")
        if said.count("fault: ") != 10:
            raise Failure(said)

    def of_a_running_program(self):
        """Tasks that wait, run, or were not taken are no faults; nor are those whose submit was overwritten, or came too early."""
        s = sample()
        s.other["lost"] = 7
        s.submit(9600, 1, "late", 0x3000)
        without(s, name="start", id=s.ids)
        s.slice(9610, 2, "task", "nobody", end=9620, task="0x4000", queued=1)
        s.slice(9630, 2, "task", "endless", end=1e9, task="0x5000", queued=1)
        path = self.file("running", s.text())
        expect(self.says("--check", path), "5 tasks: 3 with submit, start and get, 2 without a submit here, 1 without an end, 1 that were not got, 1 more without a start")
        expect(self.says(path), "lost: 7 events overwritten before the file was written; FL_TRACE=ring,events=N keeps more")
        s.other["lost"] = 0
        self.says("--check", self.file("running", s.text()), status=1)
        for e in s.events:
            if e.get("name") in ("nobody", "endless"):
                e["args"]["queued"] = 20000
        self.says("--check", self.file("running", s.text()))

    def of_dead_workers(self):
        """A task is tried again after the death of its worker; then that worker dies, too."""
        s, keys = sample(), ("0x8000012d00000001", "0x8000012e00000001")
        s.name(1, "thumbs-1", pid=301)
        s.name(1, "thumbs-2", pid=302)
        before = s.submit(9600, 1, "remote", 0x6000)
        for at, pid, key in ((9610, 301, keys[0]), (9630, 302, keys[1])):
            post, before_this, before = s.id(), before, s.id()
            s.slice(at, 1, "task", "post remote", ("f", "start", before_this), ("s", "start", post), ("s", "start", before), task="0x6000", key=key)
            s.slice(at + 1, 1, "task", "remote", ("f", "start", post), end=1e9, pid=pid, task=key)
        without(s, id=before)
        end = s.id()
        s.slice(9650, 1, "task", "taken remote", ("s", "end", end), task="0x6000", key=keys[1], error=130)
        s.slice(9651, 1, "task", "get remote", ("f", "end", end), task="0x6000")
        path = self.file("dead", s.text())
        expect(self.says("--check", path), "5 tasks: 3 with submit, start and get, 2 whose worker died\n")
        if len(re.findall(r"remote +0xa0 +died +thumbs-[12] \(process 30[12]\) +main at 0.010 s\n", self.says(path))) != 2:
            raise Failure(self.says(path))

    def hostile_names(self):
        """What a terminal would act on, and what it cannot print."""
        s = sample()
        s.name(2, "a\x1b[2Jb\ud800\n")
        find(s, name="thumb")["name"] = "t\x07\u202e"
        said = self.says(self.file("hostile", s.text()))
        expect(said, "a?[2Jb??", "t??")
        without(s, ph="s", id=1)
        expect(self.says("--check", self.file("hostile", s.text()), status=1), "on a?[2Jb??")

    def of_an_old_machine(self):
        """After years of uptime the times of a slice's begin and end are one number."""
        s = sample()
        for e in s.events:
            e["ts"] += 1e14
        expect(self.says("--check", self.file("old", s.text())), "3 tasks: each with submit, start and get\n")

    def empty_recording(self):
        path = self.file("nothing", Sample().text().replace("\n\n", "\n"))
        expect(self.says("--check", path), ": 0 s, 0 processes, 0 threads, 0 fibers, 0 events; 0 arrows\n0 tasks\n")
        expect(self.says(path), "lost: 0 events")

    def huge(self):
        """Of 400,000 events. There is no limit of time but that of each command."""
        s = Sample()
        s.name(1, "main")
        for i in range(1, 41):
            s.name(1 + i, f"album-{i}")
        for i in range(50_000):
            s.task(20 * i, 20 * i + 5 + i % 7, 20 * i + 50, 20 * i + 60, on=2 + i % 40, task=TASK + 64 * i)
        path = self.file("huge", s.text())
        expect(self.says("--check", path), "400,000 events; 100,000 arrows\n50,000 tasks: each with submit, start and get\n")
        os.remove(path)

    def joined(self):
        """Two ranks whose clocks differ by a second, and a program on the machine of the first, become one file without a fault."""
        here, there, third = sample(rank=0), Sample(pid=100, boot="b2", rank=1), Sample(pid=300)
        there.late = 1_000_000
        there.name(2, "rank-0")
        for i, (way, back) in enumerate(((300, 700), (50, 90), (70, 40))):
            key, at = hex(0xC000000100000000 + i), 10_000 + 2000 * i
            start, got = here.submit(at, 4, "far", 0x9000), here.id()
            here.slice(at + 10, 4, "task", "post far", ("f", "start", start), ("s", "start", key), task="0x9000", key=key)
            there.slice(at + 10 + way, 2, "task", "far", ("f", "start", key), ("s", "end", key), end=at + 1000, task=key)
            here.slice(at + 1000 + back, 4, "task", "taken far", ("f", "end", key), ("s", "end", got), task="0x9000", key=key)
            here.slice(at + 1100 + back, 4, "task", "get far", ("f", "end", got), task="0x9000")
        third.name(1, "third")
        third.task(500, 600, 700, 800)
        paths = [self.file(name, s.text()) for name, s in (("rank0", here), ("rank1", there), ("third", third))]
        expect(self.says("--check", paths[1]), "3 tasks: 3 without a submit here")  # alone
        expect(self.says("--check", paths[0]), ", and 6 with one end")
        out = self.kit.at("trace/all.json")
        expect_clock = "rank 1: clock +0.999995 s, +-45.0 us\n"
        expect_all(self.says("-o", out, *paths), expect_clock)
        said = self.says("--check", out)
        expect(said, "4 processes", "7 tasks: each with submit, start and get\n")
        expect(self.says("--check", *paths), expect_clock, said.partition(": ")[2])
        with open(out, encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]  # as a viewer reads it
        expect(self.says(out), "rank-0 (rank 1: album)")
        if len({(e["cat"], e["name"], e["id"], e["ph"]) for e in events if "id" in e}) != 2 * 23:
            raise Failure("ids of two files are the same")
        times = [e["ts"] for e in events if "ts" in e]
        if times != sorted(times):
            raise Failure("events of two files are not in order")

    def rank_of_processes(self):
        """A rank that gives the task on to a worker process of its own: the way back leads to the submit on rank 0."""
        here, there = Sample(rank=0), Sample(pid=300, rank=1)
        here.name(1, "main")
        there.name(5, "mpi")
        there.name(1, "main", pid=400)
        for at in (1000, 3000):
            key, start, got = hex(0xC000000100000000 + at), here.submit(at, 1, "far"), here.id()
            here.slice(at + 10, 1, "task", "post far", ("f", "start", start), ("s", "start", key), task=hex(TASK), key=key)
            here.slice(at + 940, 1, "task", "taken far", ("f", "end", key), ("s", "end", got), task=hex(TASK), key=key)
            here.slice(at + 950, 1, "task", "get far", ("f", "end", got), task=hex(TASK))
            there.slice(at + 100, 5, "task", "post far", ("f", "start", key), task=key)
            start, post, end = there.submit(at + 101, 5, "far"), there.id(), there.id()
            there.slice(at + 102, 5, "task", "post far", ("f", "start", start), ("s", "start", post), task=hex(TASK), key=KEY)
            there.slice(at + 200, 1, "task", "far", ("f", "start", post), ("s", "end", end), end=at + 800, pid=400, task=KEY)
            there.slice(at + 810, 5, "task", "taken far", ("f", "end", end), ("s", "end", key), task=hex(TASK), key=KEY)
        paths = [self.file(name, s.text()) for name, s in (("far0", here), ("far1", there))]
        expect(self.says("--check", *paths), "2 tasks: each with submit, start and get\n")
        for line in (r"1 +200.0 us +far +0xa0 +600.0 us +main \(rank 1: album\) +main at 0.000 s\n",
                     r"main \(rank 1: album\) +\d+% +0% +\d+% +1.4 ms\n"):
            said = self.says(*paths)
            if not re.search(line, said):
                raise Failure(f"expected {line!r} in:\n{said}")

    def joined_by_nothing(self):
        a, b = self.file("a", sample().text()), self.file("b", Sample(boot="b2").text().replace("\n\n", "\n"))
        expect(self.says(a, b), "b.json: clock unknown: no task went there or came from there")
        expect(self.says(a, self.file("c", sample().text()), status=1), "are of the same process")
        expect(self.says("-o", a, a, status=2), "is also read")
        expect(self.says("-o", "/dev/full", a, status=1), "No space left on device")
        expect(self.says("-o", self.kit.at("trace/no/folder"), a, status=1), "No such file or directory")
        expect(self.says("/nowhere", status=1), "No such file or directory: '/nowhere'")
        expect(self.says(status=2), "Usage: fairlead-trace")
        expect(self.says("--help"), "FL_TRACE=ring")

    def is_installed(self):
        """Beside the programs, by meson and by CMake."""
        self.kit.prefix_flags()
        prefix = self.kit.at("trace/cmake")
        shutil.rmtree(prefix, ignore_errors=True)
        run(["cmake", "--install", self.kit.cmake("cmake-library", self.kit.source), "--prefix", prefix])
        path = self.file("installed", sample().text())
        for folder in (self.kit.at("prefix"), prefix):
            expect_all(run([os.path.join(folder, "bin/fairlead-trace"), path]), self.says(path))

    def no_reader(self):
        """As in front of head: it ends quietly."""
        path = self.file("no_reader", sample().text())
        with subprocess.Popen([self.script, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
            tool.stdout.close()
            said = tool.stderr.read()
        if said:
            raise Failure(said.decode())

    def damage(self, name):
        spoil, wanted = DAMAGED[name]
        path = self.file(name, spoil(sample().text()))
        for check in ([], ["--check"]):
            said = self.says(*check, path, status=1)
            if not re.search(wanted, said) or "Traceback" in said:
                raise Failure(f"expected {wanted!r} in:\n{said}")


def cases(kit):
    tool = Tool(kit)
    for f in (tool.good, tool.more_than_ten_faults, tool.of_a_running_program, tool.of_dead_workers, tool.hostile_names, tool.of_an_old_machine, tool.empty_recording, tool.huge, tool.joined, tool.rank_of_processes,
              tool.joined_by_nothing, tool.is_installed, tool.no_reader):
        yield f"consumer_trace_{f.__name__}", f
    yield from ((f"consumer_trace_fault_{name}", functools.partial(tool.fault, name)) for name in FAULTS)
    yield from ((f"consumer_trace_damage_{name}", functools.partial(tool.damage, name)) for name in DAMAGED)
