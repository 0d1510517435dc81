/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore in shared memory is one word: permits are in the low 31 bits, WAITERS is the top
 * bit.
 *
 *   field     meaning              changed by
 *   permits   free permits         an acquire: CAS, - 1; a release: CAS, + n
 *   WAITERS   a waiter may exist   set by shm_sem_attempt(), CAS, under the monitor, while there is
 *                                  no permit; cleared by shm_sem_release_waking(), under the
 *                                  monitor, in the CAS that adds permits, unless waiters queue
 *                                  behind `head`
 *
 * Invariants
 *   1. While the word has WAITERS, permits are added only under the monitor.
 *   2. While a waiter sleeps, the word has WAITERS, or all waiters were woken since the sleep
 *      began. A waiter sets WAITERS under the monitor, and sleeps only while the wait queue's
 *      `changes` has the value that it had then. A release clears WAITERS in its CAS, after it has
 *      incremented `changes` and woken all waiters. The CAS that sets WAITERS and the CAS that
 *      clears it change the same word, so one of them comes first, and the other sees it.
 *   3. The linearization points are the CAS of an acquire, and the CAS of a release.
 *
 * Kills. If a waiter is killed between its CAS to WAITERS and its sleep, one release takes the slow
 * path. If a thread is killed in shm_sem_release_waking() before its CAS, no permit is released,
 * the word still has WAITERS, and the woken waiters sleep again. If it is killed after its CAS, the
 * waiters find the permits.
 */
#include "core/base/atomic.h"
#include "shm_wait_queue.h"
#include <errno.h>
#include <fairlead/shm_sem.h>
#include <fairlead/time.h>

FL__SHM_ASSERT_ROOM(fl_shm_sem);

static const uint32_t SHM_SEM_WAITERS = 0x80000000u;

static uint32_t shm_sem_permits(uint32_t word)
{
	return word & FL_SHM_SEM_MAX;
}

/*
 * Acquires `n` permits, 0 or 1, if a permit is free. Otherwise stores the word, which has no
 * permits, in *seen.
 */
static bool shm_sem_try_acquire(fl_shm_sem *s, uint32_t n, uint32_t *seen)
{
	/* relaxed: a stale value only makes the CAS fail, or shows a moment without permits */
	*seen = fl__load_relaxed(&s->word_);
	while (shm_sem_permits(*seen) > 0)
		/*
		 * acquire: pairs with the releases in fl_shm_sem_release_n() and
		 * shm_sem_release_waking()
		 */
		if (fl__cas_weak_acquire(&s->word_, seen, *seen - n))
			return true;
	return false;
}

/* Called under the monitor. Returns 0, or sets WAITERS and returns -EAGAIN. */
static int shm_sem_attempt(fl_shm_sem *s, uint32_t n)
{
	uint32_t seen;
	while (!shm_sem_try_acquire(s, n, &seen))
		/* relaxed: the CAS publishes nothing */
		if (seen & SHM_SEM_WAITERS || fl__cas_weak_relaxed(&s->word_, &seen, SHM_SEM_WAITERS))
			return -EAGAIN;
	return 0;
}

static int shm_sem_attempt_acquire(void *s)
{
	return shm_sem_attempt(s, 1);
}

static int shm_sem_attempt_arm(void *s)
{
	return shm_sem_attempt(s, 0);
}

static bool shm_sem_has_permit(const void *object)
{
	const fl_shm_sem *s = object;
	/* relaxed: only a hint; the attempt acquires */
	return shm_sem_permits(fl__load_relaxed(&s->word_)) > 0;
}

static struct fl__shm_op shm_sem_op(fl_shm_sem *s, int (*attempt)(void *))
{
	return (struct fl__shm_op){
	    fl__shm_lock_at(s->lock_), fl__shm_wait_queue_at(s->waiters_), attempt, shm_sem_has_permit, s, false};
}

