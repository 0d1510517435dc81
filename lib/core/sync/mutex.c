/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex is a word, and a wait queue in the parking lot (wait/lot.h). A running context may
 * overtake the waiters, but only for a bounded time; then the mutex is handed over to the first
 * waiter. turn.h explains this.
 *
 *   MUTEX_   meaning                     set by                        cleared by
 *   LOCKED   the mutex is held           a lock: CAS; with HAND, an    unlock: subtraction
 *                                        unlock that hands over
 *   WAITERS  an unlock must call         a waiter before it sleeps, a  mutex_wake_first(); a waiter
 *            mutex_wake_first()          new owner that leaves         that leaves the queue empty;
 *                                        waiters, an unlock that       a new owner that finds the
 *                                        cannot hand over, a requeue   queue empty
 *   HAND     with LOCKED: handed to the  mutex_hand_over(), under the  the first waiter, which
 *            first waiter                queue lock                    becomes the owner
 *   WATCHED  debugging knows the owner   the owner, in a slow lock     a slow unlock, after it
 *                                                                      tells debugging
 *
 * A context in mutex_lock_contended() is in one of three states:
 *
 *   state      in the queue  what it does                         next state
 *   RUNNING    no            polls, then opens the queue          owner, or ASLEEP
 *   ASLEEP     yes           sleeps                               AWAKE; or it gives up and leaves
 *   AWAKE      first         polls, then opens the queue          owner, or ASLEEP with WAITERS set
 *
 * A waiter of a condition calls fl__mutex_relock() after its wake. If it is in the queue of the
 * mutex by then, it begins as AWAKE, otherwise as RUNNING. An AWAKE waiter is the first in the
 * queue, unless it is a fiber that is away, because other waiters go before such a fiber (invariant
 * 4).
 *
 * Invariants
 *   1. A lock linearizes at the CAS that sets LOCKED or clears HAND. An unlock linearizes at the
 *      subtraction, which is its last access to the mutex, with two exceptions. If WATCHED is set,
 *      it linearizes at the AND in mutex_free_watched(), which is then its last access. And if
 *      mutex_wake_first() finds a waiter in the queue, it changes the word afterwards. By then the
 *      memory may contain another mutex. That is harmless, because while a waiter of this address
 *      is queued, some mutex exists at it, and waking that mutex's first waiter is always allowed.
 *   2. If the queue is not empty, one of these statements holds: the first waiter is awake; a
 *      transaction of the parking lot has decided to wake the first waiter, and does so when it
 *      ends; WAITERS is set, and so is LOCKED or WATCHED; or an unlock is about to call
 *      mutex_wake_first().
 *   3. WAITERS changes only under the queue lock. When a context releases the queue lock, WAITERS
 *      is set only if the queue is not empty.
 *   4. mutex_hand_over() sets HAND only for a first waiter that is awake, which excludes waiters
 *      that gave up (lot.c, invariant 2). Only the waiter for which HAND was set clears it, with
 *      one exception. If that waiter is a fiber that is away (lot.c, invariant 8), another waiter
 *      goes before the fiber, and may clear HAND. The fiber, now behind the other waiter, is still
 *      awake, and the two compete: the CAS in mutex_take() decides which of them becomes the owner.
 *      The loser sets WAITERS before it sleeps.
 */
#include "mutex.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "turn.h"

enum {
	MUTEX_LOCKED = 1,
	MUTEX_WAITERS = 2,
	MUTEX_HAND = 4,
	MUTEX_WATCHED = 8,
	MUTEX_HELD = MUTEX_LOCKED | MUTEX_WATCHED
};
static const int64_t MUTEX_SPIN = FL_US(20);

/*
 * An unlock takes the fast path if the word before the unlock equals `plain`. Usually `plain` is
 * LOCKED. After a wake it is HAND, a value that the word never has, so that each unlock of this
 * thread takes the slow path.
 */
static _Thread_local struct {
	uint32_t plain;
	struct fl__last_wake wake;
} mutex_last FL__INITIAL_EXEC = {.plain = MUTEX_LOCKED};

/*
 * Acquires the mutex if it is free, or if `first` is true and the mutex was handed over to the
 * caller. Returns whether it did. Otherwise, if `marks` is true, sets WAITERS; the caller then
 * holds the queue lock. WAITERS is set by an addition, because a CAS could fail for as long as
 * another thread locks and unlocks the mutex.
 */
