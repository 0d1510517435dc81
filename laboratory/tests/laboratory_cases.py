# SPDX-License-Identifier: BSD-2-Clause
"""The cases of the laboratory: what it must find, and the program fairlead-stress itself.

If many cases need the same run of the program, the first of these cases runs it.
"""
import functools
import glob
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import xml.dom.minidom

import reduction
from os.path import abspath, basename, dirname, exists, join, splitext
from consumers import expect, expect_all, Failure, install, NO_END, read, run, Skip, succeeds, write

HERE = dirname(abspath(__file__))
FIXTURE = join(HERE, "fixture.c")
TO_THE_END = ("--time", "60s", "--executions", "20000")  # a slow machine reaches this number, too
# The scenario that the documents show first.
EXAMPLE = r"""
#include <fairlead/stress.h>
#include <stdatomic.h>

struct mp { atomic_int data, flag; int seen, value; };

#define set(x, v) atomic_store_explicit(&(x), v, memory_order_relaxed)
#define get(x) atomic_load_explicit(&(x), memory_order_relaxed)
FL_STRESS_ACTOR(mp, writer) { set(s->data, 1); set(s->flag, 1); }          /* the bug: the flag wants release, its reader acquire */
FL_STRESS_ACTOR(mp, reader) { s->seen = get(s->flag); s->value = get(s->data); }
FL_STRESS(mp, writer, reader) { FL_FORBIDDEN(s->seen && !s->value, "flag without data"); FL_ACCEPTABLE(1, "all else"); }
"""
# Each line has options that are wrong, and what the message about them says.
BAD_USAGE = """
--mode lin mutex_handoff => no test with operations fits 'mutex_handoff'
--mode crash mutex_handoff => no test with processes fits 'mutex_handoff'
--mode fast => 'fast' is none of native, chaos, model, crash, lin
--faults kill => 'kill' is a mode of its own
--kills 0 => '0' is not a number from 1 to 8
--kills 2 --mode model => --kills is of crash mode
--mode model --replay x/b3k1/12 => it goes with --mode crash
--mode native,crash --replay x/b3k1/12 => it does not go with another --mode
--faults rain => 'rain' is none of
--time 0 => '0' is not a time
--time -1s => '-1s' is not a time
--time 3parsecs => '3parsecs' is not a time
--jobs 0 => '0' is not a number from 1
--seed 1e3 => '1e3' is not a number
--strategy best => 'best' is none of auto
--strategy pct:0 => 'pct:0' is none of
--nope => unknown option '--nope'
-x => unknown option '-x'
--list=3 => '--list=3' takes no value
--replay => --replay needs a value
--json= => --json needs a name that is not empty
--load nope.so => there is no file 'nope.so'
--load /etc/passwd => cannot load /etc/passwd
--mode native --replay x => it does not go with another --mode
--planted --load x.so => --planted does not go with --load
--list --self-test => --self-test does not go with
--sites x => --sites goes with --mutants alone
no_such_test => no test fits 'no_such_test'
--replay x => 'x' is no string of a report
--replay x//12 => of the test 'x', which is not here
--list --mode model => --mode is of a normal run
--list --sarif=x => --sarif is of a normal run
-I. mutex_handoff => unknown option '-I.'
--watch => --watch goes with the sources
--list --json => --json does not go with --list
--litmus x y => there is no use for 'y'
--litmus nope => there is no file 'nope'
"""


class Tool:
    """The program that was built, and what it has said so far."""

    def __init__(self, source, build):
        self.source, self.build = source, build
        self.program = join(build, "laboratory/fairlead-stress")

    def at(self, *names):
        """A file of the laboratory."""
        return join(self.source, "laboratory", *names)

    def is_built(self):
        return exists(self.program)

    def need(self):
        if not self.is_built():
            raise Skip("fairlead-stress is not built")

    def run(self, *arguments, status=0, env=None):
        """Runs the program, and returns what it printed on both streams."""
        self.need()
        command = [self.program, *arguments]
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.PIPE, timeout=NO_END, env={**os.environ, **(env or {})})
        if status is not None and done.returncode != status:
            raise Failure(f"$ {shlex.join(command)}\n{done.stdout}{done.stderr}status {done.returncode}, not {status}")
        return done.stdout, done.stderr

    def says(self, *arguments, status=0):
        """What the program prints on standard output."""
        return self.run(*arguments, status=status)[0]

    def json(self, *arguments, status=None):
        """The result as JSON, which is then alone on standard output."""
        text, _ = self.run(*arguments, "--json", status=status)
        return json.loads(text)

    def test(self, *arguments, status=None):
        """The only test of a run."""
        return self.json(*arguments, status=status)["tests"][0]

    def modes(self, *arguments):
        """The tests and their modes. There are none while the program is not built."""
        if not self.is_built():
            return {}
        lines = [line.split() for line in self.says("--list", *arguments).splitlines()]
        return {line[0]: line[1].split(",") for line in lines}

    def names(self, *arguments):
        """The names of the tests."""
        return list(self.modes(*arguments))

    @functools.lru_cache
    def self_test(self):
        return self.json("--self-test")


class Folder(tempfile.TemporaryDirectory):
    """A folder of a case's own, as long as the case's scope. It has sources, and what the program
    says in files.
    """

    def __enter__(self):
        super().__enter__()
        return self

    def path(self, name):
        return join(self.name, name)

    def write(self, name, text):
        """Writes a file, and returns its path."""
        return write(self.path(name), text)

    def program(self, name, bodies, first=""):
        """Writes the program of threaded(), and returns its path."""
        return self.write(name + ".c", threaded(bodies, first))

    def results(self):
        """The options that write the result in each form to a file."""
        return [f"--{form}={self.path(form)}" for form in ("json", "junit", "html", "sarif")]

    def read(self, form):
        return read(self.path(form))

    def tests(self):
        """The tests in the JSON."""
        return json.loads(self.read("json"))["tests"]

    def suites(self):
        """(name, tests, failures) of each suite in the JUnit."""
        return [tuple(suite.getAttribute(name) for name in ("name", "tests", "failures"))
                for suite in xml.dom.minidom.parse(self.path("junit")).getElementsByTagName("testsuite")]


def replayed(tool, out, status=1):
    """Runs the command that the report `out` gives, and returns what it prints. That must be the
    same execution, with the same command.
    """
    command = shlex.split(re.search(r"The same again: (.*)", out)[1])[1:]
    again = tool.says(*command, status=status)
    if "--replay" in command:
        expect(again, "--replay " + command[command.index("--replay") + 1])
    return again


def told(test):
    """What a person wants to know of a failure."""
    places = ["/".join(s["file"].split("/")[-2:]) + f":{s['line']}" for s in test["trace"]]
    steps = [f"{s['thread']:12} {s['what']:36} {s['value']:24} {p}" for s, p in zip(test["trace"], places)]
    if len(steps) > 40:
        steps = [f"({len(steps) - 40} steps before)"] + steps[-40:]
    texts = [f"{test['verdict']}: {test['message']}", *steps, test["details"], test["output"], test["command"]]
    return "\n".join(text for text in texts if text)


def litmus_case(tool, name):
    expect_all([t["problem"] for t in tool.self_test()["litmus"] if t["name"] == name], [""])


def planted_case(tool, name):
    found = [t for t in tool.self_test()["planted"] if t["test"]["name"] == name]
    if not found or found[0]["problem"]:
        raise Failure(found[0]["problem"] + "\n" + told(found[0]["test"]) if found else "it did not run")
    # This bug needs two choices. The search finds it with more of them, so the report has two only if the failure was shrunk.
    if name == "failed_cas_relaxed__forbidden":
        expect_all(found[0]["test"]["replay"].count(","), 1)


# --- the program ---

def usage(tool):
    for line in BAD_USAGE.strip().splitlines():
        arguments, message = line.split(" => ")
        out, err = tool.run(*arguments.split(), status=2)
        if out or err.count("\n") != 1 or not err.startswith("fairlead-stress: ") or message not in err:
            raise Failure(f"fairlead-stress {arguments}\n{out}{err}")
    expect(tool.says("--help"), "Exit status:")
    expect(tool.says("--version"), "fairlead-stress 0.")


# Each line has a scenario of the fixture, a mode, the exit status, and what the output contains.
ENDS = """
end_ok model 0 passed
end_forbidden model 1 FORBIDDEN end_forbidden (model): flag
end_unlisted model 1 an outcome that no macro lists
end_check model 1 CHECK end_check (model): FL_STRESS_CHECK(s->value == 1)
end_hang model 3 DEADLOCK end_hang
end_crash model 4 CRASH end_crash
end_exit model 4 ended with status 7
end_panic model 1 PANIC end_panic
end_killed model 0 passed
end_killed native 0 passed
end_killed crash 3 DEADLOCK end_killed (crash)
end_survives crash 0 proved: all 4 executions
end_ok native 0 passed
end_unlisted native 1 an outcome that no macro lists
end_check native 1 FL_STRESS_CHECK(s->value == 1)
end_hang native 3 sleeper sleeps on the futex
end_hang chaos 3 changer has returned
end_crash native 4 SIGSEGV in one at
end_crash chaos 4 fixture.c:
end_exit native 4 ended with status 7
"""


def statuses(tool):
    """Each end of the fixture's scenarios has its status, its verdict and its line."""
    with Folder() as folder:
        module = compiled(tool, folder, FIXTURE, "-fsanitize=thread", "-fno-builtin", "-O1")
        for line in ENDS.strip().splitlines():
            name, mode, status, text = line.split(" ", 3)
            # a slow machine needs the second one
            for hang in ("500ms", "30s") if name == "end_hang" else ("30s",):
                out = tool.says("--load", module, name, "--mode", mode, *TO_THE_END, "--hang", hang, status=int(status))
                if text in out:
                    break
            expect(out, text)


def compiled(tool, folder, source, *flags):
    """A module for --load, as a user makes it from the build folder."""
    module = folder.path("module.so")
    include = ["-I" + join(root, "include") for root in (tool.source, tool.build, tool.at())]
    run(["cc", "-std=gnu11", "-g", "-fPIC", *flags, *include, "-c", source, "-o", module + ".o"])
    run(["cc", "-shared", "-o", module, module + ".o", join(tool.build, "laboratory/libfairlead-model.a"), "-lck"])
    return module


def skipped(tool):
    """What is not instrumented cannot run in the model. If a module has nothing else, the status
    says so.
    """
    with Folder() as folder:
        module = compiled(tool, folder, FIXTURE, "-O2")
        out = tool.says("--load", module, "end_ok", "--mode", "model,chaos", status=5)
        expect(out, "not instrumented")
        tool.run("--load", module, "end_ok", "--mode", "native", *TO_THE_END, status=0)


def newcomer(tool):
    """The example of the documents: one command, the two steps that matter, and a string that
    replays it.
    """
    with Folder() as folder:
        source = folder.write("mp.c", EXAMPLE)
        out = tool.says("--mode", "model", "--load", source, status=1)
        expect(out, "FORBIDDEN mp (model): flag without data", "stale", "set(s->flag, 1)")
        expect(out, f"    in the folder {os.getcwd()}\n")
        expect(replayed(tool, out), "FORBIDDEN mp (model): flag without data")
        out = tool.says("mp", "--load", source, "--replay", "mp/c9r9/0123456789abcdef", status=6)
        expect(out, "DIVERGED")


def first_run(tool):
    """The program that the guide begins with fails as the guide says. It passes, and is proved, if
    both threads lock the accounts in the same order.
    """
    text = read(tool.at("guide.md"))
    source, said = re.search(r"^## A first run\n.*?^```c\n(.*?)^```\n.*?^```\n(DEADLOCK .*?)^```\n", text, re.M | re.S).groups()
    with Folder() as folder:
        expect(tool.says(folder.write("transfer.c", source), status=3), " ".join(said.split()))
        mended = source.replace("transfer(&accounts[1], &accounts[0])", "transfer(&accounts[0], &accounts[1])")
        expect_all(mended != source, True)
        expect(tool.says(folder.write("transfer.c", mended)), "proved: all")


def crash(tool):
    """A process is killed at each of its steps. The trace shows it, and a string repeats it. Other
    tests skip the mode.
    """
    listed = tool.modes("--load", FIXTURE)
    expect_all((listed["end_ok"], listed["end_killed"]), (["native", "chaos", "model"], ["native", "chaos", "model", "crash"]))
    out = tool.says("--load", FIXTURE, "end_killed", "--mode", "crash", status=3)
    expect(out, "DEADLOCK end_killed (crash)", "x writer  killed here", "x the process is killed in place of this step",
           "writer was killed", "reader sleeps on the futex s->ready")
    if not re.search("killed here +before (plain write s->data|store s->ready)", out):
        raise Failure(out)
    string = re.search(r"--replay (\S+)", out)[1]
    expect(string, "k1/")
    again = tool.says("--load", FIXTURE, "--replay", string, status=3)
    expect(again, "DEADLOCK end_killed (crash)", "--replay " + string)
    expect(tool.says("end_survives", "--load", FIXTURE, "--mode", "crash", "-v"), "kills: 3 steps, each >= ")
    tests = tool.json("end_survives", "end_killed", "end_ok", "--load", FIXTURE, "--mode", "model,crash", "--strategy", "dfs")["tests"]
    found = {(t["name"], t["mode"]): t for t in tests}
    survives = found["end_survives", "crash"]
    expect_all((len(found), ("end_ok", "crash") in found), (5, False))
    expect_all((survives["kills"], survives["executions"]), ({"count": 3, "steps": 3, "least": 1, "missed": 0}, 4))
    expect_all(sorted(o["count"] for o in survives["outcomes"]), [0, 1, 1, 1, 1])
    expect_all(any(s["killed"] for s in found["end_killed", "crash"]["trace"]), True)
    box = re.search(r"^## Processes that are killed\n.*?^```c\n(.*?)^```\n", read(tool.at("scenarios.md")), re.M | re.S)[1]
    with Folder() as folder:
        tool.run("--load", FIXTURE, "end_killed", "--mode", "crash", *folder.results(), status=3)
        expect(tool.says("--load", folder.write("box.c", box), "--mode", "crash", "--time", "5s"), "passed   box ")
        expect(folder.read("html"), "&#10013; killed")
        expect_all(folder.suites(), [("crash", "1", "1")])


# Two replacements turn the ring of the documents into a usual ring: while another call is in the
# middle, a put finds it full, and a get finds it empty.
BUSY = (("s->gets == at - 2 ? -EAGAIN : -EBUSY", "-EAGAIN"), ("s->puts == at ? -EAGAIN : -EBUSY", "-EAGAIN"))
LIN_TOO_LONG = r"""
#include <fairlead/stress_lin.h>
struct longest { int x; };
FL_LIN_OP(longest, read, FL_LIN_READ) { return s->x; }
FL_LIN(longest, &fl_lin_word, .threads = 8, .each = 8) {}
"""


def lin(tool):
    """A user's queue against a specification: passes, failures with their reason and replay, and
    invalid input.
    """
    ring = tool.at("examples/ring.c")
    text = read(ring)
    expect(read(tool.at("scenarios.md")), text.split("/* clang-format off */\n")[1])
    if len([line for line in text.splitlines() if not line.startswith("/*")]) > 30:
        raise Failure("the documents say thirty lines")
    expect(tool.says("--load", ring, "--time", "3s", status=0), "programs")
    expect_all(tool.modes("--load", ring), {"ring": ["lin"]})
    with Folder() as folder:
        for right, usual in BUSY:
            text = text.replace(right, usual)
        out = tool.says("--load", folder.write("ring.c", text), "--mode", "lin", *folder.results(), status=1)
        expect(out, "NOT LINEARIZABLE ring (lin): no order explains ", ": where it may come, the fifo is [", "main of all",
               "no order explains the results", " -EAGAIN *")
        replayed(tool, out)
        expect_all(folder.suites(), [("lin", "1", "1")])
        expect(folder.read("html"), "NOT LINEARIZABLE")
        expect(tool.run("--load", folder.write("longest.c", LIN_TOO_LONG), status=2)[1], "FL_LIN(longest) wants more than 64 calls in one program")
    tests = {t["name"]: t for t in tool.json("--load", FIXTURE, "end_lin", "--mode", "lin", *TO_THE_END)["tests"]}
    good, real, none = (tests[name] for name in ("end_lin", "end_lin_real", "end_lin_none"))
    if good["verdict"] != "passed" or good["samples"] < 1 or good["executions"] < 1000 or good["programs"]["exhausted"] < 10:
        raise Failure(str(good))
    if good["outcomes"][-1]["count"] < good["samples"] or real["verdict"] != "not_linearizable" or real["replay"]:
        raise Failure(f"{good}\n{real}")
    expect(real["message"], "no order explains add(")
    expect(none["message"], "an FL_LIN without FL_LIN_OP")


