# SPDX-License-Identifier: BSD-2-Clause
"""The cases of the RC11 enumerator: the verdicts of each litmus file, its theorems, and that a
comparison finds errors.
"""
import functools
import glob
import os
import tempfile
from os.path import basename, exists, join

import campaign
import random_litmus
from consumers import Failure, run, Skip, write

# An engine that is the enumerator.
ANSWER = "RC11 enumerate | sed 's/races=.*/exhausted=1 proved=1/;s/^[+-] //'"


def cases(source, build):
    """(name, function) of each case."""
    program, tool = join(build, "laboratory/tests/rc11/rc11"), join(build, "laboratory/fairlead-stress")

    def needs(*built):
        for one in built:
            if not exists(one):
                raise Skip(f"{basename(one)} is not built")

    def rc11(*arguments):
        needs(program)
        return run([program, *arguments])

    def theorems():
        with tempfile.TemporaryDirectory() as folder:
            rc11("selftest", write(join(folder, "random.litmus"), random_litmus.text_of(1, 2000, 3, False)))

    def compared(engine, count, least_proved=0, seed=2026):
        needs(program, tool)
        wrong, proved = random_litmus.check(program, engine.replace("RC11", f"'{program}'"), seed, count)
        if wrong or 100 * proved < least_proved * count:
            raise Failure("\n".join(wrong + [f"seed {seed}: {proved} of {count} are proved"]))

    def finds(engine, said):
        """The comparison finds what is wrong with that engine, and says so."""
        try:
            compared(engine, 300)
        except Failure as failure:
            if said in str(failure):
                return
            raise
        raise Failure(f"nothing is wrong with {engine}")

    def only_prompt(proved):
        """An engine that shows only the prompt outcomes."""
        return r"RC11 enumerate | sed -n 's/^P \([^ ]*\) .*/P \1 executions=1 exhausted=1 proved=" + str(proved) + r"/p; s/^+ //p; /^E/p'"

    def judges_programs():
        needs(program, tool)
        seed = 1
        wrong, _, counts = campaign.check(tool, program, seed, 500)
        print(f"# seed {seed}:", "; ".join(counts))
        if wrong:
            raise Failure("\n".join(wrong))

    def campaign_finds(change, said):
        """An engine that is the enumerator, with its answers changed by a command."""
        needs(program, tool)
        with tempfile.TemporaryDirectory() as folder:
            path = write(join(folder, "rc11"), f"#!/bin/sh\n'{program}' \"$@\" | sed '{change}'\n")
            os.chmod(path, 0o700)
            wrong, *_ = campaign.check(tool, path, 1, 20)
        if not any(said in one for one in wrong):
            raise Failure("\n".join(wrong))

    files = sorted(glob.glob(join(source, "laboratory/litmus/*.litmus")))
    verdicts = [("rc11_verify_" + basename(f)[:-len(".litmus")].replace("-", "_"),
                 lambda f=f: rc11("verify", f)) for f in files]
    judged = [(f"rc11_judges_the_{name}", functools.partial(compared, f"'{tool}' --strategy {strategy} --litmus -", count, percent))
              for name, strategy, percent in (("engine", "dfs:all", 65), ("graphs", "graphs", 100))
              for name, count in ((name, 300), (name + "_long", 10000))]
    return verdicts + judged + [
        ("rc11_theorems", theorems),
        ("rc11_judges_programs", judges_programs),
        ("rc11_campaign_finds_races", lambda: campaign_finds("s/races=0/races=1/", "passed , not data_race")),
        ("rc11_campaign_finds_outcomes", lambda: campaign_finds("/^[+-] /d", "shows {")),
        ("rc11_campaign_finds_missing", lambda: campaign_finds("/^[+-] /{p;s/ [0-9]/&5/g}", "does not show {")),
        ("rc11_check_agrees", lambda: compared(ANSWER, 500, 100)),
        ("rc11_check_finds_missing", lambda: finds(ANSWER + " | sed '0,/^1 /{/^1 /d};s/proved=1/proved=0/'", "the engine does not show: + 1 ")),
        ("rc11_check_finds_wrong", lambda: finds("sed '/^T/{s/\\([WR][^;]*\\) sc/\\1 rlx/g}' | " + ANSWER, "the engine shows what RC11 forbids: ")),
        ("rc11_check_finds_false_proof", lambda: finds(only_prompt(1), "the engine says proved, and does not show: - ")),
        ("rc11_check_finds_no_end", lambda: finds(ANSWER + " | sed s/exhausted=1/exhausted=0/", "the engine answers ")),
    ]
