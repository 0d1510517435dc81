/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "loop.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * Waits for the ends of several fibers: a fiber that ends appends its completion to each waiter's
 * list. Only the loop's thread uses the lists.
 */
struct fl__completion_list;

struct fl__fiber_completion {
	struct fl_fiber *fiber;                    /* NULL: the waiter no longer waits for it */
	struct fl__completion_list *of;            /* the waiter's list */
	struct fl__fiber_completion *next, **link; /* in fiber->completions */
	struct fl__fiber_completion *next_ended;   /* in of->first */
};

struct fl__completion_list {
	struct fl__fiber_completion *first, *last; /* not taken, oldest first */
	size_t left;
	size_t enough;      /* wakes the waiter when no more are left */
	bool until_failure; /* or when a fiber has failed */
	bool failed;
	struct fl__node *waiter; /* NULL: no fiber sleeps */
};

/* Publish: `f` has ended. Forget: `f` will be freed. */
void fl__completions_publish(struct fl_fiber *f);
void fl__completions_forget(struct fl_fiber *f);
