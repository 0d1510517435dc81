/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A pairing heap of timers. They are ordered by their deadlines, and timers with one deadline in
 * the order in which they were added. The links are in the timers, so no function can fail. A
 * removal takes O(log n) amortized time (Fredman, Sedgewick, Sleator, Tarjan, 1986). A timer that
 * is all-zero is in no heap.
 */
struct fl__timer {
	int64_t deadline;
	uint64_t number; /* how many timers were added before */
	struct fl__timer *child, *next;
	struct fl__timer *back; /* the parent, or the previous sibling; the root points to itself */
};

struct fl__timers {
	struct fl__timer *first; /* the timer with the least deadline, or NULL */
	uint64_t added;          /* how many timers were ever added */
};

/* Adds `timer`, which is in no heap. */
void fl__timers_add(struct fl__timers *timers, struct fl__timer *timer, int64_t deadline);

/* Removes `timer`, if it is in the heap. */
void fl__timers_remove(struct fl__timers *timers, struct fl__timer *timer);
