/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_PAIRS_H
#define STRESS_PAIRS_H

#include "queues.h"

/* A queue of ints for one producer and one consumer, with membarrier() and without it. */
static inline fl_queue *pair_of(size_t capacity, int *dropped)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int),
	                   &(fl_queue_config){.capacity = capacity,
	                                      .drop = dropped ? add_dropped : NULL,
	                                      .drop_arg = dropped,
	                                      .one_producer = true,
	                                      .one_consumer = true}));
	if (fl_stress_choose(2) == 1)
		fl__queue_as_spsc(q)->flags |= FL__QUEUE_SPSC_FENCED;
	return q;
}

#endif
