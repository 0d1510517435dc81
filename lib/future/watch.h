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
 * The ends of several futures, in their order: each future that is watched puts itself into one list when it ends. Each costs a
 * constant number of steps, whatever their number. watch.c says how.
 *
 *     struct fl__watches ws;
 *     fl__watches_init(&ws, name);
 *     for each: fl__watch(&ws, &each[i], f[i]);
 *     rc = fl__watches_sleep(&ws, enough, deadline, cancel);
 *     for each: fl__unwatch(&each[i]);
 *     fl__watches_fini(&ws);
 */
struct fl__watches;

/* Of one future; stays where it is until the end of all. */
struct fl__watch {
	struct fl__wait wait; /* not of who waits for the end of the future, but of `of->ctx` */
	struct fl__node node;
	struct fl__watches *of;
	fl_future *future;      /* the caller keeps it alive */
	struct fl__watch *next; /* in `of->first` */
};

struct fl__watches {
	struct fl__ctx ctx; /* is unparked for each end */
	fl_mutex lock;      /* guards the rest */
	fl_cond news;
	struct fl__watch *first, *last;               /* that have ended, the earliest first, and were not taken */
	size_t left;                                  /* that have not ended, or are about to say so */
	size_t errors;                                /* that have failed; to be cancelled is no failure */
	bool (*enough)(const struct fl__watches *ws); /* whoever sleeps waits for it; NULL: nobody does */
};

/* `name`: in reports, of whoever waits; it stays. */
void fl__watches_init(struct fl__watches *ws, const char *name);

/* Waits for the end of `f` by `w`, from now on; of one that has ended, it is told at once. */
void fl__watch(struct fl__watches *ws, struct fl__watch *w, fl_future *f);

/* Ends that. What is just being told is told nevertheless, before fl__watches_fini() returns. */
void fl__unwatch(struct fl__watch *w);

/* Sleeps until `enough` says so, which is asked under the lock; one at a time: 0, -ETIMEDOUT, -ECANCELED. */
int fl__watches_sleep(struct fl__watches *ws, bool (*enough)(const struct fl__watches *ws), int64_t deadline,
                      fl_cancel *cancel);

/* Under the lock: the one that ended first, taken out; NULL: none. */
struct fl__watch *fl__watches_take(struct fl__watches *ws);

/* The end, after each has ended or was given up: from here on nobody touches any of it. */
void fl__watches_fini(struct fl__watches *ws);

/* Whether `f` has ended with an error. */
bool fl__future_has_failed(const fl_future *f);

#endif
