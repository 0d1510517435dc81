/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For a POSIX system without a public wait on an address. A table of buckets, selected by the
 * address, lists the sleepers. Each sleeper has a semaphore in its stack frame.
 *
 * It is a semaphore, instead of a mutex with a condition, because sem_post() is the only wake that
 * POSIX allows in a signal handler, and fl_sem_release_in_handler() wakes there. The handler may
 * have interrupted the sleep that it ends, which pthread_cond_wait() would not survive.
 *
 * Invariants
 *   1. A bucket is locked only with all signals blocked, except those of faults. So a handler never
 *      waits for a bucket that its own thread has locked.
 *   2. A sleeper reads the word and enters the word's bucket in one section of the bucket's lock.
 *      It stays there until a wake, or its own end, removes it. Because a wake comes after the
 *      change of the word, either the sleeper sees the change, or the wake sees the sleeper.
 *   3. A wake removes a sleeper and then posts its semaphore, both under the bucket's lock. Because
 *      the sleeper takes that lock before it ends, the semaphore outlives the post.
 *
 * A wake only uses the address of the word, whose memory may have been freed.
 *
 * macOS has no unnamed semaphores of POSIX, so the semaphore is Mach's there, which all versions
 * have. os_sync_wait_on_address() of macOS 14.4 would save the list of sleepers, but no compiler
 * with which the project can be checked has its header. In a build with -Dos=posix, the laboratory
 * replaces neither the wait nor the wake of the table, so the scenarios run through this file,
 * whose mutexes and semaphores are the model's.
 */
#include "../base/anew.h"
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "unix.h"
#ifdef FL__OS_POSIX
#include <time.h>
#include <unistd.h>

#ifdef __APPLE__
#include <mach/mach.h>

/*
 * Posting a Mach semaphore is one call of the kernel, which a signal handler may make. Waiting
 * takes the time that is left, so it does not depend on a clock that can be set.
 */
#define sem_t semaphore_t
#define sem_init(sem, shared, value) semaphore_create(mach_task_self(), sem, SYNC_POLICY_FIFO, value)
#define sem_post(sem) semaphore_signal(*(sem))
#define sem_destroy(sem) semaphore_destroy(mach_task_self(), *(sem))

/* Returns 0, -EINTR or -ETIMEDOUT. `left` may be FL__NEVER. */
static int posix_sem_wait(const sem_t *sem, int64_t left)
{
	const mach_timespec_t time = {(unsigned)(left / FL_S(1)), (clock_res_t)(left % FL_S(1))};
	const kern_return_t rc = left == FL__NEVER ? semaphore_wait(*sem) : semaphore_timedwait(*sem, time);
	return rc == KERN_SUCCESS ? 0 : rc == KERN_OPERATION_TIMED_OUT ? -ETIMEDOUT : -EINTR;
}
#else
#include <semaphore.h>

/*
 * sem_clockwait() has been in POSIX since 2024, and in glibc since 2.30. Elsewhere the wait uses
 * sem_timedwait(), which follows the clock of the day. If that clock is set back during a sleep,
 * the deadline comes late by as much.
 */
#if (defined _POSIX_VERSION && _POSIX_VERSION >= 202405L) ||                                                           \
    (defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 30))
enum { POSIX_CLOCK = CLOCK_MONOTONIC };
#define POSIX_SEM_WAIT(sem, at) sem_clockwait(sem, POSIX_CLOCK, at)
#else
enum { POSIX_CLOCK = CLOCK_REALTIME };
#define POSIX_SEM_WAIT(sem, at) sem_timedwait(sem, at)
#endif

/* Returns 0, -EINTR or -ETIMEDOUT. `left` may be FL__NEVER. */
static int posix_sem_wait(sem_t *sem, int64_t left)
{
	struct timespec at;
	if (left == FL__NEVER)
		return FL__SYS_RESULT(sem_wait(sem));
	(void)clock_gettime(POSIX_CLOCK, &at);
	at.tv_nsec += (long)(left % FL_S(1));
	at.tv_sec += (time_t)(left / FL_S(1)) + at.tv_nsec / FL_S(1);
	at.tv_nsec %= FL_S(1);
	return FL__SYS_RESULT(POSIX_SEM_WAIT(sem, &at));
}
#endif

struct posix_sleeper {
	struct posix_sleeper *next, *prev;
	const uint32_t *word; /* NULL once a wake has removed it */
	sem_t woken;
};

#ifdef FL__LABORATORY
enum { POSIX_BUCKETS = 2 }; /* so that some words share one */
#else
enum { POSIX_BUCKETS = 64 };
#endif

