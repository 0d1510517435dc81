#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the demo's stories: test_demo.py FAIRLEAD-DEMO [PATTERN]. Their answers, their failures, and that they stop on request.

Nothing here is about times. PATTERN is a part of a case's name.
"""
import os
import subprocess
import sys
import traceback

sys.dont_write_bytecode = True
import test_compare  # noqa: E402
import test_crawler  # noqa: E402
import test_mandelbrot  # noqa: E402
import test_mpi  # noqa: E402
import test_pipeline  # noqa: E402
import test_trace  # noqa: E402

CASES = test_compare.CASES + test_pipeline.CASES + test_mandelbrot.CASES + test_crawler.CASES + test_mpi.CASES + test_trace.CASES


def main():
    demo = os.path.abspath(sys.argv[1])
    cases = [c for c in CASES if len(sys.argv) < 3 or sys.argv[2] in c.__module__ + "." + c.__name__]
    failed = 0
    for case in cases:
        try:
            case(demo)
        except (AssertionError, subprocess.TimeoutExpired):
            failed += 1
            print(f"failed: {case.__module__}.{case.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
