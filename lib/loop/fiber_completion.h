/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_ENDS_H
#define FL_LOOP_ENDS_H

#include "loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Waiting for the ends of several fibers, in their order. A fiber that ends appends its end to the
 * list of each waiter that waits for the fiber. All of it is for one thread.
 */
struct fl__ends;

/* One fiber for which a waiter waits. */
struct fl__end {
	struct fl_fiber *fiber;         /* NULL: the waiter does not wait for it any more */
	struct fl__ends *of;            /* the waiter's list for the end */
	struct fl__end *others, **here; /* in fiber->ends: the next; the pointer to this one */
	struct fl__end *next;           /* in of->first */
};

/* One waiter, and its list. */
struct fl__ends {
	struct fl__end *first, *last; /* ends that were not taken yet, oldest first */
	size_t left;                  /* fibers that have not ended */
	size_t enough;                /* the waiter is woken when at most so many are left */
	bool until_failure;           /* or when a fiber has failed */
	bool failed;
	struct fl__node *waiter; /* NULL: none sleeps */
};

/* Has a waiter wait for `f`, by `e`. If `f` has ended, its end is in the list at once. */
void fl__ends_add(struct fl__ends *ends, struct fl__end *e, struct fl_fiber *f);

/* Has the waiter wait for the fiber of `e` no more. */
void fl__end_remove(struct fl__end *e);

/* Sleeps until a wake: 0, and the caller looks again; -ETIMEDOUT, -ECANCELED. By a fiber. */
int fl__ends_sleep(struct fl__ends *ends, int64_t deadline, fl_cancel_token *cancel);

/* Tell: `f` has ended. Forget: `f` will be freed. */
void fl__ends_tell(struct fl_fiber *f);
void fl__ends_forget(struct fl_fiber *f);

#endif