def files(tool):
    """The JSON in its format, the JUnit that parses, and a page with the failure. Each is
    independent of the others.
    """
    with Folder() as folder:
        out = tool.says("--load", FIXTURE, "end_forbidden", "end_ok", "--mode", "model,native", *TO_THE_END,
                          *folder.results(), status=1)
        expect(out, "3 passed, 1 failed")
        tests = {(t["name"], t["mode"]): t for t in folder.tests()}
        page = folder.read("html")
        suites = folder.suites()
    bad, good = tests["end_forbidden", "model"], tests["end_ok", "model"]
    for test in (bad, good):
        expect(test, "name", "mode", "samples", "executions", "proved", "limits", "exhausted", "outcomes", "verdict", "replay", "trace", "message",
               "strategy", "seconds")
    expect_all((bad["verdict"], good["verdict"], good["exhausted"], good["replay"]), ("forbidden", "passed", False, ""))
    expect_all(good["outcomes"][0], {"state": 'both "counted"', "count": good["samples"], "expect": "acceptable"})
    if not bad["replay"] or not any(s["stale"] and "fixture.c" in s["file"] for s in bad["trace"]):
        raise Failure(str(bad))
    expect_all([counts for _, *counts in suites], [["2", "0"], ["2", "1"]])
    expect(page, "flag without data &lt;&amp;&gt;", "<th>writer</th><th>reader</th>")


def without_proc(tool):
    """A program that stands alone cannot find its scenarios, nor compile those of others, and says
    why.
    """
    alone = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    tool.need()
    if not succeeds([*alone, "true"]):
        raise Skip("no namespace for mounts")
    for arguments in (["--list"], ["--load", FIXTURE, "--list"]):
        expect(run([*alone, tool.program, *arguments], status=2),
               "cannot find the files of this program: /proc/self/exe: No such file or directory; is /proc mounted?")


def installed(tool):
    """A program that is installed elsewhere finds its scenarios, and pkg-config has the flags for
    those of others.
    """
    tool.need()
    with Folder() as folder:
        install(tool.build, "--destdir", folder.name)
        place = glob.glob(folder.path("**/fairlead-stress.pc"), recursive=True)
        env = {"PKG_CONFIG_PATH": dirname(place[0]), "PKG_CONFIG_SYSROOT_DIR": folder.name}
        cflags, libs, program = (shlex.split(run(["pkg-config", what, "fairlead-stress"], env=env))
                                 for what in ("--cflags", "--libs", "--variable=tool"))
        module = folder.path("module.so")
        run(["cc", *cflags, "-c", FIXTURE, "-o", module + ".o"])
        run(["cc", "-shared", "-o", module, module + ".o", *libs, "-lck"])
        here = Tool(tool.source, tool.build)
        here.program = folder.name + program[0].removeprefix(folder.name)
        expect(here.says("mutex_handoff", "--mode", "model", "--time", "2s"), "passed")
        expect(here.says("--litmus", "message-passing"), "P MP+rlx")
        expect(here.says("--load", module, "end_panic", "--mode", "model", status=1), "fl_mutex_unlock(s->m")
        expect(here.says("--load", FIXTURE, "end_ok", "--mode", "model", "--time", "2s"), "passed")


# In this program, main() writes four cache lines. The other thread reads them, writes two of them,
# swaps a word of its own, and makes one system call.
TRAFFIC = r"""
#include <fairlead/stress.h>
#include <pthread.h>
#include <stdatomic.h>
static struct { _Alignas(64) int value; } lines[4];
static _Alignas(64) atomic_int own;
static void *other(void *unused)
{
	int sum = 0;
	own = 1;
	fl_stress_traffic(0);
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 4; i++)
			sum += lines[i].value;
	lines[0].value = lines[1].value = sum;
	for (int i = 0; i < 6; i++)
		atomic_fetch_add_explicit(&own, 1, memory_order_relaxed);
	own = 1;
	(void)fl_stress_futex_wake(&own, 1);
	fl_stress_traffic(2);
	return unused;
}
int main(void)
{
	pthread_t t;
	for (int i = 0; i < 4; i++)
		lines[i].value = i;
	return pthread_create(&t, NULL, other, NULL) || pthread_join(t, NULL);
}
"""


def traffic(tool):
    """The counts of an operation, in all and of a thread, where the program says that it did two.
    Another program fails.
    """
    with Folder() as folder:
        for end, status in ("return unused", 0), ("abort()", 4):
            folder.write("traffic.c", "#include <stdlib.h>\n" + TRAFFIC.replace("return unused", end))
            out = tool.says("--traffic", "-v", folder.path("traffic.c"), status=status)
            counts = re.findall(r"^ *(traffic|main|thread-b) .*?([\d.]+) +([\d.]+) +([\d.]+)$", out, re.M)
            expect_all(counts, [] if status else [("traffic", "3.500", "3.000", "0.5000"), ("main", "0.000", "0.000", "0.0000"),
                                                  ("thread-b", "3.500", "3.000", "0.5000")])
        expect(out, "calls abort()")


# --- programs with main() ---

EXPECTS = re.compile(r'^(?:/\*| \*) Expects (a pass|([A-Z ]+) "(.*)")\.(?: |$)', re.M)

LISTENS = "f[0] = socket(AF_UNIX, SOCK_STREAM, 0); f[1] = socket(AF_UNIX, SOCK_STREAM, 0); bind(f[1], &name, sizeof name); listen(f[1], 1);"
OWN = "pthread_t own; pthread_create(&own, NULL, take, NULL);"
ROBUST = "pthread_t own; pthread_mutexattr_t a; pthread_mutexattr_init(&a); pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST); pthread_mutex_init(&m, &a); "
# These statements call functions with a descriptor of another kind, or with a wrong argument.
ERRORS = """f[2] = epoll_create1(0); f[3] = timerfd_create(CLOCK_MONOTONIC, 0); struct itimerspec own;
	assert(timerfd_gettime(f[2], &own) == -1 && errno == EINVAL);
	assert(epoll_wait(f[3], &e, 1, 0) == -1 && errno == EINVAL);
	assert(epoll_wait(f[2], &e, 0, 0) == -1 && errno == EINVAL);
	assert(epoll_wait(63, &e, 1, 0) == -1 && errno == EBADF);
	assert(epoll_ctl(f[1], EPOLL_CTL_ADD, f[3], &e) == -1 && errno == EINVAL);
	assert(epoll_ctl(f[2], EPOLL_CTL_ADD, f[3], NULL) == -1 && errno == EFAULT);
	assert(read(f[1], s, 8) == -1 && errno == EINVAL);
	assert(read(f[2], s, 8) == -1 && errno == EINVAL);
	assert(write(f[3], s, 8) == -1 && errno == EINVAL);
	assert(read(f[0], s, 1) == -1 && errno == ENOTCONN);
"""
TIMERS = """for (int i = 0; i < 2; i++) {
	f[i] = timerfd_create(CLOCK_MONOTONIC, 0);
	timerfd_settime(f[i], 0, &(struct itimerspec){.it_value = {1 + i}}, NULL);
}
"""
# An epoll set has a timer and a pipe; FIRST asserts which is reported first when both are ready.
TIMED = TIMERS + "f[2] = epoll_create1(0); (void)!pipe(f + 3); epoll_ctl(f[2], EPOLL_CTL_ADD, f[3], &e); e.data.fd = 1; epoll_ctl(f[2], EPOLL_CTL_ADD, f[0], &e);"
FIRST = "struct epoll_event two[2]; if (epoll_wait(f[2], two, 2, -1) == 2) assert(two[0].data.fd == %d);"
# What Linux 6.18 answers to calls of one thread. TCP() makes a listening socket, a client and its connection.
LINUX = r"""uint64_t many = 1ull << 63; struct iovec v = {s, 1}; struct stat is; struct timeval ever = {INT64_MAX, 0}; fd_set set;
	struct itimerspec own = {{0, 1}, {0, 1000000000}}; struct sockaddr_in in; socklen_t size, four = 4; int error, k;
	struct pollfd w = {0, POLLIN | POLLRDNORM | POLLRDHUP}; const struct linger abrupt = {1, 0}; sigset_t mask;
#define FAILS(call, number) assert((call) == -1 && errno == (number))
#define OPENS(n) (size = sizeof in, in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, \
	f[0] = socket(AF_INET, SOCK_STREAM, 0), bind(f[0], (void *)&in, size), getsockname(f[0], (void *)&in, &size), listen(f[0], n))
#define CONNECTS(flags) (f[1] = socket(AF_INET, SOCK_STREAM | (flags), 0), connect(f[1], (void *)&in, size))
#define TCP() (OPENS(0), CONNECTS(0), f[2] = accept(f[0], NULL, NULL))
#define SEES(n) (w.fd = f[n], poll(&w, 1, -1), w.revents)
#define CLOSES() (close(f[0]), close(f[1]), close(f[2]))
	TCP(); (void)!write(f[1], s, 1); close(f[1]); assert((SEES(2) & (POLLIN | POLLRDNORM | POLLHUP)) == (POLLIN | POLLRDNORM));
	assert(read(f[2], s, 8) == 1 && read(f[2], s, 8) == 0 && write(f[2], s, 1) == 1);
	sigemptyset(&mask); sigaddset(&mask, SIGPIPE); pthread_sigmask(SIG_BLOCK, &mask, NULL); FAILS(write(f[2], s, 1), EPIPE); CLOSES();
	TCP(); (void)!write(f[2], s, 1); SEES(1); close(f[1]); signal(SIGPIPE, SIG_IGN); pthread_sigmask(SIG_UNBLOCK, &mask, NULL); signal(SIGPIPE, SIG_DFL);
	FAILS(write(f[2], s, 1), ECONNRESET); signal(SIGPIPE, SIG_IGN); FAILS(write(f[2], s, 1), EPIPE); CLOSES();
	TCP(); setsockopt(f[2], SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt); close(f[2]); FAILS(read(f[1], s, 1), ECONNRESET); CLOSES();
	TCP(); FAILS(listen(f[1], 1), EINVAL); FAILS(bind(f[1], (void *)&in, size), EINVAL); close(f[0]); f[0] = socket(AF_INET, SOCK_STREAM, 0);
	FAILS(bind(f[0], (void *)&in, size), EADDRINUSE); assert(shutdown(f[2], SHUT_RDWR) == 0 && SEES(2) & POLLHUP && SEES(2) & POLLIN); CLOSES();
	OPENS(1); CONNECTS(0); k = f[1]; CONNECTS(0); close(f[0]); FAILS(read(k, s, 1), ECONNRESET); close(k);
	close(f[1]); FAILS(CONNECTS(SOCK_NONBLOCK), EINPROGRESS); assert(SEES(1) & POLLERR); FAILS(getpeername(f[1], (void *)&in, &size), ENOTCONN);
	getsockopt(f[1], SOL_SOCKET, SO_ERROR, &error, &four); assert(error == ECONNREFUSED); close(f[1]);
	OPENS(-1); CONNECTS(0); k = f[1]; CONNECTS(0); close(k); CLOSES();
	for (k = 0; k < 2; k++) f[k] = socket(AF_INET, SOCK_STREAM, 0), setsockopt(f[k], SOL_SOCKET, SO_REUSEPORT, &on, 4),
		assert(bind(f[k], (void *)&in, size) == 0 && listen(f[k], 1) == 0 && getsockopt(f[k], SOL_SOCKET, SO_REUSEPORT, &error, &four) == 0 && error);
	close(f[0]); close(f[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, f); (void)!write(f[0], s, 1); (void)!write(f[1], s, 2); close(f[1]); assert(recv(f[0], s, 8, MSG_WAITALL) == 2);
	close(f[0]); socketpair(AF_UNIX, SOCK_STREAM, 0, f); FD_ZERO(&set); FD_SET(f[0], &set); (void)!write(f[1], s, 1);
	assert(select(f[0] + 1, &set, NULL, NULL, &ever) == 1 && setsockopt(f[0], SOL_SOCKET, SO_RCVTIMEO, &ever, sizeof ever) == 0 && read(f[0], s, 8) == 1);
	f[2] = epoll_create1(0); e.events = EPOLLIN | EPOLLOUT | EPOLLET; epoll_ctl(f[2], EPOLL_CTL_ADD, f[0], &e);
	assert(epoll_wait(f[2], &e, 1, 0) == 1); (void)!write(f[0], s, 1); (void)!read(f[1], s, 8);
	assert(epoll_wait(f[2], &e, 1, 0) == 1 && e.events == EPOLLOUT && epoll_wait(f[2], &e, 1, 0) == 0);
	shutdown(f[0], SHUT_WR); assert(epoll_wait(f[2], &e, 1, 0) == 1); shutdown(f[0], SHUT_RD); assert(SEES(0) == (w.events | POLLHUP)); CLOSES();
	f[0] = eventfd(1, 0); f[1] = eventfd(1, 0); f[2] = epoll_create1(0); e.events = EPOLLIN;
	for (k = 0; k < 3; k++) e.data.fd = k % 2, assert(epoll_ctl(f[2], k < 2 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, f[k % 2], &e) == 0);
	assert(epoll_wait(f[2], &e, 1, 0) == 1 && e.data.fd == 0); CLOSES();
	f[0] = timerfd_create(CLOCK_MONOTONIC, 0); FAILS(timerfd_settime(f[0], 0, &own, NULL), EINVAL); own = (struct itimerspec){{0, 1000000}, {0, 1000000}};
	f[1] = epoll_create1(0); e.events = EPOLLIN | EPOLLET; epoll_ctl(f[1], EPOLL_CTL_ADD, f[0], &e); timerfd_settime(f[0], 0, &own, NULL);
	assert(epoll_wait(f[1], &e, 1, -1) == 1); usleep(5000); assert(epoll_wait(f[1], &e, 1, 0) == 0); f[2] = eventfd(0, EFD_NONBLOCK);
	assert(write(f[2], &many, 8) == 8); FAILS(write(f[2], &many, 8), EAGAIN); FAILS(send(f[2], s, 1, 0), ENOTSOCK); FAILS(recv(f[2], s, 1, 0), ENOTSOCK);
	FAILS(accept(f[2], NULL, NULL), ENOTSOCK); FAILS(writev(f[2], &v, -on), EINVAL); FAILS(write(f[2], &many, 9), EINVAL); FAILS(open("no/no", O_CREAT | O_RDWR, 0600), ENOENT); CLOSES();
	f[0] = open("x", O_CREAT | O_RDWR, 0600); (void)!write(f[0], s, 5); f[1] = open("./x", O_RDONLY); assert(read(f[1], s, 8) == 5 && unlink("x") == 0);
	assert(pwrite(f[0], "z", 1, 5) == 1 && pread(f[1], s, 8, 4) == 2 && s[1] == 'z' && read(f[1], s, 8) == 1); FAILS(pread(f[0], s, 8, -1), EINVAL);
	f[2] = open("x", O_CREAT | O_EXCL | O_RDWR, 0600); lseek(f[0], 0, SEEK_SET); assert(read(f[0], s, 8) == 6 && read(f[2], s, 8) == 0); unlink("x"); CLOSES();
	f[0] = open("/dev/null", O_RDWR); (void)!write(f[0], s, 5); lseek(f[0], 0, SEEK_SET); assert(read(f[0], s, 5) == 0 && fstat(1, &is) == 0);"""