static bool mutex_take(fl_mutex *m, bool first, bool marks)
{
	/*
	 * relaxed: the CAS acquires. If the load finds an old LOCKED, the call fails as if it had
	 * come before the unlock.
	 */
	uint32_t seen = fl__load_relaxed(&m->word_);
	for (;;) {
		if (!(seen & MUTEX_HELD) || (first && (seen & MUTEX_HAND))) {
			/*
			 * acquire: pairs with the release in fl_mutex_unlock(), even after a
			 * hand-off
			 */
			if (fl__cas_weak_acquire(&m->word_, &seen, (seen | MUTEX_LOCKED) & ~(uint32_t)MUTEX_HAND))
				return true;
		} else if (marks && !(seen & MUTEX_WAITERS)) {
			/* relaxed: the queue lock orders WAITERS (invariant 3) */
			seen = fl__add_relaxed(&m->word_, MUTEX_WAITERS) + MUTEX_WAITERS;
		} else {
			return false;
		}
	}
}

/*
 * Polls for a bounded time. Returns true as soon as the caller has acquired the mutex. The pauses
 * double, because each access takes the cache line from the owner.
 *   - A running context polls for about a microsecond, or until the word shows a waiter.
 *   - The first waiter polls for up to MUTEX_SPIN, with longer pauses, because the owner may be
 *     waiting for this CPU. If the first waiter is a fiber, it tries once.
 *   - While polling is off (polling.c), each context tries once.
 *   - While yields are barred (base/yield.c), a thread tries twice if the thread that woke it last
 *     did so on the same CPU, because that thread probably is the owner, and waits for this CPU.
 */
static bool mutex_spin(fl_mutex *m, const struct fl__node *node, bool first)
{
	const struct fl__ctx *ctx = node->wait->ctx;
	const bool owner_is_here = ctx->waker_on_this_cpu && fl__yields_are_barred(fl__sys.now());
	const unsigned pauses = first && !owner_is_here ? 64 : 4;
	const bool once = (first && ctx->ops->yield) || !fl__may_poll();
	const unsigned most = once ? 0 : owner_is_here ? 1 : first ? 6 : 4;
	const int64_t end = first && most > 0 ? fl__sys.now() + MUTEX_SPIN : 0;
	for (unsigned i = 0;; i++) {
		if (mutex_take(m, first, false))
			return true;
		if (i == most)
			return false;
		/* relaxed: a hint that another context waits, or is the next owner */
		if (first ? fl__sys.now() >= end : (fl__load_relaxed(&m->word_) & (MUTEX_WAITERS | MUTEX_HAND)) != 0)
			return false;
		fl__pause(pauses << i);
	}
}

/*
 * Lets a woken fiber of the same thread lock first. Suppose that a fiber waits for something else
 * while it holds the mutex, then unlocks it, and at once locks it again. Because no other fiber of
 * the thread has run since the unlock, it would overtake the woken fiber each time.
 */
static void mutex_yield(const fl_mutex *m)
{
	/*
	 * relaxed: a hint. WAITERS without LOCKED usually means that a fiber has unlocked, and the
	 * waiter has yet to run. It may also be an unlock that is about to call mutex_wake_first().
	 */
	if ((fl__load_relaxed(&m->word_) & (MUTEX_LOCKED | MUTEX_WAITERS)) != MUTEX_WAITERS)
		return;
	const struct fl__ctx *ctx = fl__ctx_of_wait();
	if (ctx->ops->yield)
		ctx->ops->yield();
}

static void mutex_update_waiters(fl_mutex *m, const struct fl__lot *lot)
{
	if (fl__lot_has_waiters(lot))
		/* relaxed: the queue lock orders WAITERS (invariant 3) */
		fl__or_relaxed(&m->word_, MUTEX_WAITERS);
	else
		fl__and_relaxed(&m->word_, ~(uint32_t)MUTEX_WAITERS); /* relaxed: invariant 3 */
}

/*
 * Called by a waiter that has become the owner (`owns`) or has given up. If mutex_wake_first() has
 * already dequeued a waiter that gave up, the function does not access the mutex, which may be
 * freed by then.
 */
