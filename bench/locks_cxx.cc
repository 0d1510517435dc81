// SPDX-License-Identifier: BSD-2-Clause The locks of C++ libraries, in the same workloads as those
// in C. Names as there, where they stand alone.
#include "barriers.h"
#include "conds.h"
#include "events.h"
#include "locks.h"
#include "sems.h"

#include <absl/synchronization/mutex.h>
#include <atomic>
#include <barrier>
#include <boost/thread/barrier.hpp>
#include <new>
#include <oneapi/tbb/mutex.h>
#include <oneapi/tbb/spin_mutex.h>
#include <semaphore>

// Newer abseils also have lock(), and deprecate Lock(), which older ones have alone.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// Debian builds abseil without NDEBUG, which looks for deadlocks at each lock unless it is told not
// to.
__attribute__((constructor)) static void abseil_setup()
{
	absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
	absl::EnableMutexInvariantDebugging(false);
}

SLEEPING_LOCK(abseil, absl::Mutex, new (m) absl::Mutex, m->Lock(), m->Unlock())
SLEEPING_LOCK(tbb, tbb::mutex, new (m) tbb::mutex, m->lock(), m->unlock())
LOCK_BENCH(tbb_spin, tbb::spin_mutex, char, new (m) tbb::spin_mutex, m->lock(), m->unlock())

MONITOR(abseil, absl::Mutex, absl::CondVar, new (m) absl::Mutex, new (c) absl::CondVar, m->Lock(), m->Unlock(),
        c->Wait(m), c->Signal(), c->SignalAll())
MONITOR_SEM(abseil)
MONITOR_EVENT(abseil)
COND_BENCH(abseil)
SEM_BENCH(abseil_sem, abseil_sem, abseil_init, abseil_release, abseil_acquire)
TURN_BENCH(abseil_event, abseil_event, abseil_event_init, abseil_event_set, abseil_event_take)

// libstdc++ 12 makes a system call at each release: it counts no waiters.
using std_semaphore = std::counting_semaphore<>;

static inline void std_sem_init(std_semaphore *s)
{
	new (s) std_semaphore(0);
}

static inline void std_sem_release(std_semaphore *s)
{
	s->release();
}

static inline void std_sem_acquire(std_semaphore *s)
{
	s->acquire();
}

SEM_BENCH(std_sem, std_semaphore, std_sem_init, std_sem_release, std_sem_acquire)

using std_event = std::atomic<bool>;

static inline void std_event_init(std_event *e)
{
	new (e) std_event(false);
}

static inline void std_event_set(std_event *e)
{
	e->store(true, std::memory_order_release);
	e->notify_one();
}

static inline void std_event_take(std_event *e)
{
	do
		e->wait(false, std::memory_order_relaxed);
	while (!e->exchange(false, std::memory_order_acquire));
}

TURN_BENCH(std_event, std_event, std_event_init, std_event_set, std_event_take)

BARRIER_BENCH(std, std::barrier<>, new (b) std::barrier<>(parties), b->arrive_and_wait(), b->~barrier())
BARRIER_BENCH(boost, boost::barrier, new (b) boost::barrier(unsigned(parties)), b->wait(), b->~barrier())

static const bench_row rows[] = {
    SLEEPING_ROWS(abseil),
    SLEEPING_ROWS(tbb),
    LOCK_CONTENDED(tbb_spin, 0),
    COND_ROWS(abseil),
    SEM_ROWS(abseil_sem, "abseil"),
    SEM_ROWS(std_sem, "std"),
    TURN_ROWS("locks/event_pingpong", "abseil", abseil_event),
    TURN_ROWS("locks/event_pingpong", "std", std_event),
    BARRIER_ROW("std", std),
    BARRIER_ROW("boost", boost),
};
BENCH_ROWS(rows)
