/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_QUEUES_ORDER_H
#define BENCH_QUEUES_ORDER_H

#include "rings.h"

/*
 * The workload of LIFO and priority queues, for C and C++: as queues.h has it, but for the items,
 * which are 47 random bits: so no order is checked, only that what came out is what went in.
 * Arguments as there.
 */
typedef struct order_data {
	uint64_t sums[QUEUE_THREADS_MAX]; /* of what each thread put, less what it got */
} order_data;

static inline uint64_t order_next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 17 | 1;
}

#define ORDER_BENCH(impl, type, open, close, put, get)                                                                 \
	struct impl##_state {                                                                                          \
		order_data data;                                                                                       \
		type *q;                                                                                               \
	};                                                                                                             \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)bench_alloc(sizeof *s);                                \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		s->q = open;                                                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_run(bench_thread *t)                                                                        \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)t->state;                                              \
		type *q = s->q;                                                                                        \
		int producers = t->threads > 1 ? t->threads / 2 : 1;                                                   \
		uint64_t share = t->total / (uint64_t)producers, sum = 0;                                              \
		uint64_t random = 0x9e3779b97f4a7c15u * (uint64_t)(t->index + 1);                                      \
		bool puts = t->index < producers, gets = t->index >= producers || t->threads == 1;                     \
		for (uint64_t i = 0; i < share; i++) {                                                                 \
			if (puts) {                                                                                    \
				uint64_t item = order_next(&random);                                                   \
				sum += item;                                                                           \
				put(q, item);                                                                          \
			}                                                                                              \
			if (gets)                                                                                      \
				sum -= get(q);                                                                         \
		}                                                                                                      \
		s->data.sums[t->index] = sum;                                                                          \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)state;                                                 \
		uint64_t sum = 0;                                                                                      \
		(void)total;                                                                                           \
		for (int i = 0; i < QUEUE_THREADS_MAX; i++)                                                            \
			sum += s->data.sums[i];                                                                        \
		if (sum != 0)                                                                                          \
			bench_fail("a queue lost or doubled items");                                                   \
		close(s->q);                                                                                           \
		free(s);                                                                                               \
	}

#define ORDER_ROW(case, label, impl)                                                                                   \
	{                                                                                                              \
		"queues/" case, label, impl##_setup, impl##_run, impl##_teardown, 0                                    \
	}

#endif