# Programs of a few statements. Each has the verdict and the message that it expects, the first
# statements of main, and the statements of each thread.
SHORT = {
    "atomic_flag_spin": ("passed", "", "", "plain = 1; atomic_store_explicit(&x, 1, memory_order_release);", "while (!Ra(x)); assert(plain == 1);"),
    "atomic_objects_many": ("not_modelled", "more than 4096 atomic objects in one execution, which is a limit",
                            "static atomic_int o[4097]; for (int i = 0; i < 4097; i++) o[i] = i;"),
    "barrier_two_inits": ("misuse", "anew", "static pthread_barrier_t b; pthread_barrier_init(&b, NULL, 1); pthread_barrier_init(&b, NULL, 1);"),
    "c11_not_initialised": ("misuse", "not initialised", "static mtx_t mutex; mtx_lock(&mutex); mtx_unlock(&mutex);"),
    "clock_branch": ("passed", "", "", "struct timespec before, after; clock_gettime(CLOCK_MONOTONIC, &before); usleep(1500000); clock_gettime(CLOCK_MONOTONIC, &after); "
                     "assert(after.tv_sec > before.tv_sec);", "time_t until = time(NULL) + 5; while (time(NULL) < until);"),
    "cond_change_without_lock": ("lost_wakeup", "came before the wait", "",
                                 "pthread_mutex_lock(&m); while (!x) pthread_cond_wait(&c, &m); pthread_mutex_unlock(&m);", "x = 1; pthread_cond_signal(&c);"),
    "cond_destroy_with_waiter": ("misuse", "condition", "",
                                 "pthread_mutex_lock(&m); while (!plain) pthread_cond_wait(&c, &m); pthread_mutex_unlock(&m);", "pthread_cond_destroy(&c);"),
    "cond_timedwait_relocks": ("passed", "", "", *2 * ["struct timespec until; clock_gettime(CLOCK_REALTIME, &until); until.tv_nsec += 1000; pthread_mutex_lock(&m); "
                               "int result = pthread_cond_timedwait(&c, &m, &until); assert(result == ETIMEDOUT || result == 0); assert(plain++ == 0); plain--; "
                               "pthread_mutex_unlock(&m);"]),
    "cond_two_mutexes": ("misuse", "while another thread waits for it with", "",
                         "pthread_mutex_lock(&m); pthread_cond_wait(&c, &m); pthread_mutex_unlock(&m);",
                         "pthread_mutex_lock(&n); pthread_cond_wait(&c, &n); pthread_mutex_unlock(&n);"),
    "cond_wait_unowned": ("misuse", "which it does not hold", "pthread_cond_wait(&c, &m);"),
    "descriptor_errors": ("passed", "", LISTENS + ERRORS),
    "epoll_nested": ("not_modelled", "watches an epoll descriptor by another one", "epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, epoll_create1(0), &e);"),
    "key_deleted": ("misuse", "does not exist", "pthread_key_t key; pthread_key_create(&key, NULL); pthread_key_delete(key); pthread_setspecific(key, &key);"),
    "key_deleted_leak": ("leak", "4 bytes", "pthread_key_t key; pthread_key_create(&key, free); pthread_setspecific(key, malloc(4)); pthread_key_delete(key);"),
    "key_destructors_order": ("check", "plain == 1", "static pthread_key_t own[2]; stream = (void *)own; pthread_key_create(own, count); pthread_key_create(own + 1, count);",
                              "pthread_key_t *own = (void *)stream; pthread_setspecific(own[0], &x); pthread_setspecific(own[1], &y);"),
    # If x is 1, the block's address stays far down the stack. There, a frame of the next execution has bytes that are never written.
    "leak_deep_stack": ("leak", "3 bytes", "sem_init(&p, 0, 0);",
                        "struct { char near[8192]; void *volatile kept[64]; } own; if (arg == &x) memset(own.near, 0, sizeof own.near); "
                        "else if (arg == &y) sem_wait(&p); else if (arg) for (int i = 0; i < 64; i++) own.kept[i] = arg; else { "
                        "(void)!posix_memalign((void *)&stream, 16, 3); if (R(x)) run0(stream); stream = NULL; run0(&x); W(y, 1); run0(&y); }",
                        "W(x, 1); while (!R(y)); exit(0);"),
    "libc_atoi_race": ("data_race", "read of s", "", "s[0] = '1';", "plain = atoi(s);"),
    "libc_bsearch_strcmp_race": ("data_race", "read of s[0] by", "", "s[0] = 'a';",
                                 'void *volatile found = bsearch("b", s, 1, 2, (int (*)(const void *, const void *))strcmp); (void)found;'),
    "libc_printf_race": ("data_race", "read of s", "", "s[0] = 'a';", 'printf("%g%s", 1.0, s);'),
    "libc_qsort_locks": ("data_race", "of f[0]", "f[0] = 1;", "qsort(f, 2, sizeof *f, order);",
                         "pthread_mutex_lock(&m); volatile int seen = plain ? f[0] : 0; (void)seen; pthread_mutex_unlock(&m);"),
    "libc_rounding": ("not_modelled", "fesetround() of libm.so", "fesetround(FE_UPWARD);"),  # would outlive the execution
    "libc_setenv_race": ("data_race", "of the environment by", "", 'setenv("A", "1", 1);', '(void)getenv("A");'),
    "libc_strtok_race": ("data_race", "write of the state of strtok()", "", *2 * ['char text[] = "a b"; (void)strtok(text, " ");']),
    "io_as_linux": ("passed", "", LINUX),
    "free_constant": ("use_after_free", "which is no block", "char *volatile own = \"a\"; free(own);"),
    "free_global": ("use_after_free", "free of s[4] by main", "char *volatile own = s + 4; free(own);"),
    "free_inside": ("use_after_free", "which is no block", "char *volatile own = malloc(9); free(own + 1);"),
    "free_variable": ("use_after_free", "which is no block", "", "int own; int *volatile at = &own; free(at);"),
    "malloc_size_freed": ("use_after_free", "in a block that main freed", "char *own = malloc(9); free(own); return malloc_usable_size(own) < 9;"),
    "malloc_size_inside": ("use_after_free", "outside any block", "char *own = malloc(9); return malloc_usable_size(own + 1) < 9;"),
    "malloc_size_race": ("use_after_free", "not ordered with the read of the size of ", "stream = malloc(9);",
                         "plain = malloc_usable_size(stream) < 9; W(x, 1);", "while (!R(x)); free(stream);"),
    "malloc_alignments": ("passed", "", "void *own; assert(posix_memalign(&own, 3, 8) == EINVAL && posix_memalign(&own, 24, 8) == EINVAL && !posix_memalign(&own, 64, 8)); free(own);"),
    "malloc_sizes": ("passed", "", "for (int i = 0; i < 9; i++) { char *own = malloc(i); if (malloc_usable_size(own) < i || malloc_usable_size(NULL)) abort(); free(own); }"),
    "map_keeps": ("passed", "", "char **kept = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); assert(kept != MAP_FAILED); kept[0] = malloc(1);"),
    "mutex_copied": ("misuse", "not initialised", "pthread_mutex_t own[2]; pthread_mutex_init(own, NULL); memcpy(own + 1, own, sizeof *own); pthread_mutex_lock(own + 1);"),
    "mutex_destroy_locked": ("misuse", "destroys", "pthread_mutex_lock(&m); pthread_mutex_destroy(&m);"),
    "mutex_forgotten": ("data_race", "plain", "", "pthread_mutex_lock(&m); plain++; pthread_mutex_unlock(&m);", "plain++;"),
    "mutex_freed_locked": ("misuse", "frees the memory of",
                           "pthread_mutex_t *own = malloc(sizeof *own); pthread_mutex_init(own, NULL); pthread_mutex_lock(own); free(own);"),
    "mutex_garbage": ("misuse", "not initialised",
                      "pthread_mutex_t *own = malloc(sizeof *own); pthread_mutex_lock(own); pthread_mutex_unlock(own); free(own);"),
    "mutex_relock_normal": ("misuse", "again", "pthread_mutex_lock(&m); pthread_mutex_lock(&m);"),
    "mutex_timedlock_expired": ("passed", "", "pthread_mutex_lock(&m);", "struct timespec until; clock_gettime(CLOCK_REALTIME, &until); until.tv_sec++; "
                                "assert(pthread_mutex_timedlock(&m, &until) == ETIMEDOUT);"),
    "mutex_trylock_busy": ("passed", "", "", *2 * [
        "int result = pthread_mutex_trylock(&m); assert(result == 0 || result == EBUSY); "
        "if (result == 0) { assert(plain++ == 0); plain--; pthread_mutex_unlock(&m); }"]),
    "mutex_trylock_ignored": ("data_race", "plain", "", "pthread_mutex_lock(&m); plain = 1; pthread_mutex_unlock(&m);",
                              "int taken = pthread_mutex_trylock(&m); plain = 2; if (taken == 0) pthread_mutex_unlock(&m);"),
    "mutex_unlock_other_thread": ("misuse", "which main has held", "pthread_mutex_lock(&m);", "pthread_mutex_unlock(&m);"),
    "mutex_unlock_unowned": ("misuse", "which no thread holds", "pthread_mutex_unlock(&m);"),
    "mutex_use_destroyed": ("misuse", "destroyed at", "pthread_mutex_destroy(&m); pthread_mutex_lock(&m);"),
    "mutex_wrong_lock": ("data_race", "plain", "", "pthread_mutex_lock(&m); plain += 10; pthread_mutex_unlock(&m);",
                         "pthread_mutex_lock(&n); plain -= 10; pthread_mutex_unlock(&n);"),
    "mutex_zeroed": ("passed", "", "pthread_mutex_t *own = calloc(1, sizeof *own); pthread_mutex_lock(own); pthread_mutex_unlock(own); "
                     "pthread_mutex_destroy(own); free(own);"),
    "once_by_hand": ("data_race", "plain", "", *2 * ["if (!plain) plain = 1;"]),
    "pipe_forever": ("deadlock", "main waits for the channel 4 to 3 (pipe) for ever", "return pipe(f) || read(f[0], s, 1) != 0;"),
    "pipe_many": ("not_modelled", "opens more than 30 channels", "int failed = 0; for (int i = 0; i < 31; i++) failed += pipe(f); return failed;"),
    "poll_forever": ("step_limit", "more than 20000 steps: a loop without an end",
                     "for (int seen = 0; !seen;) { pthread_mutex_lock(&m); seen = plain; pthread_mutex_unlock(&m); sched_yield(); }"),
    "pipe_seek": ("passed", "", "(void)!pipe(f); return lseek(f[0], 0, SEEK_END) != -1 || errno != ESPIPE;"),
    "poll_no_timeout": ("deadlock", "main sleeps for ever", "return poll(NULL, 0, -1);"),
    "poll_under_lock": ("passed", "", "", "pthread_mutex_lock(&m); plain = 1; pthread_mutex_unlock(&m);",
                        "for (int seen = 0; !seen;) { pthread_mutex_lock(&m); seen = plain; pthread_mutex_unlock(&m); usleep(100); }"),
    "process_abort": ("crash", "calls abort()", "abort();"),
    "process_exit_in_thread": ("exit_status", "status 9", "", "exit(9);"),
    "process_exit_status": ("exit_status", "main returns 3", "return 3;"),
    "process_exit_zero": ("passed", "", "", "exit(0);"),
    "process_file": ("not_modelled", "regular files", 'return fopen("/dev/tty", "r") == NULL;'),
    "process_fork": ("not_modelled", "fork()", "return fork() > 0;"),
    "process_kill": ("not_modelled", "by kill()", "return kill(getpid(), SIGKILL);"),
    "process_signal": ("not_modelled", "sends User defined signal 1 by raise()",
                       "struct sigaction action = {.sa_handler = exit}; return sigaction(SIGUSR1, &action, NULL) || raise(SIGUSR1);"),
    "rand_branch": ("passed", "", "srand(7);", *2 * ["if (rand() % 2) x = 1;"]),
    "robust_after_timeout": (
        "passed", "", ROBUST,
        "struct timespec t; clock_gettime(CLOCK_REALTIME, &t); t.tv_sec++; int e = pthread_mutex_lock(&m); if (e == 0) e = pthread_cond_timedwait(&c, &m, &t); "
        "assert(!plain || e == EOWNERDEAD); if (e == EOWNERDEAD) pthread_mutex_consistent(&m); pthread_mutex_unlock(&m);",
        "pthread_mutex_lock(&m); plain = 1;"),
    "robust_inconsistent_wait": (
        "passed", "", ROBUST + "pthread_create(&own, NULL, (void *(*)(void *))pthread_mutex_lock, &m); pthread_join(own, NULL); "
        "assert(pthread_mutex_lock(&m) == EOWNERDEAD); assert(pthread_cond_timedwait(&c, &m, &(struct timespec){0}) == ENOTRECOVERABLE); "
        "assert(pthread_mutex_unlock(&m) == EPERM);"),
    "realloc_constant": ("use_after_free", "which is no block", "char *volatile own = \"a\"; own = realloc(own, 9);"),
    "realloc_to_nothing": ("use_after_free", "freed twice", "char *volatile own = malloc(9); if (!realloc(own, 0)) free(own);"),
    "rwlock_destroy_read": ("misuse", "1 reader holds", "pthread_rwlock_rdlock(&l); pthread_rwlock_destroy(&l);"),
    "rwlock_reader_again_behind_writer": (
        "deadlock", "wants the readers-writer lock", "",
        "pthread_rwlock_rdlock(&l); pthread_rwlock_rdlock(&l); pthread_rwlock_unlock(&l); pthread_rwlock_unlock(&l);",
        "pthread_rwlock_wrlock(&l); plain++; pthread_rwlock_unlock(&l);"),
    "rwlock_readers_writer": ("passed", "", "", *2 * ["pthread_rwlock_rdlock(&l); int seen = plain; if (seen != plain) abort(); pthread_rwlock_unlock(&l);"],
                              "pthread_rwlock_wrlock(&l); plain++; pthread_rwlock_unlock(&l);"),
    "rwlock_tries": ("passed", "", "assert(pthread_rwlock_tryrdlock(&l) == 0); assert(pthread_rwlock_tryrdlock(&l) == 0); "
                     "assert(pthread_rwlock_trywrlock(&l) == EBUSY); pthread_rwlock_unlock(&l); pthread_rwlock_unlock(&l); "
                     "assert(pthread_rwlock_trywrlock(&l) == 0); assert(pthread_rwlock_tryrdlock(&l) == EBUSY); "
                     "pthread_rwlock_unlock(&l); pthread_rwlock_destroy(&l);"),
    "rwlock_unlock_unowned": ("misuse", "which it does not hold", "pthread_rwlock_unlock(&l);"),
    "rwlock_upgrade_self": ("misuse", "waits for itself", "pthread_rwlock_rdlock(&l); pthread_rwlock_wrlock(&l);"),
    "rwlock_write_under_read": ("data_race", "plain", "", *2 * ["pthread_rwlock_rdlock(&l); plain++; pthread_rwlock_unlock(&l);"]),
    "sem_hand_over": ("passed", "", "sem_init(&p, 0, 0);", "plain = 7; sem_post(&p);", "sem_wait(&p); assert(plain == 7); sem_destroy(&p);"),
    "sem_not_initialised": ("misuse", "not initialised", "sem_post(&p);"),
    "sleep_as_sync": ("data_race", "plain", "", "plain = 1;", "sleep(1); if (plain) _exit(0);"),
    "sleep_beside_loop": ("passed", "", "", "while (!x) y++;", "sleep(1); x = 1;"),
    "sleep_too_short": ("check", "assert(atomic_load(&x))", "", "atomic_store(&x, 1);", "sleep(1); assert(atomic_load(&x));"),
    "futex_wake_minus": ("passed", "", "", "futex(FUTEX_WAIT, 0);", "futex(FUTEX_WAIT, 0);", "assert(futex(FUTEX_WAKE, -1) < 2);"),
    "futex_wake_none": ("crash", "abort()", "", "futex(FUTEX_WAIT, 0);", "if (futex(FUTEX_WAKE, 0)) abort();"),
    "membarrier_refused": ("passed", "", "assert(syscall(SYS_membarrier, 1 << 20, 0, 0) == -1 && errno == EINVAL); assert(syscall(SYS_membarrier, 8, 0, 0) == -1 && errno == EPERM);"),
    "membarrier_register": ("check", "< 2", "", "W(x, 1); if (!R(y)) assert(++d < 2);", "W(y, 1); syscall(SYS_membarrier, 16, 0, 0); if (!R(x)) assert(++d < 2);"),
    "socket_of_datagrams": ("not_modelled", "another kind of socket", "socket(AF_INET, SOCK_DGRAM, 0);"),
    "spin_by_calls": ("livelock", "spins on x", "", "void give(void) { sched_yield(); } while (!x) { if (y) return arg; give(); }"),
    "spin_in_one_word": ("passed", "", "", "atomic_int *head = (void *)&d, *tail = head + 1; for (int i = 1; i <= 2; i++) { while (R(*tail) != Ra(*head)) sched_yield(); plain = i; atomic_fetch_add(tail, 1); }",
                         "atomic_int *head = (void *)&d, *tail = head + 1; for (int i = 1; i <= 2; i++) { while (R(*head) == Ra(*tail)) sched_yield(); assert(plain == i); atomic_fetch_add(head, 1); }"),
    "spin_not_initialised": ("misuse", "not initialised", "static pthread_spinlock_t spin; pthread_spin_lock(&spin); pthread_spin_unlock(&spin);"),
    "spin_unlock_unowned": ("misuse", "which no thread holds", "pthread_spinlock_t spin; pthread_spin_init(&spin, 0); pthread_spin_unlock(&spin);"),
    "stream_closed_and_reopened": ("misuse", "uses a stream that main has closed", 'stream = fopen("/dev/null", "w"); fclose(stream); (void)fopen("/dev/null", "w"); fputc(0, stream);'),
    "stream_closed": ("misuse", "uses a stream that main has closed", 'stream = fopen("/dev/null", "w+"); fclose(stream); fgetc(stream);'),
    "stream_not_opened": ("misuse", "uses a stream at NULL", 'stream = fopen("/no/no", "w"); fprintf(stream, "a");'),
    "syscall_unknown": ("not_modelled", "system call", "return syscall(SYS_getppid) < 0;"),
    "tcp_drops": ("passed", "", "struct sockaddr in[2] = {{.sa_family = AF_INET, .sa_data = {4, 1}}}; f[1] = socket(AF_INET, SOCK_STREAM, 0); bind(f[1], in, sizeof in[0]); "
                  "listen(f[1], 1); f[0] = socket(AF_INET, SOCK_STREAM, 0); connect(f[0], in, sizeof in[0]); f[2] = accept(f[1], NULL, NULL); (void)!write(f[0], \"abc\", 3); "
                  "ssize_t n = recv(f[2], NULL, 1 << 20, MSG_TRUNC); assert(n == 3 || n == 1); assert(recv(f[2], s, 8, n == 3 ? MSG_DONTWAIT : 0) == (n == 3 ? -1 : 2));"),
    "thread_cleanup_returned": ("misuse", "after a return between pthread_cleanup_push() and", "", "pthread_cleanup_push(free, NULL); if (!x) return arg; pthread_cleanup_pop(0);"),
    "thread_detached_argument": ("passed", "", "pthread_t own; pthread_create(&own, NULL, (void *(*)(void *))free, malloc(8)); pthread_detach(own);"),
    "thread_detached_named": ("misuse", "names thread-b, which is detached and has ended", OWN + "pthread_detach(own); pthread_setname_np(own, \"x\");"),
    "thread_detached_kill": ("misuse", "the use of its pthread_t by main", OWN + "pthread_detach(own); pthread_kill(own, 0);"),
    "thread_detached_waits": ("passed", "", "sem_init(&p, 0, 0); pthread_t own; pthread_create(&own, NULL, (void *(*)(void *))sem_wait, &p); pthread_kill(own, 0); pthread_detach(own); "
                              "pthread_kill(own, 0); sem_post(&p);"),
    "thread_join_bogus": ("misuse", "does not exist", "pthread_join(0, NULL);"),
    "thread_join_detached": ("misuse", "which is detached", OWN + "pthread_detach(own); pthread_join(own, NULL);"),
    "thread_join_self": ("passed", "", "return pthread_join(pthread_self(), NULL) != EDEADLK;"),
    "thread_joined_key": ("leak", "4 bytes allocated by thread-b", "static pthread_key_t own; pthread_key_create(&own, NULL); *f = (int)own;", "pthread_setspecific(*f, malloc(4));"),
    "thread_joined_kill": ("misuse", "sends a signal to thread-b, which main has joined", OWN + "pthread_join(own, NULL); pthread_kill(own, 0);"),
    "thread_joined_name": ("misuse", "names thread-b, which main has joined", OWN + "pthread_join(own, NULL); pthread_setname_np(own, \"x\");"),
    "thread_join_twice": ("misuse", "has joined at", OWN + "pthread_join(own, NULL); pthread_join(own, NULL);"),
    "threads_too_many": ("not_modelled", "more than 128 threads", "pthread_t own; for (int i = 0; i < 128; i++) if (pthread_create(&own, NULL, take, NULL)) return 1;"),
    "time_invalid": ("passed", "", "struct timespec own = {0, -1}; sem_init(&p, 0, 1); errno = 0; assert(nanosleep(&own, NULL) == -1 && errno == EINVAL); errno = 0; "
                     "assert(sem_timedwait(&p, &own) == -1 && errno == EINVAL); assert(pthread_rwlock_timedrdlock(&l, &own) == EINVAL && thrd_sleep(&own, NULL) == -2);",
                     "pthread_mutex_lock(&m); assert(pthread_cond_timedwait(&c, &m, &(struct timespec){0, -1}) == EINVAL); W(x, 1); while (!R(y)) sched_yield(); pthread_mutex_unlock(&m);",
                     "while (!R(x)) sched_yield(); assert(pthread_mutex_timedlock(&m, &(struct timespec){0, 1000000000}) == EINVAL); W(y, 1);"),
    "timer_after_bytes": ("check", "== 1", TIMED, "(void)!write(f[4], s, 1);", FIRST % 1),
    "timer_before_bytes": ("check", "== 0", TIMED, "(void)!write(f[4], s, 1);", FIRST % 0),
    "timer_twice": ("check", "== 1", "f[0] = timerfd_create(CLOCK_MONOTONIC, 0); struct itimerspec own = {{1}, {1}}; timerfd_settime(f[0], 0, &own, NULL); "
                    "uint64_t times; (void)!read(f[0], &times, 8); assert(times == 1);"),
    "timers_together": ("check", "== 1", TIMERS + "assert(poll((struct pollfd[]){{f[0], POLLIN}, {f[1], POLLIN}}, 2, -1) == 1);"),
    "volatile_flag": ("data_race", "stop", "", "stop = 1;", "while (!stop);"),
}


