# SPDX-License-Identifier: BSD-2-Clause
"""The machine that figures are measured on, and how busy other programs keep it."""
import ctypes
import os
import platform
import resource
import time


def model():
    """What the figures are measured on."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{len(os.sched_getaffinity(0))} CPUs ({model}), {platform.system()} {platform.release()}"


def others():
    """CPU seconds that programs other than our children have used since boot; time that the host has stolen counts, too."""
    try:
        with open("/proc/stat", encoding="utf-8") as f:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
    except OSError:
        return 0.0
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - own.ru_utime - own.ru_stime


def adopt():
    """Makes orphans of our programs, such as fork servers, our own children, so that their CPU time counts as ours."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def collect():
    """Waits for all children, orphans included."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


class Load:
    """How much of the machine other programs take while a context lasts."""

    def __enter__(self):
        adopt()
        self.before, self.started = others(), time.monotonic()
        return self

    def __exit__(self, *error):
        collect()
        self.share = max(0, (others() - self.before) / (time.monotonic() - self.started) / os.cpu_count())

    def line(self):
        """What was measured on, and whether the figures can be quoted."""
        return (f"{model()}; other programs used {self.share:.0%} of the CPU time"
                + (": DO NOT QUOTE these figures" if self.share > 0.05 else ""))
