/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../sync/mutex.h"
#include "../wait/lot.h"
#include "future.h"
#include <fairlead/future.h>

/*
 * A set of futures. It lists the futures that have ended, in constant time for each. If the end of
 * one future is over before the end of another begins, the set lists the earlier one first.
 *
 *     struct fl__future_set set = {.left = 0};
 *     for each: fl__future_set_add(&set, &each[i], f[i]);
 *     rc = fl__future_set_sleep(&set, enough, deadline, cancel);
 *     for each: fl__future_set_remove(&each[i]);
 *     fl__future_set_fini(&set);
 */
struct fl__future_set;

/* A future in a set. Must not move until fl__future_set_fini(). */
struct fl__future_entry {
	struct fl__callback node; /* of `future` */
	struct fl__future_set *of;
	fl_future *future;             /* the caller keeps it alive */
	struct fl__future_entry *next; /* in `of->first` */
};

struct fl__future_set {
	fl_mutex lock; /* guards the rest */
	fl_cond news;
	/* Ended and not yet taken, earliest first. */
	struct fl__future_entry *first FL_GUARDED_BY(lock), *last FL_GUARDED_BY(lock);
	size_t left FL_GUARDED_BY(lock); /* not ended, or fl__future_report() still to come */
	/* What the sleeping waiter waits for; NULL: no waiter sleeps. */
	bool (*enough)(const struct fl__future_set *set) FL_GUARDED_BY(lock);
};

/* A future that has ended is listed at once. */
void fl__future_set_add(struct fl__future_set *set, struct fl__future_entry *entry, fl_future *f);

/*
 * Takes a future out of the set if it has not ended. If it has ended, its context may be about to
 * list it; fl__future_set_fini() waits for that.
 */
void fl__future_set_remove(struct fl__future_entry *entry);

/*
 * Sleeps until enough(), which is called under the lock, returns true. Only one context may sleep
 * at a time. Returns 0, -ETIMEDOUT or -ECANCELED.
 */
int fl__future_set_sleep(struct fl__future_set *set, bool (*enough)(const struct fl__future_set *set), fl_time deadline,
                         fl_cancel_token *cancel);

/* Called under the set's lock. Takes the entry that ended first, or returns NULL. */
struct fl__future_entry *fl__future_set_take(struct fl__future_set *set) FL_REQUIRES(set->lock);

/*
 * Ends the life of the set. The future of each entry has ended, or the entry was removed. Waits for
 * the contexts that are about to list an entry. Afterwards no thread accesses the memory.
 */
void fl__future_set_fini(struct fl__future_set *set);
