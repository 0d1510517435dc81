/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A pairing heap of timers. Timers are ordered by deadline, and timers with equal deadlines by
 * insertion. The links are inside the timers, so no function can fail. Removing a timer takes O(log
 * n) amortized time (Fredman, Sedgewick, Sleator, Tarjan, 1986). A timer that is all-zero is in no
 * heap.
 */
struct fl__timer {
	int64_t deadline;
	uint64_t number; /* how many timers were added before */
	struct fl__timer *child, *next;
	struct fl__timer *back; /* the parent, or the previous sibling; the root points to itself */
};

struct fl__timers {
	struct fl__timer *first; /* the timer with the earliest deadline, or NULL */
	uint64_t added;          /* how many timers were ever added */
};

/* Adds `timer`, which must not be in a heap. */
void fl__timers_add(struct fl__timers *timers, struct fl__timer *timer, int64_t deadline);

/* Removes `timer` if it is in the heap. */
void fl__timers_remove(struct fl__timers *timers, struct fl__timer *timer);
