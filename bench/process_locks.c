/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures locks in shared memory: a mutex that survives its owner, by one process and by two at
 * once; and two semaphores, or two conditions, by which two processes hand a turn to and fro.
 */
#include "monitor.h"
#include "process.h"
#include "turns.h"

#include <fairlead/shm_cond.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/shm_sem.h>

/*
 * Defines the mutex rows of one implementation. Both processes take operations from one budget, so
 * that they contend to the end.
 */
#define PROCESS_MUTEX(impl, type, init, lock, unlock)                                                                  \
	typedef struct impl##_locked {                                                                                 \
		BENCH_ALIGNED type mutex;                                                                              \
		BENCH_ALIGNED uint64_t count;                                                                          \
		uint64_t total;                                                                                        \
		pid_t partner;                                                                                         \
	} impl##_locked;                                                                                               \
	static void impl##_count(void *shared)                                                                         \
	{                                                                                                              \
		impl##_locked *s = shared;                                                                             \
		for (bool more = true; more;) {                                                                        \
			lock(&s->mutex);                                                                               \
			more = s->count < s->total;                                                                    \
			s->count += more;                                                                              \
			unlock(&s->mutex);                                                                             \
		}                                                                                                      \
	}                                                                                                              \
	static void *impl##_alone_setup(const bench_setting *with)                                                     \
	{                                                                                                              \
		impl##_locked *s = bench_share(sizeof *s);                                                             \
		s->total = with->total;                                                                                \
		init(&s->mutex);                                                                                       \
		return s;                                                                                              \
	}                                                                                                              \
	static void *impl##_both_setup(const bench_setting *with)                                                      \
	{                                                                                                              \
		impl##_locked *s = impl##_alone_setup(with);                                                           \
		s->partner = bench_partner(impl##_count, s);                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_run(bench_thread *t)                                                                        \
	{                                                                                                              \
		impl##_count(t->state);                                                                                \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		impl##_locked *s = state;                                                                              \
		if (s->partner)                                                                                        \
			bench_partner_end(s->partner);                                                                 \
		bench_counted(#impl, s->count, total);                                                                 \
		bench_unshare(s, sizeof *s);                                                                           \
	}

#define MUTEX_ROWS(impl)                                                                                               \
	{"process/mutex_uncontended", #impl, impl##_alone_setup, impl##_run, impl##_teardown},                         \
	{                                                                                                              \
		"process/mutex_contended", #impl, impl##_both_setup, impl##_run, impl##_teardown                       \
	}

static inline void fairlead_lock(fl_shm_mutex *m)
{
	BENCH_OK(fl_shm_mutex_lock(m));
}

static void pthread_robust_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	BENCH_OK(pthread_mutex_init(m, &attr));
}

PROCESS_MUTEX(fairlead, fl_shm_mutex, fl_shm_mutex_init, fairlead_lock, fl_shm_mutex_unlock)
PROCESS_MUTEX(pthread_robust, pthread_mutex_t, pthread_robust_init, pthread_mutex_lock, pthread_mutex_unlock)

/* Defines the rows of semaphores, which hand over as turns.h says. */
#define PROCESS_SEM(impl, type, init, release, acquire)                                                                \
	TURN_LOOP(impl, type, release, acquire)                                                                        \
	typedef struct impl##_pair {                                                                                   \
		impl##_turns turns;                                                                                    \
		uint64_t total;                                                                                        \
		pid_t partner;                                                                                         \
	} impl##_pair;                                                                                                 \
	static void impl##_follow(void *shared)                                                                        \
	{                                                                                                              \
		impl##_turns_run(                                                                                      \
		    &(bench_thread){.state = shared, .index = 1, .total = ((impl##_pair *)shared)->total});            \
	}                                                                                                              \
	static void *impl##_turns_setup(const bench_setting *with)                                                     \
	{                                                                                                              \
		impl##_pair *s = bench_share(sizeof *s);                                                               \
		s->total = with->total;                                                                                \
		init(&s->turns.ping);                                                                                  \
		init(&s->turns.pong);                                                                                  \
		s->partner = bench_partner(impl##_follow, s);                                                          \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_turns_teardown(void *state, uint64_t total)                                                 \
	{                                                                                                              \
		impl##_pair *s = state;                                                                                \
		bench_partner_end(s->partner);                                                                         \
		if (s->turns.data.count != 2 * total)                                                                  \
			bench_fail("%s: a semaphore let both pass", #impl);                                            \
		bench_unshare(s, sizeof *s);                                                                           \
	}

static inline void fairlead_sem_init(fl_shm_sem *s)
{
	BENCH_OK(fl_shm_sem_init(s, 0));
}

static inline void fairlead_acquire(fl_shm_sem *s)
{
	BENCH_OK(fl_shm_sem_acquire(s));
}

static inline void fairlead_release(fl_shm_sem *s)
{
	BENCH_OK(fl_shm_sem_release(s));
}

static inline void sem_t_init(sem_t *s)
{
	posix_sem_init(s, 1, 0);
}

/* Defines a semaphore of a mutex and a condition. */
#define MONITOR_TURN(impl, mutex_type, cond_type, make, lock, wait, unlock, signal)                                    \
	typedef struct impl##_turn {                                                                                   \
		mutex_type mutex;                                                                                      \
		cond_type cond;                                                                                        \
		unsigned permits;                                                                                      \
	} impl##_turn;                                                                                                 \
	static inline void impl##_turn_init(impl##_turn *s)                                                            \
	{                                                                                                              \
		make(&s->mutex, &s->cond);                                                                             \
		s->permits = 0;                                                                                        \
	}                                                                                                              \
	static inline void impl##_turn_release(impl##_turn *s)                                                         \
	{                                                                                                              \
		lock(&s->mutex);                                                                                       \
		s->permits++;                                                                                          \
		unlock(&s->mutex);                                                                                     \
		signal(&s->cond);                                                                                      \
	}                                                                                                              \
	static inline void impl##_turn_acquire(impl##_turn *s)                                                         \
	{                                                                                                              \
		lock(&s->mutex);                                                                                       \
		while (s->permits == 0)                                                                                \
			wait(&s->cond, &s->mutex);                                                                     \
		s->permits--;                                                                                          \
		unlock(&s->mutex);                                                                                     \
	}

static inline void fairlead_monitor_make(fl_shm_mutex *m, fl_shm_cond *c)
{
	fl_shm_mutex_init(m);
	fl_shm_cond_init(c);
}

static inline void fairlead_wait(fl_shm_cond *c, fl_shm_mutex *m)
{
	BENCH_OK(fl_shm_cond_wait(c, m));
}

static void pthread_robust_make(pthread_mutex_t *m, pthread_cond_t *c)
{
	pthread_condattr_t attr;
	pthread_robust_init(m);
	pthread_condattr_init(&attr);
	pthread_condattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(c, &attr);
}

MONITOR_TURN(fairlead, fl_shm_mutex, fl_shm_cond, fairlead_monitor_make, fairlead_lock, fairlead_wait,
             fl_shm_mutex_unlock, fl_shm_cond_broadcast)
MONITOR_TURN(pthread_robust, pthread_mutex_t, pthread_cond_t, pthread_robust_make, pthread_mutex_lock,
             pthread_cond_wait, pthread_mutex_unlock, pthread_cond_signal)

PROCESS_SEM(fairlead, fl_shm_sem, fairlead_sem_init, fairlead_release, fairlead_acquire)
PROCESS_SEM(sem_t, sem_t, sem_t_init, sem_post, posix_sem_acquire)
PROCESS_SEM(fairlead_cond, fairlead_turn, fairlead_turn_init, fairlead_turn_release, fairlead_turn_acquire)
PROCESS_SEM(pthread_robust, pthread_robust_turn, pthread_robust_turn_init, pthread_robust_turn_release,
            pthread_robust_turn_acquire)

#define PAIR_ROW(case, label, impl)                                                                                    \
	{                                                                                                              \
		"process/" case "_pingpong", label, impl##_turns_setup, impl##_turns_run, impl##_turns_teardown        \
	}

static const bench_row rows[] = {
    MUTEX_ROWS(fairlead),
    MUTEX_ROWS(pthread_robust),
    PAIR_ROW("sem", "fairlead", fairlead),
    PAIR_ROW("sem", "sem_t", sem_t),
    PAIR_ROW("cond", "fairlead", fairlead_cond),
    PAIR_ROW("cond", "pthread_robust", pthread_robust),
};
BENCH_ROWS(rows)
