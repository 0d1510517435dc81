/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_QUEUES_H
#define STRESS_QUEUES_H

#include "../cases.h"
#include "core/queue/mpmc_unbounded.h"
#include "core/queue/queue.h"

/* What the scenarios of queues use. */

static inline fl_queue *queue_as(fl_queue_config config)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int), &config));
	return q;
}

static inline fl_queue *queue_of(size_t capacity)
{
	return queue_as((fl_queue_config){.capacity = capacity});
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
	return *(const int *)a - *(const int *)b;
}

/* Makes a queue of that order. The items of a priority queue are in the order of `compare`. */
static inline fl_queue *ordered_as(fl_queue_config config, fl_queue_order order)
{
	config.order = order;
	if (order != FL_PRIORITY)
		config.compare = NULL;
	return queue_as(config);
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

static inline struct fl__unbounded *chain_in(fl_queue *q)
{
	return fl__align_to_line(q->state);
}

/*
 * Makes an unbounded queue with the items 1, 2, ... `items`. Its segments are so short that each
 * put may need another one.
 */
static inline fl_queue *unbounded_as(fl_queue_config config, size_t slots, int items)
{
	config.capacity = FL_UNBOUNDED;
	fl_queue *q = queue_as(config);
	struct fl__unbounded *c = chain_in(q);
	fl__unbounded_end(c);
	*c = (struct fl__unbounded){.on_poison = c->on_poison, .of = c->of};
	OK(fl__unbounded_init(c, sizeof(int), slots));
	for (int i = 1; i <= items; i++)
		OK(fl_queue_try_put(q, &i));
	fl__hazards_end(); /* otherwise the setup would protect segments that the actors free */
	return q;
}

static inline fl_queue *unbounded(size_t slots, int items)
{
	return unbounded_as((fl_queue_config){.drop = NULL}, slots, items);
}

#endif
