/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The condition is a word, and a wait queue in the parking lot (wait/lot.h). The word may contain
 * one spinner: a thread that began to wait when no other context waited. It polls its own fl__wait
 * before it enters the queue.
 *
 *   bits       meaning                   set by                         cleared by
 *   WAITERS    the wait queue may be     a waiter that enqueues,        signal and broadcast, under
 *              not empty                 under the queue lock           the queue lock, when they
 *                                                                       leave the queue empty
 *   TOGETHER   new threads that wait     a broadcast that finds         -
 *              share a futex, and none   several waiters, under the
 *              becomes the spinner;      queue lock
 *              unless APART is set
 *   APART      new threads do not share  a signal, not a broadcast,     -
 *              a futex                   that finds several waiters,
 *                                        under the queue lock
 *   the rest   the spinner: a pointer    cond_try_spin(): CAS, with     signal and broadcast; the
 *              to its fl__wait           the mutex held                 spinner that enqueues; all
 *                                                                       under the queue lock
 *
 * Rules
 *   1. A waiter enters the queue or the word before it unlocks the mutex. So a signaller that
 *      afterwards changes the predicate under the mutex finds the waiter, and no later waiter can
 *      steal the signal. A waiter that timed out has consumed no signal (lot.c, invariant 2).
 *   2. Signalling the spinner, which has waited longest, is one store to its fl__wait. Signals hold
 *      the queue lock, and so does the spinner when it moves into the queue. Therefore the spinner
 *      learns of a signal before it touches the condition, which may be freed after the signal.
 *   3. A signal moves a sleeping thread to the queue of the mutex, where an unlock of the mutex
 *      wakes the first waiter. If the first waiters share a futex, the unlock wakes and dequeues
 *      all of them at once. A waiter that was moved counts as signalled, even if its deadline
 *      expires before it owns the mutex.
 *   4. A signal wakes a fiber at once, and the fiber then locks the mutex as a newcomer. In the
 *      queue of the mutex, a fiber could become the owner by a hand-over long before it runs,
 *      because its loop may run another fiber for seconds. All other threads that lock the mutex
 *      would then wait for that loop. Threads are moved, because otherwise a broadcast would make
 *      all of them run at the same time, and enqueue again. The fibers of a loop run one after
 *      another anyway.
 *   5. WAITERS, TOGETHER and APART change under the queue lock. When a waiter sets WAITERS or
 *      becomes the spinner, it also holds the mutex. A spinner that enqueues replaces itself by
 *      WAITERS in one store. So if a signaller has locked the mutex after that, its relaxed load
 *      sees WAITERS or a spinner.
 *
 * A wait linearizes at the enqueue in cond_enqueue() or the CAS in cond_try_spin(). A signal or a
 * broadcast linearizes, for each waiter, at the move or the wake of the waiter, or at the CAS that
 * takes the spinner out of the word. Their last access to the condition is under the queue lock. So
 * the condition may be destroyed once its waiters are woken. They touch the mutex only while a
 * queued waiter is going to lock it.
 *
 * docs/decisions/condition-wakes.md says, with figures, why a condition first wakes its waiters one
 * after the other, and later all at once.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "mutex.h"

enum { COND_WAITERS = 1, COND_TOGETHER = 2, COND_APART = 4, COND_HABIT = COND_TOGETHER | COND_APART };
enum { COND_SPINNER_ONE = 8, COND_SIGNALLED = 1 };
#define COND_REST ((uintptr_t)COND_SPINNER_ONE - 1)

/* Returns the spinner, or NULL if there is none. */
static struct fl__wait *cond_spinner(uintptr_t seen)
{
	return (struct fl__wait *)(seen & ~COND_REST); // NOLINT(performance-no-int-to-ptr)
}

static bool cond_is_together(uintptr_t seen)
{
	return (seen & COND_HABIT) == COND_TOGETHER;
}

