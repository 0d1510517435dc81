/* SPDX-License-Identifier: BSD-2-Clause */
/* Mutexes in C (locks.h). */
#include "locks.h"

#include <ck_spinlock.h>
#include <fairlead/mutex.h>
#include <glib.h>
#include <nsync.h>
#include <pthread.h>
#include <stdatomic.h>

SLEEPING_LOCK(fairlead, fl_mutex, fl_mutex_init(m), fl_mutex_lock(m), fl_mutex_unlock(m))
SLEEPING_LOCK(pthread, pthread_mutex_t, pthread_mutex_init(m, NULL), pthread_mutex_lock(m), pthread_mutex_unlock(m))
SLEEPING_LOCK(nsync, nsync_mu, nsync_mu_init(m), nsync_mu_lock(m), nsync_mu_unlock(m))
SLEEPING_LOCK(glib, GMutex, g_mutex_init(m), g_mutex_lock(m), g_mutex_unlock(m))
LOCK_BENCH(ck_fas, ck_spinlock_fas_t, char, ck_spinlock_fas_init(m), ck_spinlock_fas_lock(m), ck_spinlock_fas_unlock(m))
LOCK_BENCH(ck_ticket, ck_spinlock_ticket_t, char, ck_spinlock_ticket_init(m), ck_spinlock_ticket_lock(m),
           ck_spinlock_ticket_unlock(m))
LOCK_BENCH(ck_mcs, ck_spinlock_mcs_t, ck_spinlock_mcs_context_t, ck_spinlock_mcs_init(m),
           ck_spinlock_mcs_lock(m, &node), ck_spinlock_mcs_unlock(m, &node))

/* The least that can be paid for an uncontended lock: one compare-and-swap, one plain store. */
static inline void cas_lock(atomic_uint *m)
{
	unsigned free_word = 0;
	while (!atomic_compare_exchange_weak_explicit(m, &free_word, 1, memory_order_acquire, memory_order_relaxed))
		free_word = 0;
}

LOCK_BENCH(cas, atomic_uint, char, atomic_init(m, 0), cas_lock(m), atomic_store_explicit(m, 0, memory_order_release))

/*
 * A spin lock that hands over in order waits for whole time slices when the next in line does not
 * run: 30 us an operation instead of 0.1, some runs. So its operations are counted out, lest the
 * suite takes minutes.
 */
enum { LOCK_FIXED = 10000 };

static const bench_row rows[] = {
    SLEEPING_ROWS(fairlead),
    SLEEPING_ROWS(pthread),
    SLEEPING_ROWS(nsync),
    SLEEPING_ROWS(glib),
    LOCK_CONTENDED(ck_fas, 0),
    LOCK_CONTENDED(ck_ticket, LOCK_FIXED),
    LOCK_CONTENDED(ck_mcs, LOCK_FIXED),
    LOCK_UNCONTENDED(cas),
};
BENCH_ROWS(rows)