def programs(tool):
    """The programs that were built, and the short ones, by name, with the verdict and the message that each expects."""
    found = {name: (verdict, message) for name, (verdict, message, *_) in SHORT.items()}
    for path in sorted(glob.glob(tool.at("programs/*.c*")) + glob.glob(tool.at("examples/io/*.c"))):
        said = EXPECTS.search(read(path))
        name, ending = splitext(basename(path))
        if ending == ".cc" and not exists(join(tool.build, "laboratory/programs", name + ".so")):
            continue  # the build has no C++ compiler
        if not said:
            raise Failure(f"{path}: no line 'Expects ...'")
        found[name] = ("passed", "") if said[1] == "a pass" else (said[2].lower().replace(" ", "_"), said[3])
    return found


@functools.lru_cache
def programs_run(tool):
    """One run of all of them, with enough executions to find each bug, and state that is left behind."""
    with Folder() as folder:
        files = [reduction.built(threaded(bodies, first), folder.name, name) for name, (_, _, first, *bodies) in SHORT.items()]
        files += [join(tool.build, "laboratory/programs", name + ".so") for name in programs(tool) if name not in SHORT]
        tests = tool.json(*[option for file in files for option in ("--load", file)], "--time", "600s", "--executions", "1000")["tests"]
    return {t["name"]: t for t in tests}


def program_case(tool, name):
    test = programs_run(tool).get(name)
    if test is None:
        raise Failure("it did not run")
    verdict, message = programs(tool)[name]
    if test["verdict"] != verdict or message not in test["message"]:
        raise Failure(f"not {verdict} {message!r}\n" + told(test))


def program(tool):
    """The command for a program: sources, arguments, output, replay; and options that exclude each
    other.
    """
    with Folder() as folder:
        more = folder.write("more.c", "int twice(int n);\nint twice(int n) { return 2 * n; }\n")
        one = folder.write("one.c", '#include <assert.h>\n#include <stdio.h>\n#include <stdlib.h>\nint twice(int n);\n'
                 'int main(int argc, char **argv)\n{\n\tassert(argc == 3);\n'
                 '\tprintf("twice is %d\\n", twice(atoi(argv[1])));\n\treturn twice(atoi(argv[1])) != atoi(argv[2]);\n}\n')
        expect(tool.says(one, more, "--", "21", "42"), "passed   one")
        out = tool.says(one, more, "--", "21", "43", status=1)
        expect(out, "EXIT STATUS one (model): main returns 1", "twice is 42", "-- 21 43")
        expect(replayed(tool, out), "main returns 1")
        lacks = folder.write("lacks.c", "int getppid(), fork(), alarm(), flock(), lockf(), pause(), pthread_cancel(), setitimer(), signalfd(), sigwait(), timer_create();\nint main(void) { return getppid() + fork() + alarm() + flock() + lockf() + pause() + pthread_cancel() + setitimer() + signalfd() + sigwait() + timer_create(); }\n")
        expect(tool.says(lacks, status=1), "the model lacks, of what the program refers to: ", *" getppid fork alarm flock lockf pause pthread_cancel setitimer signalfd sigwait timer_create".split())
        expect(tool.run(more, status=2)[1], "no main() in it")
        nested = folder.write("nested.c", "int main(void)\n{\n#ifndef __clang__\n\tint n = 0;\n\tint next(void) { return n; }\n"
                              "\tint (*volatile run)(void) = next;\n\treturn run();\n#endif\n}\n")
        out, err = tool.run(nested, status=None)
        if "cannot enable executable stack" not in err:  # as the C library says from 2.41 on
            expect(out, "passed   nested")
        expect(tool.run(one, "mutex", status=2)[1], "'mutex' is no source")
        early = folder.write("early.c", "#include <pthread.h>\nstatic void *run(void *arg) { return arg; }\n"
                 "__attribute__((constructor)) static void early(void)\n{\n\tpthread_t t;\n"
                 "\tpthread_create(&t, NULL, run, NULL);\n}\nint main(void) { return 0; }\n")
        expect(tool.run(early, status=2)[1], "a constructor starts a thread")
        outside = folder.write("outside.c", 'int main(void) { return 0; }\n__asm__(".globl outside\\noutside:");\n')
        slot = folder.write("slot.cc", '#include <string>\nstruct big { long a[4]; };\nbig make() { return {{1}}; }\nstd::string text() { return "a"; }\n'
                 "int main()\n{\n\tdelete new std::string(text());\n\tdelete new big(make());\n}\n")
        left = folder.write("left.c", "extern const int limit, fixed;\nextern struct { unsigned a : 3, b : 5; } bits;\n"
                 'static const char *const names[] = {"a"};\nint *p;\n__attribute__((no_sanitize_thread)) void none(void) { *p = 1; }\n'
                 "__attribute__((optimize(2))) void twice(void) { *p = 1; *p = 2; }\nint tail(int n) { struct { char c[n]; int b : 3; } *s = (void *)p; return s->b; }\n"
                 "int sum(int n) { bits.b++; return limit + fixed + names[n][0]; }\n")
        limit = folder.write("limit.c", "int limit = 3;\nextern const int fixed;\nconst int fixed = 4;\nstruct { unsigned a : 3, b : 5; } bits;\n")
        expect_all(re.findall(r".*(?:slot|left).c.*", tool.run(slot, left, limit)[1]), [
            "fairlead-stress: the read at left.c:7 is not seen", "fairlead-stress: the read at left.c:8 is not seen",
            "fairlead-stress: the structure that a call at slot.cc:8 returns is not seen",
            "fairlead-stress: what none() does at left.c:5, compiled with an attribute, is not seen",
            "fairlead-stress: what twice() does at left.c:6, compiled with an attribute, is not seen"])
        vector = folder.write("vector.c", "#ifdef __x86_64__\n#include <immintrin.h>\nunsigned long long x;\n__m256i not_run(long long *p)\n{\n\tx = __rdtsc();\n\t_addcarry_u64(0, 1, 2, &x);\n"
                              "\treturn _mm256_maskload_epi64(p, _mm256_set1_epi64x(-1));\n}\n#endif\nint main(void) { return 0; }\n")
        for compiler, said in (("cc", ("what __builtin_ia32_addcarryx_u64() at", "what __builtin_ia32_maskloadq256() at", "the value of __builtin_ia32_rdtsc() at")),
                               ("clang", ("what vpmaskmovq touches at vector.c:8", "the value of rdtsc at vector.c:6"))):
            if shutil.which(compiler) and os.uname().machine == "x86_64":
                expect(tool.run(vector, "-mavx2", env={"CC": compiler})[1], *said)
        if shutil.which("clang") and os.uname().machine == "x86_64":
            large = folder.write("large.c", "static struct { long a[3]; } from;\nstatic long double to;\nstatic void of(__typeof__(from) x) { to = x.a[2]; }\nint main(void) { of(from); }\n")
            expect(tool.run(large, env={"CC": "clang"})[1], "the long double at large.c:3 is not seen", "the structure that a call takes at large.c:4 is not seen")
        expect(tool.run(outside, env={"CFLAGS": "-flto"})[1], "assembly outside of functions of outside.c is not seen")
        old = folder.write("old.c", "int main() { return zero(); }\nint zero() { return 0; }\n")
        for flags in ("-std=gnu89", "-std=c99"):
            tool.run(old, flags, "-fvisibility=hidden", status=0 if flags == "-std=gnu89" else 2, env={"CFLAGS": "--coverage"})
        expect(tool.run(folder.path("none.c"), *folder.results(), status=2)[1], "none.c: No such file")
        expect_all((folder.tests()[0]["verdict"], folder.suites()), ("not_built", [("model", "1", "1")]))
        expect(folder.read("html") + folder.read("sarif"), '<span class="bad">NOT BUILT</span>', '"ruleId":"not_built"')
        expect(tool.run(one, more, "--mode", "native", status=2)[1], "runs in mode model alone")
        expect(tool.says(folder.program("endless", ["for (;; x++) for (int i = 0; i < 30; i++) y++;"]), status=3), "STEP LIMIT", " more steps, which are not shown")
        tls = folder.write("tls.c", 'static __thread int x __attribute__((tls_model("initial-exec")));\nint main(void) { return x; }\n')
        expect(tool.run(tls, status=2)[1], "of the TLS model initial-exec")
    out = tool.says(tool.at("programs/process_output.c"), status=1)
    expect(out, "the answer is 42", "and more", "end")
    expect(tool.says(tool.at("programs/heap_leak.c"), "--no-leaks"), "proved: all")
    spins, weak, fences = (tool.at(f"programs/option_{name}.c") for name in ("safety", "model", "one_cpu"))
    for option in ((), ("--strategy", "dfs:all"), ("--strategy", "graphs")):
        expect(tool.says(spins, "--safety", *option), "proved safe: all 0 executions")
        expect(tool.says(weak, "--model", "sc", *option), "proved: all")
        expect(tool.says(fences, "--one-cpu", *option), "proved: all")
    expect(tool.says(tool.at("programs/mutex_inversion.c"), "--safety", status=3), "DEADLOCK", " --safety")
    expect(tool.says(spins, "--safety", "--", "fails", status=1), "CHECK")
    expect(tool.says(weak, "--model", "rc11", status=1), "CHECK")
    expect(tool.says(fences, "--one-cpu", "--", "forgets", status=1), "DATA RACE", " --one-cpu")
    expect(tool.run(weak, "--model", "tso", status=2)[1], "is none of rc11, sc")
    test = tool.test(tool.at("programs/assume_input.c"), "--strategy", "dfs:all")
    expect_all((test["executions"], test["pruned"]), (3, 1))  # an assumption ends one


# Each entry is an edit of what gcc writes, in its dump of the code or in the assembly, and what is said then.
FORMS = (("tree", "", ""), ("tree", r"s/\(\[[^]]*:[0-9]*\)\]/\1 discrim 3]/", ""),
         ("tree", r"s/\(\[[^]]*:[0-9]*\)\]/\1 odd]/", "what run() does at forms.c:4, which gcc writes in a form that is not known, is not seen"),
         ("tree", "s/;$/ ./", "what main() does at forms.c:5, which gcc writes in a form that is not known, is not seen"),
         ("tree", "s/__GIMPLE/__GENERIC/", "what 3 functions do is not seen"), ("tree", "s/^{/{ scope/", "what 3 functions do is not seen"),
         ("s", "s/GCC:/KCC:/", "neither gcc nor clang is not seen"))


def forms(tool):
    """What a compiler writes in a form that is not known is not seen, and then no pass is proved. A
    discriminator of gcc 14 is known.
    """
    if not shutil.which("gcc"):
        raise Skip("no gcc")
    with Folder() as folder:
        path = folder.write("forms.c", "#include <pthread.h>\nstatic int a;\nstatic pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;\n"
                            "static void *run(void *arg) { pthread_mutex_lock(&m); a++; pthread_mutex_unlock(&m); return arg; }\n"
                            "int main(void) { pthread_t t; pthread_create(&t, NULL, run, NULL); run(NULL); pthread_join(t, NULL); return a != 2; }\n")
        compiler = folder.write("compiler", '#!/bin/sh\ngcc "$@" || exit\nfor word; do\n\tfile=${word#*=}\n'
                                '\tcase $file in *.$KIND) [ ! -e "$file" ] || sed -i "$EDIT" "$file" ;; esac\ndone\n')
        os.chmod(compiler, 0o755)
        for kind, edit, said in FORMS:
            out, err = tool.run(path, env={"CC": compiler, "KIND": kind, "EDIT": edit})
            expect(out, "not proved: accesses of the places" if said else "proved: all 2 executions")
            expect(err, said)


# What the report on each program draws. The first set has the edges, as (edge, from step, to step),
# and the second set has the steps that fail.
DRAWN = {
    "mutex_inversion": (
        {("waits_for", "locks a", "wants the mutex a"), ("waits_for", "locks b", "wants the mutex b"),
         ("synchronizes", "starts thread-b", "locks a")},
        {"wants the mutex a", "wants the mutex b"}),
    "atomic_relaxed_publish": (
        {("reads_from", "store relaxed full", "load acquire full"), ("synchronizes", "starts thread-b", "plain write value")},
        {"plain write value", "plain read value"}),
    "cond_signal_before_wait": (
        {("synchronizes", "starts thread-c", "signals changed")}, {"signals changed", "waits for the condition changed"}),
    "cond_broadcast_if": ({("synchronizes", "broadcasts changed", "reacquires lock")}, {"plain"}),
    "heap_use_after_free": (set(), {"free", "plain"}),
    "mutex_long_trace": ({("synchronizes", "unlocks lock", "locks lock")}, {"plain read sum"}),
}


