# SPDX-License-Identifier: BSD-2-Clause
"""The demo's pipeline. Checks that the number of pictures in memory is bounded, whichever stage is slow."""
import glob
import os
import re
import signal
import tempfile

import demo_kit
from demo_kit import sizes_and_pixels


def run(demo, *arguments, **options):
    return demo_kit.run(demo, "pipeline", "--pictures", "8", *arguments, **options)


def within_bounds(out, threads, capacity):
    """No queue exceeded its capacity, and the pictures in memory fit into threads and queues."""
    most, bound = map(int, re.search(r"at most (\d+) pictures; room for (\d+)", out).groups())
    assert 1 <= most <= bound == sum(threads) + 3 * capacity, out
    queues = [(int(n), int(of)) for n, of in re.findall(r"at most (\d+) of (\d+)", out)]
    assert len(queues) == (3 if capacity else 0) and all(n <= of == capacity for n, of in queues), out


def answer(out, thumbnails):
    count, digest = re.search(r"^(\d+) thumbnails in .*answer ([0-9a-f]{16}), the same$", out, re.M).groups()
    assert int(count) == thumbnails, out
    return digest


def runs(demo):
    answers = set()
    for threads, capacity, slow in (((4, 2, 2, 1), 2, "write"), ((1, 1, 1, 1), 1, "none"), ((3, 1, 2, 2), 0, "decode"),
                                    ((1, 1, 1, 1), 0, "thumbnail"), ((2, 2, 2, 2), 40, "download")):
        done = run(demo, "--threads", ",".join(map(str, threads)), "--capacity", str(capacity), "--slow", slow)
        within_bounds(done.stdout, threads, capacity)
        answers.add(answer(done.stdout, 8))
        assert "\033" not in done.stdout + done.stderr and not done.stderr, done
    assert len(answers) == 1, answers


def bad_picture_is_named_and_the_rest_go_on(demo):
    for fault, stage, why in (("missing", "download", "404"), ("fail", "download", "500"), ("short", "download", "closed"),
                              ("wrong", "decode", "cannot decode"), ("stall", "download", "stalled")):
        done = run(demo, "--fault", fault, "--timeout", "3", status=1)
        said = done.stderr.splitlines()
        assert len(said) == 1 and re.match(rf"fairlead-demo: picture-07\.png: {stage}: .*{why}", said[0]), done
        within_bounds(done.stdout, (4, 2, 2, 1), 2)
        answer(done.stdout, 7)


def failed_stage_stops_all(demo):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "thumb-picture-03.png"))
        done = run(demo, "--output", folder, status=1)
        said = done.stderr.splitlines()
        assert len(said) == 1 and "picture-03.png: write: cannot write the file" in said[0], done
        within_bounds(done.stdout, (4, 2, 2, 1), 2)
        assert "answer" not in done.stdout, done


def thumbnails_are_all_there(demo):
    with tempfile.TemporaryDirectory() as folder:
        run(demo, "--output", folder)
        assert sorted(os.listdir(folder)) == [f"thumb-picture-{i:02}.png" for i in range(1, 9)]
        made = [sizes_and_pixels(os.path.join(folder, name)) for name in os.listdir(folder)]
        assert all(max(width, height) == 160 for width, height, _ in made), [m[:2] for m in made]
        assert len({pixels for _, _, pixels in made}) == 8  # no picture twice


def begun(folder):
    """Whether the pipeline has written a file: its folder is the only one there."""
    return bool(glob.glob(os.path.join(folder, "fairlead-album-*", "*")))


def interrupted(demo):
    """Ctrl-C during a stalled server, a slow stage and full queues; nothing stays behind."""
    for end in signal.SIGINT, signal.SIGTERM:
        with tempfile.TemporaryDirectory() as folder:
            out, err = demo_kit.stopped(demo, "pipeline", "--pictures", "8", "--fault", "stall", "--timeout", "3600", signal=end,
                                        begun=lambda _: begun(folder), env={**os.environ, "TMPDIR": folder})
            assert err == "fairlead-demo: pipeline: interrupted\n", err
            assert "in memory at a time" in out and "answer" not in out, out  # it ended in order
            assert not os.listdir(folder)


def bad_usage(demo):
    for arguments in (("--threads", "1,2,3"), ("--threads", "1,2,3,4,5"), ("--threads", "0,1,1,1"), ("--threads", "a"),
                      ("--capacity", "-1"), ("--slow", "lunch"), ("--pictures", "41"), ("--chairs", "3")):
        done = run(demo, *arguments, status=2)
        assert done.stderr.startswith(f"fairlead-demo: {arguments[0]}") and not done.stdout, done
    assert "--capacity N" in run(demo, "--help").stdout


CASES = (runs, bad_picture_is_named_and_the_rest_go_on, failed_stage_stops_all, thumbnails_are_all_there, interrupted, bad_usage)
