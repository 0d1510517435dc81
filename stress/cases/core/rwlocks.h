/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_RWLOCKS_H
#define STRESS_RWLOCKS_H

#include "core/wait/lot.h"
#include <fairlead/rwlock.h>

/* Declarations for the scenarios of the readers-writer lock. */

/* Whether a waiter is enqueued, visible to all. */
static inline bool is_awaited(const fl_rwlock *l)
{
	return fl__lot_has_waiters_at(l);
}

/*
 * The laboratory forks, and the first wait repairs a lock that is inherited from a parent. This
 * does that before the executions.
 */
static inline void of_this_process(fl_rwlock *l)
{
	l->turn_ = fl__load_relaxed(&fl__fork_count) << 16;
}

struct counted_lock {
	fl_rwlock l;
	int refs;
};

/* For the outcome: no context holds the lock or waits for it. */
#define RW_IS_FREE(l) FL_FORBIDDEN(fl__rwlock_is_busy(l), "left locked, or awaited")

#endif
