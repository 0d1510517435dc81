# SPDX-License-Identifier: BSD-2-Clause
"""Suites that were written for GenMC, run by the laboratory as they are; prints a table.

    python3 laboratory/tests/suites.py FAIRLEAD-STRESS hale|sddf|libvsync FOLDER [--time T] [PATTERN]

FOLDER is a clone of hale-lang/hale, au-ts/sddf or open-s4c/libvsync. Each suite expects that all of
its runs pass. A run fails if the laboratory finds a failure, and is open if it proves nothing in the
time. PATTERN selects runs by a part of their names. The exit status is 0 if no run failed.
"""
import glob
import json
import os
import re
import subprocess
import sys


def hale(folder):
    """Models that name the options of GenMC in their header."""
    for path in sorted(glob.glob(f"{folder}/verification/*_model.c")):
        with open(path) as file:
            sc = re.search(r"GENMC-FLAGS:\s*--sc\b", file.read())
        yield os.path.basename(path), [*(["--model", "sc"] if sc else []), path]


def sddf(folder):
    """The commands of ci/genmc/genmc.sh, in the script's four settings."""
    with open(f"{folder}/ci/genmc/genmc.sh") as file:
        runs = re.findall(r"^ *\$CMD (.*) (\S+\.c)$|^ *\$CMD ()(\S+\.c)$", file.read(), re.M)
    for cpus in ("", "-DCONFIG_ENABLE_SMP_SUPPORT=1"):
        for debug in ("", "-DCONFIG_DEBUG_BUILD=1"):
            for flags, path, _, alone in runs:
                words = [word for word in (cpus, debug, *flags.split()) if word]
                yield (" ".join([*words, os.path.basename(path or alone)]),
                       [*([] if cpus else ["--one-cpu"]), f"-I{folder}/ci/genmc", f"-I{folder}/include", *words,
                        f"{folder}/{path or alone}"])


# What the CMake files of libvsync define for a program that is a template, and its algorithms.
NO_SMR = "-DSMR_NONE -DSMR_MAX_NTHREADS=4"
TEMPLATES = {
    "bitmap": ("", [""]),
    "listset": (NO_SMR, ["LISTSET_COARSE", "LISTSET_FINE", "LISTSET_LAZY", "LISTSET_OPT", "LISTSET_LF"]),
    "mpsc": ("-DNTHREADS=3 -DVMEM_LIB_ALLOC_TRACKING_OFF -DDEFAULT", ["MPSC"]),
    "priority_queue": (NO_SMR + " -DVQUEUE_PRIO_TESTING -DVSTACK_TESTING -DVSKIPLIST_MAX_HEIGHT=2 -DSKIPLIST_ONE_HEIGHT -DVSTACK_XCHGER_COUNT=1",
                       ["VQUEUE_PRIO_STACK_ARRAY_BASED", "VQUEUE_PRIO_STACK_TREE_BASED", "VQUEUE_PRIO_SKIPLIST_BASED", "VQUEUE_PRIO_HEAP_BASED"]),
    "simpleht": ("", ["SIMPLEHT"]),
    "skiplist": (NO_SMR + " -DVSKIPLIST_MAX_HEIGHT=2", ["LOCK_FREE_SKIPLIST"]),
    "smr": ("-DCAP_TESTING -DSMR_MAX_NTHREADS=3", ["SMR_EBR"]),
    "stack": ("-DVSTACK_TESTING -DSMR_THRESHOLD=1 -DSMR_MAX_NTHREADS=4 -DVSTACK_XCHGER_COUNT=1", ["STACK_XBO_BACKOFF", "STACK_ELIMINATION_BACKOFF"]),
    "treeset": ("-DVMEM_LIB_ALLOC_TRACKING_OFF", ["TREESET_BST_FINE", "TREESET_RB_FINE", "TREESET_BST_COARSE", "TREESET_RB_COARSE"]),
    "unbounded_queue": ("-DSMR_MAX_NTHREADS=4", ["VQUEUE_UB_LF_RECYCLE", "VQUEUE_UB_TOTAL", "VQUEUE_UB_LF"]),
}


def libvsync(folder):
    """Programs of verify/, with what cmake/check.cmake defines. In a verification libvsync lacks
    memcpy_s(), which a header of its tests calls; the tests of bbq have one of their own.
    """
    common = [f"-I{folder}/{path}" for path in ("include", "vatomic/include", "test/include", "verify/include")]
    common += ["--no-leaks", "-DVSYNC_VERIFICATION", "-DVSYNC_VERIFICATION_QUICK", "-DVSYNC_VERIFICATION_GENMC", "-DDEFAULT_SMR_EBR", "-D_GNU_SOURCE",
               "-include", "string.h"]
    no_memcpy_s = "-Dmemcpy_s(to,size,from,n)=memcpy(to,from,n)"
    for path in sorted(glob.glob(f"{folder}/verify/*/*.c")):
        kind, name = path.split("/")[-2:]
        if kind not in TEMPLATES:
            yield f"{kind}/{name}", [*common, *([] if kind == "bbq" else [no_memcpy_s]), path]
            continue
        flags, algorithms = TEMPLATES[kind]
        for test in sorted(glob.glob(f"{folder}/verify/{kind}/test*case*.h")):
            for algorithm in algorithms:
                yield (f"{kind} {os.path.basename(test)[:-2]} {algorithm}".rstrip(),
                       [*common, no_memcpy_s, *flags.split(), *([f"-D{algorithm}"] if algorithm else []), f'-DTEST_CASE="{os.path.realpath(test)}"', path])


def run(tool, words, time):
    """(state, what the laboratory says) of one run."""
    done = subprocess.run([tool, "--safety", "--json", "--time", time, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        test = json.loads(done.stdout)["tests"][0]
    except (ValueError, LookupError):
        return "not built", next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:100])
    if test["verdict"] == "not_built":
        return "not built", next((line for line in done.stderr.splitlines() if "error" in line), "")
    if test["verdict"] != "passed":
        return "failed", f"{test['verdict']}: {test['message']}"
    if test["proved"]:
        return "proved", f"{test['complete']:,} executions, {test['blocked']:,} blocked, {test['outdated']:,} outdated, {test['seconds']:.2g} s"
    return "open", f"{test['executions']:,} executions; {'; '.join(map(str, test.get('limits', [])))}"


def main(tool, suite, folder, *options):
    time = "60s"
    if options[:1] == ("--time",):
        time, options = options[1], options[2:]
    counts = {}
    for name, words in {"hale": hale, "sddf": sddf, "libvsync": libvsync}[suite](folder):
        if options and options[0] not in name:
            continue
        state, said = run(tool, words, time)
        counts[state] = counts.get(state, 0) + 1
        print(f"{state:9}  {name:40}  {said}", flush=True)
    print(", ".join(f"{n} {state}" for state, n in sorted(counts.items())))
    return 1 if "failed" in counts or "not built" in counts or not counts else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
