/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The eventcount, after Reed and Kanodia (1979), Vyukov's of 2008 and folly's EventCount. Unlike
 * those, it does not count waiters: a flag says that there may be some, and a notification that
 * sees the flag clears it.
 *
 *   field       meaning                      set by                     cleared by
 *   WAITERS     a waiter has prepared since  prepare(): or              notify_slow(), with a
 *               the last change of the                                  change of the epoch
 *               epoch, or is in the queue
 *   LINE        the wait queue holds a       line_up(), under the       notify_slow(), under the
 *               waiter, or a waiter gave up  queue lock: CAS, while     queue lock, when the queue
 *               there; implies WAITERS       the epoch equals its key   is empty
 *   epoch       notifications that saw       notify_slow(): CAS; with   -
 *   (the rest)  WAITERS; in steps of EPOCH   LINE, a store under the
 *                                            queue lock
 *
 * Invariants
 *   1. With LINE set, the word changes only under the queue lock. WAITERS and LINE are cleared only
 *      together with a change of the epoch.
 *   2. Dekker (waiter_flag_dekker). The waiter sets WAITERS, fences, then checks the condition. The
 *      notifier changes the condition, fences, then checks WAITERS. The fences have one total
 *      order. If the waiter's fence is first, the notifier sees WAITERS or a later epoch. If the
 *      notifier's fence is first, the waiter sees the condition.
 *   3. A node enters the queue only while the epoch equals its key, after LINE is set. So by 1,
 *      LINE is set while the node is queued. A waiter that prepared before a change of the epoch is
 *      in the queue at that change, and is taken then or later; or it never enters the queue.
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

enum { WAITERS = 1, LINE = 2, EPOCH = 4 };

static uint64_t epoch_of(uint64_t word)
{
	return word & ~(uint64_t)(EPOCH - 1);
}

/* Whether there was a notification after the prepare that made `key`. */
static bool is_over(const fl_eventcount *ec, fl_eventcount_key key)
{
	/* acquire: pairs with the fence in notify(), through notify_slow() */
	return epoch_of(fl__load_acquire(&ec->word_)) != key;
}

int fl_eventcount_destroy(fl_eventcount *ec)
{
	return fl__lot_waited(ec) ? -EBUSY : 0;
}

fl_eventcount_key fl_eventcount_prepare(fl_eventcount *ec)
{
	uint64_t seen = fl__or_relaxed(&ec->word_, WAITERS); /* relaxed: the fence orders it */
	fl__fence_seq_cst();                                 /* invariant 2; pairs with notify() */
	return epoch_of(seen);
}

/* Enqueues `node`: true. If the wait is over: false. */
static bool line_up(fl_eventcount *ec, fl_eventcount_key key, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, ec);
	uint64_t seen = fl__load_relaxed(&ec->word_); /* relaxed: the CAS decides */
	bool waits;
	do
		waits = epoch_of(seen) == key;
	/* relaxed: a flag for notify_slow(), which then locks the queue */
	while (waits && !fl__cas_weak_relaxed(&ec->word_, &seen, seen | LINE));
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	if (!waits)
		(void)fl__load_acquire(&ec->word_); /* as in is_over() */
	return waits;
}

struct watch {
	const fl_eventcount *eventcount;
	fl_eventcount_key key;
};

static bool is_changed(const void *what)
{
	const struct watch *watch = what;
	/* relaxed: the caller acquires in is_over() */
	return epoch_of(fl__load_relaxed(&watch->eventcount->word_)) != watch->key;
}

int fl_eventcount_wait_until(fl_eventcount *ec, fl_eventcount_key key, int64_t deadline, fl_cancel_token *cancel)
{
	if (is_over(ec, key))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait);
	const struct watch watch = {ec, key};
	if (fl__wait_look(&wait, is_changed, &watch, deadline, cancel) && is_over(ec, key))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	if (!line_up(ec, key, &node))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

int fl_eventcount_try_wait(fl_eventcount *ec, fl_eventcount_key key)
{
	return is_over(ec, key) ? 0 : -EAGAIN;
}

/*
 * Changes the epoch and wakes up to `max` queued waiters: true. If LINE was cleared before the
 * queue was locked: false.
 */
static bool notify_line(fl_eventcount *ec, size_t max)
{
	struct fl__lot lot;
	fl__lot_open(&lot, ec);
	const uint64_t seen = fl__load_relaxed(&ec->word_); /* relaxed: invariant 1 */
	if (seen & LINE) {
		fl__lot_take(&lot, max, 0);
		fl__tsan_release(&ec->word_);
		/*
		 * relaxed: the fence in notify() releases; pairs with is_over(). The last access.
		 */
		fl__store_relaxed(&ec->word_, epoch_of(seen) + EPOCH + (fl__lot_more(&lot) ? WAITERS | LINE : 0));
	}
	fl__lot_close(&lot);
	return seen & LINE;
}

__attribute__((noinline, cold)) static void notify_slow(fl_eventcount *ec, size_t max)
{
	/* relaxed: the CAS decides; without WAITERS, invariant 2 covers this load, too */
	uint64_t seen = fl__load_relaxed(&ec->word_);
	while (seen & WAITERS) {
		if (!(seen & LINE)) {
			fl__tsan_release(&ec->word_);
			/* relaxed: as in notify_line(). The last access. */
			if (fl__cas_weak_relaxed(&ec->word_, &seen, epoch_of(seen) + EPOCH))
				return;
		} else if (notify_line(ec, max)) {
			return;
		} else {
			seen = fl__load_relaxed(&ec->word_); /* relaxed: as above */
		}
	}
}

static void notify(fl_eventcount *ec, size_t max)
{
	fl__fence_seq_cst(); /* invariant 2; pairs with fl_eventcount_prepare() and is_over() */
	/* relaxed: the fence orders it */
	if (__builtin_expect(fl__load_relaxed(&ec->word_) & WAITERS, 0))
		notify_slow(ec, max);
}

void fl_eventcount_notify(fl_eventcount *ec)
{
	notify(ec, 1);
}

void fl_eventcount_notify_all(fl_eventcount *ec)
{
	notify(ec, FL__ALL);
}

static bool on_ready(void *object)
{
	const fl_eventcount_watch *watch = object;
	return is_over(watch->eventcount, watch->key);
}

static bool on_arm(void *object, struct fl__node *node)
{
	const fl_eventcount_watch *watch = object;
	return line_up(watch->eventcount, watch->key, node);
}

const fl_on_type fl__on_eventcount = {on_ready, on_arm, fl__node_disarm, NULL};
