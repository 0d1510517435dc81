/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_MONITOR_H
#define BENCH_MONITOR_H

#include "shim.h"

#include <errno.h>
#include <nsync.h>
#include <pthread.h>
#include <semaphore.h>

/*
 * Mutex and condition of several libraries, under names that macros can paste: mon_pthread_lock(),
 * mon_nsync_lock() and so on. Each is one inlined call of the library's own function.
 */
#define MONITOR(name, mutex_type, cond_type, mutex_init, cond_init, lock, unlock, wait, signal, broadcast)             \
	typedef mutex_type mon_##name##_mutex;                                                                         \
	typedef cond_type mon_##name##_cond;                                                                           \
	static inline void mon_##name##_mutex_init(mutex_type *m)                                                      \
	{                                                                                                              \
		mutex_init;                                                                                            \
	}                                                                                                              \
	static inline void mon_##name##_cond_init(cond_type *c)                                                        \
	{                                                                                                              \
		cond_init;                                                                                             \
	}                                                                                                              \
	static inline void mon_##name##_lock(mutex_type *m)                                                            \
	{                                                                                                              \
		lock;                                                                                                  \
	}                                                                                                              \
	static inline void mon_##name##_unlock(mutex_type *m)                                                          \
	{                                                                                                              \
		unlock;                                                                                                \
	}                                                                                                              \
	static inline void mon_##name##_wait(cond_type *c, mutex_type *m)                                              \
	{                                                                                                              \
		wait;                                                                                                  \
	}                                                                                                              \
	static inline void mon_##name##_signal(cond_type *c)                                                           \
	{                                                                                                              \
		signal;                                                                                                \
	}                                                                                                              \
	static inline void mon_##name##_broadcast(cond_type *c)                                                        \
	{                                                                                                              \
		broadcast;                                                                                             \
	}

MONITOR(pthread, pthread_mutex_t, pthread_cond_t, pthread_mutex_init(m, NULL), pthread_cond_init(c, NULL),
        pthread_mutex_lock(m), pthread_mutex_unlock(m), pthread_cond_wait(c, m), pthread_cond_signal(c),
        pthread_cond_broadcast(c))
MONITOR(nsync, nsync_mu, nsync_cv, nsync_mu_init(m), nsync_cv_init(c), nsync_mu_lock(m), nsync_mu_unlock(m),
        nsync_cv_wait(c, m), nsync_cv_signal(c), nsync_cv_broadcast(c))

/*
 * Defines a semaphore made of such a mutex and condition. `gain` is what a release does to
 * s->permits. The signaller subtracts the waiter from `waiters`, so that a waiter that has not run
 * yet is not signalled twice.
 */
#define MONITOR_SEM(impl, mon, gain)                                                                                   \
	typedef struct impl {                                                                                          \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond cond;                                                                                 \
		unsigned permits, waiters;                                                                             \
	} impl;                                                                                                        \
	static inline void impl##_init(impl *s)                                                                        \
	{                                                                                                              \
		mon_##mon##_mutex_init(&s->mutex);                                                                     \
		mon_##mon##_cond_init(&s->cond);                                                                       \
	}                                                                                                              \
	static inline void impl##_release(impl *s)                                                                     \
	{                                                                                                              \
		mon_##mon##_lock(&s->mutex);                                                                           \
		gain;                                                                                                  \
		bool wake = s->waiters > 0;                                                                            \
		s->waiters -= wake;                                                                                    \
		mon_##mon##_unlock(&s->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&s->cond);                                                                  \
	}                                                                                                              \
	static inline void impl##_acquire(impl *s)                                                                     \
	{                                                                                                              \
		mon_##mon##_lock(&s->mutex);                                                                           \
		while (s->permits == 0) {                                                                              \
			s->waiters++;                                                                                  \
			mon_##mon##_wait(&s->cond, &s->mutex);                                                         \
		}                                                                                                      \
		s->permits--;                                                                                          \
		mon_##mon##_unlock(&s->mutex);                                                                         \
	}

/* --- POSIX semaphores --- */
static inline void posix_sem_init(sem_t *s, int shared, unsigned permits)
{
	BENCH_OK(sem_init(s, shared, permits));
}

static inline void posix_sem_acquire(sem_t *s)
{
	while (sem_wait(s))
		bench_must(errno == EINTR, "sem_wait");
}

#endif