static void mutex_dequeue(fl_mutex *m, struct fl__lot *lot, struct fl__node *node, bool owns)
{
	const bool dequeued_before = !node->queued;
	fl__lot_remove(lot, node);
	if (owns || (!dequeued_before && !fl__lot_has_waiters(lot)))
		mutex_update_waiters(m, lot);
}

static void mutex_leave(fl_mutex *m, struct fl__node *node, bool owns)
{
	FL__LOT(lot, m);
	mutex_dequeue(m, &lot, node, owns);
}

static void mutex_clear_stale(fl_mutex *m)
{
	/* relaxed: a hint, because WAITERS changes only under the queue lock */
	if (!(fl__load_relaxed(&m->word_) & MUTEX_WAITERS))
		return;
	FL__LOT(lot, m);
	if (!fl__lot_has_waiters(&lot))
		mutex_update_waiters(m, &lot);
}

/*
 * Locks a contended mutex. Each round polls, then acquires or enqueues under the queue lock, and
 * then sleeps. If `woken` is not NULL, it is the caller's waiter, which is awake and the first in
 * the queue. Otherwise the caller is not queued. Returns 0, -ETIMEDOUT or -ECANCELED.
 */
static int mutex_lock_contended(fl_mutex *m, struct fl__mutex_node *woken, fl_time deadline, fl_cancel_token *cancel,
                                struct fl__hook_op *op)
{
	struct fl__wait wait;
	struct fl__mutex_node own = FL__MUTEX_NODE(m, &wait), *waiter = woken ? woken : &own;
	struct fl__node *node = &waiter->node;
	struct fl__lot lot;
	if (!woken) {
		fl__wait_begin(&wait, FL__DEBUG_MUTEX, m);
		mutex_yield(m);
	}
	for (bool awake = woken != NULL;; awake = true) { /* the state is AWAKE or RUNNING */
		/* relaxed: it publishes nothing else */
		fl__store_relaxed(&waiter->has_run, true);
		if (mutex_spin(m, node, awake)) {
			if (awake)
				mutex_leave(m, node, true);
			else
				mutex_clear_stale(m);
			return 0;
		}

		fl__lot_open(&lot, m);
		struct fl__node *fiber = awake ? NULL : fl__lot_pass_away(&lot);
		/* If `fiber` is NULL, this comparison detects an empty queue. */
		const bool first = awake || fl__lot_first(&lot) == fiber;
		const bool waits = !first || !mutex_take(m, awake || fiber, true);
		if (!waits) {
			mutex_dequeue(m, &lot, node, true);
		} else {
			waiter->has_run = false;
			if (awake) { /* it stays the first in the queue */
				fl__wait_begin(node->wait, FL__DEBUG_MUTEX, m);
			} else {
				node->wait->no_spin = !first;
				fl__lot_insert(&lot, node, fiber);
			}
		}
		fl__lot_close(&lot);
		if (!waits)
			return 0;

		fl__hook_waiting(op);
		const int rc = fl__wait_sleep(node->wait, deadline, cancel); /* the state is ASLEEP */
		if (rc != 0) {
			mutex_leave(m, node, false);
			return rc;
		}
	}
}

static int mutex_tell_debug(fl_mutex *m, int rc, struct fl__hook_op *op)
{
	if (op->on && rc == 0)
		fl__or_relaxed(&m->word_, MUTEX_WATCHED); /* relaxed: only the owner sets and clears it */
	fl__hook_locked(op, rc == 0);
	return rc;
}

FL__SLOW_PATH static int mutex_lock_slow(fl_mutex *m, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__hook_op op;
	fl__hook_locking(&op, m, FL__DEBUG_MUTEX, fl__is_forever(deadline) ? 0 : FL__DEBUG_TRY);
	return mutex_tell_debug(m, mutex_lock_contended(m, NULL, deadline, cancel, &op), &op);
}

static int mutex_try(fl_mutex *m)
{
	if (!mutex_take(m, false, false))
		return -EAGAIN;
	mutex_clear_stale(m);
	return 0;
}

FL__SLOW_PATH static int mutex_try_lock_slow(fl_mutex *m)
{
	struct fl__hook_op op;
	fl__hook_locking(&op, m, FL__DEBUG_MUTEX, FL__DEBUG_TRY);
	return mutex_tell_debug(m, mutex_try(m), &op);
}

/*
 * Hands the mutex over to the first waiter, or, if another context has already locked it, sets
 * WAITERS. The caller holds the queue lock.
 */
