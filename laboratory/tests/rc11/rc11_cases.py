# SPDX-License-Identifier: BSD-2-Clause
"""The RC11 enumerator's cases: the verdicts of each litmus file, its theorems, and that a comparison finds errors."""
import glob
import subprocess
from os.path import basename, exists, join

from consumers import expect, Failure, NO_END, run, Skip


def cases(source, build):
    """(name, function) of each case."""
    program = join(build, "laboratory/tests/rc11/rc11")

    def rc11(*arguments):
        if not exists(program):
            raise Skip("laboratory/tests/rc11/rc11 is not built")
        return run([program, *arguments])

    def violation(engine, *options):
        """What a comparison prints with an engine that answers wrong."""
        rc11("--help")
        done = subprocess.run([program, "check", "--count", "300", "--engine", engine.replace("RC11", f"'{program}'"), *options],
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=NO_END, check=False)
        if done.returncode != 1:
            raise Failure(f"status {done.returncode}, not 1\n{done.stdout}")
        return done.stdout

    def engine_agrees(count, strategy, proved):
        tool = join(build, "laboratory/fairlead-stress")
        if not exists(tool):
            raise Skip("fairlead-stress is not built")
        expect(rc11("check", "--count", str(count), "--seed", "2026", "--proved", str(proved), "--engine",
                    f"'{tool}' --strategy {strategy} --litmus -"),
               f"{count} programs, 0 violations")

    def check_finds_missing():
        text = violation("RC11 answer | sed '0,/^1 /{/^1 /d};s/proved=1/proved=0/'")
        expect(text, "the engine does not show: 1 ")
        expect(text, "in this order sb, rf, mo and psc agree")

    def check_finds_wrong():
        text = violation("sed '/^T/{s/\\([WR][^;]*\\) sc/\\1 rlx/g}' | RC11 answer")
        expect(text, "RC11 forbids what the engine shows: ")
        expect(text, "SC: psc_base | psc_F has a cycle")

    def only_prompt(proved):
        """An engine that shows the prompt outcomes alone."""
        return (r"RC11 enumerate | sed -n 's/^P \([^ ]*\) .*/P \1 executions=1 exhausted=1 proved=" + str(proved) +
                r"/p; s/^+ //p; /^E/p'")

    def check_finds_false_proof():
        text = violation(only_prompt(1))
        expect(text, "the engine says proved, and does not show: ")
        expect(text, "in this order sb and rf agree, but not mo and psc")

    def check_finds_too_few_proofs():
        expect(violation(only_prompt(0), "--proved", "1"), "300 programs, 0 violations\n0 of them proved")

    def check_finds_no_end():
        expect(violation("RC11 answer | sed s/exhausted=1/exhausted=0/"), "300 programs, 300 violations")

    files = sorted(glob.glob(join(source, "laboratory/litmus/*.litmus")))
    verdicts = [("rc11_verify_" + basename(f)[:-len(".litmus")].replace("-", "_"),
                 lambda f=f: rc11("verify", f)) for f in files]
    return verdicts + [
        ("rc11_theorems", lambda: rc11("selftest", "--count", "2000")),
        ("rc11_judges_the_engine", lambda: engine_agrees(300, "dfs:all", 65)),
        ("rc11_judges_the_graphs", lambda: engine_agrees(300, "graphs", 100)),
        ("rc11_judges_the_engine_long", lambda: engine_agrees(10000, "dfs:all", 65)),
        ("rc11_judges_the_graphs_long", lambda: engine_agrees(10000, "graphs", 100)),
        ("rc11_check_agrees", lambda: rc11("check", "--count", "500", "--engine", f"'{program}' answer")),
        ("rc11_check_finds_missing", check_finds_missing),
        ("rc11_check_finds_wrong", check_finds_wrong),
        ("rc11_check_finds_false_proof", check_finds_false_proof),
        ("rc11_check_finds_too_few_proofs", check_finds_too_few_proofs),
        ("rc11_check_finds_no_end", check_finds_no_end),
    ]
