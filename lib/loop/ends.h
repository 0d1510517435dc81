/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_ENDS_H
#define FL_LOOP_ENDS_H

#include "loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The ends of several fibers, in their order: a fiber that ends puts itself into the list of everybody who waits for it. All of it
 * is for one thread.
 */
struct fl__ends;

/* One fiber that is waited for. */
struct fl__end {
	struct fl_fiber *fiber;         /* NULL: it is waited for no more */
	struct fl__ends *of;            /* where it is put when it ends */
	struct fl__end *others, **here; /* of the same fiber: the next, and what points to this */
	struct fl__end *next;           /* in of->first */
};

struct fl__ends {
	struct fl__end *first, *last; /* that have ended, the earliest first, and were not taken */
	size_t left;                  /* that have not ended */
	size_t enough;                /* who waits is woken when no more than so many are left */
	bool until_failure;           /* or when one has failed */
	bool failed;
	struct fl__node *waiter; /* NULL: nobody waits */
};

/* Waits for the end of `f` by `e`; of one that has ended, at once. */
void fl__ends_add(struct fl__ends *ends, struct fl__end *e, struct fl_fiber *f);

/* Not any more. */
void fl__end_remove(struct fl__end *e);

/* Sleeps until there was news, or so: 0, -ETIMEDOUT, -ECANCELED. By a fiber. */
int fl__ends_sleep(struct fl__ends *ends, int64_t deadline, fl_cancel *cancel);

/* A fiber that is waited for has ended; is not there any more. */
void fl__ends_tell(struct fl_fiber *f);
void fl__ends_forget(struct fl_fiber *f);

#endif
