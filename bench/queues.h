/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_QUEUES_H
#define BENCH_QUEUES_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workload of queues, for C and C++. Half of the threads put items, and the other half get
 * them, in equal shares. If the number of threads is odd, one thread gets and all other threads
 * put. A single thread puts and gets in turn. Items are 8 bytes. An item carries its producer and
 * its number. So each consumer can check whether a producer's items come in order, and the sum over
 * all consumers shows whether each item came once.
 */
enum { QUEUE_CAPACITY = 1024, QUEUE_THREADS_MAX = 32 };

/* Items of two sizes, for the workloads of queues_items.h and queues_unbounded.h. */
typedef struct item_8 {
	uint64_t words[1];
} item_8;

typedef struct item_64 {
	uint64_t words[8];
} item_64;

enum { QUEUE_MANY = 16 }; /* items of a call that puts or gets several */

/*
 * The producers of ck_ring wait for each other without yielding. With more producers than CPUs, an
 * item can take a whole time slice, that is, 700 us instead of 0.3 us; on two CPUs this happened in
 * one run out of twenty. So each run has a fixed number of operations; otherwise the suite would
 * take minutes.
 */
enum { CK_RING_FIXED = 2500 };

typedef struct queue_data {
	int threads;
	uint64_t sums[QUEUE_THREADS_MAX]; /* of the items that each thread got */
} queue_data;

/* The state of a row, of any type of queue. */
typedef struct queue_state {
	queue_data data;
	void *q;
} queue_state;

typedef struct queue_tally {
	uint64_t last[QUEUE_THREADS_MAX]; /* the number of the last item of each producer */
	uint64_t sum;
} queue_tally;

static inline uint64_t queue_item(int producer, uint64_t number)
{
	return (uint64_t)producer << 48 | number;
}

static inline void queue_got(queue_tally *tally, uint64_t item)
{
	uint64_t producer = item >> 48, number = item & 0xffffffffffff;
	if (producer >= QUEUE_THREADS_MAX || number <= tally->last[producer])
		bench_fail("a queue gave item %llu of producer %llu out of order", (unsigned long long)number,
		           (unsigned long long)producer);
	tally->last[producer] = number;
	tally->sum += item;
}

static inline int queue_producers(int threads)
{
	return threads > 1 && threads % 2 == 1 ? threads - 1 : (threads + 1) / 2;
}

static inline void queue_check(const queue_data *data, uint64_t total)
{
	int producers = queue_producers(data->threads);
	uint64_t share = total / (uint64_t)producers, sum = 0;
	for (int i = 0; i < producers; i++)
		sum += share * queue_item(i, 0) + share * (share + 1) / 2;
	for (int i = 0; i < data->threads; i++)
		sum -= data->sums[i];
	if (sum != 0)
		bench_fail("a queue lost or doubled items");
}

/*
 * Defines the functions of one implementation. `q` is a pointer to `type`; `open` makes the queue,
 * and `close` frees it. put(q, item) takes a uint64_t that is never 0, and get(q) returns one.
 */
