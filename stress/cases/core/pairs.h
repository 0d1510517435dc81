/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_PAIRS_H
#define STRESS_PAIRS_H

#include "queues.h"

/* Makes a queue of ints for one producer and one consumer, with membarrier() or without it. */
static inline fl_queue *pair_of(size_t capacity, int *dropped)
{
	fl_queue *q = queue_as((fl_queue_config){.capacity = capacity,
	                                         .drop = dropped ? add_dropped : NULL,
	                                         .drop_arg = dropped,
	                                         .one_producer = true,
	                                         .one_consumer = true});
	if (fl_stress_choose(2) == 1)
		fl__queue_as_spsc(q)->flags |= FL__QUEUE_SPSC_FENCED;
	return q;
}

/* Makes a bounded queue of some order, or one for one producer and one consumer. */
static inline fl_queue *any_bounded(size_t capacity)
{
	const fl_queue_config config = {.capacity = capacity, .compare = by_value};
	return fl_stress_choose(2) ? pair_of(capacity, NULL) : ordered_as(config, any_order());
}

#endif
