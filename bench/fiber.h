/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_FIBER_H
#define BENCH_FIBER_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workloads of fibers, for C and C++.
 *
 * This macro makes the row of a bare switch. The caller's flow of control switches to another flow,
 * which counts and switches back. One operation is one switch, so a round trip is two operations.
 * `type` holds both flows, and begins with a fiber_count. open(s) makes the other flow, which
 * counts in s->count. go(s) makes the round trip. close(s) frees the other flow.
 */
typedef struct fiber_count {
	uint64_t trips;
} fiber_count;

static inline uint64_t fiber_trips(uint64_t switches)
{
	return (switches + 1) / 2;
}

#define FIBER_SWITCH_BENCH(impl, type, open, go, close)                                                                \
	static void *impl##_setup(const bench_setting *with)                                                           \
	{                                                                                                              \
		return open();                                                                                         \
	}                                                                                                              \
	static void impl##_run(bench_thread *t)                                                                        \
	{                                                                                                              \
		type *s = (type *)t->state;                                                                            \
		for (uint64_t i = fiber_trips(t->total); i > 0; i--)                                                   \
			go(s);                                                                                         \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		type *s = (type *)state;                                                                               \
		if (s->count.trips != fiber_trips(total))                                                              \
			bench_fail("a flow ran %llu times", (unsigned long long)s->count.trips);                       \
		close(s);                                                                                              \
	}

#define FIBER_SWITCH_ROW(impl)                                                                                         \
	{                                                                                                              \
		"fiber/switch", #impl, impl##_setup, impl##_run, impl##_teardown                                       \
	}

/*
 * This macro makes the row of a yield in a scheduler: two fibers yield to each other, and one
 * operation is one yield. `run` counts in a fiber_work what it did; if the count is too low,
 * bench_fail() ends the program.
 */
typedef struct fiber_work {
	uint64_t done;
} fiber_work;

static inline void *fiber_work_setup(const bench_setting *with)
{
	return bench_alloc(sizeof(fiber_work));
}

static inline void fiber_work_teardown(void *state, uint64_t total)
{
	fiber_work *work = (fiber_work *)state;
	bench_counted("fibers", work->done, total);
	free(work);
}

#define FIBER_WORK_ROW(name, label, run, ...)                                                                          \
	{                                                                                                              \
		name, label, fiber_work_setup, run, fiber_work_teardown, __VA_ARGS__                                   \
	}

#endif
