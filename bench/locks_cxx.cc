// SPDX-License-Identifier: BSD-2-Clause
// The locks of C++ libraries, in the same workloads as those in C (locks.h).
#include "locks.h"

#include <absl/synchronization/mutex.h>
#include <new>
#include <oneapi/tbb/mutex.h>
#include <oneapi/tbb/spin_mutex.h>

// Debian builds abseil without NDEBUG, which looks for deadlocks at each lock unless it is told not to.
__attribute__((constructor)) static void abseil_setup()
{
	absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
	absl::EnableMutexInvariantDebugging(false);
}

LOCK_BENCH(abseil, absl::Mutex, char, new (m) absl::Mutex, m->Lock(), m->Unlock())
LOCK_BENCH(tbb, tbb::mutex, char, new (m) tbb::mutex, m->lock(), m->unlock())
LOCK_BENCH(tbb_spin, tbb::spin_mutex, char, new (m) tbb::spin_mutex, m->lock(), m->unlock())

static const bench_row rows[] = {
    LOCK_ROWS(abseil),
    LOCK_ROWS(tbb),
    LOCK_CONTENDED(tbb_spin, 0),
};
BENCH_ROWS(rows)