def drawing(tool):
    """The edges between the steps of a failure, and which steps fail: in the JSON, and drawn on the
    page.
    """
    for name, (edges, failing) in DRAWN.items():
        source = tool.at("programs", name + ".c")
        with Folder() as folder:
            tool.run(source, *folder.results(), status=None)
            test = folder.tests()[0]
            page = folder.read("html")
        steps = test["trace"] + test["waiting"]
        found = {(s["edge"], steps[s["from"]]["what"], s["what"]) for s in steps if s["edge"]}
        fails = {s["what"] for s in steps if s["failing"]}
        if not edges <= found or any(not any(f.startswith(text) for f in fails) for text in failing):
            raise Failure(f"{name}: {found} {fails}")
        for edge in edges:
            expect(page, f'data-edge="{edge[0]}"')
        expect(page, "failing")
        drawn(name, page, steps)


def drawn(name, page, steps):
    """The page stands alone. It has each step in order, arrows between steps that it has, and folds
    that are not empty.
    """
    if re.search(r"https?://(?!www\.w3\.org/2000/svg)|<link|@import| src=", page):
        raise Failure(f"{name}: the page refers to another file")
    rows = re.findall(r'<tr data-step="(\d+)"(?: data-of="(\d+)")?(?: data-from="(\d+)" data-edge="(\w*)")?>', page)
    expect_all([(number, start, edge) for number, _, start, edge in rows],
               [(str(i), str(step["from"]) if step["edge"] else "", step["edge"]) for i, step in enumerate(steps)])
    within = [step for step in steps if step["edge"] and steps[step["from"]]["thread"] == step["thread"]]
    expect_all((name, within), (name, []))
    expect_all(set(re.findall(r'<tr data-fold="(\d+)"', page)), {row[1] for row in rows if row[1]})
    arrows = [(s["thread"], s["from"]) for s in steps if s["edge"] == "synchronizes" and s["what"].startswith("locks ")]
    expect_all(len(arrows), len(set(arrows)))


# What the report on each program says. Each text is a regular expression that must match a line. A
# text that begins with "not " must match no line.
REPORTS = {
    "reach_list": (r"allocate queue  .*48 bytes", r"allocate queue->head->next .*16 bytes", r"plain write queue->head->next->value +=",
                   "locks queue->lock ", "name of a block is a pointer that leads to it at the end, such as queue->head"),
    "reach_local": ("allocate job  ", r"allocate job#2 ", r"plain write job#2->done += 2", "not job->done",
                    r"job#N: the N-th block that was allocated for the variable job \(reach_local.c:22"),
    "reach_array": (r"allocate table\.slots .*64 bytes", r"plain read table\.slots\[2\]\.count +1"),
    "reach_wrapper": (r"message: 9 bytes that main allocated for the variable message \(reach_wrapper.c:30", "not memory->", "not of the variable memory"),
    "reach_first_field": ("allocate job ", r"plain write job->count +=", r"not first\[1\]"),
    "reach_wrong_type": (r"plain write small->count +=", r"not either\.", "not many", r"not wrong->"),
    "reach_lost": (r"free block 1 of reach_lost\.c:19 ", r"free block 2 of reach_lost\.c:19 ", r"not held\.pair->", "not last->b by"),
    "reach_part": ("allocate head  ", r"plain write \*head\+16 += 1", r"not block \d"),
    "reach_stack": (r"plain write totals\[1\]\.sum of main +=",),
    "bug_apache_21287": (r"rmw seq_cst cached->references +2 -> 1", "free cached ", "atomic read cached->references", r"not block \d"),
    "bug_pbzip2_queue": ("the mutex fifo->lock, but its use by thread-b", r"the last 2 steps again, \d+ times", "> this thread runs in place of another"),
    "heap_freed_twice": ("shared freed twice",),
    "heap_out_of_bounds": ("outside any block: at byte 5 of text, which has 5 bytes", "plain write text, byte 5"),
    "malloc_fresh": (r"store relaxed shared += block +", r"load relaxed shared +block +", "block: .*; shared leads to it at the end"),
    "cond_if_not_while": (r"# thread-b +reacquires lock +spurious wakeup", "# the model let this happen; the specification allows it"),
    "cond_broadcast_if": (r"broadcasts changed +2 woken", r"posts ready +2 permits ", r"takes a permit of ready +0 permits left",
                          r"plain write tickets += -1", r"plain read open +1"),
    "mutex_exit_holding": (r"thread-b +misuse +programs/mutex_exit_holding.c:13 run +return arg;",),
    "process_null": (r"thread-b +plain write at NULL +programs/process_null.c:9 ",),
    "thread_main_exits": ("shrunk to 1 step in",),
    "cond_signal_for_broadcast": (r"thread-b +plain read ready +0 ", r"main +plain write ready += 1 ", r"signals changed +1 woken", r"waits for the condition changed for ever \(cond_signal_for_broadcast.c:13"),
    "cond_signal_before_wait": (r"signals changed +0 woken",),
    "sem_forever": (r"DEADLOCK .*: main waits for the semaphore sem for ever \(sem_forever.c:10",),
    "sem_two_permits": (r"takes a permit of permits +1 permit left",),
    "barrier_short": (r"arrives at barrier +1 of 3", "no thread can go on: main waits at the barrier barrier, where 2 of 3 have arrived"),
    "futex_lost_wake": ("thread-b sleeps on the futex word for ever though what it waits for has changed",),
    "mutex_long_trace": (r"plain read sum +\d+ .*assert\(sum == 30\)",),
    "mutex_init_late": (r"thread-b +misuse .*pthread_mutex_init\(&lock, NULL\)",),
}
SCENARIO = r"""
#include <fairlead/stress.h>
#include <stdlib.h>
struct pair { int a, b; };
struct reach { struct pair *pair; struct { struct pair *kept[3]; } more; unsigned word; };
FL_STRESS_SETUP(reach) { s->pair = malloc(sizeof *s->pair); s->more.kept[1] = malloc(sizeof(struct pair)); }
FL_STRESS_ACTOR(reach, one) { s->pair->b = 1; s->more.kept[1]->a = 1; fl_stress_futex_wake(&s->word, 2); }
FL_STRESS_ACTOR(reach, two) { s->MEMBER = 2; }
FL_STRESS(reach, one, two) { free(s->pair); free(s->more.kept[1]); FL_ACCEPTABLE(1, "all"); }
"""

# A thread of the setup goes on during the outcome. There, it does what the outcome forbids (AFTER),
# or nothing.
DURING_OUTCOME = r"""
#include <fairlead/stress.h>
#include <pthread.h>
#include <stdatomic.h>
struct late { pthread_t thread; atomic_int word, seen; };
static void *late_run(void *arg) { struct late *s = arg; while (!s->word) fl_stress_relax(); AFTER; return NULL; }
FL_STRESS_SETUP(late) { pthread_create(&s->thread, NULL, late_run, s); }
FL_STRESS_ACTOR(late, one) { s->BEFORE = 1; }
FL_STRESS(late, one) { s->word = 1; pthread_join(s->thread, NULL); FL_FORBIDDEN(s->seen, "seen"); FL_ACCEPTABLE(1, "all"); }
"""

# This program has a read that an optimising compiler would delete.
DEAD_READ = r"""
#include <fairlead/stress.h>
struct dead { int word; };
FL_STRESS_ACTOR(dead, writer) { s->word = 1; }
FL_STRESS_ACTOR(dead, reader) { int unused = s->word; (void)unused; }
FL_STRESS(dead, writer, reader) { FL_ACCEPTABLE(1, "all"); }
"""


def reports(tool):
    """What the report on a wrong program tells: names of blocks, what steps found, and a legend. It
    has no wrong name.
    """
    problems = []
    for name, lines in REPORTS.items():
        out = tool.says(tool.at("programs", name + ".c"), *TO_THE_END, status=None)
        for line in lines:
            if bool(re.search(line.removeprefix("not "), out)) == line.startswith("not "):
                problems.append(f"{name}: {line}\n{out}")
    with Folder() as folder:
        for member in ("pair->b", "more.kept[1]->a"):
            path = folder.write("reach.c", SCENARIO.replace("MEMBER", member))
            expect(tool.says("--load", path, "--mode", "model", status=1), f"write of s->{member} by")
        for after, before, shown in (("s->seen = 1", "word", True), ("(void)s->seen", "seen", False)):
            folder.write("reach.c", DURING_OUTCOME.replace("AFTER", after).replace("BEFORE", before))
            out = tool.says("--load", path, "--mode", "model", status=1)
            if ("FORBIDDEN late (model): seen" in out, bool(re.search("thread-c +(load|store) seq_cst s->seen", out))) != (True, shown):
                problems.append(out)
        folder.write("reach.c", DEAD_READ)
        expect(tool.says("--load", path, "-O2", "--mode", "model", status=1), "DATA RACE dead (model): read of s->word by reader")
    if problems:
        raise Failure("\n".join(problems))


def reduced(tool):
    """The search without bounds reaches the final states of all interleavings, and no others."""
    tool.need()
    wrong, runs = reduction.check(tool.program, 1, 40)
    if wrong or len(runs) < 50:
        raise Failure("\n".join(wrong) or f"only {len(runs)} of 80 searches of all interleavings ended")


# The begin of each program of threaded().
INCLUDES = """#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <linux/futex.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>"""
# Each program has the statements of its threads, and the limit that its executions meet. With None
# they meet no limit, and the result is proved.
ATOMICS = """static atomic_int x, y;
static FILE *stream;
static int plain;
static _Atomic double d;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, n = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static sem_t p;
static pthread_barrier_t b;
static inline long futex(int call, int n) { return syscall(SYS_futex, &y, call, n, &(struct timespec){1}, NULL, 0); }
void fl_stress_assume(_Bool);
static int start(void *arg) { return arg != NULL; }
static void *take(void *arg) { return arg; }
static int order(const void *a, const void *b) { pthread_mutex_lock(&m); plain++; pthread_mutex_unlock(&m); return *(int *)a - *(int *)b; }
static void count(void *of) { plain++; assert(of != &x || plain == 1); }
static inline void begin(int n, ...) { va_list *at = (va_list *)stream; va_start(*at++, n); if (at != (va_list *)stream + 1) abort(); }
static int f[5], on = 1;
static volatile int stop;
static char s[8];
static struct sockaddr name = {AF_UNIX, "x"};
static struct epoll_event e = {EPOLLIN};
#define W(a, v) atomic_store_explicit(&a, v, memory_order_relaxed)
#define Ws(a, v) atomic_store_explicit(&a, v, memory_order_seq_cst)
#define R(a) atomic_load_explicit(&a, memory_order_relaxed)
#define Ra(a) atomic_load_explicit(&a, memory_order_acquire)
#define Rs(a) atomic_load_explicit(&a, memory_order_seq_cst)
"""
PROOFS = {
    "alone": ([], None),
    "store_buffer": (["W(x, 1); R(y);", "W(y, 1); R(x);"], None),
    "writers": (["W(x, 1);", "W(x, 2);", "R(x); R(x);"], None),
    "two_and_two": (["W(x, 1); W(y, 2);", "W(y, 1); W(x, 2);"], "another modification order"),
    "two_and_two_sc": (["Ws(x, 1); Ws(y, 2);", "Ws(y, 1); Ws(x, 2);"], None),
    "store_over_read": (["W(x, 2); W(y, 1);", "R(y); W(x, 1);"], "another modification order"),
    "iriw": (["Ws(x, 1);", "Ra(x); Rs(y);", "Ws(y, 1);", "Ra(y); Rs(x);"], "another modification order"),
    "eight_back": (["for (int i = 1; i <= 8; i++) W(x, i);", "R(x);"], None),
    "six_old": (["W(x, 1);", "int n = 0; for (int i = 0; i < 6; i++) n += R(x);"], None),
    "busy": (["pthread_mutex_lock(&m); pthread_mutex_unlock(&m); W(x, 1);", "if (R(x) && !pthread_mutex_trylock(&m)) pthread_mutex_unlock(&m);"],
             "another modification order"),
    "known_free": (["pthread_mutex_lock(&m); pthread_mutex_unlock(&m); Ws(x, 1);", "if (Rs(x)) pthread_mutex_trylock(&m) || pthread_mutex_unlock(&m);"],
                   None),
    "read": (["pthread_rwlock_wrlock(&l); pthread_rwlock_unlock(&l); W(x, 1);", "if (R(x) && !pthread_rwlock_tryrdlock(&l)) pthread_rwlock_unlock(&l);"],
             "another modification order"),
    "waits": (["Ws(x, 1);", "while (!Rs(x)) sched_yield();"], None),
    "waits_ten_times": (["W(x, 1);", "for (int i = 0; i < 10 && !R(x); i++) sched_yield();"], "a bounded spin"),
    "one_statement": (2 * ["d += 1.5; y *= 2;"], None),
    "weak": (["int n = 0; while (!atomic_compare_exchange_weak(&x, &n, n + 1));", "W(x, 3);"], None),
    "c11_threads": (2 * ["thrd_t t; thrd_create(&t, start, NULL); thrd_join(t, NULL);"], None),
    "clock": (["(void)time(NULL);"], "the clock"),
    "no_end": (2 * ["void __VERIFIER_assume(int); pthread_mutex_lock(&m); __VERIFIER_assume(plain); pthread_mutex_unlock(&m);"], "no execution came to its end"),
    "pause": (['__asm__ volatile("pause" ::: "memory");'], None),
    "drawn": (["int __VERIFIER_nondet_int(void); (void)__VERIFIER_nondet_int();"], "the clock"),
    "retires": (["void __VERIFIER_hazptr_retire(const void *); __VERIFIER_hazptr_retire(malloc(1));"], "a hazard pointer"),
    "assembly": (['__asm__ volatile("" ::: "memory"); __asm__ volatile("lock; incl %0" : "+m"(*(int *)&x));'], "the places that the command names"),
    "returns": (["static div_t to; to = div(3, 2);"], "the places that the command names"),
    "takes": (["int of(div_t d) { return d.rem; } static div_t from; (void)of(from);"], "the places that the command names"),
    "fills": (["static int to[10]; __builtin_memset(to, 0, 40);"], "the places that the command names"),
    "lends": (["div_t to = div(3, 2); stream = (void *)&to; Ws(x, 1); while (!Rs(y)) sched_yield();", "while (!Rs(x)) sched_yield(); plain = *(int *)stream; Ws(y, 1);"],
              "used another's stack"),
    "keeps": (["div_t to = div(3, 2); memset(&to, 0, sizeof to);"], None),
    "partly": (['int n; sscanf("1", "%d", &n);'], "sscanf() are seen"),
    "own_buffer": (["setvbuf(stdout, s, _IOFBF, sizeof s);"], "not all effects of setvbuf() are seen"),
    "own_stack": (["static char stack[1 << 16]; pthread_attr_t a; pthread_attr_init(&a); pthread_attr_setstack(&a, stack, sizeof stack);"], "pthread_attr_setstack() are seen"),
    "protects": (['mprotect(mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096, PROT_READ);'], "not all effects of mprotect() are seen"),
    "unmaps": (['char *t = mmap(NULL, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(t + 4096, 4096);'], "not all effects of munmap() are seen"),
    "unprotects": (['mprotect(mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096, PROT_READ | PROT_WRITE);'], None),
    "wholly": (['char t[9]; snprintf(t, 9, "%d%.1f%s", 1, 2.0, "a"); if (atoi(t) && strstr(t, "a")) puts(t); printf("%p%%", t);'], None),
}
# those whose limit the search by graphs meets, too
ALWAYS = ("no_end", "clock", "drawn", "retires", "assembly", "returns", "takes", "fills", "lends", "partly", "own_buffer", "own_stack", "protects", "unmaps")


# Each entry has a condition by which a thread learns that another thread has begun something,
# although nothing is ordered by that, and the statements of the other thread.
LOCKS = "pthread_mutex_lock(&m); pthread_mutex_unlock(&m);"
TOLD = {
    "trylock": ("pthread_mutex_trylock(&m) || pthread_mutex_unlock(&m)", LOCKS),
    "timedlock": ("pthread_mutex_timedlock(&m, &(struct timespec){0}) || pthread_mutex_unlock(&m)", LOCKS),
    "tryrdlock": ("pthread_rwlock_tryrdlock(&l) || pthread_rwlock_unlock(&l)", "pthread_rwlock_wrlock(&l); pthread_rwlock_unlock(&l);"),
    "trywrlock": ("pthread_rwlock_trywrlock(&l) || pthread_rwlock_unlock(&l)", "pthread_rwlock_rdlock(&l); pthread_rwlock_unlock(&l);"),
    "trywait": ("sem_trywait(&p) || sem_post(&p)", "sem_wait(&p); sem_post(&p);"),
    "getvalue": ("({ int n; sem_getvalue(&p, &n); n == 0; })", "sem_wait(&p); sem_post(&p);"),
    "wait_of_two": ("!sem_wait(&p)", "sem_wait(&p);"),
    "signal": ("({ pthread_mutex_lock(&m); int r = pthread_cond_timedwait(&c, &m, &(struct timespec){1700002000}); pthread_mutex_unlock(&m); r == 0; })",
               "pthread_cond_signal(&c);"),
    "signalled": ("!pthread_cond_signal(&c)", "pthread_mutex_lock(&m); pthread_cond_timedwait(&c, &m, &(struct timespec){1}); pthread_mutex_unlock(&m);"),
    "futex_wake": ("futex(FUTEX_WAKE, 1) == 1", "futex(FUTEX_WAIT, 0);"),
    "futex_again": ("futex(FUTEX_WAIT, 0) == -1 && errno == EAGAIN", "W(y, 1);"),
    "futex_woken": ("futex(FUTEX_WAIT, 0) == 0", "futex(FUTEX_WAKE, 1);"),
}