/* Enqueues the caller, which holds the mutex. */
static void cond_enqueue(fl_cond *c, struct fl__node *node)
{
	FL__LOT(lot, c);
	/* relaxed: a hint about how to wait */
	(cond_is_together(fl__load_relaxed(&c->word_)) ? fl__lot_add_together : fl__lot_add)(&lot, node);
	/* relaxed: rule 5 */
	fl__or_relaxed(&c->word_, (uintptr_t)COND_WAITERS);
}

/*
 * Makes the caller the spinner. Returns false if another context waits, the caller may not spin, or
 * a signal changes the word at the same time. The caller holds the mutex.
 */
static bool cond_try_spin(fl_cond *c, struct fl__wait *wait)
{
	uintptr_t seen = fl__load_relaxed(&c->word_); /* relaxed: a stale value only makes the CAS fail */
	if (wait->ctx->ops != &fl__thread_parker || !fl__may_poll() || (seen & COND_WAITERS) ||
	    cond_is_together(seen) || cond_spinner(seen))
		return false;
	/* release: pairs with the acquire in cond_wake_spinner(), for `*wait` */
	return fl__cas_release(&c->word_, &seen, (uintptr_t)wait | (seen & COND_REST));
}

static bool cond_is_signalled(const void *wait)
{
	/* acquire: pairs with the release in cond_wake_spinner() */
	return fl__load_acquire(&((const struct fl__wait *)wait)->park_word) == COND_SIGNALLED;
}

/* Moves the spinner from the word into the queue. Returns false if it was already signalled. */
static bool cond_enqueue_spinner(fl_cond *c, struct fl__node *node)
{
	FL__LOT(lot, c);
	const bool waits = !cond_is_signalled(node->wait);
	if (waits) {
		fl__lot_insert(&lot, node, fl__lot_first(&lot));
		/*
		 * relaxed, both: signals change the word under the queue lock, which the caller
		 * holds, and no other thread replaces a spinner
		 */
		fl__store_relaxed(&c->word_, (fl__load_relaxed(&c->word_) & COND_REST) | COND_WAITERS);
	}
	return waits;
}

/*
 * Also locks the queue `to` of the mutex that the first waiter waits for, and returns the mutex.
 * Returns NULL if there is no waiter.
 */
static fl_mutex *cond_open_mutex(struct fl__lot *queue, struct fl__lot *to)
{
	struct fl__node *first;
	while ((first = fl__lot_first(queue)) != NULL) {
		fl_mutex *m = fl__mutex_node_of(first)->mutex;
		if (fl__lot_open_also(queue, to, m))
			return m;
		first = fl__lot_first(queue);
		if (first && fl__mutex_node_of(first)->mutex == m)
			return m;
		fl__lot_unlock_also(queue, to);
	}
	return NULL;
}

/*
 * Moves or wakes up to `max` waiters that wait for the first waiter's mutex. Returns how many,
 * which is 0 if there are none or all have given up.
 */
static size_t cond_requeue_some(struct fl__lot *queue, size_t max)
{
	struct fl__lot to;
	fl_mutex *m = cond_open_mutex(queue, &to);
	if (!m)
		return 0;
	const size_t moved = fl__mutex_requeue(m, queue, &to, max);
	fl__lot_unlock_also(queue, &to);
	return moved;
}

/* Wakes the spinner, under the queue lock. Returns how many threads it woke: 0 or 1. */
static size_t cond_wake_spinner(fl_cond *c)
{
	uintptr_t seen = fl__load_relaxed(&c->word_); /* relaxed: a stale value only makes the CAS fail */
	do
		if (!(seen & ~COND_REST))
			return 0;
	/* acquire: pairs with the release in cond_try_spin() */
	while (!fl__cas_weak_acquire(&c->word_, &seen, seen & COND_REST));
	struct fl__wait *spinner = cond_spinner(seen);
	if (!spinner)
		return 0;
	/*
	 * release: pairs with the acquire in cond_is_signalled(), for the signaller's writes. The
	 * spinner has not parked, so it needs no unpark.
	 */
	fl__store_release(&spinner->park_word, (uint32_t)COND_SIGNALLED);
	return 1;
}

