/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_QUEUES_ITEMS_H
#define BENCH_QUEUES_ITEMS_H

#include "rings.h"

#include <string.h>

/*
 * The workload of queues.h for items of 8 and of 64 bytes, one at a time and 16 at a time, for C
 * and C++. put(q, items, n) puts all items, and waits for space. get(q, items, n) waits for an
 * item, and returns how many it got, at least one.
 */
#define ITEMS_BENCH(impl, item, type, open, close, put, get)                                                           \
	static void *impl##_##item##_setup(const bench_setting *with)                                                  \
	{                                                                                                              \
		queue_state *s = (queue_state *)bench_alloc(sizeof *s);                                                \
		s->data.threads = with->threads;                                                                       \
		s->q = open;                                                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static inline void impl##_##item##_run(bench_thread *t, size_t many)                                           \
	{                                                                                                              \
		queue_state *s = (queue_state *)t->state;                                                              \
		type *q = (type *)s->q;                                                                                \
		queue_tally tally = {{0}, 0};                                                                          \
		int producers = t->threads / 2;                                                                        \
		uint64_t share = t->total / (uint64_t)producers;                                                       \
		item items[QUEUE_MANY];                                                                                \
		memset(items, 0, sizeof items);                                                                        \
		for (uint64_t i = 0; t->index < producers && i < share;) {                                             \
			size_t n = 0;                                                                                  \
			while (n < many && i < share)                                                                  \
				items[n++].words[0] = queue_item(t->index, ++i);                                       \
			put(q, items, n);                                                                              \
		}                                                                                                      \
		for (uint64_t left = share; t->index >= producers && left > 0;) {                                      \
			size_t n = get(q, items, left < many ? (size_t)left : many);                                   \
			for (size_t i = 0; i < n; i++)                                                                 \
				queue_got(&tally, items[i].words[0]);                                                  \
			left -= n;                                                                                     \
		}                                                                                                      \
		s->data.sums[t->index] = tally.sum;                                                                    \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_##item##_one(bench_thread *t)                                       \
	{                                                                                                              \
		impl##_##item##_run(t, 1);                                                                             \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_##item##_many(bench_thread *t)                                      \
	{                                                                                                              \
		impl##_##item##_run(t, QUEUE_MANY);                                                                    \
	}                                                                                                              \
	static void impl##_##item##_teardown(void *state, uint64_t total)                                              \
	{                                                                                                              \
		queue_state *s = (queue_state *)state;                                                                 \
		queue_check(&s->data, total);                                                                          \
		close((type *)s->q);                                                                                   \
		free(s);                                                                                               \
	}

/*
 * Defines the functions for a queue that does not block. try_put(q, items, n) and try_get(q, items,
 * n) return how many items they put or got. ring_back_off() of rings.h waits.
 */
#define RING_ITEMS_BENCH(impl, item, type, open, close, try_put, try_get)                                              \
	static inline void impl##_##item##_ring_put(type *q, const item *items, size_t n)                              \
	{                                                                                                              \
		for (unsigned turns = 0;;) {                                                                           \
			size_t put = try_put(q, items, n);                                                             \
			if (put == n)                                                                                  \
				return;                                                                                \
			items += put;                                                                                  \
			n -= put;                                                                                      \
			if (put > 0)                                                                                   \
				turns = 0;                                                                             \
			else                                                                                           \
				ring_back_off(&turns);                                                                 \
		}                                                                                                      \
	}                                                                                                              \
	static inline size_t impl##_##item##_ring_get(type *q, item *items, size_t n)                                  \
	{                                                                                                              \
		size_t got;                                                                                            \
		for (unsigned turns = 0; (got = try_get(q, items, n)) == 0;)                                           \
			ring_back_off(&turns);                                                                         \
		return got;                                                                                            \
	}                                                                                                              \
	ITEMS_BENCH(impl, item, type, open, close, impl##_##item##_ring_put, impl##_##item##_ring_get)

/*
 * Defines try_put() and try_get() for a queue that has no call for several items. put_one(q, item)
 * and get_one(q, item) return whether they did it.
 */
#define ITEMS_ONE_BY_ONE(impl, item, type, put_one, get_one)                                                           \
	static inline size_t impl##_##item##_try_put(type *q, const item *items, size_t n)                             \
	{                                                                                                              \
		size_t put = 0;                                                                                        \
		while (put < n && put_one(q, &items[put]))                                                             \
			put++;                                                                                         \
		return put;                                                                                            \
	}                                                                                                              \
	static inline size_t impl##_##item##_try_get(type *q, item *items, size_t n)                                   \
	{                                                                                                              \
		size_t got = 0;                                                                                        \
		while (got < n && get_one(q, &items[got]))                                                             \
			got++;                                                                                         \
		return got;                                                                                            \
	}

#define ITEMS_ROW(case, label, impl, item, run, fixed)                                                                 \
	{                                                                                                              \
		"queues/" case, label, impl##_##item##_setup, impl##_##item##_##run, impl##_##item##_teardown, fixed   \
	}
/*
 * A queue without a bound: each run has a fixed number of items, so that no run measures only
 * memory.
 */
#define ITEMS_UNBOUNDED_ROW(label, impl) ITEMS_ROW("unbounded_blocking", label, impl, item_8, one, 100000)
/* `of` is "mpmc" or "ring". `fixed` is the field of bench_row. */
#define ITEMS_ROWS(of, label, impl, fixed)                                                                             \
	ITEMS_ROW(of "_64", label, impl, item_64, one, fixed),                                                         \
	    ITEMS_ROW(of "_many", label, impl, item_8, many, fixed),                                                   \
	    ITEMS_ROW(of "_many_64", label, impl, item_64, many, fixed)

#endif