# Each entry has the statements of two threads that share no memory. Which of them came first shows
# in `seen`, or as misuse.
SHARED = {
    "pipes": ("int f[2]; (void)!pipe(f);", "int f[2]; (void)!pipe(f); seen = f[0] == 3;"),
    "names": ('pthread_setname_np(first, "q");', "char name[16]; pthread_getname_np(first, name, 16); seen = *name == 'q';"),
    "processors": ("cpu_set_t s; CPU_ZERO(&s); CPU_SET(0, &s); pthread_setaffinity_np(first, sizeof s, &s);",
                   "cpu_set_t s; pthread_getaffinity_np(first, sizeof s, &s); seen = CPU_COUNT(&s) == 1;"),
    "exits": ("(void)atexit(see);", "(void)atexit(see_not);"),
    "keys": ("pthread_key_delete(key);", "(void)pthread_getspecific(key);"),
    "detached": ("pthread_detach(pthread_self());", ""),
    "robust": ("pthread_mutex_lock(&held->r);", "seen = pthread_mutex_trylock(&held->r) == EBUSY; if (!seen) pthread_mutex_unlock(&held->r);"),
    "destroyed": ("pthread_mutex_lock(&held->m); pthread_mutex_unlock(&held->m);", "pthread_mutex_destroy(&held->m);"),
    "left": ("pthread_barrier_wait(&held->b); free(held);", "pthread_barrier_wait(&held->b);"),
    "freed": ("pthread_mutex_lock(&held->m); pthread_mutex_unlock(&held->m);", "free(held);"),
    "signalled": ("pthread_mutex_lock(&held->m); held->ready = 1; pthread_mutex_unlock(&held->m); pthread_cond_signal(&held->c);",
                  "struct held *h = held; pthread_mutex_lock(&h->m); while (!h->ready) pthread_cond_wait(&h->c, &h->m); "
                  "pthread_mutex_unlock(&h->m); free(h);"),
}
SHARED_BEGIN = """first = pthread_self(); pthread_key_create(&key, NULL); held = calloc(1, sizeof *held);
	pthread_barrier_init(&held->b, NULL, 2); pthread_mutexattr_t a; pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST); pthread_mutex_init(&held->r, &a);"""


# Each entry has the statements of two threads that race by what the C library does with memory.
RACES = {
    "mutex_init": ("pthread_mutex_init(&m, NULL);", "s[0] = *(char *)&m;"),
    "destroy": ("pthread_mutex_destroy(&m);", "s[0] = *(char *)&m;"),
    "lock": (LOCKS, "m = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;", LOCKS),
    "lock_byte": (LOCKS, "((char *)&m)[39] = 0;", LOCKS),
    "lock_atomic": (LOCKS, "__atomic_store_n((int *)&m + 8, 0, __ATOMIC_RELAXED);", LOCKS),
    "once": ("pthread_once(f, (void (*)(void))sched_yield);", "f[0] = PTHREAD_ONCE_INIT;"),
    "qsort": ("qsort(f, 5, sizeof *f, (int (*)(const void *, const void *))strcmp);", "plain = f[4];"),
    "va_start": ("begin(1);", "va_list own[3], *at = own, *from = (va_list *)stream; va_copy(*at++, *from++); if (at != own + 1 || from != (va_list *)stream + 1) abort();", "stream = malloc(99);"),
    "vprintf": ("begin(1); sem_post(&p); vprintf(\"\", *(va_list *)stream);", "sem_wait(&p); plain = *(char *)stream;", "stream = malloc(99); sem_init(&p, 0, 0);"),
    "expected": ("atomic_compare_exchange_strong(&x, f, 1);", "plain = f[0];", "f[0] = 1;"),
    "wide_expected": ("static _Atomic ldiv_t own; atomic_compare_exchange_strong(&own, (ldiv_t *)stream, (ldiv_t){1});", "*(int *)stream = 1;", "stream = calloc(1, 16);"),
    "wide_result": ("static struct itimerspec own; __atomic_load(&own, (struct itimerspec *)stream, 5);", "plain = *(int *)stream;", "stream = calloc(1, 32);"),
    "realloc": ("*(char *)stream = 1;", "free(realloc(stream, 9));", "stream = malloc(8);"),
}


# Each entry has the statements of a thread for which main does not wait, those of a function of
# atexit(), the last statement of main, the exit status, and what the command says.
EXITS = {
    "sees_exit": ("if (R(x)) _exit(3);", "W(x, 1);", "return 0;", 1, "thread-b ends the program"),
    "goes_on": ("while (!R(x)) sched_yield(); abort();", "W(x, 1);", "return 0;", 4, "abort()"),
    "other_status": ("exit(3);", "", "return 0;", 1, "thread-b ends the program"),
    "other_runs_it": ("me = 1; exit(0);", "if (me) _exit(3);", "return 0;", 1, "thread-b ends the program"),
    "recursive": ("", "exit(0);", "return 0;", 1, "exit() runs already"),
    "destroys": ("pthread_mutex_lock(&m); pthread_mutex_unlock(&m);", "pthread_mutex_destroy(&m);", "return 0;", 1, "the mutex m"),
    "works": ("W(x, 1); R(y);", "W(y, 1); R(x);", "return 0;", 0, "proved: all 4"),
    "for_ever": ("for (;;) W(x, R(x) + 1);", "W(x, 1);", "return 0;", 0, "not proved: a thread that was ready for 400 steps"),
    "last": ("plain = 1;", "if (plain != 1) _exit(3);", "pthread_exit(NULL);", 0, "not proved: another thread could have ended last"),
}


# With this beginning, a program is not searched by graphs, which have no waits for conditions that
# end at a deadline.
NO_GRAPHS = "sem_init(&p, 0, 0); sem_post(&p); pthread_mutex_lock(&m); pthread_cond_timedwait(&c, &m, &(struct timespec){0}); pthread_mutex_unlock(&m);"

# Each entry of DESCRIPTORS has the first statements of main, the statements of a thread after its
# sem_post(), those of another thread after its sem_wait(), and what the command says. In a real run
# the second thread may come first.
PAIR = "socketpair(AF_UNIX, SOCK_STREAM, 0, f);"
WATCHES = "f[2] = epoll_create1(0); (void)!pipe(f); (void)!pipe(f + 3); epoll_ctl(f[2], EPOLL_CTL_ADD, f[0], &e); epoll_ctl(f[2], EPOLL_CTL_ADD, f[3], &e);"
FILE = 'stream = fopen("x", "w+"); fputs("ab", stream); rewind(stream); f[0] = open("x", O_RDWR);'
CHANGED = "another thread could have changed a descriptor"
WAITS_FOR_BYTES, MOVED = "poll(&(struct pollfd){f[0], POLLIN}, 1, -1);", "could have come later"
DESCRIPTORS = {
    "own": ("", *2 * ["int own[2]; (void)!pipe(own); fcntl(own[1], F_SETFL, O_NONBLOCK); close(own[1]);"], "proved: all"),
    "closed": ("(void)!pipe(f);", "if (write(f[1], s, 1) < 0) abort();", "close(f[1]);", CHANGED),
    "opened": ("", "if (fcntl(3, F_GETFD) >= 0) abort();", "(void)!pipe(f);", CHANGED),
    "blocks": ("(void)!pipe(f);", "if (read(f[0], s, 1) < 0) abort();", "fcntl(f[0], F_SETFL, O_NONBLOCK); (void)!write(f[1], s, 1);", CHANGED),
    "blocks_by_ioctl": ("(void)!pipe(f);", "if (read(f[0], s, 1) < 0) abort();", "ioctl(f[0], FIONBIO, &on); (void)!write(f[1], s, 1);", CHANGED),
    "waits_for_time": (PAIR, "if (recv(f[0], s, 1, 0) < 0) abort();", "setsockopt(f[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){1}, 16); (void)!write(f[1], s, 1);", CHANGED),
    "bound": ("f[0] = socket(AF_UNIX, SOCK_STREAM, 0);", "socklen_t n = 2; getsockname(f[0], (void *)s, &n); if (n > 2) abort();", "bind(f[0], &name, sizeof name);", CHANGED),
    "listens": ("f[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);", "accept(f[0], NULL, NULL); if (errno != EINVAL) abort();", "listen(f[0], 1);", CHANGED),
    "connected": (LISTENS, "if (send(f[0], s, 1, 0) >= 0) abort();", "connect(f[0], &name, sizeof name);", CHANGED),
    "shut_by_another": (PAIR, WAITS_FOR_BYTES, "shutdown(f[0], SHUT_RDWR);", "proved: all"),
    "closed_by_another": (PAIR, WAITS_FOR_BYTES, "close(f[0]);", "DEADLOCK"),
    "cut": (PAIR, "static char own[1 << 16]; if (write(f[0], own, sizeof own) < 0) abort();", "(void)!read(f[1], s, 8); close(f[1]);", "passed"),
    "full": (PAIR + "for (int i = 0; i < 300; i++) (void)!write(f[0], s, 1);", "", "", MOVED),
    "full_pages": ("(void)!pipe(f); static char own[2100]; for (int i = 0; i < 20; i++) (void)!write(f[1], own, sizeof own);", "", "", MOVED),
    "late": (LISTENS.replace("UNIX", "INET").replace("name", "in").replace("f[0]", "struct sockaddr in = {AF_INET, {4, 1}}; f[0]", 1) + "connect(f[0], &in, sizeof in); f[2] = accept(f[1], 0, 0);",
             "(void)!write(f[0], s, 1);", "if (recv(f[2], s, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN) abort();", MOVED),
    "packets": ("if (pipe2(f, O_DIRECT)) abort();", "", "", "NOT MODELLED"),
    "events": (WATCHES, "(void)!write(f[1], s, 1);", "(void)!write(f[4], s, 1);", CHANGED),
    "place": (FILE, "if (lseek(f[0], 0, SEEK_CUR)) abort();", "lseek(f[0], 1, SEEK_SET);", "CRASH"),
    "size": (FILE, "struct stat t; fstat(f[0], &t); if (t.st_size != 2) abort();", "(void)!write(f[0], \"abc\", 3);", "CRASH"),
    "stream": (FILE, "if (fgetc(stream) != 'a') abort();", "fgetc(stream);", "CRASH"),
    "at": (FILE, "(void)!pread(f[0], s, 1, 0); s[0]++; (void)!pwrite(f[0], s, 1, 0);", "(void)!pread(f[0], s + 1, 1, 0); if (s[1] == 'a') s[1]++; (void)!pwrite(f[0], s + 1, 1, 0); (void)!pread(f[0], s + 1, 1, 0); if (s[1] == 'b') abort();", "CRASH"),
    "printed": (FILE, "fputc('1', stream); fflush(NULL);", "char c; if (read(f[0], &c, 1) == 1 && c == '1') abort();", "CRASH"),
    "line": (FILE, "fgets(s, 8, stream);", "s[3] = 1;", "proved: all"),
    "line_end": (FILE, "fgets(s, 8, stream);", "s[2] = 1;", "DATA RACE"),
    "block": (FILE, "(void)!fread(s, 1, 8, stream);", "s[2] = 1;", "proved: all"),
    "capacity": (PAIR, "setsockopt(f[0], SOL_SOCKET, SO_SNDBUF, &on, sizeof on);", "if (send(f[0], s, 8, MSG_DONTWAIT) == 8) abort();", "CRASH"),
    "reset": (PAIR + "(void)!write(f[0], s, 1);", "int e; socklen_t n = sizeof e; getsockopt(f[0], SOL_SOCKET, SO_ERROR, &e, &n); if (e) abort();", "close(f[1]);", "CRASH"),
    "unlinked": (LISTENS, 'unlink("x");', "if (connect(f[0], &name, sizeof name) == 0) abort();", "CRASH"),
    "unwatched": (WATCHES + "(void)!write(f[1], s, 1);", "close(f[0]);", "if (epoll_wait(f[2], &e, 1, 0)) abort();", "CRASH"),
    "set_later": ("f[0] = timerfd_create(CLOCK_MONOTONIC, 0);", "if (read(f[0], s, 8) != 8) abort();", "timerfd_settime(f[0], 0, &(struct itimerspec){.it_value = {1}}, NULL);", "proved: all"),
    "left": (TIMERS, "timerfd_gettime(f[0], &(struct itimerspec){});", "", "the clock"),
    "shut": (PAIR + "shutdown(f[0], SHUT_WR); close(f[1]); (void)!pipe(f + 1); if (send(f[0], s, 1, MSG_NOSIGNAL) == 1) abort();", "", "", "proved: all"),
}


# Each entry of FEW is a program that is proved by graphs. It has the first statement of main, the
# statements of each thread, and the most executions that end and that are blocked.
WAITS = "for (int i = 0; i < 5; i++) { pthread_mutex_lock(&m); while (R(x) == %d) pthread_cond_wait(&c, &m); W(x, %d); pthread_cond_broadcast(&c); pthread_mutex_unlock(&m); }"
TAKES = "pthread_mutex_lock(&m); while (R(x) == 0) pthread_cond_wait(&c, &m); W(x, R(x) - 1); pthread_mutex_unlock(&m);"
GIVES = "pthread_mutex_lock(&m); W(x, R(x) + 1); pthread_cond_signal(&c); pthread_mutex_unlock(&m);"
SPINS = "while (atomic_exchange_explicit(&x, 1, memory_order_acquire)); atomic_store_explicit(&x, 0, memory_order_release);"
ORDER = "pthread_mutex_lock(&m); plain = plain * 4 + %d; if (plain == {}) abort(); pthread_mutex_unlock(&m);"
# `plain` has the order of the steps, as digits to the base 4. The program "last" fails with the
# order 11223300, to which the search comes late: no process then has less left to search.
ORDERS = [2 * (ORDER % i) for i in range(4)]
PLAIN_FUTEX = ["pthread_mutex_lock(&m); int n = plain; pthread_mutex_unlock(&m); if (!n) syscall(SYS_futex, &plain, FUTEX_WAIT, 0, NULL, NULL, 0);",
               "pthread_mutex_lock(&m); plain = 1; pthread_mutex_unlock(&m); syscall(SYS_futex, &plain, FUTEX_WAKE, 1);"]
FEW = {
    "producer_consumer": ("", [WAITS % (1, 1), WAITS % (0, 0)], 1, 9),
    "three_consumers": ("", [TAKES, TAKES, TAKES, 3 * GIVES], 30, 600),
    "notes_waiters": ("", 2 * [TAKES.replace("while", "W(y, R(y) + 1); while")] + [2 * GIVES.replace("W(x", "if (R(y)) W(x, R(x)); W(x")], 130, 130),
    "signalled_later": ("", [TAKES, "pthread_mutex_lock(&m); W(x, 1); pthread_mutex_unlock(&m); pthread_cond_signal(&c);"], 1, 1),
    "spin_lock": ("", 3 * [SPINS], 6, 18),
    "adds_nothing": ("", ["while (!atomic_fetch_add(&x, 0)); R(y);", "Ws(x, 1);"], 1, 1),
    "lock_beside_await": ("", ["while (!atomic_load(&x));", "pthread_mutex_lock(&m); pthread_mutex_unlock(&m); Ws(x, 1);"], 2, 1),
    "two_permits": ("sem_init(&p, 0, 2);", 3 * ["sem_wait(&p); sem_post(&p);"], 54, 0),
    "orders": ("", [body.replace("{}", "-1") for body in ORDERS + [ORDER % 3]], 22680, 0),
    "tries": ("sem_init(&p, 0, 1);", 2 * ["sem_trywait(&p) || sem_post(&p);"], 4, 0),
    "deadlines": ("", 2 * ["pthread_mutex_timedlock(&m, &(struct timespec){1700002000}) || pthread_mutex_unlock(&m);"], 4, 0),
    "rounds": ("pthread_barrier_init(&b, NULL, 3);", 3 * [3 * "pthread_barrier_wait(&b);"], 27, 0),
    "arrivals": ("pthread_barrier_init(&b, NULL, 15);", 15 * ["pthread_barrier_wait(&b);"], 15, 0),
    "waits_to_the_end": ("", ["while (!R(y)) futex(FUTEX_WAIT, 0);", "W(y, 1);"], 11, 16),
    "reads_until": ("", ["pthread_rwlock_wrlock(&l); plain++; pthread_rwlock_unlock(&l);", "if (!pthread_rwlock_timedrdlock(&l, &(struct timespec){1700002000})) { (void)plain; pthread_rwlock_unlock(&l); }"], 4, 2),
    # two programs of GenMC's group "saver", with fewer writes
    "iriw_last": ("", ["for (int i = 1; i <= 9; i++) W(x, i);", "for (int i = 1; i <= 9; i++) W(y, i);", "fl_stress_assume(R(x) == 9 && !R(y));", "fl_stress_assume(!R(y) && R(x) == 9);"], 1, 3),
    "swap_lock": ("", 3 * ["for (int free = 0; !atomic_compare_exchange_strong(&x, &free, 1); free = 0); atomic_store(&x, 0);"], 6, 6),
    # Slots of these threads' frames are never written. They must not have what an earlier execution has left.
    "waits_for_two": ("", ["W(x, 1); W(y, 1);", "int u = 0, v = 0; for (;;) { u = R(x); if (u) { v = R(y); if (v >= 1) break; } }", "W(x, 1); (void)R(x); W(y, 2);"], 24, 14),
    "readers_and_futex": ("", ["pthread_rwlock_rdlock(&l); pthread_rwlock_unlock(&l); while (!R(x)) syscall(SYS_futex, &x, FUTEX_WAIT, 0, NULL, NULL, 0);", "pthread_rwlock_wrlock(&l); pthread_rwlock_unlock(&l); W(x, 1); syscall(SYS_futex, &x, FUTEX_WAKE, 1);"], 18, 6),
}


