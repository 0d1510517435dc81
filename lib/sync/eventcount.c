/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The eventcount, after Reed and Kanodia (1979), Vyukov's of 2008 and folly's EventCount. Unlike
 * those, it does not count waiters: a flag says that there may be some, and a notification that
 * sees the flag clears it.
 *
 *   field       meaning                      set by                     cleared by
 *   WAITERS     a waiter has prepared since  a prepare: or              a notification, with a
 *               the last change of the                                  change of the epoch
 *               epoch, or is in the queue
 *   QUEUED      the wait queue holds a       a waiter, under the queue  a notification, under the
 *               waiter, or a waiter gave up  lock: CAS, while the       queue lock, when the queue
 *               there; implies WAITERS       epoch equals its key       is empty
 *   epoch       notifications that saw       a notification: CAS; with  -
 *   (the rest)  WAITERS; in steps of EPOCH   QUEUED, a store under the
 *                                            queue lock
 *
 * Invariants
 *   1. With QUEUED set, the word changes only under the queue lock. WAITERS and QUEUED are cleared
 *      only together with a change of the epoch.
 *   2. Dekker (test waiter_flag_dekker). The waiter sets WAITERS, fences, then checks the
 *      condition. The notifier changes the condition, fences, then checks WAITERS. The fences have
 *      one total order. If the waiter's fence is first, the notifier sees WAITERS or a later
 *      epoch. If the notifier's fence is first, the waiter sees the condition.
 *   3. A node enters the queue only while the epoch equals its key, after QUEUED is set. So by 1,
 *      QUEUED is set while the node is queued. A waiter that prepared before a change of the epoch
 *      is in the queue at that change, and is taken then or later; or it never enters the queue.
 *   4. Linearization: notify, the change of the epoch, which is in the same transaction as the
 *      takes if the queue is not empty, or the load of the word if no context waits; wait, the
 *      take, or its check of the epoch.
 *
 * A thread polls the epoch for a bounded time before it enqueues. A notification in that time locks
 * no bucket. Even fl_eventcount_notify() then ends the waits of all polling threads.
 *
 * The epoch has 62 bits: at one notification a nanosecond it wraps after 146 years. (With 32 bits,
 * a waiter that is preempted between prepare and wait could sleep through 2^32 notifications.)
 *
 * A stale WAITERS, after the waiters found the condition true or gave up, is harmless: it sends one
 * notification to the slow path.
 */
#include "../base/atomic.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/eventcount.h>
#include <fairlead/time.h>

enum { EVENTCOUNT_WAITERS = 1, EVENTCOUNT_QUEUED = 2, EVENTCOUNT_EPOCH = 4 };

static uint64_t eventcount_epoch(uint64_t word)
{
	return word & ~(uint64_t)(EVENTCOUNT_EPOCH - 1);
}

/* Whether there was a notification after the prepare that made `key`. */
static bool eventcount_is_over(const fl_eventcount *ec, fl_eventcount_key key)
{
	/* acquire: pairs with the fence in eventcount_notify(), through eventcount_notify_slow() */
	return eventcount_epoch(fl__load_acquire(&ec->word_)) != key;
}

int fl_eventcount_destroy(fl_eventcount *ec)
{
	return fl__lot_has_waiters_at(ec) ? -EBUSY : 0;
}

fl_eventcount_key fl_eventcount_prepare(fl_eventcount *ec)
{
	uint64_t seen = fl__or_relaxed(&ec->word_, EVENTCOUNT_WAITERS); /* relaxed: the fence orders it */
	fl__fence_seq_cst();                                            /* invariant 2: eventcount_notify() */
	return eventcount_epoch(seen);
}

/* Enqueues `node`: true. If the wait is over: false. */
static bool eventcount_enqueue(fl_eventcount *ec, fl_eventcount_key key, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, ec);
	uint64_t seen = fl__load_relaxed(&ec->word_); /* relaxed: the CAS decides */
	bool waits;
	do
		waits = eventcount_epoch(seen) == key;
	/* relaxed: a flag for eventcount_notify_slow(), which then locks the queue */
	while (waits && !fl__cas_weak_relaxed(&ec->word_, &seen, seen | EVENTCOUNT_QUEUED));
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	if (!waits)
		(void)fl__load_acquire(&ec->word_); /* as in eventcount_is_over() */
	return waits;
}

