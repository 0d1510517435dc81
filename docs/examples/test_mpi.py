# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the demo's model `mpi`. A demo that was built without MPI says so."""
import json
import subprocess


def primes_over_mpi(demo):
    done = subprocess.run([demo, "primes", "--model", "mpi", "--ranks", "3", "--limit", "100000", "--json"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    if done.returncode == 1 and ("built without MPI" in done.stderr or "cannot start" in done.stderr):
        return
    assert done.returncode == 0, done.stderr
    runs = {run["model"]: run["answer"] for run in json.loads(done.stdout)["jobs"][0]["runs"]}
    assert runs["mpi"] == runs["sequential"] == 9592, runs


CASES = (primes_over_mpi,)