def threaded(bodies, first=""):
    """A program with a thread for each of the bodies, after a first statement of main."""
    lines = [INCLUDES, ATOMICS]
    lines += [f"static void *run{i}(void *arg) {{ {body} return arg; }}" for i, body in enumerate(bodies)]
    lines += ["int main(void)", "{", f"\tpthread_t t[{len(bodies) + 1}];", first]
    lines += [f"\tpthread_create(&t[{i}], NULL, run{i}, NULL);" for i in range(len(bodies))]
    return "\n".join(lines + [f"\tpthread_join(t[{i}], NULL);" for i in range(len(bodies))] + ["\treturn 0;", "}", ""])


# This program waits for a condition. Its loop has finitely many executions, although each turn may
# be woken spuriously.
CONDITION = """#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int ready, taken;
static void *take(void *arg)
{
	pthread_mutex_lock(&m);
	%s (!ready)
		pthread_cond_wait(&c, &m);
	assert(ready == 1);
	taken = ready--;
	pthread_mutex_unlock(&m);
	return arg;
}
int main(void)
{
	pthread_t t;
	pthread_create(&t, NULL, take, NULL);
	pthread_mutex_lock(&m);
	ready = 1;
	pthread_cond_signal(&c);
	pthread_mutex_unlock(&m);
	return pthread_join(t, NULL);
}
"""


# Programs in C++: what the program is told to print of each, and the text of the program.
CXX = {
    "random": ("not proved: the program read the clock, the processor's number or a random number",
               "#include <random>\nint main() { return std::random_device()() == 7; }"),
    "random_early": ("not proved: the program read the clock, the processor's number or a random number",
                     "#include <random>\nstatic std::mt19937 of{std::random_device{}()};\nint main() { return of() == 7; }"),
    "string": ("DATA RACE string (model): read of s", "#include <string>\n#include <thread>\nstatic std::string s;\n"
               'int main()\n{\n\tstd::thread other([] { s += "b"; });\n\ts = "a";\n\tother.join();\n}'),
    "lock_free": ("proved: all 1 execution", "#include <atomic>\nstatic std::atomic<int> one;\nstruct pair { long of[2]; };\nstatic std::atomic<pair> two;\n"
                  "int main() { return !one.is_lock_free() || two.is_lock_free(); }"),
    "fileno": ("NOT MODELLED fileno (model): main calls fileno()", '#include <fstream>\nint main() { std::ifstream("/dev/null").get(); }'),
    "lines": ("which main has held since lines.cc:8 (main) (lines.cc:6 (main::{lambda()#1}::operator()))",
              "#include <mutex>\n#include <thread>\nstatic std::mutex a, b;\nint main()\n{\n\tstd::thread other([] { std::lock_guard one(a), two(b); });\n"
              "\t{\n\t\tstd::lock_guard one(b), two(a);\n\t}\n\tother.join();\n}"),
    "atomic": ("/atomic.cc:6 main x.store(1", "#include <atomic>\n#include <cassert>\nstatic std::atomic<int> x;\nint main()\n{\n"
               "\tx.store(1, std::memory_order_release);\n\tassert(x == 2);\n}"),
    "latch": ("latch.cc:5 (main))", "#include <latch>\nint main()\n{\n\tstd::latch two(2);\n\ttwo.arrive_and_wait();\n}"),
    # All fields of one mutex are raced for.
    "fields": ("DATA RACE fields (model): ", "#include <mutex>\n#include <thread>\nstruct pool {\n\tstd::thread worker;\n\tstd::mutex m;\n"
               "\tpool() : worker([this] { m.lock(); m.unlock(); }) {}\n\t~pool() { worker.join(); }\n};\nint main() { pool p; }"),
    "locale": ('makes the locale "xx"', '#include <locale>\nint main() { std::locale("xx"); }'),
}

# A relaxed store after a release store of the same thread continues the release sequence in C11,
# and not in C++20.
SEQUENCE = """#ifdef __cplusplus
#include <atomic>
using namespace std;
#else
#include <stdatomic.h>
#endif
#include <pthread.h>
static atomic_int flag;
static int data;
static void *write_it(void *arg)
{
	data = 1;
	atomic_store_explicit(&flag, 1, memory_order_release);
	atomic_store_explicit(&flag, 2, memory_order_relaxed);
	return arg;
}
int main()
{
	pthread_t t;
	pthread_create(&t, 0, write_it, 0);
	if (atomic_load_explicit(&flag, memory_order_acquire) == 2)
		data = 2;
	return pthread_join(t, 0);
}
"""


# This program compares and swaps a pointer. Meanwhile another thread may have freed the block, and
# allocated a new one at the same address.
REUSE = """#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
static _Atomic(int *) top;
static void *replace(void *arg)
{
	free(atomic_exchange(&top, NULL));
	int *other = malloc(sizeof *other);
	atomic_store(&top, other);
	return arg;
}
int main(void)
{
	int *first = malloc(sizeof *first), *expected = first;
	pthread_t t;
	atomic_store(&top, first);
	pthread_create(&t, NULL, replace, NULL);
	pthread_join(t, NULL);
	const int swapped = atomic_compare_exchange_strong(&top, &expected, NULL);
	free(expected);
	return swapped;
}
"""


def proofs(tool):
    """What is proved is so, and nothing else is proved. Otherwise, each form of the result names
    the limit that was met.
    """
    problems = []
    with Folder() as folder:
        cases = [(name, bodies, limit, NO_GRAPHS) for name, (bodies, limit) in PROOFS.items()]
        cases += [(name, [f"if ({tells}) W(x, 3);", f"W(x, 2); {change}"], "another modification order", NO_GRAPHS + ("sem_post(&p);" if name == "wait_of_two" else ""))
                  for name, (tells, change) in TOLD.items()]
        cases += [(name, bodies, limit if name in ALWAYS else None, "") for name, (bodies, limit) in PROOFS.items()]
        for name, bodies, limit, first in cases:
            path = folder.program(name, bodies, first)
            out, err = tool.run(path, *TO_THE_END, *folder.results())
            test = folder.tests()[0]
            said = "proved: all" if limit is None else limit
            if test["proved"] != (limit is None) or not all(said in text for text in (out, folder.read("junit"), folder.read("html"))) or (
                    limit and not any(limit in text for text in test["limits"])) or ("assembly at assembly.c:" in err) != (name == "assembly"):
                problems.append(f"{name}: {test['limits']}\n{out}{err}")
        # A fence does not make what a thread learns in this way synchronize.
        for name, (tells, change) in TOLD.items():
            for strategy in ("dfs:all", "graphs") * (name[0] in "tg"):
                tool.run(folder.program(name, [f"if ({tells}) {{ atomic_thread_fence(memory_order_acquire); plain++; }}",
                                               f"plain = 1; atomic_thread_fence(memory_order_release); {change}"], "sem_init(&p, 0, 1);"),
                         "--strategy", strategy, status=1)
        for name, (one, other, *first) in RACES.items():
            expect(tool.says(folder.program(name, [one, other], *first), status=1), "DATA RACE")
        expect(tool.says(folder.path("alone.c")), "proved: all 1 execution\n")
        path = folder.write("math.c", "int canonicalizef(float *, const float *);\nint main(void) { static float of, to; return canonicalizef(&to, &of); }\n")
        expect(tool.says(path, "-lm"), "not all effects of canonicalizef() are seen")
        for std, status in ((".c", 0), (".c --std c++20", 1), (".cc", 1), (".cc --std c11", 0)):
            ending, *options = std.split(" ", 1)
            path = folder.write("sequence" + ending, SEQUENCE)
            for strategy in ("graphs", "dfs:all"):
                expect(tool.says(path, *" ".join(options).split(), "--strategy", strategy, status=status), "DATA RACE" if status else "proved: all")
        for name, (said, text) in CXX.items():
            out = tool.says(folder.write(name + ".cc", text), "-std=c++17" if name == "string" else "-std=c++20", status=None)
            expect(" ".join(out.split()), said.strip())
            if out.count("DATA RACE") > 1 and name == "fields":
                raise Failure(out)
        path = folder.write("reuse.c", REUSE)
        for strategy in ("graphs", "dfs:all"):
            expect(tool.says(path, "--strategy", strategy, status=1), "main returns 1", "allocate other, a freed block")
        for name, wait, status, said in (("while", "while", 0, "proved: all"), ("if", "if", 1, "CHECK"),
                                         ("leak", "for (void *volatile p; !ready; p = malloc(1), p = NULL) if", 1, "LEAK")):
            path = folder.write(name + ".c", CONDITION % wait)
            expect(tool.says(path, *TO_THE_END, status=status), said)
        for name, executions in (("store_buffer", 4), ("two_and_two", 4), ("two_and_two_sc", 3), ("iriw", 16), ("waits", 1)):
            test = tool.test(folder.program(name, PROOFS[name][0]), "--strategy", "graphs")
            if (test["proved"], test["executions"]) != (True, executions):
                problems.append(f"{name}: {test}")
        for name, (first, bodies, complete, blocked) in FEW.items():
            test = tool.test(folder.program(name, bodies, first), "--strategy", "graphs", "--jobs", "3")
            if not test["proved"] or test["complete"] > complete or test["blocked"] > blocked or test["complete"] < complete * (name == "orders"):
                problems.append(f"{name}: {test}")
        for name, bodies, said in (("lost", ["stream = malloc(1); stream = NULL;"], "LEAK"), ("twice", 2 * [SPINS.split(";")[0] + ";"], "LIVELOCK"), ("last", [body.replace("{}", str(int("11223300", 4))) for body in ORDERS], "CRASH"), ("crossed", ["pthread_mutex_lock(&m); pthread_mutex_lock(&n); pthread_mutex_unlock(&n); pthread_mutex_unlock(&m);", "pthread_mutex_lock(&n); pthread_mutex_lock(&m); pthread_mutex_unlock(&m); pthread_mutex_unlock(&n);"], "DEADLOCK"),
                                   ("step_in_section", ["pthread_mutex_lock(&m); pthread_rwlock_wrlock(&l); pthread_rwlock_unlock(&l); pthread_mutex_unlock(&m);", "pthread_rwlock_wrlock(&l); pthread_mutex_lock(&m); pthread_mutex_unlock(&m); pthread_rwlock_unlock(&l);"], "DEADLOCK"),
                                   ("unseen", ["pthread_mutex_lock(&m); ((char *)f)[0] = '1'; pthread_mutex_unlock(&m);", "pthread_mutex_lock(&m); if (atoi((char *)f)) abort(); pthread_mutex_unlock(&m);"], "CRASH"),
                                   ("woken_once", [TAKES, TAKES, GIVES.replace("+ 1", "+ 2")], "DEADLOCK"),
                                   ("wakes_last_two", ["if (!syscall(SYS_futex, &y, FUTEX_WAIT, 0, NULL, NULL, 0)) atomic_fetch_or(&x, 1);", "if (!syscall(SYS_futex, &y, FUTEX_WAIT, 0, NULL, NULL, 0)) atomic_fetch_or(&x, 2);", "if (!syscall(SYS_futex, &y, FUTEX_WAIT, 0, NULL, NULL, 0)) atomic_fetch_or(&x, 4);",
                                                       "if (futex(FUTEX_WAKE, 2) == 2) { int all = 0; for (; all == 0 || !(all & (all - 1)); all = R(x)); if (all == 6) abort(); } W(y, 1); futex(FUTEX_WAKE, 9);"], "CRASH"),
                                   ("wake_orders_nothing", ["plain = 1; atomic_thread_fence(memory_order_seq_cst); syscall(SYS_futex, &y, FUTEX_WAIT, 0, NULL, NULL, 0);", "if (futex(FUTEX_WAKE, 1)) { atomic_thread_fence(memory_order_seq_cst); plain = 2; } W(y, 1); futex(FUTEX_WAKE, 1);"], "DATA RACE"),
                                   ("wake_of_late_write", ["if (futex(FUTEX_WAKE, 1) == 1) W(x, 3);", "W(x, 2); futex(FUTEX_WAIT, 0);", "if (R(x) == 3 && R(x) == 2) abort();"], "CRASH"),
                                   ("held_back", ["pthread_rwlock_rdlock(&l); if (R(x)) abort(); pthread_rwlock_unlock(&l);", "pthread_rwlock_wrlock(&l); pthread_rwlock_unlock(&l);",
                                                  "if (pthread_rwlock_timedrdlock(&l, &(struct timespec){1700002000})) W(x, 1); else pthread_rwlock_unlock(&l);"], "CRASH"),
                                   ("behind", ["pthread_rwlock_rdlock(&l); while (!R(x)); pthread_rwlock_unlock(&l);", "pthread_rwlock_wrlock(&l); pthread_rwlock_unlock(&l);", "pthread_rwlock_rdlock(&l); W(x, 1); pthread_rwlock_unlock(&l);"], "LIVELOCK"),
                                   ("until_never", ["while (!R(y)) futex(FUTEX_WAIT, 0);", "if (R(x)) W(y, 1);", "W(x, 1);"], "LIVELOCK"),
                                   ("early", [TAKES.replace("while", "if") + " if (R(x) < 0) abort();", "pthread_cond_broadcast(&c);"], "CRASH"),
                                   ("serial", ["pthread_mutex_lock(&m); if (!plain++) pthread_barrier_init(&b, NULL, 2); pthread_mutex_unlock(&m); if (!pthread_barrier_wait(&b)) _exit(3);",
                                               "pthread_mutex_lock(&m); if (!plain++) pthread_barrier_init(&b, NULL, 2); pthread_mutex_unlock(&m); if (pthread_barrier_wait(&b)) abort();"], "CRASH"),
                                   ("reads_after_old", ["W(x, 1);", "fl_stress_assume(R(x) || plain);", "plain = 0;"], "DATA RACE"),
                                   ("starts_after_old", ["W(x, 1);", "pthread_t own; fl_stress_assume(R(x) || pthread_create(&own, NULL, (void *(*)(void *))abort, NULL));"], "CRASH"),
                                   ("not_seen", [TAKES, "W(x, 1); pthread_cond_signal(&c);"], "LOST WAKEUP")):
            expect(tool.says(folder.program(name, bodies), "--strategy", "graphs", status=None), said)
        expect(tool.says(folder.program("plain_futex", PLAIN_FUTEX)), "proved: all")
        path = folder.program("still_waits", ["pthread_mutex_lock(&m); if (!R(x)) { pthread_cond_wait(&c, &m); abort(); }"])
        expect(tool.says(path, "--strategy", "graphs", "--faults", "none", status=3), "DEADLOCK")
        test = tool.test(folder.program("weak_twice", 2 * PROOFS["weak"][0][:1]), "--time", "20s")
        if (test["proved"], test["complete"]) != (True, 2):
            problems.append(f"graphs with two faults: {test}")
        unseen = '__attribute__((no_sanitize("thread"))) static void unseen(void) { *(volatile int *)&x = 0; }\nint main('
        for name, write, limits in (("plain_write", "*(int *)&x = 0;", 1), ("unseen_write", "unseen();", 2)):
            path = folder.write(name + ".c", threaded(PROOFS["store_buffer"][0]).replace("int main(", unseen).replace(
                "\treturn 0;", f"\tstatic int again;\n\t{write}\n\t*(int *)&y = 0;\n\treturn again++ ? 0 : main();"))
            test = tool.test(path, "--strategy", "graphs")
            if (test["complete"], len(test["limits"])) != (16, limits):
                problems.append(f"{name}: {test}")
        for name, bodies in SHARED.items():
            for status in ("seen", "!seen"):
                path = folder.write(name + ".c", threaded(bodies, SHARED_BEGIN).replace(
                    ATOMICS, f"static int seen; static pthread_t first; static pthread_key_t key;\n"
                    f"static struct held {{ pthread_mutex_t m, r; pthread_cond_t c; pthread_barrier_t b; int ready; }} *held;\nstatic void see(void) {{ seen = 1; _exit({status}); }}\n"
                    f"static void see_not(void) {{ seen = 0; _exit({status}); }}\n").replace("\treturn 0;", f"\treturn {status};"))
                tool.run(path, "--strategy", "dfs:all", "--no-leaks", status=1)
        tool.run(folder.path("destroyed.c"), "--strategy", "graphs", status=1)
        for name, (body, handler, end, status, said) in EXITS.items():
            text = threaded([body], "(void)atexit(handler);").replace(ATOMICS, ATOMICS + "static _Thread_local int me;\n"
                                                                      f"static void handler(void) {{ {handler} (void)me; (void)plain; }}\n")
            path = folder.write(name + ".c", re.sub(r"\tpthread_join.*\n\treturn 0;", f"\t{end}", text))
            for strategy in ("dfs:all", "graphs") if status else ("auto",):
                expect(tool.says(path, "--strategy", strategy, status=status), said)
        for end, said in ("return x == 1 && y == 1;", "main returns 1"), ("if (x == 1 && y == 1) stream = malloc(1), stream = NULL; return 0;", "LEAK"):
            path = folder.write("other_order.c", threaded(PROOFS["two_and_two"][0]).replace("return 0;", end))
            out = tool.says(path, status=1)
            expect(out, said, "the search: execution graphs", "another modification order than the order of execution: no replay")
            expect(replayed(tool, out.replace("To try again", "The same again")), said, "another modification order")
        inputs = "unsigned fl_stress_choose(unsigned n); if (fl_stress_choose(4) * 4 + fl_stress_choose(4) == 6 && R(x)) abort();"
        expect(replayed(tool, tool.says(folder.program("inputs", [inputs, "W(x, 1);"]), "--strategy", "graphs", status=4), 4), "--replay")
        expect(tool.says(folder.program("refused", [], NO_GRAPHS), "--strategy", "graphs", status=5), "0 passed, 0 failed, 1 skipped")
        exhausted = tool.test(folder.path("clock.c"))
        if not exhausted["exhausted"] or exhausted["proved"]:
            problems.append(str(exhausted))
        bounded = tool.test(folder.path("store_buffer.c"), "--strategy", "dfs:0", "--stale", "0", "--faults", "none")
        if bounded["exhausted"] or bounded["proved"] or "no faults" not in bounded["strategy"]:
            problems.append(str(bounded))
        no_faults = tool.test(folder.path("weak.c"), "--faults", "none")
        if not no_faults["exhausted"] or no_faults["proved"] or no_faults["limits"] != ["a kind of fault is switched off (--faults)"] or (
                "stale reads, no faults" not in no_faults["strategy"]):
            problems.append(str(no_faults))
        expect(tool.says(folder.program("endless", ["for (;;) W(x, 1);"]), status=3), "STEP LIMIT endless (model): more than 20000 steps: a loop without an end")
    if problems:
        raise Failure("\n".join(problems))


