/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_LOCKS_H
#define BENCH_LOCKS_H

#include "shim.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * The workloads of locks, for C and C++: lock, count, (some work), unlock. The threads share one
 * budget of operations, kept under the lock: so they contend until the end, and how many each of
 * them got shows how fair the lock is. Where a case has a span instead of a budget, each thread
 * also notes its longest wait.
 */

/*
 * The data that the lock guards: plain, so that a lock that does not exclude gives a wrong count.
 */
typedef struct lock_data {
	uint64_t count, total, done; /* `done` of a span: what the threads say that they did */
	uint64_t work;
} lock_data;

static inline void lock_teardown(void *state, uint64_t total)
{
	lock_data *data = (lock_data *)state;
	uint64_t wanted = data->done > 0 ? data->done : total;
	if (data->count != wanted)
		bench_fail("a lock counted %llu of %llu", (unsigned long long)data->count, (unsigned long long)wanted);
	free(state);
}

/*
 * The runs of one implementation. `lock` and `unlock` are statements on `m`; `node` is what a
 * queued lock needs a thread.
 */
#define LOCK_BENCH(impl, type, node_type, init, lock, unlock)                                                          \
	struct impl##_state {                                                                                          \
		lock_data data;                                                                                        \
		BENCH_ALIGNED type mutex;                                                                              \
	};                                                                                                             \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)bench_alloc(sizeof *s);                                \
		type *m = &s->mutex;                                                                                   \
		(void)threads;                                                                                         \
		bench_rounds(); /* takes its time once */                                                              \
		init;                                                                                                  \
		s->data.total = total;                                                                                 \
		return s;                                                                                              \
	}                                                                                                              \
	static inline __attribute__((always_inline)) void impl##_loop(bench_thread *t, unsigned rounds)                \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)t->state;                                              \
		type *m = &s->mutex;                                                                                   \
		node_type node;                                                                                        \
		(void)node;                                                                                            \
		uint64_t done = 0;                                                                                     \
		for (bool over = false; !over;) {                                                                      \
			lock;                                                                                          \
			over = s->data.count == s->data.total;                                                         \
			if (!over) {                                                                                   \
				s->data.count++;                                                                       \
				if (rounds > 0)                                                                        \
					s->data.work = bench_work(s->data.work, rounds);                               \
				done++;                                                                                \
			}                                                                                              \
			unlock;                                                                                        \
		}                                                                                                      \
		t->done = done;                                                                                        \
	}                                                                                                              \
	/* Until the span is over; the clock is read once before each lock and once under it. */                       \
	static inline __attribute__((always_inline)) void impl##_span(bench_thread *t, unsigned rounds)                \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)t->state;                                              \
		type *m = &s->mutex;                                                                                   \
		node_type node;                                                                                        \
		(void)node;                                                                                            \
		uint64_t done = 0;                                                                                     \
		int64_t longest = 0;                                                                                   \
		for (bool over = false; !over;) {                                                                      \
			int64_t asked = bench_now();                                                                   \
			lock;                                                                                          \
			int64_t got = bench_now();                                                                     \
			over = got >= t->until;                                                                        \
			longest = got - asked > longest ? got - asked : longest;                                       \
			s->data.count++;                                                                               \
			if (rounds > 0)                                                                                \
				s->data.work = bench_work(s->data.work, rounds);                                       \
			done++;                                                                                        \
			if (over)                                                                                      \
				s->data.done += done;                                                                  \
			unlock;                                                                                        \
		}                                                                                                      \
		t->done = done;                                                                                        \
		t->longest = longest;                                                                                  \
	}                                                                                                              \
	static void impl##_empty(bench_thread *t)                                                                      \
	{                                                                                                              \
		impl##_loop(t, 0);                                                                                     \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_100ns(bench_thread *t)                                              \
	{                                                                                                              \
		impl##_loop(t, bench_rounds());                                                                        \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_1us(bench_thread *t)                                                \
	{                                                                                                              \
		impl##_loop(t, 10 * bench_rounds());                                                                   \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_fair_empty(bench_thread *t)                                         \
	{                                                                                                              \
		impl##_span(t, 0);                                                                                     \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_fair_100ns(bench_thread *t)                                         \
	{                                                                                                              \
		impl##_span(t, bench_rounds());                                                                        \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_fair_1us(bench_thread *t)                                           \
	{                                                                                                              \
		impl##_span(t, 10 * bench_rounds());                                                                   \
	}

/* `fixed`: see bench_row. The rows with more threads than CPUs are for locks that sleep. */
#define LOCK_UNCONTENDED(impl)                                                                                         \
	{                                                                                                              \
		"locks/mutex_uncontended", #impl, impl##_setup, impl##_empty, lock_teardown, 0                         \
	}
#define LOCK_CONTENDED(impl, fixed)                                                                                    \
	LOCK_UNCONTENDED(impl), {"locks/mutex_empty", #impl, impl##_setup, impl##_empty, lock_teardown, fixed},        \
	    {"locks/mutex_100ns", #impl, impl##_setup, impl##_100ns, lock_teardown, fixed},                            \
	{                                                                                                              \
		"locks/mutex_1us", #impl, impl##_setup, impl##_1us, lock_teardown, fixed                               \
	}
#define LOCK_SPANS(impl)                                                                                               \
	{"locks/mutex_fair_empty", #impl, impl##_setup, impl##_fair_empty, lock_teardown, 0},                          \
	    {"locks/mutex_fair_100ns", #impl, impl##_setup, impl##_fair_100ns, lock_teardown, 0},                      \
	{                                                                                                              \
		"locks/mutex_fair_1us", #impl, impl##_setup, impl##_fair_1us, lock_teardown, 0                         \
	}

/*
 * Hands over from one thread to the other, and back: an operation. There are three locks in a ring,
 * and each thread holds one all the time: it locks the next one, which the other thread holds or
 * has just let go, and unlocks that behind. So every lock waits for an unlock of the other thread.
 * The count lies beside its lock.
 */
enum { HANDOFF_LOCKS = 3 };

#define HANDOFF_BENCH(impl, type, init, lock, unlock)                                                                  \
	struct impl##_link {                                                                                           \
		BENCH_ALIGNED type mutex;                                                                              \
		uint64_t count;                                                                                        \
	};                                                                                                             \
	struct impl##_ring {                                                                                           \
		struct impl##_link links[HANDOFF_LOCKS];                                                               \
		pthread_barrier_t begin;                                                                               \
	};                                                                                                             \
	static void *impl##_ring_setup(int threads, uint64_t total)                                                    \
	{                                                                                                              \
		struct impl##_ring *s = (struct impl##_ring *)bench_alloc(sizeof *s);                                  \
		(void)total;                                                                                           \
		for (int i = 0; i < HANDOFF_LOCKS; i++) {                                                              \
			type *m = &s->links[i].mutex;                                                                  \
			init;                                                                                          \
		}                                                                                                      \
		pthread_barrier_init(&s->begin, NULL, (unsigned)threads);                                              \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_ring_run(bench_thread *t)                                                                   \
	{                                                                                                              \
		struct impl##_ring *s = (struct impl##_ring *)t->state;                                                \
		int held = t->index;                                                                                   \
		type *m = &s->links[held].mutex;                                                                       \
		lock;                                                                                                  \
		pthread_barrier_wait(&s->begin);                                                                       \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			int next = (held + 1) % HANDOFF_LOCKS;                                                         \
			m = &s->links[next].mutex;                                                                     \
			lock;                                                                                          \
			s->links[next].count++;                                                                        \
			m = &s->links[held].mutex;                                                                     \
			unlock;                                                                                        \
			held = next;                                                                                   \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
		m = &s->links[held].mutex;                                                                             \
		unlock;                                                                                                \
	}                                                                                                              \
	static void impl##_ring_teardown(void *state, uint64_t total)                                                  \
	{                                                                                                              \
		struct impl##_ring *s = (struct impl##_ring *)state;                                                   \
		uint64_t count = 0;                                                                                    \
		for (int i = 0; i < HANDOFF_LOCKS; i++)                                                                \
			count += s->links[i].count;                                                                    \
		if (count != 2 * total)                                                                                \
			bench_fail("handed over %llu times of %llu", (unsigned long long)count,                        \
			           (unsigned long long)(2 * total));                                                   \
		pthread_barrier_destroy(&s->begin);                                                                    \
		free(s);                                                                                               \
	}

#define HANDOFF_ROW(name, impl)                                                                                        \
	{                                                                                                              \
		name, #impl, impl##_ring_setup, impl##_ring_run, impl##_ring_teardown, 0                               \
	}
#define HANDOFF_ROWS(impl)                                                                                             \
	HANDOFF_ROW("locks/mutex_handoff_anywhere", impl), HANDOFF_ROW("locks/mutex_handoff_apart", impl),             \
	    HANDOFF_ROW("locks/mutex_handoff_together", impl)

/* All of a lock that sleeps when it waits. */
#define SLEEPING_LOCK(impl, type, init, lock, unlock)                                                                  \
	LOCK_BENCH(impl, type, char, init, lock, unlock)                                                               \
	HANDOFF_BENCH(impl, type, init, lock, unlock)
#define SLEEPING_ROWS(impl) LOCK_CONTENDED(impl, 0), LOCK_SPANS(impl), HANDOFF_ROWS(impl)

#endif
