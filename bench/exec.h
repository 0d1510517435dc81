/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_EXEC_H
#define BENCH_EXEC_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workload of process executors: submit a batch of tasks that return their argument, then wait
 * for each future and check its value. A batch is 10,000 tasks (submit_get) or one (roundtrip).
 * Pools of threads have more in pools.h.
 */
enum { EXEC_BATCH = 10000, EXEC_WORKERS = 2 };

/*
 * What pools of processes and of threads (pools.h) have in common, over `struct impl_state` with a
 * `pool` and an array of `futures`: submit(pool, future, argument) starts a task; get(pool, future)
 * waits for it and returns its result.
 */
#define EXEC_BATCHES(impl, submit, get)                                                                                \
	static inline void impl##_check(struct impl##_state *s, uint64_t i, uint64_t arg)                              \
	{                                                                                                              \
		if (get(s->pool, &s->futures[i]) != arg)                                                               \
			bench_fail("a task returned a wrong result");                                                  \
	}                                                                                                              \
	static inline void impl##_batch(struct impl##_state *s, uint64_t first, uint64_t n)                            \
	{                                                                                                              \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			submit(s->pool, &s->futures[i], first + i);                                                    \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			impl##_check(s, i, first + i);                                                                 \
	}                                                                                                              \
	static inline void impl##_batches(struct impl##_state *s, uint64_t total, uint64_t batch)                      \
	{                                                                                                              \
		for (uint64_t first = 0; first < total; first += batch)                                                \
			impl##_batch(s, first, total - first < batch ? total - first : batch);                         \
	}                                                                                                              \
	static void impl##_submit_get(bench_thread *t)                                                                 \
	{                                                                                                              \
		impl##_batches((struct impl##_state *)t->state, t->total, EXEC_BATCH);                                 \
	}                                                                                                              \
	static void impl##_roundtrip(bench_thread *t)                                                                  \
	{                                                                                                              \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			impl##_batch((struct impl##_state *)t->state, i, 1);                                           \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}

/*
 * Functions for the rows of one implementation. `open` and `close` are statements that make and
 * free s->pool and s->futures (an array of EXEC_BATCH, zeroed at first); `future` is a pointer into
 * the array.
 */
#define EXEC_BENCH(impl, pool_type, future_type, open, close, submit, get)                                             \
	struct impl##_state {                                                                                          \
		pool_type *pool;                                                                                       \
		future_type *futures;                                                                                  \
	};                                                                                                             \
	EXEC_BATCHES(impl, submit, get)                                                                                \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)bench_alloc(sizeof *s);                                \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		open;                                                                                                  \
		impl##_batches(s, EXEC_BATCH, EXEC_BATCH / 10); /* the workers run, and memory is there */             \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)state;                                                 \
		(void)total;                                                                                           \
		close;                                                                                                 \
		free(s);                                                                                               \
	}

#endif
