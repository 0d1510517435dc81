/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As-completed: the public calls, and the implementation for futures. Each future has a watch
 * (watch.h) until the iteration returns it.
 *
 * A waiter that may run tasks helps with each future once, in the order of the array: `helped` is
 * the position. The waiter leaves futures that are not pending, or another executor's, to other
 * threads. So a wait is cheap, whatever the number of futures. A future that depends on other tasks
 * (a chain) may get new pending tasks. There are `followed` such futures, and each wait helps with
 * all of them.
 */
#include "as_completed.h"
#include "../base/sys.h"
#include "watch.h"
#include <errno.h>

int fl_as_completed_try_next(fl_as_completed *c, size_t *index)
{
	return c->ops->try_next(c, index);
}

int fl_as_completed_next_until(fl_as_completed *c, size_t *index, int64_t deadline, fl_cancel_token *cancel)
{
	return c->ops->next_until(c, index, deadline, cancel);
}

void fl_as_completed_free(fl_as_completed *c)
{
	if (c)
		c->ops->free(c);
}

/* Futures. */

struct futures {
	fl_as_completed base;
	struct fl__watches ws;
	size_t n, helped, followed;
	size_t parents; /* in a forked child: futures that will not end here, not watched */
	/* `future` is a reference; NULL: already returned, or a duplicate of an earlier entry. */
	struct fl__watch each[];
};

static struct futures *futures_of(fl_as_completed *c)
{
	return (struct futures *)(void *)c; /* base is its first member */
}

static int try_next(fl_as_completed *c, size_t *index)
{
	struct futures *all = futures_of(c);
	struct fl__watch *w;
	{
		FL_LOCKED(&all->ws.lock);
		w = fl__watches_take(&all->ws);
		if (!w && all->ws.left > 0)
			return -EAGAIN;
		if (!w)
			return all->parents > 0 ? -EOWNERDEAD : -ENODATA;
	}
	*index = (size_t)(w - all->each);
	all->followed -= w->future->home->help != NULL;
	fl_future_free(w->future);
	w->future = NULL;
	return 0;
}

static bool is_next(const struct fl__watches *ws)
{
	return ws->first != NULL || ws->left == 0;
}

/* Returns whether the future has ended. */
static bool help_with(fl_future *f, int64_t deadline, const fl_cancel_token *cancel)
{
	fl__future_help(f, deadline, cancel);
	return fl_future_try_wait(f) == 0;
}

/* Helps with futures, if this context may run tasks, until one has ended. */
static void help(struct futures *all, int64_t deadline, const fl_cancel_token *cancel)
{
	if (!fl__ctx_get()->help)
		return;
	while (all->helped < all->n) {
		fl_future *f = all->each[all->helped++].future;
		if (f && help_with(f, deadline, cancel))
			return;
	}
	for (size_t i = 0; i < all->n && all->followed > 0; i++) {
		fl_future *f = all->each[i].future;
		if (f && f->home->help && help_with(f, deadline, cancel))
			return;
	}
}

static int next_until(fl_as_completed *c, size_t *index, int64_t deadline, fl_cancel_token *cancel)
{
	struct futures *all = futures_of(c);
	int rc = try_next(c, index);
	if (rc != -EAGAIN)
		return rc;
	help(all, deadline, cancel);
	rc = fl__watches_sleep(&all->ws, is_next, deadline, cancel);
	return rc == 0 ? try_next(c, index) : rc;
}

static void free_futures(fl_as_completed *c)
{
	struct futures *all = futures_of(c);
	for (size_t i = 0; i < all->n; i++)
		if (all->each[i].of && all->each[i].future)
			fl__unwatch(&all->each[i]);
	fl__watches_fini(&all->ws);
	for (size_t i = 0; i < all->n; i++)
		fl_future_free(all->each[i].future);
	fl__free(all);
}

static const struct fl__as_completed_ops ops = {try_next, next_until, free_futures};

/* Creation. */

/*
 * A set of indices of futures: a hash table with open addressing, at most half full. An entry is
 * the index plus 1; 0: empty.
 */
struct set {
	size_t *places;
	size_t mask;
};

static bool set_init(struct set *set, size_t n)
{
	size_t size = 4;
	while (size / 2 < n)
		size *= 2;
	set->mask = size - 1;
	set->places = fl__alloc(size, sizeof *set->places);
	return set->places != NULL;
}

/* Adds `i`. Returns false if an earlier index has the same future. */
static bool set_add(const struct set *set, fl_future *const *f, size_t i)
{
	/* Fibonacci hashing, as in lot.c. */
	size_t at = (size_t)(((uint64_t)(uintptr_t)f[i] * 0x9e3779b97f4a7c15u) >> 32) & set->mask;
	for (; set->places[at] != 0; at = (at + 1) & set->mask)
		if (f[set->places[at] - 1] == f[i])
			return false;
	set->places[at] = i + 1;
	return true;
}

/* Watches the futures: first the ended ones, in the order of the array. */
static void watch_all(struct futures *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->each[i].future && fl_future_try_wait(all->each[i].future) == 0)
			fl__watch(&all->ws, &all->each[i], all->each[i].future);
	for (size_t i = 0; i < all->n; i++) {
		if (!all->each[i].future || all->each[i].of)
			continue;
		if (fl__future_is_parents(all->each[i].future))
			all->parents++;
		else
			fl__watch(&all->ws, &all->each[i], all->each[i].future);
	}
}

int fl_futures_as_completed_create(fl_as_completed **made, fl_future *const *f, size_t n)
{
	struct set set;
	if (n > (SIZE_MAX / 4 - sizeof(struct futures)) / sizeof(struct fl__watch))
		return -ENOMEM;
	struct futures *all = fl__alloc(1, sizeof *all + n * sizeof all->each[0]);
	if (!all || !set_init(&set, n)) {
		fl__free(all);
		return -ENOMEM;
	}
	all->base.ops = &ops;
	all->n = n;
	fl__watches_init(&all->ws, "fl_as_completed");
	for (size_t i = 0; i < n; i++)
		if (set_add(&set, f, i)) {
			all->each[i].future = fl_future_ref(f[i]);
			all->followed += f[i]->home->help != NULL;
		}
	fl__free(set.places);
	watch_all(all);
	*made = &all->base;
	return 0;
}
