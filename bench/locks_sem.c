/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Semaphores: a release and an acquire on one thread; and two threads that hand a turn to and fro through two of them
 * (an operation is there and back). Peers without a semaphore of their own get one from mutex and condition.
 */
#include "monitor.h"
#include "shim.h"

#include <ck_pr.h>
#include <errno.h>
#include <fairlead/sem.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* The data handed over with the turn: plain, so that a semaphore that lets both pass gives a wrong count. */
typedef struct sem_data {
	uint64_t count;
} sem_data;

static void sem_uncontended_teardown(void *state, uint64_t total)
{
	(void)total;
	free(state);
}

static void sem_pingpong_teardown(void *state, uint64_t total)
{
	sem_data *data = state;
	if (data->count != 2 * total)
		bench_fail("a semaphore counted %llu turns of %llu", (unsigned long long)data->count,
		           (unsigned long long)(2 * total));
	free(state);
}

#define SEM_BENCH(impl, type, init, release, acquire)                                                                  \
	struct impl##_state {                                                                                          \
		sem_data data;                                                                                         \
		BENCH_ALIGNED type ping;                                                                               \
		BENCH_ALIGNED type pong;                                                                               \
	};                                                                                                             \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		struct impl##_state *s = bench_alloc(sizeof *s);                                                       \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		init(&s->ping);                                                                                        \
		init(&s->pong);                                                                                        \
		return s;                                                                                              \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_uncontended(bench_thread *t)                                        \
	{                                                                                                              \
		struct impl##_state *s = t->state;                                                                     \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			release(&s->ping);                                                                             \
			acquire(&s->ping);                                                                             \
		}                                                                                                      \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_pingpong(bench_thread *t)                                           \
	{                                                                                                              \
		struct impl##_state *s = t->state;                                                                     \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			if (t->index == 0) {                                                                           \
				s->data.count++;                                                                       \
				release(&s->ping);                                                                     \
				acquire(&s->pong);                                                                     \
			} else {                                                                                       \
				acquire(&s->ping);                                                                     \
				s->data.count++;                                                                       \
				release(&s->pong);                                                                     \
			}                                                                                              \
		}                                                                                                      \
	}

#define SEM_UNCONTENDED(impl)                                                                                          \
	{                                                                                                              \
		"locks/sem_uncontended", #impl, impl##_setup, impl##_uncontended, sem_uncontended_teardown, 0          \
	}
#define SEM_PINGPONG(impl)                                                                                             \
	{                                                                                                              \
		"locks/sem_pingpong", #impl, impl##_setup, impl##_pingpong, sem_pingpong_teardown, 0                   \
	}
#define SEM_ROWS(impl) SEM_UNCONTENDED(impl), SEM_PINGPONG(impl)

static inline void fairlead_init(fl_sem *s)
{
	if (fl_sem_init(s, 0))
		bench_fail("fl_sem_init");
}

static inline void fairlead_acquire(fl_sem *s)
{
	if (fl_sem_acquire(s))
		bench_fail("fl_sem_acquire");
}

static inline void posix_init(sem_t *s)
{
	if (sem_init(s, 0, 0))
		bench_fail("sem_init");
}

static inline void posix_acquire(sem_t *s)
{
	while (sem_wait(s))
		if (errno != EINTR)
			bench_fail("sem_wait");
}

/* Whoever signals counts the waiter off, so that a waiter that has yet to run is not signalled twice. */
#define MONITOR_SEM(mon)                                                                                               \
	typedef struct mon##_sem {                                                                                     \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond cond;                                                                                 \
		unsigned permits, waiters;                                                                             \
	} mon##_sem;                                                                                                   \
	static inline void mon##_init(mon##_sem *s)                                                                    \
	{                                                                                                              \
		mon_##mon##_mutex_init(&s->mutex);                                                                     \
		mon_##mon##_cond_init(&s->cond);                                                                       \
	}                                                                                                              \
	static inline void mon##_release(mon##_sem *s)                                                                 \
	{                                                                                                              \
		mon_##mon##_lock(&s->mutex);                                                                           \
		s->permits++;                                                                                          \
		bool wake = s->waiters > 0;                                                                            \
		s->waiters -= wake;                                                                                    \
		mon_##mon##_unlock(&s->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&s->cond);                                                                  \
	}                                                                                                              \
	static inline void mon##_acquire(mon##_sem *s)                                                                 \
	{                                                                                                              \
		mon_##mon##_lock(&s->mutex);                                                                           \
		while (s->permits == 0) {                                                                              \
			s->waiters++;                                                                                  \
			mon_##mon##_wait(&s->cond, &s->mutex);                                                         \
		}                                                                                                      \
		s->permits--;                                                                                          \
		mon_##mon##_unlock(&s->mutex);                                                                         \
	}

MONITOR_SEM(pthread)
MONITOR_SEM(nsync)

/* What a release and an acquire cost at least where any number of threads may do either: two atomic operations. */
static inline void atomic_sem_init(atomic_uint *s)
{
	atomic_init(s, 0);
}

static inline void atomic_sem_release(atomic_uint *s)
{
	atomic_fetch_add_explicit(s, 1, memory_order_release);
}

static inline void atomic_sem_acquire(atomic_uint *s)
{
	unsigned permits = atomic_load_explicit(s, memory_order_relaxed);
	while (permits == 0 || !atomic_compare_exchange_weak_explicit(s, &permits, permits - 1, memory_order_acquire,
	                                                              memory_order_relaxed))
		permits = atomic_load_explicit(s, memory_order_relaxed);
}

/*
 * What a hand-over costs at least: one thread stores to a cache line, the other polls it; neither writes the other's. Never
 * sleeps: looks 8 times, then lets another thread have the CPU.
 */
typedef struct spin_sem {
	atomic_uint released;
	BENCH_ALIGNED unsigned acquired;
} spin_sem;

static inline void spin_init(spin_sem *s)
{
	atomic_init(&s->released, 0);
	s->acquired = 0;
}

static inline void spin_release(spin_sem *s)
{
	unsigned released = atomic_load_explicit(&s->released, memory_order_relaxed);
	atomic_store_explicit(&s->released, released + 1, memory_order_release);
}

static inline void spin_acquire(spin_sem *s)
{
	for (unsigned tries = 1; atomic_load_explicit(&s->released, memory_order_acquire) == s->acquired; tries++)
		if (tries % 8 == 0)
			sched_yield();
		else
			ck_pr_stall();
	s->acquired++;
}

SEM_BENCH(fairlead, fl_sem, fairlead_init, fl_sem_release, fairlead_acquire)
SEM_BENCH(sem_t, sem_t, posix_init, sem_post, posix_acquire)
SEM_BENCH(pthread, pthread_sem, pthread_init, pthread_release, pthread_acquire)
SEM_BENCH(nsync, nsync_sem, nsync_init, nsync_release, nsync_acquire)
SEM_BENCH(atomic, atomic_uint, atomic_sem_init, atomic_sem_release, atomic_sem_acquire)
SEM_BENCH(spin_yield, spin_sem, spin_init, spin_release, spin_acquire)

static const bench_row rows[] = {
    SEM_ROWS(fairlead), SEM_ROWS(sem_t),         SEM_ROWS(pthread),
    SEM_ROWS(nsync),    SEM_UNCONTENDED(atomic), SEM_PINGPONG(spin_yield),
};
BENCH_ROWS(rows)
