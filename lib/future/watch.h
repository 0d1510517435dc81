/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FUTURE_WATCH_H
#define FL_FUTURE_WATCH_H

#include "../wait/lot.h"
#include "future.h"
#include <fairlead/cond.h>
#include <fairlead/mutex.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Lists several futures in the order of their ends: each watched future appends its watch to one
 * list when it ends. Each future costs a constant number of steps. watch.c explains how.
 *
 *     struct fl__watches ws;
 *     fl__watches_init(&ws, name);
 *     for each: fl__watch(&ws, &each[i], f[i]);
 *     rc = fl__watches_sleep(&ws, enough, deadline, cancel);
 *     for each: fl__unwatch(&each[i]);
 *     fl__watches_fini(&ws);
 */
struct fl__watches;

/* The watch of one future. Must not move until fl__watches_fini(). */
struct fl__watch {
	struct fl__wait wait; /* of `of->ctx`, not of the waiter */
	struct fl__node node;
	struct fl__watches *of;
	fl_future *future;      /* the caller keeps it alive */
	struct fl__watch *next; /* in `of->first` */
};

struct fl__watches {
	struct fl__ctx ctx; /* unparked at each end */
	fl_mutex lock;      /* guards the rest */
	fl_cond news;
	/* Ended and not yet taken, earliest first. */
	struct fl__watch *first, *last;
	size_t left;   /* not ended, or tell() still to come */
	size_t errors; /* failed futures; a cancelled one has not failed */
	/* What the sleeping waiter waits for; NULL: no waiter sleeps. */
	bool (*enough)(const struct fl__watches *ws);
};

/* `name`: the waiter's name in reports; must stay valid. */
void fl__watches_init(struct fl__watches *ws, const char *name);

/* Watches `f` by `w`. A future that has ended is listed at once. */
void fl__watch(struct fl__watches *ws, struct fl__watch *w, fl_future *f);

/* Stops watching. A tell() that is under way finishes before fl__watches_fini() returns. */
void fl__unwatch(struct fl__watch *w);

/*
 * Sleeps until `enough`, called under the lock, returns true: 0, -ETIMEDOUT, -ECANCELED. One waiter
 * at a time.
 */
int fl__watches_sleep(struct fl__watches *ws, bool (*enough)(const struct fl__watches *ws), int64_t deadline,
                      fl_cancel_token *cancel);

/* Removes the watch that ended first; NULL: none. Under the lock. */
struct fl__watch *fl__watches_take(struct fl__watches *ws);

/* Called after each watch has ended or was stopped: no thread accesses the memory afterwards. */
void fl__watches_fini(struct fl__watches *ws);

/* Whether `f` has ended with an error. */
bool fl__future_has_failed(const fl_future *f);

#endif
