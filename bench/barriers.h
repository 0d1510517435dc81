/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_BARRIERS_H
#define BENCH_BARRIERS_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workload of barriers, for C and C++. One operation is a round of all threads. Before the
 * round, each thread notes the round's number in its own place. After the round, it looks at the
 * number of the next thread. This must be the number of this round, or of the following round if
 * the other thread is already on its way there.
 */
enum { BARRIER_THREADS_MAX = 32 };

typedef struct barrier_place {
	BENCH_ALIGNED uint64_t round;
} barrier_place;

/*
 * Defines the functions of one implementation. `init`, `wait` and `end` are statements. They may
 * use `b`, a pointer to the barrier of type `type`, and `init` may use `parties`, the number of
 * threads.
 */
#define BARRIER_BENCH(impl, type, init, wait, end)                                                                     \
	typedef struct impl##_barrier {                                                                                \
		barrier_place places[BARRIER_THREADS_MAX];                                                             \
		int threads;                                                                                           \
		BENCH_ALIGNED type barrier;                                                                            \
	} impl##_barrier;                                                                                              \
	static void *impl##_barrier_setup(const bench_setting *with)                                                   \
	{                                                                                                              \
		impl##_barrier *s = (impl##_barrier *)bench_alloc(sizeof *s);                                          \
		type *b = &s->barrier;                                                                                 \
		const int parties = with->threads;                                                                     \
		init;                                                                                                  \
		s->threads = parties;                                                                                  \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_barrier_run(bench_thread *t)                                                                \
	{                                                                                                              \
		impl##_barrier *s = (impl##_barrier *)t->state;                                                        \
		type *b = &s->barrier;                                                                                 \
		uint64_t *mine = &s->places[t->index].round;                                                           \
		const uint64_t *next = &s->places[(t->index + 1) % t->threads].round;                                  \
		for (uint64_t i = 1; i <= t->total; i++) {                                                             \
			__atomic_store_n(mine, i, __ATOMIC_RELAXED);                                                   \
			wait;                                                                                          \
			uint64_t there = __atomic_load_n(next, __ATOMIC_RELAXED);                                      \
			if (there != i && there != i + 1)                                                              \
				bench_fail("a barrier let one pass in round %llu, another was in %llu",                \
				           (unsigned long long)i, (unsigned long long)there);                          \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_barrier_teardown(void *state, uint64_t total)                                               \
	{                                                                                                              \
		impl##_barrier *s = (impl##_barrier *)state;                                                           \
		type *b = &s->barrier;                                                                                 \
		for (int i = 0; i < s->threads; i++)                                                                   \
			if (s->places[i].round != total)                                                               \
				bench_fail("a barrier ended in round %llu", (unsigned long long)s->places[i].round);   \
		end;                                                                                                   \
		free(s);                                                                                               \
	}

#define BARRIER_ROW(label, impl)                                                                                       \
	{                                                                                                              \
		"locks/barrier", label, impl##_barrier_setup, impl##_barrier_run, impl##_barrier_teardown              \
	}

#endif
