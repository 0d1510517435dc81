/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks in shared memory: a mutex that survives its owner, by one process and by two at once; and
 * two semaphores that hand a turn to and fro between two processes.
 */
#include "process.h"
#include "shim.h"

#include <ck_pr.h>
#include <errno.h>
#include <fairlead/shm_cond.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/shm_sem.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both processes take from one budget, so that they contend to the end. */
#define PROCESS_MUTEX(impl, type, init, lock, unlock)                                                                  \
	struct impl##_locked {                                                                                         \
		BENCH_ALIGNED type mutex;                                                                              \
		BENCH_ALIGNED uint64_t count;                                                                          \
		uint64_t total;                                                                                        \
		pid_t partner;                                                                                         \
	};                                                                                                             \
	static void impl##_count(void *shared)                                                                         \
	{                                                                                                              \
		struct impl##_locked *s = shared;                                                                      \
		for (bool more = true; more;) {                                                                        \
			lock(&s->mutex);                                                                               \
			more = s->count < s->total;                                                                    \
			s->count += more;                                                                              \
			unlock(&s->mutex);                                                                             \
		}                                                                                                      \
	}                                                                                                              \
	static void *impl##_alone_setup(int threads, uint64_t total)                                                   \
	{                                                                                                              \
		struct impl##_locked *s = bench_share(sizeof *s);                                                      \
		(void)threads;                                                                                         \
		s->total = total;                                                                                      \
		init(&s->mutex);                                                                                       \
		return s;                                                                                              \
	}                                                                                                              \
	__attribute__((unused)) static void *impl##_both_setup(int threads, uint64_t total)                            \
	{                                                                                                              \
		struct impl##_locked *s = impl##_alone_setup(threads, total);                                          \
		s->partner = bench_partner(impl##_count, s);                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_run(bench_thread *t)                                                                        \
	{                                                                                                              \
		impl##_count(t->state);                                                                                \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		struct impl##_locked *s = state;                                                                       \
		if (s->partner)                                                                                        \
			bench_partner_end(s->partner);                                                                 \
		if (s->count != total)                                                                                 \
			bench_fail("%s counted %llu of %llu", #impl, (unsigned long long)s->count,                     \
			           (unsigned long long)total);                                                         \
		bench_unshare(s, sizeof *s);                                                                           \
	}

#define MUTEX_ALONE(impl)                                                                                              \
	{                                                                                                              \
		"process/mutex_uncontended", #impl, impl##_alone_setup, impl##_run, impl##_teardown, 0                 \
	}
#define MUTEX_BOTH(impl)                                                                                               \
	{                                                                                                              \
		"process/mutex_contended", #impl, impl##_both_setup, impl##_run, impl##_teardown, 0                    \
	}
#define MUTEX_ROWS(impl) MUTEX_ALONE(impl), MUTEX_BOTH(impl)

static inline void fairlead_lock(fl_shm_mutex *m)
{
	if (fl_shm_mutex_lock(m))
		bench_fail("fl_shm_mutex_lock");
}

static void pthread_make(pthread_mutex_t *m, int robust)
{
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robust);
	if (pthread_mutex_init(m, &attr) != 0)
		bench_fail("pthread_mutex_init");
}

static inline void pthread_robust_init(pthread_mutex_t *m)
{
	pthread_make(m, PTHREAD_MUTEX_ROBUST);
}

static inline void pthread_shared_init(pthread_mutex_t *m)
{
	pthread_make(m, PTHREAD_MUTEX_STALLED);
}

static inline void cas_init(atomic_uint *word)
{
	atomic_init(word, 0);
}

static inline void cas_lock(atomic_uint *word)
{
	unsigned expected = 0;
	while (!atomic_compare_exchange_weak_explicit(word, &expected, 1, memory_order_acquire, memory_order_relaxed))
		expected = 0;
}

static inline void cas_unlock(atomic_uint *word)
{
	atomic_store_explicit(word, 0, memory_order_release);
}

PROCESS_MUTEX(fairlead, fl_shm_mutex, fl_shm_mutex_init, fairlead_lock, fl_shm_mutex_unlock)
PROCESS_MUTEX(pthread_robust, pthread_mutex_t, pthread_robust_init, pthread_mutex_lock, pthread_mutex_unlock)
PROCESS_MUTEX(pthread_shared, pthread_mutex_t, pthread_shared_init, pthread_mutex_lock, pthread_mutex_unlock)
PROCESS_MUTEX(cas, atomic_uint, cas_init, cas_lock, cas_unlock)

/* Semaphores. */
#define PROCESS_SEM(impl, type, init, release, acquire)                                                                \
	struct impl##_turns {                                                                                          \
		BENCH_ALIGNED type ping;                                                                               \
		BENCH_ALIGNED type pong;                                                                               \
		BENCH_ALIGNED uint64_t count;                                                                          \
		uint64_t total;                                                                                        \
		pid_t partner;                                                                                         \
	};                                                                                                             \
	static void impl##_follow(void *shared)                                                                        \
	{                                                                                                              \
		struct impl##_turns *s = shared;                                                                       \
		for (uint64_t i = 0; i < s->total; i++) {                                                              \
			acquire(&s->ping);                                                                             \
			s->count++;                                                                                    \
			release(&s->pong);                                                                             \
		}                                                                                                      \
	}                                                                                                              \
	static void *impl##_turns_setup(int threads, uint64_t total)                                                   \
	{                                                                                                              \
		struct impl##_turns *s = bench_share(sizeof *s);                                                       \
		(void)threads;                                                                                         \
		s->total = total;                                                                                      \
		init(&s->ping);                                                                                        \
		init(&s->pong);                                                                                        \
		s->partner = bench_partner(impl##_follow, s);                                                          \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_turns(bench_thread *t)                                                                      \
	{                                                                                                              \
		struct impl##_turns *s = t->state;                                                                     \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			s->count++;                                                                                    \
			release(&s->ping);                                                                             \
			acquire(&s->pong);                                                                             \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_turns_teardown(void *state, uint64_t total)                                                 \
	{                                                                                                              \
		struct impl##_turns *s = state;                                                                        \
		bench_partner_end(s->partner);                                                                         \
		if (s->count != 2 * total)                                                                             \
			bench_fail("%s: a semaphore let both pass", #impl);                                            \
		bench_unshare(s, sizeof *s);                                                                           \
	}

#define TURN_ROW(name, label, impl)                                                                                    \
	{                                                                                                              \
		name, label, impl##_turns_setup, impl##_turns, impl##_turns_teardown, 0                                \
	}

static inline void fairlead_sem_init(fl_shm_sem *s)
{
	if (fl_shm_sem_init(s, 0))
		bench_fail("fl_shm_sem_init");
}

static inline void fairlead_acquire(fl_shm_sem *s)
{
	if (fl_shm_sem_acquire(s))
		bench_fail("fl_shm_sem_acquire");
}

static inline void fairlead_release(fl_shm_sem *s)
{
	if (fl_shm_sem_release(s))
		bench_fail("fl_shm_sem_release");
}

static inline void sem_t_init(sem_t *s)
{
	if (sem_init(s, 1, 0))
		bench_fail("sem_init");
}

static inline void sem_t_acquire(sem_t *s)
{
	while (sem_wait(s))
		if (errno != EINTR)
			bench_fail("sem_wait");
}

/*
 * Semaphores of mutex and condition; pthread's are robust for the mutex and condition of Fairlead,
 * which are, too.
 */
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
	if (fl_shm_cond_wait(c, m))
		bench_fail("fl_shm_cond_wait");
}

static void pthread_monitor_make(pthread_mutex_t *m, pthread_cond_t *c, int robust)
{
	pthread_condattr_t attr;
	pthread_make(m, robust);
	pthread_condattr_init(&attr);
	pthread_condattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(c, &attr);
}

static inline void pthread_shared_make(pthread_mutex_t *m, pthread_cond_t *c)
{
	pthread_monitor_make(m, c, PTHREAD_MUTEX_STALLED);
}

static inline void pthread_robust_make(pthread_mutex_t *m, pthread_cond_t *c)
{
	pthread_monitor_make(m, c, PTHREAD_MUTEX_ROBUST);
}

MONITOR_TURN(fairlead, fl_shm_mutex, fl_shm_cond, fairlead_monitor_make, fairlead_lock, fairlead_wait,
             fl_shm_mutex_unlock, fl_shm_cond_broadcast)
MONITOR_TURN(pthread_shared, pthread_mutex_t, pthread_cond_t, pthread_shared_make, pthread_mutex_lock,
             pthread_cond_wait, pthread_mutex_unlock, pthread_cond_signal)
MONITOR_TURN(pthread_robust, pthread_mutex_t, pthread_cond_t, pthread_robust_make, pthread_mutex_lock,
             pthread_cond_wait, pthread_mutex_unlock, pthread_cond_signal)

/* The floor: one word a direction, 200 looks, then a futex. */
typedef struct futex_turn {
	_Atomic uint32_t permits, sleeps;
} futex_turn;

static inline void futex_init(futex_turn *s)
{
	atomic_init(&s->permits, 0);
	atomic_init(&s->sleeps, 0);
}

static inline void futex_release(futex_turn *s)
{
	atomic_store(&s->permits, 1);
	if (atomic_load(&s->sleeps))
		syscall(SYS_futex, &s->permits, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void futex_acquire(futex_turn *s)
{
	for (int i = 0; i < 200 && !atomic_load_explicit(&s->permits, memory_order_acquire); i++)
		ck_pr_stall();
	while (!atomic_load_explicit(&s->permits, memory_order_acquire)) {
		atomic_store(&s->sleeps, 1);
		if (!atomic_load(&s->permits))
			syscall(SYS_futex, &s->permits, FUTEX_WAIT, 0, NULL, NULL, 0);
		atomic_store_explicit(&s->sleeps, 0, memory_order_relaxed);
	}
	atomic_store_explicit(&s->permits, 0, memory_order_relaxed);
}

PROCESS_SEM(fairlead, fl_shm_sem, fairlead_sem_init, fairlead_release, fairlead_acquire)
PROCESS_SEM(sem_t, sem_t, sem_t_init, sem_post, sem_t_acquire)
PROCESS_SEM(fairlead_cond, fairlead_turn, fairlead_turn_init, fairlead_turn_release, fairlead_turn_acquire)
PROCESS_SEM(pthread_shared, pthread_shared_turn, pthread_shared_turn_init, pthread_shared_turn_release,
            pthread_shared_turn_acquire)
PROCESS_SEM(pthread_robust, pthread_robust_turn, pthread_robust_turn_init, pthread_robust_turn_release,
            pthread_robust_turn_acquire)
PROCESS_SEM(futex, futex_turn, futex_init, futex_release, futex_acquire)

#define SEM_ROW(label, impl) TURN_ROW("process/sem_pingpong", label, impl)
#define COND_ROW(label, impl) TURN_ROW("process/cond_pingpong", label, impl)

static const bench_row rows[] = {
    MUTEX_ROWS(fairlead),
    MUTEX_ROWS(pthread_robust),
    MUTEX_ROWS(pthread_shared),
    MUTEX_ALONE(cas),
    SEM_ROW("fairlead", fairlead),
    SEM_ROW("sem_t", sem_t),
    SEM_ROW("pthread", pthread_shared),
    SEM_ROW("futex", futex),
    COND_ROW("fairlead", fairlead_cond),
    COND_ROW("pthread_robust", pthread_robust),
    COND_ROW("pthread_shared", pthread_shared),
    COND_ROW("futex", futex),
};
BENCH_ROWS(rows)
