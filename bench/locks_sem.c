/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Semaphores in C (sems.h), and the floors of all hand-overs. Peers without one get it from mutex
 * and condition.
 */
#include "monitor.h"
#include "sems.h"

#include <ck_pr.h>
#include <errno.h>
#include <fairlead/sem.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT = 100000 /* ns */ };

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

MONITOR_SEM(pthread)
MONITOR_SEM(nsync)

/*
 * What a release and an acquire cost at least where any number of threads may do either: two atomic
 * operations.
 */
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
 * What a hand-over costs at least: one thread stores to a cache line, the other polls it; neither
 * writes the other's. Never sleeps. On one CPU it lets the other run after each look.
 */
typedef struct spin_turn {
	atomic_uint given;
	BENCH_ALIGNED unsigned taken;
} spin_turn;

static inline void spin_init(spin_turn *s)
{
	atomic_init(&s->given, 0);
	s->taken = 0;
}

static inline void spin_give(spin_turn *s)
{
	unsigned given = atomic_load_explicit(&s->given, memory_order_relaxed);
	atomic_store_explicit(&s->given, given + 1, memory_order_release);
}

static inline void spin_take(spin_turn *s)
{
	while (atomic_load_explicit(&s->given, memory_order_acquire) == s->taken)
		ck_pr_stall();
	s->taken++;
}

static inline void yield_take(spin_turn *s)
{
	while (atomic_load_explicit(&s->given, memory_order_acquire) == s->taken)
		sched_yield();
	s->taken++;
}

/*
 * What the kernel asks for: one word a direction, a call to wake and one to sleep for each
 * hand-over; no thread spins.
 */
static inline void futex_init(atomic_uint *word)
{
	atomic_init(word, 0);
}

static inline void futex_give(atomic_uint *word)
{
	atomic_store_explicit(word, 1, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void futex_take(atomic_uint *word)
{
	while (atomic_load_explicit(word, memory_order_acquire) == 0)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store_explicit(word, 0, memory_order_relaxed);
}

SEM_BENCH(fairlead, fl_sem, fairlead_init, fl_sem_release, fairlead_acquire)
SEM_BENCH(sem_t, sem_t, posix_init, sem_post, posix_acquire)
SEM_BENCH(pthread, pthread_sem, pthread_init, pthread_release, pthread_acquire)
SEM_BENCH(nsync, nsync_sem, nsync_init, nsync_release, nsync_acquire)
SEM_ALONE(atomic, atomic_uint, atomic_sem_init, atomic_sem_release, atomic_sem_acquire)
TURN_BENCH(spin, spin_turn, spin_init, spin_give, spin_take)
TURN_BENCH(yield, spin_turn, spin_init, spin_give, yield_take)
TURN_BENCH(futex, atomic_uint, futex_init, futex_give, futex_take)

/* A wait in which nothing comes, for 100 us. */
static void fairlead_time_out(bench_thread *t)
{
	struct fairlead_state *s = t->state;
	for (uint64_t i = 0; i < t->total; i++) {
		if (fl_sem_acquire_until(&s->sem, bench_now() + TIMEOUT, NULL) != -ETIMEDOUT)
			bench_fail("fl_sem_acquire_until");
		bench_lap(t);
	}
}

static struct timespec timeout_from_now(void)
{
	const int64_t at = bench_now() + TIMEOUT;
	return (struct timespec){at / 1000000000, at % 1000000000};
}

static void sem_t_time_out(bench_thread *t)
{
	struct sem_t_state *s = t->state;
	for (uint64_t i = 0; i < t->total; i++) {
		const struct timespec at = timeout_from_now();
		if (sem_clockwait(&s->sem, CLOCK_MONOTONIC, &at) == 0 || errno != ETIMEDOUT)
			bench_fail("sem_clockwait");
		bench_lap(t);
	}
}

static void pthread_time_out(bench_thread *t)
{
	struct pthread_state *s = t->state;
	for (uint64_t i = 0; i < t->total; i++) {
		const struct timespec at = timeout_from_now();
		pthread_mutex_lock(&s->sem.mutex);
		if (pthread_cond_clockwait(&s->sem.cond, &s->sem.mutex, CLOCK_MONOTONIC, &at) != ETIMEDOUT)
			bench_fail("pthread_cond_clockwait");
		pthread_mutex_unlock(&s->sem.mutex);
		bench_lap(t);
	}
}

#define TIMEOUT_ROW(impl)                                                                                              \
	{                                                                                                              \
		"locks/sem_timeout_100us", #impl, impl##_setup, impl##_time_out, sem_teardown, 0                       \
	}
#define FLOOR_ROWS(of)                                                                                                 \
	TURN_ROWS(of, "futex", futex), TURN_ROW(of "_apart", "spin", spin), TURN_ROW(of "_together", "yield", yield)

static const bench_row rows[] = {
    SEM_ROWS(fairlead, "fairlead"),
    SEM_ROWS(sem_t, "sem_t"),
    SEM_ROWS(pthread, "pthread"),
    SEM_ROWS(nsync, "nsync"),
    SEM_UNCONTENDED(atomic, "atomic"),
    FLOOR_ROWS("locks/mutex_handoff"),
    FLOOR_ROWS("locks/sem_pingpong"),
    FLOOR_ROWS("locks/event_pingpong"),
    FLOOR_ROWS("locks/cond_pingpong"),
    FLOOR_ROWS("queues/roundtrip"),
    TIMEOUT_ROW(fairlead),
    TIMEOUT_ROW(sem_t),
    TIMEOUT_ROW(pthread),
};
BENCH_ROWS(rows)
