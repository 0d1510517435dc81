/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures the semaphores of C (sems.h). For a peer without a semaphore, one is made from its mutex
 * and its condition (monitor.h).
 */
#include "monitor.h"
#include "sems.h"

#include <fairlead/sem.h>
#include <time.h>

enum { TIMEOUT = 100000 /* ns */ };

static inline void fairlead_init(fl_sem *s)
{
	BENCH_OK(fl_sem_init(s, 0));
}

static inline void fairlead_acquire(fl_sem *s)
{
	BENCH_OK(fl_sem_acquire(s));
}

static inline void posix_init(sem_t *s)
{
	posix_sem_init(s, 0, 0);
}

MONITOR_SEM(pthread_sem, pthread, s->permits++)
MONITOR_SEM(nsync_sem, nsync, s->permits++)

SEM_BENCH(fairlead, fl_sem, fairlead_init, fl_sem_release, fairlead_acquire)
SEM_BENCH(sem_t, sem_t, posix_init, sem_post, posix_sem_acquire)
SEM_BENCH(pthread, pthread_sem, pthread_sem_init, pthread_sem_release, pthread_sem_acquire)
SEM_BENCH(nsync, nsync_sem, nsync_sem_init, nsync_sem_release, nsync_sem_acquire)

/* Waits 100 us for a permit that never comes. */
#define TIMEOUT_BENCH(impl, times_out)                                                                                 \
	static void impl##_time_out(bench_thread *t)                                                                   \
	{                                                                                                              \
		impl##_state *s = t->state;                                                                            \
		BENCH_EACH (i, t) {                                                                                    \
			const int64_t end = bench_now() + TIMEOUT;                                                     \
			const struct timespec at = {end / 1000000000, end % 1000000000};                               \
			if (!(times_out))                                                                              \
				bench_fail("a wait did not time out");                                                 \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}

static bool pthread_times_out(pthread_sem *s, const struct timespec *at)
{
	pthread_mutex_lock(&s->mutex);
	int rc = pthread_cond_clockwait(&s->cond, &s->mutex, CLOCK_MONOTONIC, at);
	pthread_mutex_unlock(&s->mutex);
	return rc == ETIMEDOUT;
}

TIMEOUT_BENCH(fairlead,
              fl_sem_acquire_until(&s->sem, (fl_time){at.tv_sec * 1000000000 + at.tv_nsec}, NULL) == -ETIMEDOUT)
TIMEOUT_BENCH(sem_t, sem_clockwait(&s->sem, CLOCK_MONOTONIC, &at) != 0 && errno == ETIMEDOUT)
TIMEOUT_BENCH(pthread, pthread_times_out(&s->sem, &at))

#define TIMEOUT_ROW(impl)                                                                                              \
	{                                                                                                              \
		"locks/sem_timeout_100us", #impl, impl##_setup, impl##_time_out, bench_free                            \
	}

static const bench_row rows[] = {
    SEM_ROWS(fairlead, "fairlead"), SEM_ROWS(sem_t, "sem_t"), SEM_ROWS(pthread, "pthread"), SEM_ROWS(nsync, "nsync"),
    TIMEOUT_ROW(fairlead),          TIMEOUT_ROW(sem_t),       TIMEOUT_ROW(pthread),
};
BENCH_ROWS(rows)
