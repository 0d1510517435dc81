/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_FIBER_H
#define BENCH_FIBER_H

#include "shim.h"

#include <stdlib.h>

/*
 * The fiber workloads, for C and C++.
 *
 * Switch: the caller's flow goes to another one, which counts and comes back; an operation is one
 * switch, so two make a round trip. `type` holds both flows and begins with a fiber_count; open(s)
 * makes the other flow, which counts in s->count; go(s) is the round trip; close(s) frees it.
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
 * With a scheduler: what `run` did it counts in a fiber_work, and bench_fails if it is not all. yield:
 * two fibers that yield to each other; an operation is one yield.
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
