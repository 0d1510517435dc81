# SPDX-License-Identifier: BSD-2-Clause
"""Programs that hang (hang.c): the commands for gdb (tools/gdb/fairlead.py), without -g and FL_DEBUG; and what the dump of FL_DEBUG says."""
import contextlib
import functools
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from os.path import abspath, basename, dirname, exists, join, realpath

from consumers import C_FLAGS, expect, Failure, install, read, run, Skip, write

HERE = dirname(abspath(__file__))
SOURCES = """core/wait/lot.c core/sync/mutex.c core/sync/rwlock.c core/sync/once.c core/sync/event.c core/sync/barrier.c core/queue/queue_locked.c
    core/queue/mpmc_unbounded.c core/queue/queue_spsc.c core/queue/mpmc.c core/thread_pool/thread_pool.c inspect/table.c
    core/future/future.c core/exec/group.c core/sync/timer.c loop/fiber/scheduler.c loop/loop.c process/pool/process_pool.c process/process.c
    process/shm/shm_lock.c"""
FIBERS = 10000  # of hang.c
# A cycle is printed from whichever of its members was read first.
JOIN_CYCLE = r"(?m)^deadlock: .*\n +(left|right) \((\d+)\) waits for the end of (left|right) \((\d+)\)\n +\3 \(\4\) waits for the end of \1 \(\2\)"
# Commands, and regular expressions that what they say of a case must match: the cause of the hang.
CAUSES = {
    "lock_order": ("fl waits", r"probably a deadlock.*\n +(alice|bob) pays \(\d+\), thread \d waits for mutex (alice|bob) .*\n +\2 pays .* for mutex \1",
                   r"mutex bob at 0x\w+ \(held\)\n +waits: alice pays .*\n(.*\n)* .*may hold it: bob pays"),
    "recursive": ("fl locks", r"recursive mutex ledger at 0x\w+, held by keeper \(\d+\), thread \d\n +waits: clerk (.*\n)+ +#\d fl_rmutex_lock\n +#\d wants_ledger"),
    "lost_wakeup": ("fl waits", r"condition ready at 0x\w+ .*\n +waits: main \(\d+\), thread 1\n +#0 (?:fl_cond_wait_until\n +#1 )?lost_wakeup"),
    "starved_pool": ("fl pools", r"executor press \(threads\) .* pending tasks: \d+; workers: .*; STARVED: all wait\n",
                     r"worker \d+; worker \d+.*: has the task set_type, waits for event never"),
    "full_queue": ("fl queue *(long *)&orders", r"4 items of at most 4\n +waits to put: main \(\d+\), thread 1\n(.*\n)* +#\d full_queue"),
    "join_cycle": ("fl waits", JOIN_CYCLE, r"the end of right \(\d+\)\n +waits: left \(\d+\)\n +#0 fl_fiber_join_until",
                   r"the end of a sleep\n +waits: main"),
    "lost_fiber": ("fl waits", r"event never at 0x\w+ \(not set\)\n +waits: sleeper \(\d+\);.* and 9992 more\n +#0 fl_event_wait_until",
                   rf"group 0x\w+ \(members that have not ended: {FIBERS}\)\n +waits: main"),
    "dead_owner": ("fl locks", r"object shared at 0x\w+ in shared memory, held by thread (\d+) of process \1 \(\w+, \w+; look there: gdb -p \1\)\n +waits: main (.*\n)+ +#\d fl_shm_mutex_lock_until"),
    "child_waits": ("fl waits", r"the end of process (\d+) \(sleep, sleeping; look there: gdb -p \1\)\n +waits: main"),
    "join_thread": ("fl waits", r"the end of clerk \(\d+\), thread 2\n +waits: main"),
    "overdue_timer": ("fl waits", r"the next timer calls set_never\(never\) and was due \d+\.\d{3} s ago\n"),
    "late_timer": ("fl waits", r"event never at 0x\w+ \(not set\)\n +waits: main", r"the next timer calls set_never\(never\) in 9999\d\d\.\d+ s"),
}
# The same for the dump: FL_DEBUG=waits, then SIGQUIT.
SAYS = {
    "lock_order": (r"deadlock: each of these waits for the next", r"alice pays \((\d+)\) has waited for mutex bob at .*, held by bob pays \((\d+)\)\n",
                   r"bob pays \(\d+\) has waited for mutex alice at .*, held by alice pays \(", r"bob pays \(\d+\) holds mutex bob at \w+, taken at\n +#0 bob_pays"),
    "recursive": (r"clerk \(\d+\) has waited for mutex ledger.*, held by keeper \(\d+\)\n", r"keeper \(\d+\) has waited for event never at "),
    "lost_wakeup": (r"main \(\d+\) has waited for condition ready at \w+ \(mutex alice at \w+\) for .*\n(.*\n)?.* lost_wakeup",),
    "starved_pool": (r"executor press \(threads\): pending tasks: \d+; workers: 0 run, (\d+) wait \(\1 for event\), 0 idle, at most 2; STARVED: all wait\n",
                     r"main \(\d+\) has waited for future \w+ \(set_type\) for "),
    "full_queue": (r"main \(\d+\) has waited for queue \w+ \(to put\) for .*\n(.*\n)* .* full_queue",),
    "join_cycle": (r"left \((\d+)\) has waited for the end of right \((\d+)\) for (.*\n)+ +right \(\2\) has waited for the end of left \(\1\) |"
                   r"right \((\d+)\) has waited for the end of left \((\d+)\) for (.*\n)+ +left \(\5\) has waited for the end of right \(\4\) ",
                   r"left \(\d+\) wants the end of right \(\d+\) at\n"),
    "join_thread": (r"main \(\d+\) has waited for the end of clerk \(\d+\) for ", r"clerk \(\d+\) has waited for event never at "),
    "lost_fiber": (r"sleeper \(\d+\) has waited for event never at ", rf"  waiters: {FIBERS + 1}\n", rf"main \(\d+\) has waited for group \w+ \(members that have not ended: {FIBERS}\)"),
    "dead_owner": (r"main \(\d+\) has waited for lock shared at \w+ in shared memory for .*, held by thread (\d+) of process \1 \([^)]+\)\n",),
    "child_waits": (r"main \(\d+\) has waited for the end of process \d+ for [\d.]+ s \(sleep\)\n",),
    "late_timer": (r"main \(\d+\) has waited for event never at ", r"timers \(\d+\) has waited for the next timer set_never at .*, at most 9999\d\d\.\d+ s more\n"),
    "busy_fiber": (r"fiber counts has had the thread of its loop for \d+\.\d+ s\n",),
}
AARCH64 = (JOIN_CYCLE, r"(?m)  left .*\n +#0 fl_fiber_join_until\n +#1 joins_right", r"(?m)  right .*\n +#0 fl_fiber_join_until\n +#1 joins_left")