static void mutex_hand_over(fl_mutex *m)
{
	uint32_t seen = fl__load_relaxed(&m->word_), next; /* relaxed: a stale value only makes the CAS fail */
	do
		next = seen & MUTEX_HELD ? seen | MUTEX_WAITERS : MUTEX_LOCKED | MUTEX_HAND;
	/* relaxed: the CAS continues the release sequence of the unlock that freed the mutex */
	while (!fl__cas_weak_relaxed(&m->word_, &seen, next));
	if (!(seen & MUTEX_HELD))
		fl__hook_note(FL__TRACE_HAND_OFF, m, 0);
}

/* Remembers that this thread woke a waiter of `m`, or, if `m` is NULL, forgets its last wake. */
static void mutex_remember_wake(const fl_mutex *m)
{
	mutex_last.plain = m ? MUTEX_HAND : MUTEX_LOCKED;
	mutex_last.wake = (struct fl__last_wake){.object = m};
}

/* Wakes the first waiter. The mutex may already be freed (invariant 1). */
static void mutex_wake_first(fl_mutex *m)
{
	FL__LOT(lot, m);
	struct fl__node *there = fl__lot_first(&lot);
	struct fl__mutex_node *first = NULL;
	if (there && there->wants_mutex && fl__mutex_node_of(there)->mutex == m)
		first = fl__mutex_node_of(fl__lot_wake_first(&lot));
	if (there && !fl__lot_has_waiters(&lot))
		/* All have given up or are dequeued, so no mutex_dequeue() will clear WAITERS. */
		mutex_update_waiters(m, &lot);
	/* relaxed: a stale value costs one more mutex_wake_first() */
	const bool has_run = first && fl__load_relaxed(&first->has_run);
	if (first && fl__turn_is_over(&first->since))
		mutex_hand_over(m);
	else if (first && (has_run || !(fl__ctx_get()->ops->yield || first->node.wait->ctx->ops->yield)))
		/*
		 * Clears WAITERS, because the waiter sets it again before it goes back to sleep.
		 * However, WAITERS stays set if the waiter has not run since its last wake, and the
		 * waiter or the caller is a fiber, because another fiber may keep the waiter's
		 * thread busy for long. Then each unlock checks whether the waiter's turn is over.
		 * relaxed: invariant 3
		 */
		fl__and_relaxed(&m->word_, ~(uint32_t)MUTEX_WAITERS);
	mutex_remember_wake(first && !has_run ? m : NULL);
}

/* Tells debugging of the unlock, and then frees the mutex. Returns the word before that. */
static uint32_t mutex_free_watched(fl_mutex *m)
{
	fl__hook_unlocking(m, 0);
	/*
	 * release: pairs with the acquires of all calls that lock, like the subtraction in
	 * fl_mutex_unlock(). The last access (invariant 1).
	 */
	return fl__and_release(&m->word_, ~(uint32_t)MUTEX_WATCHED);
}

FL__SLOW_PATH static void mutex_unlock_slow(fl_mutex *m, uint32_t before)
{
	if (!(before & MUTEX_LOCKED) || (before & MUTEX_HAND)) {
		/* relaxed: undoes the subtraction, and publishes nothing */
		fl__add_relaxed(&m->word_, MUTEX_LOCKED);
		fl__panic("fl_mutex_unlock", m, "not locked");
	}
	if (before & MUTEX_WATCHED)
		before = mutex_free_watched(m);
	if ((before & MUTEX_WAITERS) || fl__last_wake_is_due(&mutex_last.wake, m))
		mutex_wake_first(m);
}

/*
 * Called under the queue lock when the queue has a new first waiter, which sleeps. Sets WAITERS if
 * the mutex is locked, and otherwise wakes the waiter (invariant 2). With `fiber` the waiter goes
 * before a fiber that is away, and takes the mutex that was handed over to the fiber.
 */
static void mutex_mark_or_wake(fl_mutex *m, struct fl__lot *lot, bool fiber)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: a stale value makes the CAS fail, or costs a wake */
	while ((seen & MUTEX_HELD) && !(fiber && (seen & MUTEX_HAND)))
		/* relaxed: the queue lock, which the owner's unlock will take, orders WAITERS */
		if (fl__cas_weak_relaxed(&m->word_, &seen, seen | MUTEX_WAITERS))
			return;
	(void)fl__lot_wake_first(lot);
}

