/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CHAINS_H
#define STRESS_CHAINS_H

#include "../cases.h"
#include "core/queue/mpmc_unbounded.h"

/*
 * Declarations for the scenarios of the unbounded queues. Items are ints; segments are so short
 * that each put may need another.
 */
static inline fl_mpmc_unbounded *unbounded_of(size_t segment, int items)
{
	fl_mpmc_unbounded *q = NULL;
	OK(fl_mpmc_unbounded_create(&q, sizeof(int), &(fl_mpmc_unbounded_config){.segment = segment}));
	for (int i = 1; i <= items; i++)
		OK(fl_mpmc_unbounded_try_put(q, &i));
	fl__hazards_end(); /* or the setup would protect segments that the actors free */
	return q;
}

static inline int unbounded_take(fl_mpmc_unbounded *q)
{
	int item = 0;
	return fl_mpmc_unbounded_try_get(q, &item) == 0 ? item : 0;
}

/* Gets and frees the rest; returns the sum, or -1: wrong order, or wrong count. */
static inline int unbounded_end(fl_mpmc_unbounded *q, uint64_t puts)
{
	int sum = 0;
	bool right = fl__unbounded_puts(&q->unbounded) == puts;
	uint64_t length = fl__unbounded_length(&q->unbounded);
	for (int item; (item = unbounded_take(q)); length--)
		sum += item;
	right = right && length == 0;
	fl_mpmc_unbounded_free(q);
	return right ? sum : -1;
}

#endif