static struct posix_bucket {
	pthread_mutex_t lock;
	struct posix_sleeper *first, *last;
} posix_buckets[POSIX_BUCKETS] = {[0 ... POSIX_BUCKETS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

/* Called with all signals blocked, except those of faults. */
static struct posix_bucket *posix_lock(const uint32_t *word)
{
	struct posix_bucket *b =
	    &posix_buckets[(uint32_t)((uintptr_t)word / 4) * 0x9e3779b1u / (UINT32_MAX / POSIX_BUCKETS + 1)];
	(void)pthread_mutex_lock(&b->lock);
	return b;
}

/* Lists the sleeper if *word == expected. Returns whether it did. */
static bool posix_enlist(struct posix_sleeper *me, const uint32_t *word, uint32_t expected)
{
	FL__SIGNALS_BLOCKED(false);
	struct posix_bucket *b = posix_lock(word);
	const bool sleeps = fl__load_relaxed(word) == expected; /* relaxed: the lock orders it (invariant 2) */
	me->word = word;
	if (sleeps)
		FL__QUEUE_ADD(b->first, b->last, me);
	(void)pthread_mutex_unlock(&b->lock);
	return sleeps;
}

/* Delists the sleeper. Returns whether a wake had removed it already. */
static bool posix_delist(struct posix_sleeper *me, const uint32_t *word)
{
	FL__SIGNALS_BLOCKED(false);
	struct posix_bucket *b = posix_lock(word);
	const bool woken = me->word == NULL;
	if (!woken)
		FL__QUEUE_REMOVE(b->first, b->last, me);
	(void)pthread_mutex_unlock(&b->lock);
	return woken;
}

static int posix_sleep(sem_t *woken, int64_t deadline)
{
	const int rc = posix_sem_wait(woken, deadline == FL__NEVER ? deadline : fl__time_left(deadline, FL_S(1 << 20)));
	return rc == -ETIMEDOUT && deadline > fl__sys.now() ? 0 : rc;
}

static int posix_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	struct posix_sleeper me;
	FL__KEEPS_ERRNO();
	if (sem_init(&me.woken, 0, 0) != 0) {
		fl__unix_yield(); /* no semaphore is left, so the waiter polls */
		return 0;
	}
	int rc = -EAGAIN;
	if (posix_enlist(&me, word, expected)) {
		rc = posix_sleep(&me.woken, deadline);
		if (posix_delist(&me, word))
			rc = 0;
	}
	(void)sem_destroy(&me.woken);
	return rc;
}

static int posix_wake(const uint32_t *word, int n)
{
	int woken = 0;
	FL__KEEPS_ERRNO();
	FL__SIGNALS_BLOCKED(false);
	struct posix_bucket *b = posix_lock(word);
	FL__EACH_SAFE (struct posix_sleeper, s, b->first) {
		if (woken == n)
			break;
		if (s->word != word)
			continue;
		FL__QUEUE_REMOVE(b->first, b->last, s);
		s->word = NULL;
		(void)sem_post(&s->woken);
		woken++;
	}
	(void)pthread_mutex_unlock(&b->lock);
	return woken;
}

FL__COLD static void posix_make_anew(void)
{
	for (size_t i = 0; i < POSIX_BUCKETS; i++)
		posix_buckets[i] = (struct posix_bucket){.lock = PTHREAD_MUTEX_INITIALIZER};
}

FL__MAKES_ANEW(posix_make_anew)

static void posix_nap(void)
{
	static const uint32_t nothing;
	(void)posix_wait(&nothing, 0, fl__sys.now() + FL_US(50));
}

static int posix_cpu(void)
{
	return -1;
}

static int posix_membarrier(void)
{
	return -ENOSYS;
}

static uint32_t posix_thread_id(void)
{
	static uint32_t last;
	static _Thread_local uint32_t id;
	if (id == 0)
		id = fl__add_relaxed(&last, 1) + 1; /* relaxed: only uniqueness matters */
	return id;
}

static bool posix_thread_exists(uint32_t thread)
{
	(void)thread;
	return true;
}

struct fl__sys fl__sys = {
    FL__UNIX_ENTRIES,
    .futex_wait = posix_wait,
    .futex_wake = posix_wake,
    .nap = posix_nap,
    .cpu = posix_cpu,
    .membarrier = posix_membarrier,
    .thread_id = posix_thread_id,
    .thread_exists = posix_thread_exists,
};

unsigned fl__cpu_affinity_count(void)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return cpus > 0 ? (unsigned)cpus : 1;
}

static pthread_t posix_main;

FL__AT_START_FIRST static void posix_note_main(void)
{
	posix_main = pthread_self();
}

bool fl__is_main_thread(void)
{
	return pthread_equal(pthread_self(), posix_main) != 0;
}

/*
 * Takes no lock, because POSIX does not give access to a lock of the loader. Therefore two copies
 * of the library, in several plugins, must not change their handlers at the same time.
 */
void fl__with_loader_locked(void (*change)(void *arg), void *arg)
{
	change(arg);
}
#endif
