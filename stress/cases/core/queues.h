/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_QUEUES_H
#define STRESS_QUEUES_H

#include "../cases.h"
#include "core/queue/mpmc_unbounded.h"
#include "core/queue/queue.h"

/* For the scenarios of queues. */

static inline fl_queue *queue_of(size_t capacity)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = capacity}));
	return q;
}

/* Puts that succeed. */
static inline void queue_put(fl_queue *q, int item)
{
	OK(fl_queue_put(q, &item));
}

static inline void queue_put_now(fl_queue *q, int item)
{
	OK(fl_queue_try_put(q, &item));
}

static inline void free_both(fl_queue *a, fl_queue *b)
{
	fl_queue_free(a);
	fl_queue_free(b);
}

static inline int by_value(const void *a, const void *b, void *arg)
{
	(void)arg;
	return *(const int *)a - *(const int *)b;
}

static inline fl_queue_order any_order(void)
{
	static const fl_queue_order orders[] = {FL_FIFO, FL_LIFO, FL_PRIORITY};
	return orders[fl_stress_choose(3)];
}

static inline void add_dropped(void *item, void *arg)
{
	*(int *)arg += *(int *)item;
}

static inline fl_mpmc_unbounded *chain_in(fl_queue *q)
{
	return fl__align_to_line(q->state);
}

#endif
