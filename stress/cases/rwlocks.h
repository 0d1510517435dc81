/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_RWLOCKS_H
#define STRESS_RWLOCKS_H

#include "base/atomic.h"
#include "wait/lot.h"
#include <fairlead/rwlock.h>

/* What the scenarios of the readers-writer lock share. */

/* Whether somebody stands in its line, and has for all to see. */
static inline bool is_awaited(const fl_rwlock *l)
{
	return fl__lot_waited(l);
}

/* The laboratory forks, and a lock of a parent is healed when it is first awaited: not in each execution, please. */
static inline void of_this_process(fl_rwlock *l)
{
	l->turn_ = fl__load_relaxed(&fl__fork_count) << 16;
}

struct counted_lock {
	fl_rwlock l;
	int refs;
};

#endif