class Gdb:
    def __init__(self, kit):
        self.kit = kit
        self.script = join(kit.source, "tools/gdb/fairlead.py")

    def program(self, *options):
        """The program, against the installed library."""
        if not shutil.which("gdb"):
            raise Skip("gdb is not installed")
        with subprocess.Popen(["sleep", "60"]) as process:
            said = self.gdb("-p", str(process.pid))
            process.kill()
        if "ptrace: Operation not permitted" in said:
            raise Skip("gdb may not attach to a process here")
        cflags, libs = self.kit.prefix_flags()
        program = self.kit.at("hang" + "".join(options).replace(",", ""))
        run([self.kit.cc, "-O2", *C_FLAGS, *cflags, join(HERE, "hang.c"), "-o", program, *libs, *options])
        return program

    def gdb(self, *arguments):
        done = subprocess.run(["gdb", "-nx", "-batch", "-x", self.script, *arguments], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        return done.stdout

    @contextlib.contextmanager
    def hanging(self, command, said=subprocess.DEVNULL, **env):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True,
                              env={**os.environ, **env}) as process:
            try:
                process.stdout.readline()
                yield process
            finally:
                process.kill()

    def says(self, pid, command, *causes):
        """Asks until the answer has all causes: the program may not wait yet."""
        end = time.monotonic() + 60
        while True:
            said = self.gdb("-p", str(pid), "-ex", command)
            missing = [cause for cause in causes if not re.search(cause, said)]
            if not missing:
                return said
            if "Error occurred in Python" in said or time.monotonic() > end:
                raise Failure(f"expected {missing[0]!r} in:\n{said}")

    def cause(self, case):
        with self.hanging([self.program(), case]) as process:
            self.says(process.pid, *CAUSES[case])

    def dump(self, case):
        """The dump at SIGQUIT: it is asked for until it says all, as the program may not wait yet."""
        cflags, libs = self.kit.prefix_flags()
        program = self.kit.at("hang_dump")
        if not exists(program):
            run([self.kit.cc, "-O2", *C_FLAGS, *cflags, join(HERE, "hang.c"), "-o", program, *libs, "-Wl,-u,fl_debug_enable"])
        says = self.kit.at(f"{case}.dump")
        with open(says, "w", encoding="utf-8") as said, self.hanging([program, case], said, FL_DEBUG="waits") as process:
            end, dumps = time.monotonic() + 60, 0
            while missing := [cause for cause in SAYS[case] if not re.search(cause, read(says))]:
                process.send_signal(signal.SIGQUIT)
                dumps += 1
                while read(says).count("\n  waiters: ") < dumps:
                    if process.poll() is not None or time.monotonic() > end:
                        raise Failure(f"expected {missing[0]!r} in:\n{read(says)[-8000:]}")
                    time.sleep(0.01)

    def holders_with_debugging(self):
        """With FL_DEBUG, holders and times are known."""
        with self.hanging([self.program("-Wl,-u,fl_debug_enable"), "lock_order"], FL_DEBUG="waits") as process:
            self.says(process.pid, "fl locks", r"(?m)^deadlock: .*\n +alice pays \(\d+\), thread \d waits \(\d+\.\d+ s\) for mutex bob",
                      r"mutex bob .*\n +held by bob pays .*, taken at\n(.*\n)* +#\d bob_pays")

    def two_files_with_link_time_optimization(self):
        """The names of static variables have an appendix then, and some functions have no frame."""
        self.with_link_time_optimization("hang-lto")

    def two_files_with_link_time_optimization_and_debug_information(self):
        """In the debug information the static variables have no address."""
        self.with_link_time_optimization("hang-lto-g", "-g")

    def with_link_time_optimization(self, name, *flags):
        self.program()
        folder, _ = self.kit.two_files("one-file-lto")
        program = self.kit.at(name)
        run([self.kit.cc, "-std=c11", "-O2", "-flto", *flags, "-I", folder, join(HERE, "hang.c"), join(folder, "fairlead.c"),
             "-o", program, "-pthread", "-Wl,-u,fl_debug_enable"])
        for case in ("starved_pool", "recursive", "late_timer"):
            command, *causes = CAUSES[case]
            with self.hanging([program, case]) as process:
                self.says(process.pid, command, *(cause.split(r"\n +#")[0].split(r"(.*\n)+ +#")[0] for cause in causes))
        with self.hanging([program, "lock_order"], FL_DEBUG="waits") as process:
            said = self.says(process.pid, "fl locks", r"(?m)^deadlock: .*\n +alice pays \(\d+\), thread \d waits \(\d+\.\d+ s\) for mutex bob",
                             r"mutex bob .*\n +held by bob pays .*, taken at\n")
            if re.search(r"\.(lto_priv|cold)|\[cold\]", said):
                raise Failure(said)

    def core_has_each_fiber(self):
        """A core file says what the process says; each of ten thousand fibers has a line, and one stack is printed for all."""
        folder = self.kit.at("core")
        os.makedirs(folder, exist_ok=True)
        sleeper = r"(?m)^  sleeper \(\d+\) waits for event never at 0x\w+ \(not set\), started by main \(\d+\)$"
        with self.hanging(["sh", "-c", 'cd "$0" && ulimit -c unlimited && exec "$1" lost_fiber', folder, self.program()]) as process:
            alive = self.says(process.pid, "fl fibers", r"main \(\d+\) waits for group")
            process.send_signal(signal.SIGABRT)
            process.wait()
        cores = glob.glob(join(folder, "core*"))
        if not cores:
            raise Skip("this system stores no core files in the working directory")
        said = self.gdb(self.program(), cores[0], "-ex", "fl fibers", "-ex", "fl threads", "-ex", "fl fibers main")
        shutil.rmtree(folder)
        lines = re.findall(sleeper, said)
        if len(lines) != FIBERS or lines != re.findall(sleeper, alive):
            raise Failure(f"{len(lines)} lines in:\n{said[-2000:]}")
        expect(said, f": {FIBERS + 1} fibers\n", ": 1 fibers\n", f", has a loop of {FIBERS + 1} fibers\n")
        if said.count("#0 fl_event_wait_until") != 1:
            raise Failure("each fiber has a stack of its own")

    def core_of_aarch64(self):
        """Fibers of another machine: qemu's core file has no thread pointer, so that no thread-local variable is read."""
        for tool in ("aarch64-linux-gnu-gcc", "qemu-aarch64", "gdb-multiarch"):
            if not shutil.which(tool):
                raise Skip(f"{tool} is not installed")
        folder = self.kit.at("aarch64_core")
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, join(self.kit.source, "lib/amalgamate.py"), folder])
        program = join(folder, "hang")
        # The archive of Concurrency Kit is that of this machine: the queues that need it are not
        # used.
        run(["aarch64-linux-gnu-gcc", "-O1", "-w", "-static", "-no-pie", "-pthread", "-I", folder, "-idirafter", "/usr/include",
             join(folder, "fairlead.c"), join(HERE, "hang.c"), "-o", program, "-Wl,--unresolved-symbols=ignore-all"])
        end = time.monotonic() + 60
        while True:
            with self.hanging(["sh", "-c", 'cd "$0" && ulimit -c unlimited && exec qemu-aarch64 "$1" join_cycle', folder, program]) as process:
                process.send_signal(signal.SIGABRT)
                process.wait()
            cores = glob.glob(join(folder, "qemu_*.core"))
            if not cores:
                raise Skip("qemu stores no core files here")
            said = run(["gdb-multiarch", "-nx", "-batch", "-x", self.script, program, cores[0], "-ex", "fl waits", "-ex", "fl fibers"])
            missing = [cause for cause in AARCH64 if not re.search(cause, said)]
            if not missing:
                shutil.rmtree(folder)
                return
            if time.monotonic() > end:
                raise Failure(f"expected {missing[0]!r} in:\n{said}")
            os.remove(cores[0])

    def structs_are_printed(self):
        """Of a program with debug information."""
        program = self.program("-g", "-fno-eliminate-unused-debug-types")
        described = re.search(r"\nDESCRIBE = \{.*?\n\}\nOPAQUE = \((.*?)\)", read(self.script), re.S)
        names = [name for name in re.findall(r'"(fl_\w+)": ', described[0]) if name not in described[1]]
        prints = [argument for name in names for argument in ("-ex", f"print *({name} *)&never")]
        said = self.gdb(program, "-ex", "break say", "-ex", "run full_queue", "-ex", "print orders", "-ex", "kill", "-ex", "run starved_pool",
                        "-ex", "print pool", "-ex", "print last", "-ex", "print both", "-ex", "print never", *prints)
        expect(said, " {0 items of at most 4}", " {press}", " {set_type, pending}", " {0 of 2 parties}", " {not set}")
        if len(re.findall(r"(?m)^\$\d+ = \{[^=]*\}$", said)) != len(names) + 2:
            raise Failure(said)

    def is_installed(self):
        """Where pkg-config says; and with the shared library where gdb looks, if the prefix is /usr."""
        self.kit.prefix_flags()
        env = {"PKG_CONFIG_PATH": self.kit.at("prefix/lib/pkgconfig")}
        folder, prefix = self.kit.at("gdb"), self.kit.at("prefix-shared")
        shutil.rmtree(folder, ignore_errors=True)
        install(self.kit.shared(), "--destdir", folder)
        found = glob.glob(f"{folder}{prefix}/share/gdb/auto-load{prefix}/lib/*")
        names = [basename(name) for name in found]
        if names != [basename(realpath(f"{folder}{prefix}/lib/libfairlead.so")) + "-gdb.py"]:
            raise Failure(f"installed for gdb: {names}")
        for name in (*found, run(["pkg-config", "--variable=gdb", "fairlead"], env=env).strip()):
            if read(name) != read(self.script):
                raise Failure(name)

    def bad_usage(self):
        """A program without Fairlead, no process, and commands that there are not, are told so."""
        self.program()
        expect(self.gdb("-ex", "fl waits"), "there is no process")
        expect(self.gdb("-ex", "fl nonsense"), "fl threads, fibers, waits")
        expect(self.gdb("/bin/true", "-ex", "starti", "-ex", "fl waits"), "no symbols of Fairlead")

    def layout(self, cc):
        """The tables of the script are those of the sources."""
        script = read(self.script)
        tables = {name: re.search(rf'^{name} = """\n(.*?)"""', script, re.M | re.S)[1] for name in ("LAYOUT", "CONSTANTS", "KINDS")}
        constants = [pair.split("=") for pair in tables["CONSTANTS"].split()]
        wanted = [(name if name != "BUCKET" else "sizeof(struct fl__bucket)", value) for name, value in constants]
        for line in tables["LAYOUT"].replace("\n ", " ").splitlines():
            name, *members = line.split()
            wanted += [(f"offsetof(struct {name}, {re.sub(':.*', '', m)})", m.split("@")[1]) for m in members]
        # Plus 1, so that the compiler writes out each zero.
        values = "".join(f"(unsigned long)({what}) + 1,\n" for what, _ in wanted)
        includes = "".join(f'#include "{source}"\n' for source in SOURCES.split())
        cflags, _ = self.kit.prefix_flags()
        unit = self.kit.at("layout.c")
        write(unit, f"{includes}#include <fairlead.h>\nextern const unsigned long layout[];\nconst unsigned long layout[] = {{\n{values}}};\n")
        assembly = run([cc, "-S", "-o", "-", "-w", "-std=c11", "-D_GNU_SOURCE", f"-I{self.kit.source}/lib", *cflags, unit])
        numbers = re.findall(r"\.(?:quad|xword|dword)\s+(\d+)", assembly[assembly.index("\nlayout:"):])
        wrong = [f"{what}: {int(number) - 1}, not {value}" for (what, value), number in zip(wanted, numbers) if int(number) - 1 != int(value)]
        awaited = read(join(self.kit.source, "lib/core/base/awaited.c"))
        kinds = "; ".join(f"{name}: {words}" for name, words in re.findall(r'\[FL__DEBUG_(\w+)\] = "(.*)"', awaited))
        if kinds != tables["KINDS"].replace("\n", " ").strip():
            wrong.append("KINDS: " + kinds)
        if wrong or len(numbers) < len(wanted):
            raise Failure("tools/gdb/fairlead.py has the layout of other sources:\n" + "\n".join(wrong))

    def layout_on_aarch64(self):
        if not shutil.which("aarch64-linux-gnu-gcc"):
            raise Skip("no compiler for aarch64")
        self.layout("aarch64-linux-gnu-gcc")


def cases(kit):
    gdb = Gdb(kit)
    yield from ((f"consumer_gdb_{name}", functools.partial(gdb.cause, name)) for name in CAUSES)
    yield from ((f"consumer_dump_{name}", functools.partial(gdb.dump, name)) for name in SAYS)
    yield from ((f"consumer_gdb_{f.__name__}", f) for f in (
        gdb.holders_with_debugging, gdb.two_files_with_link_time_optimization, gdb.two_files_with_link_time_optimization_and_debug_information,
        gdb.core_has_each_fiber, gdb.core_of_aarch64, gdb.structs_are_printed, gdb.is_installed, gdb.bad_usage, gdb.layout_on_aarch64))
    yield "consumer_gdb_layout", functools.partial(gdb.layout, kit.cc)
