/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event in shared memory is one word:
 *
 *   field     meaning                  set by                           cleared by
 *   SET       the event is set         fl_shm_event_set(), CAS;         fl_shm_event_reset()
 *                                      shm_event_set_waking()
 *   WAITERS   a waiter may exist       shm_event_attempt(), CAS,        shm_event_set_waking(),
 *                                      under the monitor, if not SET    under the monitor
 *   the rest  counts the sets that     shm_event_set_waking(), under    -
 *             found WAITERS            the monitor
 *
 * The count lets a waiter see a set that was reset at once. It wraps after 2^30 such sets.
 *
 * Invariants
 *   1. WAITERS implies not SET. While the word has WAITERS, the word changes only under the
 *      monitor: a reset changes nothing then.
 *   2. While a waiter sleeps, the word has WAITERS, or all waiters were woken since the sleep
 *      began. A waiter sets WAITERS under the monitor, and sleeps only while the wait queue's
 *      `changes` has the value that it had then. A set that finds WAITERS increments `changes` and
 *      wakes all waiters before the store that clears WAITERS.
 *   3. The linearization point of a set is its CAS or its store. The linearization point of a wait
 *      is the load that finds SET or another count.
 *
 * A set without WAITERS, and a reset, are read-modify-writes even if they change nothing;
 * lib/core/sync/event.c says why.
 *
 * Kills. If a waiter is killed between its CAS to WAITERS and its sleep, one set takes the slow
 * path. If a thread is killed in shm_event_set_waking() before its store, the event is not set, the
 * word still has WAITERS, and the woken waiters sleep again. If it is killed after its store, the
 * waiters find another count.
 */
#include "core/base/atomic.h"
#include "shm_wait_queue.h"
#include <errno.h>
#include <fairlead/shm_event.h>
#include <fairlead/time.h>

FL__SHM_ASSERT_ROOM(fl_shm_event);

enum { SHM_EVENT_SET = FL_SHM_EVENT_SET_, SHM_EVENT_WAITERS = 2, SHM_EVENT_COUNT = 4 };

struct shm_event_waiter {
	fl_shm_event *e;
	uint32_t count; /* the count of sets at the waiter's first attempt */
	bool looked;
};

static uint32_t shm_event_count(uint32_t word)
{
	return word / SHM_EVENT_COUNT;
}

static bool shm_event_is_over(const struct shm_event_waiter *w, uint32_t word)
{
	return (word & SHM_EVENT_SET) || (w->looked && shm_event_count(word) != w->count);
}

/* Called under the monitor. Returns 0, or sets WAITERS and returns -EAGAIN. */
static int shm_event_attempt(void *arg)
{
	struct shm_event_waiter *w = arg;
	/* acquire: pairs with the releases in fl_shm_event_set() and shm_event_set_waking() */
	uint32_t seen = fl__load_acquire(&w->e->word_);
	for (;;) {
		if (shm_event_is_over(w, seen))
			return 0;
		/* relaxed: the CAS publishes nothing */
		if ((seen & SHM_EVENT_WAITERS) || fl__cas_weak_relaxed(&w->e->word_, &seen, seen | SHM_EVENT_WAITERS))
			break;
		/*
		 * acquire: pairs with the releases in fl_shm_event_set() and
		 * shm_event_set_waking()
		 */
		seen = fl__load_acquire(&w->e->word_);
	}
	w->count = shm_event_count(seen);
	w->looked = true;
	return -EAGAIN;
}

static bool shm_event_may_be_over(const void *arg)
{
	const struct shm_event_waiter *w = arg;
	/* relaxed: only a hint; the attempt looks again, with acquire */
	return shm_event_is_over(w, fl__load_relaxed(&w->e->word_));
}

static struct fl__shm_op shm_event_op(struct shm_event_waiter *w)
{
	return (struct fl__shm_op){fl__shm_lock_at(w->e->lock_),
	                           fl__shm_wait_queue_at(w->e->waiters_),
	                           shm_event_attempt,
	                           shm_event_may_be_over,
	                           w,
	                           true};
}

/*
 * Sets the event of a word with WAITERS. Returns 0; -EBADMSG if the monitor's memory is damaged; or
 * -EAGAIN if another thread has cleared WAITERS before.
 */
static int shm_event_set_waking(fl_shm_event *e)
{
	struct fl__shm_held held;
	if (fl__shm_enter(fl__shm_lock_at(e->lock_), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	int rc = -EAGAIN;
	/* relaxed: a word with WAITERS changes only under the monitor (invariant 1) */
	uint32_t seen = fl__load_relaxed(&e->word_);
	if (seen & SHM_EVENT_WAITERS) {
		fl__shm_wake_before_commit(fl__shm_wait_queue_at(e->waiters_));
		/* release: pairs with every acquire in this file, and with fl_shm_event_is_set() */
		fl__store_release(&e->word_, (shm_event_count(seen) + 1) * SHM_EVENT_COUNT | SHM_EVENT_SET);
		fl__shm_wake_after_commit(fl__shm_wait_queue_at(e->waiters_), 0);
		rc = 0;
	}
	fl__shm_leave(fl__shm_lock_at(e->lock_), &held);
	return rc;
}

int fl_shm_event_set(fl_shm_event *e)
{
	int rc = -EAGAIN;
	while (rc == -EAGAIN) {
		/* relaxed: a stale value only makes the CAS or the check under the monitor fail */
		uint32_t seen = fl__load_relaxed(&e->word_);
		if (seen & SHM_EVENT_WAITERS)
			rc = shm_event_set_waking(e);
		/* release: pairs with every acquire in this file, and with fl_shm_event_is_set() */
		else if (fl__cas_weak_release(&e->word_, &seen, seen | SHM_EVENT_SET))
			rc = 0;
	}
	return rc;
}

void fl_shm_event_reset(fl_shm_event *e)
{
	/* acquire: pairs with the releases in fl_shm_event_set() and shm_event_set_waking() */
	(void)fl__and_acquire(&e->word_, ~(uint32_t)SHM_EVENT_SET);
}

int fl_shm_event_wait_until(fl_shm_event *e, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl_shm_event_is_set(e))
		return 0;
	struct shm_event_waiter w = {e, 0, false};
	struct fl__shm_op op = shm_event_op(&w);
	return fl__shm_await(&op, deadline, cancel);
}

static bool shm_event_on_ready(void *object)
{
	return fl_shm_event_is_set(object);
}

static bool shm_event_on_arm(void *object, struct fl__node *node)
{
	struct shm_event_waiter w = {object, 0, false};
	struct fl__shm_op op = shm_event_op(&w);
	return fl__shm_wait_arm(&op, node);
}

const fl_on_type fl__on_shm_event = {shm_event_on_ready, shm_event_on_arm, fl__bridge_disarm, NULL};