def descriptors(tool):
    """One thread uses a descriptor, and another thread changes it without a step between. Each error
    that follows is found, or nothing is proved.
    """
    with Folder() as folder:
        for name, (first, one, other, said) in DESCRIPTORS.items():
            path = folder.program(name, [f"sem_post(&p); {one}", f"sem_wait(&p); {other}"], "sem_init(&p, 0, 0); " + first)
            expect(tool.says(path, "--strategy", "dfs:all", status=None), said)


def hang(tool):
    """In the model, 2 s of CPU time without a step are a hang, or half a minute without one. So a
    busy machine makes no hang.
    """
    began, here = time.monotonic(), ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    with Folder() as folder:
        path = folder.write("endless.c", "int main(void) { for (volatile int i = 0;; i++); }\n")
        busy = [subprocess.Popen([*here, "sh", "-c", "while :; do :; done"]) for _ in range(2)]
        out = os.popen(shlex.join([*here, tool.program, path]) + "; times").read()
        for process in busy:
            process.kill()
            process.wait()
    expect(out, "HANG endless (model): main makes no step any more, at endless.c:1 (main)")
    used = float(re.findall(r"m([0-9.]+)s", out)[-2])
    if used < 1.9 and time.monotonic() - began < 29:
        raise Failure(f"a hang after {used} s of CPU time")


# An actor that gets nearly no time of a CPU beside a busy loop.
STARVED = r"""
#define _GNU_SOURCE
#include <fairlead/stress.h>
#include <sched.h>
#include <time.h>
struct starved { int done; };
FL_STRESS_ACTOR(starved, one)
{
	struct timespec t, end;
	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	for (end.tv_nsec += 1000000; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), t.tv_sec == end.tv_sec && t.tv_nsec < end.tv_nsec;) ;
	s->done = 1;
}
FL_STRESS(starved, one) { FL_ACCEPTABLE(s->done, "done"); }
"""


def starved(tool):
    """On real threads, a thread that waits for a CPU is no hang."""
    tool.need()
    cpu = str(min(os.sched_getaffinity(0)))
    with Folder() as folder:
        path = folder.write("starved.c", STARVED)
        with subprocess.Popen(["taskset", "-c", cpu, "sh", "-c", "while :; do :; done"]) as busy:
            try:
                out = run(["taskset", "-c", cpu, tool.program, "--load", path, "--mode", "native", "--hang", "500ms", "--executions", "4"])
            finally:
                busy.kill()
    expect(out, "passed   starved ")


# Each entry has the statements by which a thread takes a lock and gives it back.
POLLED = {
    "trylock": ("while (pthread_mutex_trylock(&m)) sched_yield();", "pthread_mutex_unlock(&m);"),
    "by_hand": ("while (atomic_exchange(&x, 1));", "Ws(x, 0);"),
    "after_a_look": ("while (Rs(x) || atomic_exchange(&x, 1));", "Ws(x, 0);"),
    "permit": ("while (sem_trywait(&p));", "sem_post(&p);"),
}


def polls(tool):
    """A loop that polls under a lock ends, although another thread tries to take the lock and finds
    it taken.
    """
    with Folder() as folder:
        for name, (take, give) in POLLED.items():
            for pause in ("", "sched_yield();"):
                poll = f"for (int seen = 0; !seen;) {{ {take} seen = plain; {give} {pause} }}"
                path = folder.program(name, [poll, poll, f"{take} plain = 1; {give}"], NO_GRAPHS)
                tool.says(path, "--executions", "3000")


def further(tool):
    """All distinct failures of a program are reported, each once: two races, a deadlock and a leak.
    The test counts once.
    """
    with Folder() as folder:
        folder.write(".git", "")
        os.mkdir(folder.path("a b"))
        folder.write("a b/.git", "")
        path = folder.write("a b/four.c", "#include <pthread.h>\n#include <stdlib.h>\nstatic int a, b;\n"
                 "static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, n = PTHREAD_MUTEX_INITIALIZER;\n"
                 "static void *volatile lost;\n"
                 "static void *run(void *arg)\n{\n\ta++;\n\tpthread_mutex_lock(&m);\n\tpthread_mutex_lock(&n);\n\tb++;\n"
                 "\tpthread_mutex_unlock(&n);\n\tpthread_mutex_unlock(&m);\n\tlost = malloc(3);\n\tlost = NULL;\n\treturn arg;\n}\n"
                 "int main(void)\n{\n\tpthread_t t;\n\tpthread_create(&t, NULL, run, NULL);\n\ta++;\n\tb = 2;\n"
                 "\tpthread_mutex_lock(&n);\n\tpthread_mutex_lock(&m);\n\tpthread_mutex_unlock(&m);\n\tpthread_mutex_unlock(&n);\n"
                 "\tpthread_join(t, NULL);\n\treturn 0;\n}\n")
        out = tool.says(path, *folder.results(), status=None)
        test = folder.tests()[0]
        page = folder.read("html")
        junit = folder.read("junit")
        log = json.loads(folder.read("sarif"))
    one = log["runs"][0]
    rules = {rule["id"]: rule["shortDescription"]["text"] for rule in one["tool"]["driver"]["rules"]}
    for result, said in zip(one["results"], [test, *test["further"]]):
        places = result["locations"] + result.get("relatedLocations", [])
        lines = [(place["physicalLocation"]["artifactLocation"]["uri"], place["physicalLocation"]["region"]["startLine"]) for place in places]
        expect_all((log["version"], one["automationDetails"]["id"], one["tool"]["driver"]["name"], result["ruleId"]), ("2.1.0", "sarif/", "fairlead-stress", said["verdict"]))
        expect_all([rules[said["verdict"]].lower().replace(" ", "_"), result["message"]["text"]], [said["verdict"], said["message"]])
        steps = [("a%20b/four.c", step["line"]) for step in said["trace"] + said["waiting"] if step["failing"] and step["file"]]
        expect_all(lines, steps or [("a%20b/four.c", 14)])
    expect_all(sorted(t["verdict"] for t in [test, *test["further"]]), ["data_race", "data_race", "deadlock", "leak"])
    for text in ("race of a by", "race of b by"):
        if not any(text.replace("race", kind) in out for kind in ("read", "write")):
            raise Failure(out)
    expect(out, "0 passed, 1 failed")
    for name in ("DATA RACE", "DEADLOCK", "LEAK"):
        expect(page, f'<span class="bad">{name}</span>')
        expect(junit, name + " four")


# Each recipe has the language of its block in the guide, the number of the block among those of the
# language, its file, and the command.
RECIPES = (("meson", 0, "meson.build", "meson setup build && meson test -C build"),
           ("cmake", 0, "CMakeLists.txt", "cmake -B build . && cd build && ctest --output-on-failure"),
           ("cmake", 1, "CMakeLists.txt", "cmake -B build . && ctest --test-dir build --output-on-failure --output-junit junit.xml"),
           ("make", 0, "Makefile", "make check"))


def recipes(tool):
    """The guide's recipes run a program as a test in other builds: a passing and a failing one."""
    tool.need()
    text = read(tool.at("guide.md"))
    path = dirname(abspath(tool.program)) + os.pathsep + os.environ["PATH"]
    env = {**os.environ, "PATH": path, "CFLAGS": "-DWORDS='\"two words\"'"}
    for language, which, name, command in RECIPES:
        if not shutil.which(language):
            continue
        for wanted, status in (("2", 0), ("3", 1)):
            with Folder() as folder:
                folder.write(name, re.findall(f"^```{language}\n(.*?)^```", text, re.M | re.S)[which])
                os.mkdir(folder.path("include"))
                folder.write("include/accounts.h", "int limit(void);\n")
                folder.write("accounts.c", "#include <accounts.h>\nint limit(void) { return LIMIT; }\n")
                folder.write("transfer.c", "#include <stdlib.h>\n#include <string.h>\n#ifdef LIMIT\n#include <accounts.h>\n#else\n#define limit() 2\n#endif\n"
                         "int main(int argc, char **argv)\n{\n"
                         f"\treturn argc != 2 || limit() != 2 || atoi(argv[1]) != {wanted} || strcmp(WORDS, \"two words\") != 0;\n}}\n")
                done = subprocess.run(["sh", "-c", command], cwd=folder.name, env=env, text=True, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, check=False)
                expect_all((done.stdout, done.returncode != 0), (done.stdout, status != 0))
                if which:  # as both CI servers run it
                    expect_all([text.count(line) for line in command.split(" && ")], [2, 1])
                    expect_all([json.loads(folder.read("build/transfer.sarif"))["version"], f'failures="{status}"' in folder.read("build/junit.xml")], ["2.1.0", True])
                if language == "make":
                    expect(folder.read("report.xml"), f'failures="{status}"', 'classname="fairlead-stress.report"')


def words(tool):
    """Flags, objects and archives are given as for gcc. What is not instrumented is named, and then
    no pass is proved. What nothing defines is named at once.
    """
    with Folder() as folder:
        folder.write("bank.h", "#ifdef __cplusplus\nextern \"C\"\n#endif\nint twice(int n);\nint thrice(int n);\n")
        files = [folder.write("one.c", "#include <bank.h>\nint main(int argc, char **argv) { (void)argv; return argc != 2 || LIMIT != 4 || twice(1) + thrice(1) != 5; }\n"),
                 folder.write("two.cc", "#include <bank.h>\n#include <cmath>\n#include <cstdarg>\nstatic int first(int n, ...) { va_list own[2], *at = own; va_start(*at++, n); n = va_arg(own[0], int); va_end(own[0]); return n; }\n"
                          "int twice(int n) { static_assert(__cplusplus >= 202002L); return first(1, n + (int)std::lround(std::sqrt(n))); }\n")]
        files += ["-I", folder.name, "-DLIMIT=(2 + 2)", "-std=c11", "-std=c++20", "-O2", "-fsanitize=thread", "--coverage", "--param", "max-inline-insns-single=9", "-o", "x"]
        three = folder.write("three.c", "int thrice(int n) { return 3 * n; }\n")
        for name, flag, said in (("seen", "-fsanitize=thread", "proved: all 1 execution\n"), ("hidden", "-g", "not proved: accesses of the places")):
            run(["cc", "-fPIC", flag, "-c", three, "-o", folder.path(name + ".o")])
            run(["ar", "rc", folder.path(f"lib{name}.a"), folder.path(name + ".o")])
            run(["ar", "rcT", folder.path(f"libthin-{name}.a"), folder.path(name + ".o")])
            for given in ([folder.path(name + ".o")], ["-L" + folder.name, "-lthin-" + name], ["-L" + folder.name, "-l" + name]):
                out, err = tool.run(*files, *given, "--", "x", env={"LDFLAGS": "-fsanitize=thread -pie -Wl,-z,defs"})
                expect(out, said)
                expect_all((err, err.count(name + ".o")), (err, name == "hidden"))
        expect(replayed(tool, tool.says(*files, *given, status=1)), "main returns 1")
        expect(tool.run(*files, status=2)[1], "no file or library of the command defines thrice\n")
        run(["cc", "-fPIC", "-fsanitize=thread", "-c", "-Dthrice=main", three, "-o", folder.path("main.o")])
        run(["ar", "rc", folder.path("libmain.a"), folder.path("main.o")])
        expect(tool.run(folder.write("none.cc", "#include <atomic>\nvoid fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }\n"), "-Werror", folder.path("libmain.a"), status=1)[0], "main returns 3")
        expect(tool.run(folder.write("nowhere.cc", "extern \"C\" int sem_timewait();\nnamespace bank { int open(int); }\nint main() { return sem_timewait() + bank::open(1); }\n"),
                        status=2)[1], "defines bank::open(int)\n", "defines sem_timewait (the nearest that there is: sem_timedwait)\n")


def loop_sockets(tool):
    """Scenarios of the library's own loop, whose sockets and epoll are the model's."""
    for number in range(10):
        expect(tool.says(tool.at("examples/loop_sockets.c"), "-lck", *TO_THE_END[:2], "--executions", "200", "--", str(number)), "passed ")


def watch(tool):
    """A program runs anew when another file is in the place of a header, until Ctrl-C."""
    tool.need()
    with Folder() as folder:
        os.makedirs(folder.path("include/own"))
        header = folder.write("include/own/status.h", "#define STATUS 1\n")
        source = folder.write("watched.c", "#include <own/status.h>\nint main(void) { return STATUS; }\n")
        with subprocess.Popen([tool.program, source, "-I" + folder.path("include"), "--watch"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
            for said in ("0 passed, 1 failed", "1 passed, 0 failed"):
                expect("".join(itertools.takewhile(lambda line: not line.startswith("fairlead-stress: waiting"), process.stdout)), said)
                os.replace(folder.write("new", "#define STATUS 0\n"), header)
            os.killpg(process.pid, signal.SIGINT)
        expect_all(process.returncode, -signal.SIGINT)


def linked_with_runtime(tool):
    """A module that was linked with -fsanitize=thread is refused with the reason."""
    tool.need()
    with Folder() as folder:
        module = folder.path("module.so")
        source = tool.at("programs/heap_leak.c")
        if not succeeds(["cc", "-fsanitize=thread", "-fPIC", "-shared", "-pthread", source, "-o", module]):
            raise Skip("the compiler has no -fsanitize=thread")
        expect(tool.run("--load", module, status=2)[1], "link without it")


def cases(tool):
    """(name, function) of each case."""
    of_program = [(f"stress_{f.__name__}", functools.partial(f, tool))
                  for f in (usage, statuses, skipped, newcomer, first_run, crash, lin, program, forms, recipes, words, loop_sockets, watch, drawing, reports, reduced, proofs, descriptors, hang, starved, polls, further, linked_with_runtime,
                            files, traffic, without_proc, installed)]
    if not tool.is_built():
        return of_program
    litmus = []
    for path in sorted(glob.glob(tool.at("litmus/*.litmus"))):
        litmus += re.findall(r"^P (\S+)", read(path), re.M)
    return of_program + [(f"program_{name}", functools.partial(program_case, tool, name)) for name in programs(tool)] + [
        (f"litmus_{name}", functools.partial(litmus_case, tool, name)) for name in litmus] + [
        (f"planted_{name}", functools.partial(planted_case, tool, name)) for name in tool.names("--planted")]
