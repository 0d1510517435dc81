/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocking queues of 1,024 items of 8 bytes, one producer and one consumer: what a queue is worth
 * that has been promised so. Beside it the ring that does not block (fl_spsc), as the floor.
 */
#include "queues_monitor.h"

#include <fairlead/queue.h>
#include <fairlead/spsc.h>
#include <sched.h>

FL_QUEUE_OF(uint64_t, u64_pair)
FL_SPSC_OF(uint64_t, u64_floor)

static u64_pair *fairlead_open(void)
{
	u64_pair *q = NULL;
	if (u64_pair_create(&q,
	                    &(fl_queue_config){.capacity = QUEUE_CAPACITY, .one_producer = true, .one_consumer = true}))
		bench_fail("u64_pair_create");
	return q;
}

static inline void fairlead_put(u64_pair *q, uint64_t item)
{
	if (u64_pair_put(q, item))
		bench_fail("u64_pair_put");
}

static inline uint64_t fairlead_get(u64_pair *q)
{
	uint64_t item;
	if (u64_pair_get(q, &item))
		bench_fail("u64_pair_get");
	return item;
}

QUEUE_BENCH(fairlead, u64_pair, fairlead_open(), u64_pair_free, fairlead_put, fairlead_get)

static u64_floor *fl_spsc_open(void)
{
	u64_floor *q = NULL;
	if (u64_floor_create(&q, QUEUE_CAPACITY))
		bench_fail("u64_floor_create");
	return q;
}

static inline void fl_spsc_put(u64_floor *q, uint64_t item)
{
	while (u64_floor_try_put(q, item))
		sched_yield();
}

static inline uint64_t fl_spsc_get(u64_floor *q)
{
	uint64_t item;
	while (u64_floor_try_get(q, &item))
		sched_yield();
	return item;
}

QUEUE_BENCH(fl_spsc, u64_floor, fl_spsc_open(), u64_floor_free, fl_spsc_put, fl_spsc_get)

MONITOR_QUEUE(pthread)
MONITOR_QUEUE(nsync)

#define PAIR_ROWS(impl)                                                                                                \
	{"queues/pair_uncontended", #impl, impl##_setup, impl##_uncontended, impl##_teardown, 0},                      \
	{                                                                                                              \
		"queues/pair_1p1c", #impl, impl##_setup, impl##_mpmc, impl##_teardown, 0                               \
	}

static const bench_row rows[] = {PAIR_ROWS(fairlead), PAIR_ROWS(fl_spsc), PAIR_ROWS(pthread), PAIR_ROWS(nsync)};
BENCH_ROWS(rows)
