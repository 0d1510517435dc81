/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A pairing heap of timers, by deadline, then by add. Its links are in the timers, so no function
 * can fail. Remove takes O(log n) amortized (Fredman, Sedgewick, Sleator, Tarjan, 1986). An
 * all-zero timer is in no heap.
 */
struct fl__timer {
	int64_t deadline;
	uint64_t number; /* of the add */
	struct fl__timer *child, *next;
	struct fl__timer *back; /* the parent, or the previous sibling; of the root: itself */
};

struct fl__timers {
	struct fl__timer *first; /* the least deadline; NULL: none */
	uint64_t added;          /* ever */
};

/* `timer` is in no heap. */
void fl__timers_add(struct fl__timers *timers, struct fl__timer *timer, int64_t deadline);

/* Does nothing if `timer` is in no heap. */
void fl__timers_remove(struct fl__timers *timers, struct fl__timer *timer);
