// SPDX-License-Identifier: BSD-2-Clause The readers-writer locks of C++ libraries, in the same
// workloads as those in C (rwlocks.h). locks_cxx.cc sets abseil up.
#include "rwlocks.h"

#include <absl/synchronization/mutex.h>
#include <boost/thread/shared_mutex.hpp>
#include <new>
#include <oneapi/tbb/rw_mutex.h>
#include <oneapi/tbb/spin_rw_mutex.h>

// Newer abseils also have lock(), and deprecate Lock(), which older ones have alone.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

RW_BENCH(abseil, absl::Mutex, new (m) absl::Mutex, m->ReaderLock(), m->ReaderUnlock(), m->Lock(), m->Unlock())
RW_BENCH(boost, boost::shared_mutex, new (m) boost::shared_mutex, m->lock_shared(), m->unlock_shared(), m->lock(),
         m->unlock())
RW_BENCH(tbb, tbb::rw_mutex, new (m) tbb::rw_mutex, m->lock_shared(), m->unlock_shared(), m->lock(), m->unlock())
RW_BENCH(tbb_spin, tbb::spin_rw_mutex, new (m) tbb::spin_rw_mutex, m->lock_shared(), m->unlock_shared(), m->lock(),
         m->unlock())

static const bench_row rows[] = {
    RW_ALL_ROWS("abseil", abseil),
    RW_ALL_ROWS("boost", boost),
    RW_ALL_ROWS("tbb", tbb),
    RW_ALL_ROWS("tbb_spin", tbb_spin),
};
BENCH_ROWS(rows)
