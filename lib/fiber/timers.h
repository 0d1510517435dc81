/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_TIMERS_H
#define FL_FIBER_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Timers of one thread by their deadline: a pairing heap in the timers themselves, so that nothing here can fail. Add is a
 * comparison; the first one and one in the middle leave in O(log n) amortized (Fredman, Sedgewick, Sleator, Tarjan, 1986).
 * Of those with the same deadline the one that was added first is before the others. A timer that is all-zero is in no heap.
 */
struct fl__timer {
	int64_t deadline;
	uint64_t number; /* in the order in which they were added */
	struct fl__timer *child,
	    *next;              /* the first of those that are not before it; the next that has the same parent */
	struct fl__timer *back; /* who points to it by child or next; itself: the first of all */
};

struct fl__timers {
	struct fl__timer *first; /* the one with the least deadline; NULL: none */
	uint64_t added;          /* so many, ever */
};

/* `timer` is in no heap. */
void fl__timers_add(struct fl__timers *timers, struct fl__timer *timer, int64_t deadline);

/* Does nothing when it is in no heap. */
void fl__timers_remove(struct fl__timers *timers, struct fl__timer *timer);

#endif
