# SPDX-License-Identifier: BSD-2-Clause
"""The comparison of the models, on a machine that is busy."""
import re
import subprocess

import demo_kit

BUSY = "a speedup below one: meanwhile other processes kept the CPUs busy for "


def slower_than_one_thread(demo):
    """Two workers share a CPU with two busy loops. Whoever reads of a speedup below one reads how busy others kept the CPUs."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2)]  # pylint: disable=consider-using-with
    try:
        said = demo_kit.run("taskset", "-c", "0", demo, "primes", "--workers", "2", "--limit", "400000").stdout
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    speedups = [float(text) for text in re.findall(r"(?m)^  (?:threads|processes) +2 +[\d.]+ +([\d.]+)x", said)]
    assert len(speedups) == 2, said
    if 1 not in speedups:  # rounded: it may be a little less
        assert (BUSY in said) == (min(speedups) < 1), said


CASES = (slower_than_one_thread,)