int fl_shm_sem_acquire_until(fl_shm_sem *s, fl_time deadline, fl_cancel_token *cancel)
{
	uint32_t seen;
	if (shm_sem_try_acquire(s, 1, &seen))
		return 0;
	struct fl__shm_op op = shm_sem_op(s, shm_sem_attempt_acquire);
	return fl__shm_await(&op, deadline, cancel);
}

int fl_shm_sem_try_acquire(fl_shm_sem *s)
{
	uint32_t seen;
	return shm_sem_try_acquire(s, 1, &seen) ? 0 : -EAGAIN;
}

/*
 * Releases permits to a word with WAITERS. Returns 0, -EOVERFLOW, -EBADMSG if the monitor's memory
 * is damaged, or -EAGAIN if another thread has cleared WAITERS before.
 */
static int shm_sem_release_waking(fl_shm_sem *s, uint32_t n)
{
	struct fl__shm_held held;
	if (fl__shm_enter(fl__shm_lock_at(s->lock_), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	/*
	 * relaxed: under the monitor WAITERS does not change; a stale number of permits makes
	 * the CAS fail
	 */
	uint32_t seen = fl__load_relaxed(&s->word_);
	int rc = seen & SHM_SEM_WAITERS ? 0 : -EAGAIN;
	if (rc == 0 && n > FL_SHM_SEM_MAX - shm_sem_permits(seen))
		rc = -EOVERFLOW;
	if (rc == 0) {
		uint32_t waiters = fl__shm_has_waiters(&fl__shm_wait_queue_at(s->waiters_)->head) ? SHM_SEM_WAITERS : 0;
		fl__shm_wake_before_commit(fl__shm_wait_queue_at(s->waiters_));
		/*
		 * release: pairs with the acquires in shm_sem_try_acquire() and
		 * shm_sem_on_ready()
		 */
		while (!fl__cas_weak_release(&s->word_, &seen, (shm_sem_permits(seen) + n) | waiters))
			;
		fl__shm_wake_after_commit(fl__shm_wait_queue_at(s->waiters_), shm_sem_permits(seen) + n - 1);
	}
	fl__shm_leave(fl__shm_lock_at(s->lock_), &held);
	return rc;
}

int fl_shm_sem_release_n(fl_shm_sem *s, uint32_t n)
{
	int rc = n == 0 ? 0 : -EAGAIN;
	while (rc == -EAGAIN) {
		/*
		 * relaxed: the value was current at some moment. The CAS, or the critical section
		 * of the monitor, checks it again, except for -EOVERFLOW, which is true of that
		 * moment.
		 */
		uint32_t seen = fl__load_relaxed(&s->word_);
		if (n > FL_SHM_SEM_MAX - shm_sem_permits(seen))
			rc = -EOVERFLOW;
		else if (seen & SHM_SEM_WAITERS)
			rc = shm_sem_release_waking(s, n);
		/*
		 * release: pairs with the acquires in shm_sem_try_acquire() and
		 * shm_sem_on_ready()
		 */
		else if (fl__cas_weak_release(&s->word_, &seen, seen + n))
			rc = 0;
	}
	return rc;
}

uint32_t fl_shm_sem_value(const fl_shm_sem *s)
{
	/* relaxed: the number may be out of date when the function returns anyway */
	return shm_sem_permits(fl__load_relaxed(&s->word_));
}

static bool shm_sem_on_ready(void *object)
{
	const fl_shm_sem *s = object;
	/*
	 * acquire: pairs with the releases in fl_shm_sem_release_n() and
	 * shm_sem_release_waking()
	 */
	return shm_sem_permits(fl__load_acquire(&s->word_)) > 0;
}

static bool shm_sem_on_arm(void *object, struct fl__node *node)
{
	struct fl__shm_op op = shm_sem_op(object, shm_sem_attempt_arm);
	return fl__shm_wait_arm(&op, node);
}

const fl_on_type fl__on_shm_sem = {shm_sem_on_ready, shm_sem_on_arm, fl__bridge_disarm, NULL};
