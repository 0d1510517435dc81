/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Iterates over futures in the order of their ends.
 *
 * Each entry is in the list of callbacks of its future, so that an end costs constant time, however
 * many futures there are. The context that ends the future calls fl__future_report(), which appends
 * the entry to the list of ended entries, before other callbacks and with no lock held. The waiter
 * sleeps on a condition.
 *
 * Invariants
 *   1. Each entry leaves the future's list once, under the future's lock: either at the end, which
 *      then calls fl__future_report(), or by fl_as_completed_free(), and then there is no such
 *      call.
 *   2. `left` counts the entries that are in the list of a future or wait for their
 *      fl__future_report(). When it is 0, only the unlock in the last fl__future_report() still
 *      accesses the memory.
 *   3. fl__future_report() runs after the end of the future is public and before the ending context
 *      goes on. So futures whose ends do not overlap are listed in the order of their ends.
 *
 * A waiter that may run tasks helps with each future once, in the order of the array; `helped` is
 * its position. It leaves futures that are not pending, or belong to another executor, to other
 * threads.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "../sync/mutex.h"
#include "../wait/lot.h"
#include "future.h"
#include <fairlead/future.h>

struct completed_entry {
	struct fl__callback node;     /* the callback of `future` */
	fl_as_completed *of;          /* NULL if the future has not been added */
	fl_future *future;            /* a reference; NULL if it was returned or is a duplicate */
	struct completed_entry *next; /* in `of->first` */
};

struct fl_as_completed {
	fl_mutex lock; /* guards the next list and count, and each `next` */
	fl_cond news;
	/* Ended and not yet returned, earliest first. */
	struct completed_entry *first FL_GUARDED_BY(lock), *last FL_GUARDED_BY(lock);
	size_t left FL_GUARDED_BY(lock); /* not ended, or fl__future_report() has yet to come */
	size_t n, helped;
	struct completed_entry each[];
};

void fl__future_report(fl_future *f, void *arg)
{
	struct completed_entry *entry = arg;
	(void)f;
	fl_as_completed *all = entry->of;
	FL__HELD(&all->lock);
	FL__APPEND(all->first, all->last, entry, next);
	all->left--;
	fl_cond_signal(&all->news);
} /* the unlock is the last access to the iteration */

/* Adds the futures that were not added yet, or only those of them that have ended. */
static void completed_add(fl_as_completed *all, bool only_ended)
{
	for (size_t i = 0; i < all->n; i++) {
		struct completed_entry *entry = &all->each[i];
		fl_future *f = entry->future;
		if (!f || entry->of || (only_ended && fl_future_try_wait(f) != 0))
			continue;
		entry->of = all;
		{
			FL__HELD(&all->lock);
			all->left++;
		}
		if (!fl__future_report_end(f, &entry->node, entry))
			fl__future_report(f, entry);
	}
}

/* Returns whether the iteration has a future to return, or none is left. */
static bool completed_is_ready(const fl_as_completed *all) FL_REQUIRES(all->lock)
{
	return all->first != NULL || all->left == 0;
}

/* Removes the entry that ended first. Returns 0, -EAGAIN or -ENODATA. */
static int completed_take(fl_as_completed *all, size_t *index)
{
	struct completed_entry *entry;
	{
		FL__HELD(&all->lock);
		entry = all->first;
		if (!entry)
			return all->left > 0 ? -EAGAIN : -ENODATA;
		all->first = entry->next;
	}
	*index = (size_t)(entry - all->each);
	fl_future_free(entry->future);
	entry->future = NULL;
	return 0;
}

/* Helps with futures, if this context may run tasks, until one has ended. */
static void completed_help(fl_as_completed *all, fl_time deadline, const fl_cancel_token *cancel)
{
	while (fl__ctx_get()->help && all->helped < all->n) {
		fl_future *f = all->each[all->helped++].future;
		if (!f)
			continue;
		fl__future_help(f, deadline, cancel);
		if (fl_future_try_wait(f) == 0)
			return;
	}
}

