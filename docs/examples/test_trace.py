# SPDX-License-Identifier: BSD-2-Clause
"""The flight recorder on the demo's album: FL_TRACE=ring, and what fairlead-trace says of the file."""
import glob
import os
import re
import subprocess
import sys
import tempfile

import demo_kit

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "fairlead-trace")


def said_of(*arguments):
    done = subprocess.run([sys.executable, TOOL, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def album(demo):
    """In sequence, on threads, in processes and on a loop: each task has arrows from its submit over its start to its get."""
    with tempfile.TemporaryDirectory() as folder:
        demo_kit.run(demo, "album", cwd=folder, env={**os.environ, "FL_TRACE": "ring,events=65536"})
        path, = glob.glob(f"{folder}/*")
        said = said_of("--check", path)
        counts = re.search(r"(\d+) processes, \d+ threads, (\d+) fibers, .*\n(\d+) tasks: each with submit, start and get\n", said)
        assert counts, said
        processes, fibers, tasks = map(int, counts.groups())
        assert processes > 2 and fibers >= 40 and tasks >= 4 * 40, said
        said = said_of(path)
        for line in (r"10 +[\d.]+ m?s +\w+ +(?:0x\w+|element \d+) .* at [\d.]+ s$", r"a result of lazy map 0x\w+ .* main", r"album-0 +\d+%",
                     r"album-0 \(process \d+\) +\d+%", r"album-0 .* [\d.]+ m?s: \w+"):
            assert re.search(rf"(?m)^{line}", said), (line, said)
        assert "\nlost: 0 events" in said, said


CASES = (album,)
