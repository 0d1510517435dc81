/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_EXEC_H
#define BENCH_EXEC_H

#include "shim.h"

#include <stdlib.h>

/*
 * The executor workload, for C and C++: from outside of the pool, submit a batch of tasks that return their argument, then
 * wait for each future and check its value. A batch is 10,000 tasks (submit_get) or one (roundtrip).
 */
enum { EXEC_BATCH = 10000, EXEC_WORKERS = 2 };

/*
 * Rows of one implementation. `open` and `close` are statements that make and free s->pool and s->futures (an array of
 * EXEC_BATCH, zeroed at first); submit(pool, future, argument) starts a task; get(pool, future) waits for it and returns
 * its result; `future` is a pointer into the array.
 */
#define EXEC_BENCH(impl, pool_type, future_type, open, close, submit, get)                                             \
	struct impl##_state {                                                                                          \
		pool_type *pool;                                                                                       \
		future_type *futures;                                                                                  \
	};                                                                                                             \
	static inline void impl##_batch(struct impl##_state *s, uint64_t first, uint64_t n)                            \
	{                                                                                                              \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			submit(s->pool, &s->futures[i], first + i);                                                    \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			if (get(s->pool, &s->futures[i]) != first + i)                                                 \
				bench_fail("a task returned a wrong result");                                          \
	}                                                                                                              \
	static inline void impl##_batches(struct impl##_state *s, uint64_t total, uint64_t batch)                      \
	{                                                                                                              \
		for (uint64_t first = 0; first < total; first += batch)                                                \
			impl##_batch(s, first, total - first < batch ? total - first : batch);                         \
	}                                                                                                              \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)bench_alloc(sizeof *s);                                \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		open;                                                                                                  \
		impl##_batches(s, EXEC_BATCH, EXEC_BATCH / 10); /* the workers run, and memory is there */             \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_submit_get(bench_thread *t)                                                                 \
	{                                                                                                              \
		impl##_batches((struct impl##_state *)t->state, t->total, EXEC_BATCH);                                 \
	}                                                                                                              \
	static void impl##_roundtrip(bench_thread *t)                                                                  \
	{                                                                                                              \
		impl##_batches((struct impl##_state *)t->state, t->total, 1);                                          \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)state;                                                 \
		(void)total;                                                                                           \
		close;                                                                                                 \
		free(s);                                                                                               \
	}

#define EXEC_ROWS(impl, name)                                                                                          \
	{"exec/submit_get", name, impl##_setup, impl##_submit_get, impl##_teardown, 0},                                \
	{                                                                                                              \
		"exec/roundtrip", name, impl##_setup, impl##_roundtrip, impl##_teardown, 0                             \
	}

#endif
