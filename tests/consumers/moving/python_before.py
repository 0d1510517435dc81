# SPDX-License-Identifier: BSD-2-Clause
# What the Python blocks of docs/from-python.md need around them: it is put behind them.
import asyncio
import concurrent.futures
import queue
import threading


def is_prime(n):
    return n in (2, 3, 5, 7)


if __name__ == "__main__":
    for kind in (concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor):
        with kind(2) as executor:
            halves(executor, [2, 4, 6])  # noqa: F821
            halves(executor, [2, 3, 6])  # noqa: F821
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        primes(executor, [range(1, 4), range(4, 9)])  # noqa: F821
    items, sums = queue.Queue(maxsize=2), [0]
    thread = threading.Thread(target=add_up, args=(items, sums))  # noqa: F821
    thread.start()
    for item in (10, 20, 30, None):
        items.put(item)
    thread.join()
    print(sums[0])
    asyncio.run(fetch_all(["sheet", "buntline"]))  # noqa: F821
