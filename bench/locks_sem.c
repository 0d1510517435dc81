/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Semaphores in C (sems.h). Peers without one get it from mutex
 * and condition.
 */
#include "monitor.h"
#include "sems.h"

#include <errno.h>
#include <fairlead/sem.h>
#include <semaphore.h>
#include <time.h>

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

/*
 * A semaphore of mutex and condition (monitor.h). The signaller counts the waiter off, so that a
 * waiter that has yet to run is not signalled twice.
 */
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

SEM_BENCH(fairlead, fl_sem, fairlead_init, fl_sem_release, fairlead_acquire)
SEM_BENCH(sem_t, sem_t, posix_init, sem_post, posix_acquire)
SEM_BENCH(pthread, pthread_sem, pthread_init, pthread_release, pthread_acquire)
SEM_BENCH(nsync, nsync_sem, nsync_init, nsync_release, nsync_acquire)

/* A wait in which nothing comes, for 100 us. */
static void fairlead_time_out(bench_thread *t)
{
	fairlead_state *s = t->state;
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
	sem_t_state *s = t->state;
	for (uint64_t i = 0; i < t->total; i++) {
		const struct timespec at = timeout_from_now();
		if (sem_clockwait(&s->sem, CLOCK_MONOTONIC, &at) == 0 || errno != ETIMEDOUT)
			bench_fail("sem_clockwait");
		bench_lap(t);
	}
}

static void pthread_time_out(bench_thread *t)
{
	pthread_state *s = t->state;
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
		"locks/sem_timeout_100us", #impl, impl##_setup, impl##_time_out, bench_free                            \
	}

static const bench_row rows[] = {
    SEM_ROWS(fairlead, "fairlead"), SEM_ROWS(sem_t, "sem_t"), SEM_ROWS(pthread, "pthread"), SEM_ROWS(nsync, "nsync"),
    TIMEOUT_ROW(fairlead),          TIMEOUT_ROW(sem_t),       TIMEOUT_ROW(pthread),
};
BENCH_ROWS(rows)