struct eventcount_poll {
	const fl_eventcount *eventcount;
	fl_eventcount_key key;
};

static bool eventcount_is_changed(const void *what)
{
	const struct eventcount_poll *poll = what;
	/* relaxed: the caller acquires in eventcount_is_over() */
	return eventcount_epoch(fl__load_relaxed(&poll->eventcount->word_)) != poll->key;
}

int fl_eventcount_wait_until(fl_eventcount *ec, fl_eventcount_key key, int64_t deadline, fl_cancel_token *cancel)
{
	if (eventcount_is_over(ec, key))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_EVENTCOUNT, ec);
	const struct eventcount_poll poll = {ec, key};
	if (fl__wait_spin(&wait, eventcount_is_changed, &poll, deadline, cancel) && eventcount_is_over(ec, key))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	if (!eventcount_enqueue(ec, key, &node))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

int fl_eventcount_try_wait(fl_eventcount *ec, fl_eventcount_key key)
{
	return eventcount_is_over(ec, key) ? 0 : -EAGAIN;
}

/*
 * Changes the epoch and wakes up to `max` queued waiters: true. If QUEUED was cleared before the
 * queue was locked: false.
 */
static bool eventcount_notify_queue(fl_eventcount *ec, size_t max)
{
	struct fl__lot lot;
	fl__lot_open(&lot, ec);
	const uint64_t seen = fl__load_relaxed(&ec->word_); /* relaxed: invariant 1 */
	if (seen & EVENTCOUNT_QUEUED) {
		fl__lot_take(&lot, max, 0);
		fl__tsan_release(&ec->word_);
		/*
		 * relaxed: the fence in eventcount_notify() releases; pairs with
		 * eventcount_is_over(). The last access.
		 */
		fl__store_relaxed(&ec->word_,
		                  eventcount_epoch(seen) + EVENTCOUNT_EPOCH +
		                      (fl__lot_has_waiters(&lot) ? EVENTCOUNT_WAITERS | EVENTCOUNT_QUEUED : 0));
	}
	fl__lot_close(&lot);
	return seen & EVENTCOUNT_QUEUED;
}

__attribute__((noinline, cold)) static void eventcount_notify_slow(fl_eventcount *ec, size_t max)
{
	/* relaxed: the CAS decides; without WAITERS, invariant 2 covers this load, too */
	uint64_t seen = fl__load_relaxed(&ec->word_);
	while (seen & EVENTCOUNT_WAITERS) {
		if (!(seen & EVENTCOUNT_QUEUED)) {
			fl__tsan_release(&ec->word_);
			/* relaxed: as in eventcount_notify_queue(). The last access. */
			if (fl__cas_weak_relaxed(&ec->word_, &seen, eventcount_epoch(seen) + EVENTCOUNT_EPOCH))
				return;
		} else if (eventcount_notify_queue(ec, max)) {
			return;
		} else {
			seen = fl__load_relaxed(&ec->word_); /* relaxed: as above */
		}
	}
}

static void eventcount_notify(fl_eventcount *ec, size_t max)
{
	/* invariant 2; pairs with fl_eventcount_prepare() and eventcount_is_over() */
	fl__fence_seq_cst();
	/* relaxed: the fence orders it */
	if (__builtin_expect(fl__load_relaxed(&ec->word_) & EVENTCOUNT_WAITERS, 0))
		eventcount_notify_slow(ec, max);
}

void fl_eventcount_notify(fl_eventcount *ec)
{
	eventcount_notify(ec, 1);
}

void fl_eventcount_notify_all(fl_eventcount *ec)
{
	eventcount_notify(ec, FL__ALL);
}

static bool eventcount_ready(void *object)
{
	const fl_eventcount_watch *watch = object;
	return eventcount_is_over(watch->eventcount, watch->key);
}

static bool eventcount_arm(void *object, struct fl__node *node)
{
	const fl_eventcount_watch *watch = object;
	return eventcount_enqueue(watch->eventcount, watch->key, node);
}

const fl_on_type fl__on_eventcount = {eventcount_ready, eventcount_arm, fl__node_disarm, NULL};
