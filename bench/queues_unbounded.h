/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_QUEUES_UNBOUNDED_H
#define BENCH_QUEUES_UNBOUNDED_H

#include "queues.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>

/*
 * The workload of unbounded queues, for C and C++. It is that of queues.h, for items of 8 and of 64
 * bytes, one at a time and 16 at a time. No thread sleeps: a consumer that finds the queue empty
 * yields the CPU and tries again. Each run has a fixed number of items, so that no run measures
 * only memory.
 */
enum { UNBOUNDED_FIXED = 100000 };

static inline void unbounded_produce_share(const bench_thread *t, int producers, uint64_t *share)
{
	uint64_t each = t->total / (uint64_t)producers;
	*share = t->index == 0 ? t->total - each * (uint64_t)(producers - 1) : each;
}

/*
 * The state of a row. Where there are several consumers, `got` says how many items all of them have
 * got; a single consumer counts by itself.
 */
typedef struct unbounded_data {
	void *q;
	uint64_t sums[QUEUE_THREADS_MAX];
	uint64_t shares[QUEUE_THREADS_MAX];
	BENCH_ALIGNED uint64_t got;
} unbounded_data;

static inline void unbounded_check(const unbounded_data *data)
{
	uint64_t sum = 0;
	for (int i = 0; i < QUEUE_THREADS_MAX; i++)
		sum += data->shares[i] * queue_item(i, 0) + data->shares[i] * (data->shares[i] + 1) / 2 - data->sums[i];
	if (sum != 0)
		bench_fail("a queue lost or doubled items");
}

/*
 * Defines the functions of one implementation for one size of item. put_many(q, items, n) puts all
 * items. get_many(q, items, n) returns how many it got, without waiting. Among the run's arguments,
 * `consumers` is how many threads get items, and `many` is how many items a call moves.
 */
#define UNBOUNDED_BENCH(impl, item, type, open, close, put_many, get_many)                                             \
	static void *impl##_##item##_setup(const bench_setting *with)                                                  \
	{                                                                                                              \
		unbounded_data *s = (unbounded_data *)bench_alloc(sizeof *s);                                          \
		s->q = open(with->total);                                                                              \
		return s;                                                                                              \
	}                                                                                                              \
	static inline void impl##_##item##_run(bench_thread *t, int consumers, size_t many)                            \
	{                                                                                                              \
		unbounded_data *s = (unbounded_data *)t->state;                                                        \
		type *q = (type *)s->q;                                                                                \
		item items[QUEUE_MANY];                                                                                \
		int producers = t->threads - consumers;                                                                \
		memset(items, 0, sizeof items);                                                                        \
		if (t->index < producers) {                                                                            \
			uint64_t share;                                                                                \
			unbounded_produce_share(t, producers, &share);                                                 \
			s->shares[t->index] = share;                                                                   \
			for (uint64_t i = 0; i < share;) {                                                             \
				size_t n = 0;                                                                          \
				while (n < many && i < share)                                                          \
					items[n++].words[0] = queue_item(t->index, ++i);                               \
				put_many(q, items, n);                                                                 \
			}                                                                                              \
			return;                                                                                        \
		}                                                                                                      \
		queue_tally tally = {{0}, 0};                                                                          \
		uint64_t got = 0;                                                                                      \
		for (;;) {                                                                                             \
			size_t n = get_many(q, items, many);                                                           \
			for (size_t i = 0; i < n; i++)                                                                 \
				queue_got(&tally, items[i].words[0]);                                                  \
			got += n;                                                                                      \
			if (n > 0 && (consumers > 1 || got < t->total))                                                \
				continue;                                                                              \
			if (__atomic_add_fetch(&s->got, got, __ATOMIC_RELAXED) == t->total)                            \
				break;                                                                                 \
			got = 0;                                                                                       \
			sched_yield();                                                                                 \
		}                                                                                                      \
		s->sums[t->index] = tally.sum;                                                                         \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_##item##_mpmc(bench_thread *t)                                      \
	{                                                                                                              \
		impl##_##item##_run(t, t->threads / 2, 1);                                                             \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_##item##_many(bench_thread *t)                                      \
	{                                                                                                              \
		impl##_##item##_run(t, t->threads / 2, QUEUE_MANY);                                                    \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_##item##_mpsc(bench_thread *t)                                      \
	{                                                                                                              \
		impl##_##item##_run(t, 1, 1);                                                                          \
	}                                                                                                              \
	static void impl##_##item##_teardown(void *state, uint64_t total)                                              \
	{                                                                                                              \
		unbounded_data *s = (unbounded_data *)state;                                                           \
		unbounded_check(s);                                                                                    \
		close((type *)s->q);                                                                                   \
		free(s);                                                                                               \
	}

#define UNBOUNDED_ROW(name, label, impl, item, run, role)                                                              \
	{                                                                                                              \
		"queues/" name, label, impl##_##item##_setup, impl##_##item##_##run, impl##_##item##_teardown,         \
		    UNBOUNDED_FIXED, role                                                                              \
	}
#define UNBOUNDED_ROWS(impl, role)                                                                                     \
	UNBOUNDED_ROW("unbounded", #impl, impl, item_8, mpmc, role),                                                   \
	    UNBOUNDED_ROW("unbounded_64", #impl, impl, item_64, mpmc, role),                                           \
	    UNBOUNDED_ROW("unbounded_many", #impl, impl, item_8, many, role),                                          \
	    UNBOUNDED_ROW("unbounded_many_64", #impl, impl, item_64, many, role)

#endif
