/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_RINGS_H
#define BENCH_RINGS_H

#include "queues.h"

#include <sched.h>

static inline void ring_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/*
 * The workload of queues.h for queues that do not block, for C and C++. A thread that finds the
 * queue full or empty pauses, longer each time, and after some pauses lets another thread have the
 * CPU. All implementations wait in this way.
 */
static inline void ring_back_off(unsigned *turns)
{
	enum { DOUBLINGS = 6 };
	if (*turns < DOUBLINGS)
		for (unsigned i = 1u << *turns; i > 0; i--)
			ring_pause();
	else
		sched_yield();
	++*turns;
}

/*
 * Defines the functions of one implementation. try_put(q, item) and try_get(q, &item) return
 * whether they did it.
 */
#define RING_BENCH(impl, type, open, close, try_put, try_get)                                                          \
	static inline void impl##_ring_put(type *q, uint64_t item)                                                     \
	{                                                                                                              \
		for (unsigned turns = 0; __builtin_expect(!try_put(q, item), 0);)                                      \
			ring_back_off(&turns);                                                                         \
	}                                                                                                              \
	static inline uint64_t impl##_ring_get(type *q)                                                                \
	{                                                                                                              \
		uint64_t item;                                                                                         \
		for (unsigned turns = 0; __builtin_expect(!try_get(q, &item), 0);)                                     \
			ring_back_off(&turns);                                                                         \
		return item;                                                                                           \
	}                                                                                                              \
	QUEUE_BENCH(impl, type, open, close, impl##_ring_put, impl##_ring_get)

#endif