/*
 * Moves or wakes up to `max` waiters of the queue. cond_requeue_some() may unlock the queue and
 * lock it again.
 */
static void cond_wake_queue(fl_cond *c, struct fl__lot *queue, size_t max)
{
	while (max > 0 && fl__lot_has_waiters(queue))
		max -= cond_requeue_some(queue, max);
	if (!fl__lot_has_waiters(queue))
		/* relaxed: rule 5. The last access to the condition. */
		fl__and_relaxed(&c->word_, ~(uintptr_t)COND_WAITERS);
}

bool fl__cond_is_busy(const fl_cond *c)
{
	/* relaxed: no new waiter comes, because the caller destroys the condition */
	return fl__lot_has_waiters_at(c) || cond_spinner(fl__load_relaxed(&c->word_));
}

void fl_cond_destroy(fl_cond *c)
{
	fl__hook_destroy(c, c, fl__cond_is_busy(c));
}

void fl_cond_signal_n(fl_cond *c, size_t n)
{
	/* relaxed: rule 5 */
	if (n == 0 || !(fl__load_relaxed(&c->word_) & ~(uintptr_t)COND_HABIT))
		return;
	struct fl__lot queue;
	fl__lot_open(&queue, c);
	const struct fl__node *first = fl__lot_first(&queue);
	if (first && first->next != first)
		/* relaxed: a hint for later waiters about how to wait */
		fl__or_relaxed(&c->word_, (uintptr_t)(n < SIZE_MAX ? COND_APART : COND_TOGETHER));
	n -= cond_wake_spinner(c);
	if (n > 0)
		cond_wake_queue(c, &queue, n);
	fl__lot_close(&queue);
}

/*
 * Dequeues the waiter after a timeout or a cancel. Returns false if a signal had already moved the
 * waiter; then it leaves the queue of the mutex instead.
 */
static bool cond_leave(const fl_cond *c, struct fl__mutex_node *waiter)
{
	struct fl__lot lot;
	const bool unsignalled = fl__lot_open_of(&lot, &waiter->node) == c;
	if (unsignalled)
		fl__lot_remove(&lot, &waiter->node);
	else
		fl__mutex_give_up(waiter->mutex, &lot, waiter);
	fl__lot_close(&lot);
	return unsignalled;
}

FL_NO_THREAD_SAFETY_ANALYSIS int fl__cond_wait(fl_cond *c, fl_mutex *m, fl_time deadline, fl_cancel_token *cancel,
                                               bool holds)
{
	if (!fl_mutex_is_locked(m))
		fl__panic("fl_cond_wait", m, "the mutex is not locked");
	_Alignas(COND_SPINNER_ONE) struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_COND, c);
	struct fl__mutex_node waiter = FL__MUTEX_NODE(m, &wait);
	const bool spins = cond_try_spin(c, &wait);
	if (!spins)
		cond_enqueue(c, &waiter.node);
	fl_mutex_unlock(m);
	struct fl__hook_op op;
	fl__hook_waiting_cond(&op, m, c, &waiter.node.key);
	int rc = 0;
	if (!spins || (!fl__wait_spin(&wait, cond_is_signalled, &wait, deadline, cancel) &&
	               cond_enqueue_spinner(c, &waiter.node))) {
		rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0 && !cond_leave(c, &waiter))
			rc = 0;
	}
	fl__blocks_thread += holds;
	fl__mutex_relock(&waiter, &op);
	fl__blocks_thread -= holds;
	return rc;
}

int fl_cond_wait_until(fl_cond *c, fl_mutex *m, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__cond_wait(c, m, deadline, cancel, false);
}
