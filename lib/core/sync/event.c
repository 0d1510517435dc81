/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event is a word, and a wait queue in the parking lot (wait/lot.h).
 *
 *   field    meaning                     set by                      cleared by
 *   SET      the event is set            fl_event_set(): CAS, or     fl_event_reset(); with AUTO,
 *                                        under the queue lock        a wait: CAS
 *   WAITERS  the wait queue may be not   a waiter, under the queue   fl_event_set(), under the
 *            empty                       lock, while SET is clear    queue lock
 *   AUTO     a wait resets the event     fl_event_init_auto()        -
 *   sets     the number of sets, modulo  fl_event_set(), unless      -
 *            2^29                        AUTO
 *
 * A wait that has yet to enqueue uses `sets` to notice a set that was reset at once. SET and
 * WAITERS are never set together. While WAITERS is set, the word changes only under the queue lock,
 * except that a reset may write the same value again.
 *
 * A set linearizes at its CAS, or at its store under the queue lock, which is its last access. The
 * store and the takes are in the same transaction. So even if a reset follows at once, a set wakes
 * each waiter that is queued (with AUTO, the first of them), and no later waiter. A wait with AUTO
 * linearizes at its CAS, or at the take that hands the set over to it.
 *
 * Set and reset always write the word, even if they do not change it: by a read-modify-write or, in
 * a set that finds WAITERS, by the store under the queue lock. So a context that resets the event,
 * then checks for work, and then waits, misses no work: either the reset acquires the setter's
 * writes, and the check finds the work, or the set follows the reset, and the wait returns.
 */
#include "../base/atomic.h"
#include "../wait/lot.h"
#include <fairlead/event.h>

enum { EVENT_SET = FL_EVENT_SET_, EVENT_WAITERS = 2, EVENT_AUTO = FL_EVENT_AUTO_, EVENT_ONE_SET = 8 };

#define EVENT_SETS (~(uint32_t)(EVENT_ONE_SET - 1))

void fl_event_destroy(fl_event *e)
{
	fl__hook_destroy(e, e, fl__lot_has_waiters_at(e));
}

/*
 * Sets an event that has WAITERS, and wakes the waiters (with AUTO, the first of them). If WAITERS
 * was cleared before the queue was locked, does nothing and returns false.
 */
static bool event_set_waking(fl_event *e)
{
	FL__LOT(lot, e);
	/*
	 * relaxed: while WAITERS is set, only a reset writes the word without the lock, and it
	 * writes the same value
	 */
	uint32_t seen = fl__load_relaxed(&e->word_);
	if (seen & EVENT_WAITERS) {
		bool taken = fl__lot_take(&lot, seen & EVENT_AUTO ? 1 : FL__ALL, 0) > 0;
		uint32_t next = (seen + EVENT_ONE_SET) & EVENT_SETS;
		if (seen & EVENT_AUTO)
			next = EVENT_AUTO | (fl__lot_has_waiters(&lot) ? EVENT_WAITERS : 0);
		if (!(seen & EVENT_AUTO) || !taken)
			next |= EVENT_SET;
		/*
		 * release: pairs with the acquires in event_try_take(), event_enqueue(),
		 * fl_event_is_set() and fl_event_reset(). The last access.
		 */
		fl__store_release(&e->word_, next);
	}
	return seen & EVENT_WAITERS;
}

void fl_event_set(fl_event *e)
{
	uint32_t seen = fl__load_relaxed(&e->word_); /* relaxed: a stale value costs one more round */
	for (;;) {
		uint32_t next = (seen & EVENT_AUTO ? seen : seen + EVENT_ONE_SET) | EVENT_SET;
		/*
		 * release, even if SET is set: pairs with the acquires in event_try_take(),
		 * event_enqueue(), fl_event_is_set() and fl_event_reset()
		 */
		if (!(seen & EVENT_WAITERS) && fl__cas_weak_release(&e->word_, &seen, next))
			return;
		if ((seen & EVENT_WAITERS) && event_set_waking(e))
			return;
		seen = fl__load_relaxed(&e->word_); /* relaxed: a stale value costs one more round */
	}
}

void fl_event_reset(fl_event *e)
{
	/* acquire: pairs with the release in fl_event_set() */
	(void)fl__and_acquire(&e->word_, ~(uint32_t)EVENT_SET);
}

/* Returns whether the event is set, or was set since the word was `first`. */
static bool event_is_over(uint32_t seen, uint32_t first)
{
	return (seen & EVENT_SET) || ((seen ^ first) & EVENT_SETS);
}

/* Returns whether a wait that began with the word `first` is over. With AUTO, takes the set. */
static bool event_try_take(fl_event *e, uint32_t first)
{
	uint32_t seen = fl__load_acquire(&e->word_); /* acquire: pairs with the release in fl_event_set() */
	if (!(seen & EVENT_AUTO))
		return event_is_over(seen, first);
	while (seen & EVENT_SET)
		/* acquire: pairs with the release in fl_event_set() */
		if (fl__cas_weak_acquire(&e->word_, &seen, seen & ~(uint32_t)EVENT_SET))
			return true;
	return false;
}

/*
 * Enqueues `node`. If the wait is over, returns false, and with AUTO and `takes` it took the set.
 */
static bool event_enqueue(fl_event *e, struct fl__node *node, uint32_t first, bool takes)
{
	FL__LOT(lot, e);
	uint32_t seen = fl__load_relaxed(&e->word_), next; /* relaxed: a stale value only makes the CAS fail */
	do {
		next = seen | EVENT_WAITERS;
		if (event_is_over(seen, first))
			next = takes && (seen & EVENT_AUTO) ? seen & ~(uint32_t)EVENT_SET : seen;
		/* acquire: if the wait is over, pairs with the release in fl_event_set() */
	} while (!fl__cas_weak_acquire(&e->word_, &seen, next));
	bool waits = !event_is_over(seen, first);
	if (waits)
		fl__lot_add(&lot, node);
	return waits;
}

struct event_poll {
	const fl_event *event;
	uint32_t first;
};

/* Returns true if the wait may be over, or if WAITERS sends the caller to the queue. */
static bool event_is_decided(const void *what)
{
	const struct event_poll *poll = what;
	/* relaxed: event_try_take() and event_enqueue() acquire */
	uint32_t seen = fl__load_relaxed(&poll->event->word_);
	return event_is_over(seen, poll->first) || (seen & EVENT_WAITERS);
}

static int event_wait_slow(fl_event *e, uint32_t first, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_EVENT, e);
	const struct event_poll poll = {e, first};
	if (!(first & EVENT_WAITERS) && fl__wait_spin(&wait, event_is_decided, &poll, deadline, cancel)) {
		if (fl_cancel_token_is_requested(cancel))
			return -ECANCELED;
		if (event_try_take(e, first))
			return 0;
	}
	struct fl__node node = FL__NODE(&wait);
	if (!event_enqueue(e, &node, first, true))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

int fl_event_wait_until(fl_event *e, fl_time deadline, fl_cancel_token *cancel)
{
	/* relaxed: event_try_take() and event_enqueue() acquire */
	uint32_t first = fl__load_relaxed(&e->word_);
	return event_try_take(e, first) ? 0 : event_wait_slow(e, first, deadline, cancel);
}

static bool event_ready(void *object)
{
	return fl_event_is_set(object);
}

static bool event_arm(void *object, struct fl__node *node)
{
	fl_event *e = object;
	/* relaxed: event_enqueue() acquires */
	return event_enqueue(e, node, fl__load_relaxed(&e->word_), false);
}

const fl_on_type fl__on_event = {event_ready, event_arm, fl__node_disarm, NULL};