size_t fl__mutex_requeue(fl_mutex *m, struct fl__lot *from, struct fl__lot *to, size_t max)
{
	struct fl__node *const before = fl__lot_first(to), *first;
	size_t moved = 0;
	while (moved < max && (first = fl__lot_next(from)) != NULL && fl__mutex_node_of(first)->mutex == m)
		moved += first->wait->ctx->host ? fl__lot_take_first(from, 0) : fl__lot_move(from, to);
	if (fl__lot_first(to) != before)
		mutex_mark_or_wake(m, to, before != NULL);
	return moved;
}

void fl__mutex_give_up(fl_mutex *m, struct fl__lot *lot, struct fl__mutex_node *waiter)
{
	mutex_dequeue(m, lot, &waiter->node, false);
}

void fl__mutex_relock(struct fl__mutex_node *waiter, struct fl__hook_op *op)
{
	fl_mutex *m = waiter->mutex;
	/* A waiter that is not queued was dequeued before its unpark. */
	struct fl__mutex_node *woken = waiter->node.queued ? waiter : NULL;
	uint32_t expected = 0;
	int rc = 0;
	/*
	 * There is no load before the CAS, because it would fetch the cache line twice: once to
	 * read it, and once more to write it. acquire: pairs with the release in fl_mutex_unlock()
	 */
	if (woken || !fl__cas_weak_acquire(&m->word_, &expected, MUTEX_LOCKED))
		/* This returns 0, because there is no deadline and no token. */
		rc = mutex_lock_contended(m, woken, FL_FOREVER, FL_SHIELDED, op);
	(void)mutex_tell_debug(m, rc, op);
}

void fl_mutex_init(fl_mutex *m)
{
	m->word_ = 0;
	fl__hook_forget(m);
}

bool fl__mutex_is_busy(const fl_mutex *m)
{
	/*
	 * Checks the queue first, because a waiter sets LOCKED before it leaves the queue. acquire:
	 * pairs with the release in fl_mutex_unlock()
	 */
	return fl__lot_has_waiters_at(m) || (fl__load_acquire(&m->word_) & MUTEX_HELD);
}

void fl_mutex_destroy(fl_mutex *m)
{
	fl__hook_destroy(m, m, fl__mutex_is_busy(m));
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_mutex_lock(fl_mutex *m)
{
	uint32_t expected = fl__hook_word(&fl__hook_free);
	/* acquire: pairs with the release in fl_mutex_unlock() */
	if (fl__likely(fl__cas_weak_acquire(&m->word_, &expected, MUTEX_LOCKED)))
		return;
	(void)mutex_lock_slow(m, FL_FOREVER, FL_SHIELDED); /* 0: no deadline, no token */
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl__mutex_hold(fl_mutex *m)
{
	uint32_t expected = fl__hook_word(&fl__hook_free);
	/* acquire: pairs with the release in fl_mutex_unlock() */
	if (fl__likely(fl__cas_weak_acquire(&m->word_, &expected, MUTEX_LOCKED)))
		return;
	FL__BLOCKS_THREAD();
	(void)mutex_lock_slow(m, FL_FOREVER, FL_SHIELDED); /* 0: no deadline, no token */
}

int fl_mutex_try_lock(fl_mutex *m)
{
	if (fl__hooks_on(FL__HOOKS_DEBUG))
		return mutex_try_lock_slow(m);
	return mutex_try(m);
}

int fl_mutex_lock_until(fl_mutex *m, fl_time deadline, fl_cancel_token *cancel)
{
	uint32_t expected = fl__hook_word(&fl__hook_free);
	/* acquire: pairs with the release in fl_mutex_unlock() */
	if (fl__cas_weak_acquire(&m->word_, &expected, MUTEX_LOCKED))
		return 0;
	return mutex_lock_slow(m, deadline, cancel);
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_mutex_unlock(fl_mutex *m)
{
	/* release: pairs with the acquires of all calls that lock, and of fl__mutex_is_busy() */
	const uint32_t before = fl__sub_release(&m->word_, MUTEX_LOCKED);
	if (fl__likely(before == mutex_last.plain))
		return;
	mutex_unlock_slow(m, before);
}

bool fl_mutex_is_locked(const fl_mutex *m)
{
	return fl__load_relaxed(&m->word_) & MUTEX_HELD; /* relaxed: the answer may be stale at once */
}
