/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore: permits in the low 31 bits of a word, WAITERS in the top one.
 *
 *   field       meaning                     changed by
 *   permits     free ones                   acquire: CAS - 1; release: CAS + n, or that of release_waking()
 *   WAITERS     somebody may wait           set by take(), CAS, under the monitor, while there is no permit; cleared by
 *                                           release_waking(), under the monitor, with the permits it gives, unless others
 *                                           stand behind the head of the line
 *
 * Invariants
 *   1. With WAITERS permits are added under the monitor alone, and taken by anybody: a release without the monitor needs
 *      WAITERS to be clear.
 *   2. Somebody sleeps => WAITERS, or a wake of all has been given since they lay down. A sleeper has set WAITERS under
 *      the monitor, and lies down only while the line's count is the same as then; WAITERS goes with the CAS of a release that
 *      has woken all before, which changed the count. So a release that finds WAITERS clear has nobody to wake, and no
 *      sleeper misses it: both are decided by CASes on one word. (The line's own `waiting` says the same of the count: a
 *      sleeper sets both under the monitor, and a release clears both.)
 *   3. Linearization: acquire, its CAS; release, its CAS.
 *
 * Killed in take(): with its permit, or without. Between WAITERS and its sleep: a release goes the slow way once. In
 * release_waking(), before its CAS: nothing was given; those who were woken find no permit and set WAITERS again. After it:
 * they find it. The monitor and the head of the line go to the next by the kernel (lock.c).
 *
 * Safe mistake: WAITERS without a sleeper sends one release the slow way.
 */
#include "../base/atomic.h"
#include "line.h"
#include <errno.h>
#include <fairlead/shm_sem.h>
#include <fairlead/time.h>

_Static_assert(sizeof(struct fl__shm_lock) == sizeof((fl_shm_sem *)0)->lock_ &&
                   sizeof(struct fl__shm_line) == sizeof((fl_shm_sem *)0)->line_,
               "fl_shm_sem has room for a lock and a line");

static const uint32_t WAITERS = 0x80000000u;

static struct fl__shm_lock *lock_of(fl_shm_sem *s)
{
	return (struct fl__shm_lock *)(void *)s->lock_;
}

static struct fl__shm_line *line_of(fl_shm_sem *s)
{
	return (struct fl__shm_line *)(void *)s->line_;
}

static uint32_t permits_of(uint32_t word)
{
	return word & FL_SHM_SEM_MAX;
}

/* Takes `n` permits, 0 or 1, if there is one. Else leaves in `seen` the word without permits. */
static bool try_take(fl_shm_sem *s, uint32_t n, uint32_t *seen)
{
	*seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	while (permits_of(*seen) > 0)
		/* acquire: pairs with the release in fl_shm_sem_release_n() and release_waking() */
		if (fl__cas_weak_acquire(&s->word_, seen, *seen - n))
			return true;
	return false;
}

/* Under the monitor: 0; -EAGAIN, and the word says that somebody waits. */
static int take(fl_shm_sem *s, uint32_t n)
{
	uint32_t seen;
	while (!try_take(s, n, &seen))
		if (seen & WAITERS || fl__cas_weak_relaxed(&s->word_, &seen, WAITERS)) /* relaxed: publishes nothing */
			return -EAGAIN;
	return 0;
}

static int take_one(void *s)
{
	return take(s, 1);
}

static int take_none(void *s)
{
	return take(s, 0);
}

static bool has_permit(const void *object)
{
	const fl_shm_sem *s = object;
	return permits_of(fl__load_relaxed(&s->word_)) > 0; /* relaxed: a guess */
}

static struct fl__shm_op op_of(fl_shm_sem *s, int (*attempt)(void *))
{
	return (struct fl__shm_op){lock_of(s), line_of(s), attempt, has_permit, s, false};
}

int fl_shm_sem_init(fl_shm_sem *s, uint32_t permits)
{
	if (permits > FL_SHM_SEM_MAX)
		return -EINVAL;
	*s = (fl_shm_sem){{0}, {0}, permits, 0};
	return 0;
}

int fl_shm_sem_acquire_until(fl_shm_sem *s, int64_t deadline, fl_cancel *cancel)
{
	uint32_t seen;
	if (try_take(s, 1, &seen))
		return 0;
	struct fl__shm_op op = op_of(s, take_one);
	return fl__shm_await(&op, deadline, cancel);
}

int fl_shm_sem_acquire(fl_shm_sem *s)
{
	return fl_shm_sem_acquire_until(s, FL_FOREVER, NULL);
}

int fl_shm_sem_try_acquire(fl_shm_sem *s)
{
	uint32_t seen;
	return try_take(s, 1, &seen) ? 0 : -EAGAIN;
}

/* Wakes who waits, and gives; -EAGAIN when WAITERS was gone before it came to it. */
static int release_waking(fl_shm_sem *s, uint32_t n)
{
	struct fl__shm_held held;
	if (fl__shm_enter(lock_of(s), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	int rc = seen & WAITERS ? 0 : -EAGAIN;
	if (rc == 0 && n > FL_SHM_SEM_MAX - permits_of(seen))
		rc = -EOVERFLOW;
	if (rc == 0) {
		uint32_t line = fl__shm_is_awaited(&line_of(s)->head) ? WAITERS : 0;
		fl__shm_announce(line_of(s));
		while (
		    !fl__cas_weak_release(&s->word_, &seen, (permits_of(seen) + n) | line)) /* pairs with try_take() */
			;
		fl__shm_announced(line_of(s), permits_of(seen) + n - 1);
	}
	fl__shm_leave(lock_of(s), &held);
	return rc;
}

int fl_shm_sem_release_n(fl_shm_sem *s, uint32_t n)
{
	int rc = n == 0 ? 0 : -EAGAIN;
	while (rc == -EAGAIN) {
		uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
		if (n > FL_SHM_SEM_MAX - permits_of(seen))
			rc = -EOVERFLOW;
		else if (seen & WAITERS)
			rc = release_waking(s, n);
		else if (fl__cas_weak_release(&s->word_, &seen, seen + n)) /* pairs with try_take() */
			rc = 0;
	}
	return rc;
}

int fl_shm_sem_release(fl_shm_sem *s)
{
	return fl_shm_sem_release_n(s, 1);
}

uint32_t fl_shm_sem_value(const fl_shm_sem *s)
{
	return permits_of(fl__load_relaxed(&s->word_)); /* relaxed: out of date when it returns */
}

static bool on_ready(void *object)
{
	const fl_shm_sem *s = object;
	return permits_of(fl__load_acquire(&s->word_)) > 0; /* pairs with the releases, as try_take() */
}

static bool on_arm(void *object, struct fl__node *node)
{
	struct fl__shm_op op = op_of(object, take_none);
	return fl__shm_line_arm(&op, node);
}

static void on_disarm(void *object, struct fl__node *node)
{
	(void)object;
	fl__shm_line_disarm(node);
}

const fl_on_type fl__on_shm_sem = {on_ready, on_arm, on_disarm, NULL};
