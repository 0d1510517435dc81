# SPDX-License-Identifier: BSD-2-Clause
"""The machine that figures are measured on, how busy other programs keep it, and how to make it
busy or narrow.
"""
import ctypes
import os
import platform
import resource
import signal
import sys
import time


# What an option means that is given without a value.
ALONE = {"--busy": "--busy=1", "--cpu-quota": "--cpu-quota=50", "--json": "--json=-", "--ratios": "--ratios=-"}


class Failed(Exception):
    """Something did not go as it must."""


def parse(parser):
    """The options of a command; a pattern may stand before an option or behind it."""
    return parser.parse_intermixed_args([ALONE.get(word, word) for word in sys.argv[1:]])


def run(main):
    """Runs a command to its exit status."""
    try:
        sys.exit(main())
    except (Failed, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def model():
    """What the figures are measured on: the CPUs with their maker, and the kernel."""
    cpu = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            cpu = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in f)}
    except OSError:
        pass
    known = [cpu[name] for name in ("vendor_id", "CPU implementer", "model name") if name in cpu] or [platform.machine()]
    return f"{len(os.sched_getaffinity(0))} CPUs ({', '.join(known)}), {platform.system()} {platform.release()}"


def others():
    """CPU seconds that programs other than our children have used since boot. Time that the host
    has stolen counts, too.
    """
    try:
        with open("/proc/stat", encoding="utf-8") as f:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
    except OSError:
        return 0.0
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - own.ru_utime - own.ru_stime


def adopt():
    """Makes orphans of our programs, such as fork servers, our own children. So their CPU time
    counts as ours.
    """
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def collect():
    """Waits for all children, orphans included."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


class Compute:
    """Keeps each CPU busy while a context lasts: with `n` processes that compute, of the same
    priority as ours.
    """

    def __init__(self, n):
        self.n, self.pids = n, []

    def __enter__(self):
        for cpu in os.sched_getaffinity(0):
            for _ in range(self.n):
                self.pids.append(os.fork() or self.compute(cpu, os.getppid()))

    def __exit__(self, *error):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)

    @staticmethod
    def compute(cpu, parent):
        """Computes for ever; ends with the process that has started it."""
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
        os.sched_setaffinity(0, {cpu})
        while os.getppid() == parent:
            for _ in range(1000000):
                pass
        os._exit(0)


class Quota:
    """A control group, while a context lasts. Its processes get so many percent of one CPU."""

    PERIOD_US = 100000
    V1, V2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"

    def __init__(self, percent):
        quota = str(self.PERIOD_US * percent // 100)
        root = self.V1 if os.path.exists(f"{self.V1}/cpu.cfs_quota_us") else self.V2
        self.folder = f"{root}/fairlead-bench-{os.getpid()}"
        self.limits = ({"cpu.cfs_period_us": str(self.PERIOD_US), "cpu.cfs_quota_us": quota} if root == self.V1
                       else {"cpu.max": f"{quota} {self.PERIOD_US}"})

    def write(self, name, value):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as file:
            file.write(value)

    def __enter__(self):
        try:
            os.mkdir(self.folder)
            for name, value in self.limits.items():
                self.write(name, value)
        except OSError as error:
            raise Failed(f"cannot limit the CPU time in {self.folder}: {error.strerror}") from error
        return self

    def __exit__(self, *error):
        collect()
        os.rmdir(self.folder)

    def enter(self):
        """Puts the calling process into the group."""
        self.write("cgroup.procs", str(os.getpid()))


class Load:
    """How much of the machine's CPU time other programs take while a context lasts."""

    def __enter__(self):
        adopt()
        self.before, self.started = others(), time.monotonic()
        return self

    def __exit__(self, *error):
        collect()
        self.share = max(0, (others() - self.before) / (time.monotonic() - self.started) / os.cpu_count())

    def line(self):
        """Says on what was measured, and whether the figures can be quoted."""
        return (f"{model()}; other programs used {self.share:.0%} of the CPU time"
                + (": DO NOT QUOTE these figures" if self.share > 0.05 else ""))
