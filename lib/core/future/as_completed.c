/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for many futures. This file has the set of futures, and the iteration in the order of their
 * ends.
 *
 * Each entry is in the list of callbacks of its future, so it costs constant time, whatever the
 * number of futures. The context that ends the future calls fl__future_report(), which appends the
 * entry to the list of ended ones, before other callbacks and with no lock held. The waiter sleeps
 * on a condition.
 *
 * Invariants
 *   1. Each entry leaves the future's list once, under the future's lock: by the end, after which
 *      fl__future_report() is called; or by fl__future_set_remove(), so that it is not called.
 *   2. `left` counts the entries that are enqueued or wait for their fl__future_report(). When it
 *      is 0, no thread accesses the memory but the last fl__future_report(), in its unlock.
 *   3. fl__future_report() runs after the end of the future is public and before the ending
 *      context goes on. So futures whose ends do not overlap are listed in that order.
 *
 * A wait for n futures costs n steps and needs no space in the futures. A wait that gives up leaves
 * nothing behind.
 */
#include "as_completed.h"
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../hooks.h"

/* Appends an entry to those that have ended. Called under the set's lock. */
static void futures_add_ended(struct fl__future_set *set, struct fl__future_entry *entry) FL_REQUIRES(set->lock)
{
	FL__APPEND(set->first, set->last, entry, next);
	set->left--;
	if (set->enough && set->enough(set))
		fl_cond_signal(&set->news);
}

void fl__future_report(fl_future *f, void *arg)
{
	struct fl__future_entry *entry = arg;
	(void)f;
	struct fl__future_set *set = entry->of;
	FL__HELD(&set->lock);
	futures_add_ended(set, entry);
} /* the unlock is the last access to the set */

void fl__future_set_add(struct fl__future_set *set, struct fl__future_entry *entry, fl_future *f)
{
	entry->of = set;
	entry->future = f;
	{
		FL__HELD(&set->lock);
		set->left++;
	}
	if (fl__future_report_end(f, &entry->node, entry))
		return;
	FL__HELD(&set->lock);
	futures_add_ended(set, entry);
}

void fl__future_set_remove(struct fl__future_entry *entry)
{
	if (!fl__future_detach(entry->future, &entry->node))
		return; /* fl__future_report() was called or will be, or the future had ended before */
	FL__HELD(&entry->of->lock);
	entry->of->left--;
}

static int futures_sleep_until(struct fl__future_set *set, bool (*enough)(const struct fl__future_set *set),
                               fl_time deadline, fl_cancel_token *cancel)
{
	FL__HELD(&set->lock);
	FL__AWAITS(FL__DEBUG_FUTURES, (void *)(uintptr_t)set->left);
	int rc = 0;
	set->enough = enough;
	while (!enough(set) && rc == 0)
		rc = fl__cond_wait(&set->news, &set->lock, deadline, cancel, true);
	set->enough = NULL;
	return rc != -ECANCELED && enough(set) ? 0 : rc;
}

int fl__future_set_sleep(struct fl__future_set *set, bool (*enough)(const struct fl__future_set *set), fl_time deadline,
                         fl_cancel_token *cancel)
{
	FL__BLOCKS(deadline);
	return futures_sleep_until(set, enough, deadline, cancel);
}

struct fl__future_entry *fl__future_set_take(struct fl__future_set *set)
{
	struct fl__future_entry *entry = set->first;
	if (entry)
		set->first = entry->next;
	return entry;
}

static bool futures_none_left(const struct fl__future_set *set) FL_REQUIRES(set->lock)
{
	return set->left == 0;
}

void fl__future_set_fini(struct fl__future_set *set)
{
	/* 0: no deadline, no cancel */
	FL_IGNORE(futures_sleep_until(set, futures_none_left, FL_FOREVER, FL_SHIELDED));
}

static bool futures_one_has_ended(const struct fl__future_set *set) FL_REQUIRES(set->lock)
{
	return set->first != NULL || set->left == 0;
}

/* Adds the futures of entries that are in no set, or only those that have ended. */
static void futures_add(struct fl__future_set *set, struct fl__future_entry *each, size_t n, bool only_ended)
{
	for (size_t i = 0; i < n; i++) {
		fl_future *f = each[i].future;
		if (!f || each[i].of || (only_ended && fl_future_try_wait(f) != 0))
			continue;
		fl__future_set_add(set, &each[i], f);
	}
}

/*
 * The iteration. A waiter that may run tasks helps with each future once, in the order of the
 * array: `helped` is the position. It leaves futures that are not pending, or another executor's,
 * to other threads.
 */

struct fl_as_completed {
	struct fl__future_set set;
	size_t n, helped;
	/* each has a reference to its future, or NULL if that was returned, or is a duplicate */
	struct fl__future_entry each[];
};

/* Takes the first that has ended. Returns 0, -EAGAIN or -ENODATA. */
static int futures_take(fl_as_completed *all, size_t *index)
{
	struct fl__future_entry *entry;
	{
		FL__HELD(&all->set.lock);
		entry = fl__future_set_take(&all->set);
		if (!entry && all->set.left > 0)
			return -EAGAIN;
		if (!entry)
			return -ENODATA;
	}
	*index = (size_t)(entry - all->each);
	fl_future_free(entry->future);
	entry->future = NULL;
	return 0;
}

/* Helps with futures, if this context may run tasks, until one has ended. */
static void futures_help(fl_as_completed *all, fl_time deadline, const fl_cancel_token *cancel)
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

int fl_as_completed_next_until(fl_as_completed *all, size_t *index, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = futures_take(all, index);
	if (rc != -EAGAIN)
		return rc;
	futures_help(all, deadline, cancel);
	rc = fl__future_set_sleep(&all->set, futures_one_has_ended, deadline, cancel);
	return rc == 0 ? futures_take(all, index) : rc;
}

void fl_as_completed_free(fl_as_completed *all)
{
	if (!all)
		return;
	fl__hook_ends(all);
	for (size_t i = 0; i < all->n; i++)
		if (all->each[i].of && all->each[i].future)
			fl__future_set_remove(&all->each[i]);
	fl__future_set_fini(&all->set);
	for (size_t i = 0; i < all->n; i++)
		fl_future_free(all->each[i].future);
	fl__free(all);
}

/* Creation. */

/*
 * A hash table of indices, open addressing, at most half full. An entry is index + 1, or 0 if it is
 * empty.
 */
struct futures_index {
	size_t *slots;
	size_t mask;
};

static bool futures_index_init(struct futures_index *index, size_t n)
{
	size_t size = 4;
	while (size / 2 < n)
		size *= 2;
	index->mask = size - 1;
	index->slots = fl__alloc(size, sizeof *index->slots);
	return index->slots != NULL;
}

/* Adds `i`. Returns false if an earlier index has the same future. */
static bool futures_index_add(const struct futures_index *index, fl_future *const *f, size_t i)
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
	struct futures_index index;
	if (n > (SIZE_MAX / 4 - sizeof(fl_as_completed)) / sizeof(struct fl__future_entry))
		return -ENOMEM;
	fl_as_completed *all = fl__alloc(1, sizeof *all + n * sizeof all->each[0]);
	if (!all || !futures_index_init(&index, n)) {
		fl__free(all);
		return -ENOMEM;
	}
	all->n = n;
	for (size_t i = 0; i < n; i++)
		if (futures_index_add(&index, f, i))
			all->each[i].future = fl_future_ref(f[i]);
	fl__free(index.slots);
	/* first those that have ended, in the order of the array */
	futures_add(&all->set, all->each, n, true);
	futures_add(&all->set, all->each, n, false);
	*made = all;
	return 0;
}