#define QUEUE_BENCH(impl, type, open, close, put, get)                                                                 \
	static void *impl##_setup(const bench_setting *with)                                                           \
	{                                                                                                              \
		queue_state *s = (queue_state *)bench_alloc(sizeof *s);                                                \
		s->data.threads = with->threads;                                                                       \
		s->q = open;                                                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_uncontended(bench_thread *t)                                                                \
	{                                                                                                              \
		queue_state *s = (queue_state *)t->state;                                                              \
		type *q = (type *)s->q;                                                                                \
		queue_tally tally = {{0}, 0};                                                                          \
		for (uint64_t i = 1; i <= t->total; i++) {                                                             \
			put(q, i);                                                                                     \
			queue_got(&tally, get(q));                                                                     \
		}                                                                                                      \
		s->data.sums[0] = tally.sum;                                                                           \
	}                                                                                                              \
	static void impl##_mpmc(bench_thread *t)                                                                       \
	{                                                                                                              \
		queue_state *s = (queue_state *)t->state;                                                              \
		type *q = (type *)s->q;                                                                                \
		queue_tally tally = {{0}, 0};                                                                          \
		int producers = queue_producers(t->threads);                                                           \
		uint64_t share = t->total / (uint64_t)producers;                                                       \
		if (t->index < producers) {                                                                            \
			for (uint64_t i = 1; i <= share; i++)                                                          \
				put(q, queue_item(t->index, i));                                                       \
		} else {                                                                                               \
			share = share * (uint64_t)producers / (uint64_t)(t->threads - producers);                      \
			for (uint64_t i = 0; i < share; i++)                                                           \
				queue_got(&tally, get(q));                                                             \
		}                                                                                                      \
		s->data.sums[t->index] = tally.sum;                                                                    \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		queue_state *s = (queue_state *)state;                                                                 \
		type *q = (type *)s->q;                                                                                \
		queue_check(&s->data, total);                                                                          \
		close(q);                                                                                              \
		free(s);                                                                                               \
	}

typedef struct trip_state {
	void *there, *back;
} trip_state;

/*
 * Defines round trips of two threads through two queues, one for each direction. The arguments are
 * those of QUEUE_BENCH.
 */
#define TRIP_BENCH(impl, type, open, close, put, get)                                                                  \
	static void *impl##_trip_setup(const bench_setting *with)                                                      \
	{                                                                                                              \
		trip_state *s = (trip_state *)bench_alloc(sizeof *s);                                                  \
		s->there = open;                                                                                       \
		s->back = open;                                                                                        \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_trip_run(bench_thread *t)                                                                   \
	{                                                                                                              \
		trip_state *s = (trip_state *)t->state;                                                                \
		type *there = (type *)s->there, *back = (type *)s->back;                                               \
		for (uint64_t i = 1; i <= t->total; i++) {                                                             \
			if (t->index > 0) {                                                                            \
				put(back, get(there) + 1);                                                             \
				continue;                                                                              \
			}                                                                                              \
			put(there, i);                                                                                 \
			if (get(back) != i + 1)                                                                        \
				bench_fail("another item came back");                                                  \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	/* The second thread puts an item each 50 us; timed from its put to the end of its get. */                     \
	static void impl##_each_50us_run(bench_thread *t)                                                              \
	{                                                                                                              \
		type *q = (type *)((trip_state *)t->state)->there;                                                     \
		BENCH_EACH (i, t) {                                                                                    \
			if (t->index > 0) {                                                                            \
				bench_sleep(50);                                                                       \
				put(q, (uint64_t)bench_now());                                                         \
				continue;                                                                              \
			}                                                                                              \
			int64_t start = (int64_t)get(q);                                                               \
			if (t->laps)                                                                                   \
				t->laps->last = start;                                                                 \
			bench_lap(t);                                                                                  \
			t->took += bench_now() - start;                                                                \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_trip_teardown(void *state, uint64_t total)                                                  \
	{                                                                                                              \
		trip_state *s = (trip_state *)state;                                                                   \
		close((type *)s->there);                                                                               \
		close((type *)s->back);                                                                                \
		free(s);                                                                                               \
	}

#define QUEUE_ROW(case, label, impl, run, fixed, role)                                                                 \
	{                                                                                                              \
		"queues/" case, label, impl##_setup, impl##_##run, impl##_teardown, fixed, role                        \
	}
#define QUEUE_PAIR_ROWS(of, label, impl)                                                                               \
	QUEUE_ROW(of "_uncontended", label, impl, uncontended, 0, BENCH_PEER),                                         \
	    QUEUE_ROW(of "_1p1c", label, impl, mpmc, 0, BENCH_PEER)

#define UNTYPED_ROWS(label, impl, fixed)                                                                               \
	QUEUE_ROW("untyped_uncontended", label, impl, uncontended, 0, BENCH_PEER),                                     \
	    QUEUE_ROW("untyped", label, impl, mpmc, fixed, BENCH_PEER)

/* The second row has a fixed number of items, since queues without a bound grow. */
#define MPSC_ROWS(label, impl)                                                                                         \
	QUEUE_ROW("mpsc_uncontended", label, impl, uncontended, 0, BENCH_PEER),                                        \
	    QUEUE_ROW("mpsc_2p1c", label, impl, mpmc, 100000, BENCH_PEER)

/* `fixed` is the field of bench_row; it is for rows that may have more threads than CPUs. */
#define QUEUE_ROWS(alone, of, label, impl, fixed, role)                                                                \
	QUEUE_ROW(alone, label, impl, uncontended, 0, role), QUEUE_ROW(of "_1p1c", label, impl, mpmc, 0, role),        \
	    QUEUE_ROW(of "_2p2c", label, impl, mpmc, fixed, role),                                                     \
	    QUEUE_ROW(of "_4p4c", label, impl, mpmc, fixed, role),                                                     \
	    QUEUE_ROW(of "_8p8c", label, impl, mpmc, fixed, role)

#define TRIP_ROW(name, impl, run, fixed)                                                                               \
	{                                                                                                              \
		"queues/" name, #impl, impl##_trip_setup, impl##_##run##_run, impl##_trip_teardown, fixed              \
	}
#define TRIP_ROWS(impl)                                                                                                \
	TRIP_ROW("roundtrip_anywhere", impl, trip, 0), TRIP_ROW("roundtrip_apart", impl, trip, 0),                     \
	    TRIP_ROW("roundtrip_together", impl, trip, 0), TRIP_ROW("each_50us", impl, each_50us, 1000)

#endif