static int completed_sleep(fl_as_completed *all, fl_time deadline, fl_cancel_token *cancel)
{
	FL__BLOCKS(deadline);
	FL__HELD(&all->lock);
	FL__AWAITS(FL__DEBUG_FUTURES, (void *)(uintptr_t)all->left);
	int rc = 0;
	while (!completed_is_ready(all) && rc == 0)
		rc = fl__cond_wait(&all->news, &all->lock, deadline, cancel, true);
	return rc != -ECANCELED && completed_is_ready(all) ? 0 : rc;
}

int fl_as_completed_next_until(fl_as_completed *all, size_t *index, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = completed_take(all, index);
	if (rc != -EAGAIN)
		return rc;
	completed_help(all, deadline, cancel);
	rc = completed_sleep(all, deadline, cancel);
	return rc == 0 ? completed_take(all, index) : rc;
}

/* Removes the entry from its future's list, unless fl__future_report() was called or will be. */
static void completed_remove(struct completed_entry *entry)
{
	if (!fl__future_detach(entry->future, &entry->node))
		return;
	FL__HELD(&entry->of->lock);
	entry->of->left--;
}

/* Waits for the contexts that are about to report an end. */
static void completed_wait_for_reports(fl_as_completed *all)
{
	FL__HELD(&all->lock);
	FL__AWAITS(FL__DEBUG_FUTURES, (void *)(uintptr_t)all->left);
	while (all->left > 0)
		FL_IGNORE(fl__cond_wait(&all->news, &all->lock, FL_FOREVER, FL_SHIELDED, true));
}

void fl_as_completed_free(fl_as_completed *all)
{
	if (!all)
		return;
	fl__hook_ends(all);
	for (size_t i = 0; i < all->n; i++)
		if (all->each[i].of && all->each[i].future)
			completed_remove(&all->each[i]);
	completed_wait_for_reports(all);
	for (size_t i = 0; i < all->n; i++)
		fl_future_free(all->each[i].future);
	fl__free(all);
}

/* Creation. */

/*
 * A hash table of indices with open addressing, at most half full. A slot contains index + 1, or 0
 * if it is empty.
 */
struct completed_index {
	size_t *slots;
	size_t mask;
};

static bool completed_index_init(struct completed_index *index, size_t n)
{
	size_t size = 4;
	while (size / 2 < n)
		size *= 2;
	index->mask = size - 1;
	index->slots = fl__alloc(size, sizeof *index->slots);
	return index->slots != NULL;
}

/* Adds `i`. Returns false if an earlier index has the same future. */
static bool completed_index_add(const struct completed_index *index, fl_future *const *f, size_t i)
{
	/* Fibonacci hashing, as in lot.c. */
	size_t at = (size_t)(((uint64_t)(uintptr_t)f[i] * 0x9e3779b97f4a7c15u) >> 32) & index->mask;
	for (; index->slots[at] != 0; at = (at + 1) & index->mask)
		if (f[index->slots[at] - 1] == f[i])
			return false;
	index->slots[at] = i + 1;
	return true;
}

int fl_as_completed_create(fl_as_completed **made, fl_future *const *f, size_t n)
{
	struct completed_index index;
	if (n > (SIZE_MAX / 4 - sizeof(fl_as_completed)) / sizeof(struct completed_entry))
		return -ENOMEM;
	fl_as_completed *all = fl__alloc(1, sizeof *all + n * sizeof all->each[0]);
	if (!all || !completed_index_init(&index, n)) {
		fl__free(all);
		return -ENOMEM;
	}
	all->n = n;
	for (size_t i = 0; i < n; i++)
		if (completed_index_add(&index, f, i))
			all->each[i].future = fl_future_ref(f[i]);
	fl__free(index.slots);
	completed_add(all, true); /* first those that have ended, in the order of the array */
	completed_add(all, false);
	*made = all;
	return 0;
}
