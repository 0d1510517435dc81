# SPDX-License-Identifier: BSD-2-Clause
"""Runs the cases of this folder.

They are all scenarios for a short time, the campaigns, a soak, and a test that the mutants fit the
source.
"""
import functools
import os
import subprocess

import mutants
from consumers import expect, Failure, run, silent, Skip
from laboratory_cases import told


@functools.lru_cache
def scenarios(tool, names, duration):
    """Runs the scenarios `names` once: in the model, with kills, and on real threads.

    Returns the result of each by its name and mode.
    """
    tests = tool.json("--mode", "native,model,crash,lin", "--time", duration, *names)["tests"]
    return {(t["name"], t["mode"]): t for t in tests}


def scenario_case(tool, names, duration, name, mode):
    test = scenarios(tool, names, duration).get((name, mode))
    if test is None:
        raise Failure("it did not run")
    if test["verdict"] == "skipped":
        raise Skip(test["message"])
    if test["verdict"] != "passed":
        raise Failure(told(test))


def campaign(tool):
    """Kills processes for real, with items and with frames.

    No item is lost or doubled, no process hangs, and waiters are idle.
    """
    for more in ((), ("--frames", "--capacity", "100")):
        out = run([os.path.join(tool.build, "stress/fairlead-kill"), "--kills", "5000", *more])
        expect(out, "0 lost, 0 delivered twice, 0 wrong", "counts agree", "ran 0 ns and switched 0 times", "passed")


def campaign_tasks(tool):
    """Kills workers for real.

    No task is lost or started twice, nothing is left behind, and no wait hangs.
    """
    out = run([os.path.join(tool.build, "stress/fairlead-kill-tasks"), "--kills", "400", "--tasks", "400000"])
    expect(out, "0 lost, 0 started twice, 0 done but never started, 0 cancelled but started, 0 wrong", "passed")


def soak(tool):
    """Races wakes, timeouts and cancels of threads and fibers.

    Every permit and item is accounted for.
    """
    program = os.path.join(tool.build, "stress/fairlead-soak")
    out = run([program, "--time", "2", "--fibers", "16"])
    expect(out, "got once each; permits and tickets are all there", "timed out", "cancelled", "fibers came and went")
    failed = subprocess.run([program, "--fibers", "0"], capture_output=True, text=True, check=False)
    if failed.returncode != 2 or "--fibers takes a number" not in failed.stderr:
        raise Failure(failed.stderr)


def cases(tool, wanted, duration):
    """Returns (name, function) of each case.

    `wanted` tells whether a case of that name runs; `duration` is the time for all scenarios.
    """
    of_programs = [(f"stress_{f.__name__}", functools.partial(f, tool)) for f in (campaign, campaign_tasks, soak)]
    # Each mutant of stress/mutants applies to the library as it is, and its scenario exists.
    of_programs.append(("mutants_fit_the_source", lambda: silent(mutants.complaints, tool.names())))
    modes = {name: [m for m in ("model", "crash", "lin", "native") if m in of] for name, of in tool.modes().items()}
    names = tuple(name for name, of in modes.items() if any(wanted(f"stress_{name}_{mode}") for mode in of))
    return of_programs + [(f"stress_{name}_{mode}", functools.partial(scenario_case, tool, names, duration, name, mode))
                          for name in names for mode in modes[name]]
