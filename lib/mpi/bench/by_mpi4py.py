# SPDX-License-Identifier: BSD-2-Clause
"""No-op tasks a second by mpi4py's pool: mpirun -n 2 python3 -m mpi4py.futures by_mpi4py.py CHUNK N"""
import sys
import time
from mpi4py.futures import MPIPoolExecutor


def no_op(x):
    return x


if __name__ == "__main__":
    chunk, n = int(sys.argv[1]), int(sys.argv[2])
    with MPIPoolExecutor() as pool:
        sum(pool.map(no_op, [0.0] * (n // 10 + 1), chunksize=chunk, unordered=True))
        began = time.monotonic()
        assert sum(pool.map(no_op, [0.0] * n, chunksize=chunk, unordered=True)) == 0
        print(f"{n / (time.monotonic() - began):.2f}")
