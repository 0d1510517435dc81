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
enum { EXEC_BATCH = 10000 };

/*
 * What pools of processes and of threads (pools.h) have in common, over `struct impl_state` with a
 * `pool` and an array of `futures`: submit(pool, future, argument) starts a task; get(pool, future)
 * waits for it and returns its result.
 */
#define EXEC_BATCHES(impl, submit, get)                                                                                \
	static inline void impl##_check(impl##_state *s, uint64_t i, uint64_t arg)                                     \
	{                                                                                                              \
		if (get(s->pool, &s->futures[i]) != arg)                                                               \
			bench_fail("a task returned a wrong result");                                                  \
	}                                                                                                              \
	static inline void impl##_batch(impl##_state *s, uint64_t first, uint64_t n)                                   \
	{                                                                                                              \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			submit(s->pool, &s->futures[i], first + i);                                                    \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			impl##_check(s, i, first + i);                                                                 \
	}                                                                                                              \
	static inline void impl##_batches(impl##_state *s, uint64_t total, uint64_t batch)                             \
	{                                                                                                              \
		for (uint64_t first = 0; first < total; first += batch)                                                \
			impl##_batch(s, first, total - first < batch ? total - first : batch);                         \
	}                                                                                                              \
	static void impl##_submit_get(bench_thread *t)                                                                 \
	{                                                                                                              \
		impl##_batches((impl##_state *)t->state, t->total, EXEC_BATCH);                                        \
	}                                                                                                              \
	static void impl##_roundtrip(bench_thread *t)                                                                  \
	{                                                                                                              \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			impl##_batch((impl##_state *)t->state, i, 1);                                                  \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}

#endif
