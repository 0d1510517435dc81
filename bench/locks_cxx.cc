// SPDX-License-Identifier: BSD-2-Clause
// Measures the locks of C++ libraries, in the same workloads as those of C.
#include "barriers.h"
#include "rwlocks.h"
#include "sems.h"

#include <barrier>
#include <new>
#include <oneapi/tbb/rw_mutex.h>
#include <semaphore>

// The semaphore of libstdc++ 12 does not count its waiters. So it makes a system call at each
// release.
using std_semaphore = std::counting_semaphore<>;

#define STD_SEM_INIT(s) new (s) std_semaphore(0)
#define STD_SEM_RELEASE(s) (s)->release()
#define STD_SEM_ACQUIRE(s) (s)->acquire()
SEM_BENCH(std_sem, std_semaphore, STD_SEM_INIT, STD_SEM_RELEASE, STD_SEM_ACQUIRE)
BARRIER_BENCH(std, std::barrier<>, new (b) std::barrier<>(parties), b->arrive_and_wait(), b->~barrier())
RW_BENCH(tbb, tbb::rw_mutex, new (m) tbb::rw_mutex, m->lock_shared(), m->unlock_shared(), m->lock(), m->unlock())

static const bench_row rows[] = {
    SEM_ROWS(std_sem, "std"),
    BARRIER_ROW("std", std),
    RW_ALL(tbb, BENCH_PEER),
};
BENCH_ROWS(rows)
