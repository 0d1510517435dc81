# SPDX-License-Identifier: BSD-2-Clause
"""The demo's mandelbrot: the same picture however many draw it, and none when it is interrupted."""
import os
import re
import signal
import tempfile

import demo_kit
from demo_kit import sizes_and_pixels

SMALL = ("--size", "96x64", "--iterations", "100")


def run(demo, *arguments, **options):
    return demo_kit.run(demo, "mandelbrot", *arguments, **options)


def same_picture_with_any_number_of_workers(demo):
    answers = set()
    for workers in 1, 2, 5:
        with tempfile.TemporaryDirectory() as folder:
            done = run(demo, *SMALL, "--workers", str(workers), cwd=folder)
            assert "\033" not in done.stdout + done.stderr and done.stderr.endswith("rows: 64 of 64\n"), done
            width, height, pixels = sizes_and_pixels(os.path.join(folder, "mandelbrot.png"))
            assert (width, height) == (96, 64)
            answers.add((re.search(r"answer ([0-9a-f]{16})$", done.stdout, re.M)[1], pixels))
    assert len(answers) == 1


def picture_is_that_of_the_set(demo):
    """Black in the middle, where the points stay, and not at the border; symmetric."""
    with tempfile.TemporaryDirectory() as folder:
        run(demo, *SMALL, "--output", os.path.join(folder, "new"))
        width, height, pixels = sizes_and_pixels(os.path.join(folder, "new", "mandelbrot.png"))
    # libpng chooses a filter for each row, so rows are compared after the filter is undone
    rows, above = [], bytearray(3 * width)
    for y in range(height):
        kind, row = pixels[y * (1 + 3 * width)], bytearray(pixels[y * (1 + 3 * width) + 1:(y + 1) * (1 + 3 * width)])
        for i in range(3 * width):
            left, up, corner = (row[i - 3] if i > 2 else 0), above[i], (above[i - 3] if i > 2 else 0)
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda c: abs(guess - c))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        rows.append(above := row)
    assert all(rows[y] == rows[height - 1 - y] for y in range(height))
    assert not any(rows[height // 2][3 * width // 2:3 * width // 2 + 3])
    assert all(any(rows[0][3 * x:3 * x + 3]) for x in range(width))


def mandelbrot_interrupted(demo):
    for end in signal.SIGINT, signal.SIGTERM:
        with tempfile.TemporaryDirectory() as folder:
            out, err = demo_kit.stopped(demo, "mandelbrot", "--size", "16384x16384", "--iterations", "1000000", signal=end,
                                        begun=lambda child: child.stderr.readline(), cwd=folder)
            assert err == "fairlead-demo: mandelbrot: interrupted\n" and not out, (out, err)
            assert not os.listdir(folder)


def mandelbrot_that_cannot_be_saved(demo):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "mandelbrot.png"))
        done = run(demo, *SMALL, cwd=folder, status=1)
        assert done.stderr.splitlines()[-1].startswith("fairlead-demo: ./mandelbrot.png: cannot write"), done
        with open(os.path.join(folder, "file"), "w", encoding="ascii"):
            pass
        done = run(demo, *SMALL, "--output", "file", cwd=folder, status=1)
        assert done.stderr.startswith("fairlead-demo: cannot make the folder 'file'") and not done.stdout, done


def mandelbrot_bad_usage(demo):
    for arguments in (("--size", "100"), ("--size", "0x5"), ("--size", "16385x1"), ("--size", "-1x1"), ("--size", "1x1x1"),
                      ("--center", "1"), ("--center", "1,2,3"), ("--center", "5,0"), ("--center", "nan,0"), ("--zoom", "0"),
                      ("--zoom", "1e13"), ("--zoom", "inf"), ("--iterations", "0"), ("--chairs", "3")):
        done = run(demo, *arguments, status=2)
        assert done.stderr.startswith(f"fairlead-demo: {arguments[0]}") and done.stderr.count("\n") == 1, done
    assert "--zoom N" in run(demo, "-h").stdout


CASES = (same_picture_with_any_number_of_workers, picture_is_that_of_the_set, mandelbrot_interrupted,
         mandelbrot_that_cannot_be_saved, mandelbrot_bad_usage)
