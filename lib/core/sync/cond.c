/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The condition: a wait queue in the parking lot (wait/lot.h), and a word with one spinner: a
 * thread that began to wait when no context waited. The spinner polls its own fl__wait before it
 * enters the queue.
 *
 *   bits       meaning                   set by                         cleared by
 *   WAITERS    the wait queue may be     a waiter that enqueues,        signal and broadcast, under
 *              not empty                 under the queue lock           the queue lock, when they
 *                                                                       leave the queue empty
 *   TOGETHER   new waiters share a       a broadcast to several, under  -
 *              futex, and do not spin    the queue lock
 *   APART      they do not share         another signal that finds      -
 *                                        several, under the lock
 *   the rest   the spinner: a pointer    cond_try_spin(): CAS, with     signal and broadcast; the
 *              to its fl__wait; and in   the mutex held                 spinner that enqueues; all
 *              FORKS the fork count of                                  under the queue lock
 *              its process
 *
 * A waiter enters the queue or the word before it unlocks the mutex. So a signaller that changes
 * the predicate under the mutex afterwards finds the waiter. No later waiter can steal a signal. A
 * waiter that timed out has consumed none (lot.c, invariant 2).
 *
 * A signal to the spinner, which has waited longest, is one store to its fl__wait. Signals, and the
 * spinner's move into the queue, hold the queue lock. So the spinner learns of a signal before it
 * touches the condition, which may be freed after the signal. A forked child inherits the word but
 * not the thread, as FORKS tells. From the 15th fork on there is no spinner.
 *
 * A signal moves a sleeping thread to the queue of the mutex, whose unlock wakes it in its turn, or
 * dequeues and wakes all that share a futex. A moved waiter counts as signalled, even if its
 * deadline expires before it owns the mutex.
 *
 * A signal wakes a fiber at once, and the fiber then locks the mutex as a newcomer. In the queue of
 * the mutex it could become the owner by a hand-over long before it runs: its loop may run another
 * fiber for seconds, and then all other threads that lock the mutex wait for that loop. Moves are
 * for threads, which a broadcast would make run all at the same time, and queue up again. The
 * fibers of a loop run one after another anyway.
 *
 * Linearization: wait, fl__lot_add() or the CAS in cond_try_spin(); signal and broadcast, the
 * moves, or the CAS that takes the spinner out of the word. The last access of signal and broadcast
 * to the condition is under the queue lock, so the condition may be destroyed once its waiters are
 * woken. They touch the mutex only while a queued waiter is to lock it.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "mutex.h"

enum { COND_WAITERS = 1, COND_TOGETHER = 2, COND_APART = 4, COND_HABIT = COND_TOGETHER | COND_APART };
enum { COND_FORK = 8, COND_FORKS = 15 * COND_FORK, COND_SIGNALLED = 1 };
#define COND_REST ((uintptr_t)COND_FORK - 1)
#define COND_SPINNER (~(COND_REST | COND_FORKS))

/* FORKS: no spinner. */
static uintptr_t cond_forks(void)
{
	return fl__fork_count < COND_FORKS / COND_FORK ? fl__fork_count * COND_FORK : COND_FORKS;
}

/* NULL: no spinner, or a thread of a process before a fork. */
static struct fl__wait *cond_spinner(uintptr_t seen)
{
	const bool ours = (seen & COND_FORKS) == cond_forks() && cond_forks() != COND_FORKS;
	return ours ? (struct fl__wait *)(seen & COND_SPINNER) : NULL; // NOLINT(performance-no-int-to-ptr)
}

static bool cond_is_together(uintptr_t seen)
{
	return (seen & COND_HABIT) == COND_TOGETHER;
}

/* Called with the mutex held. */
static void cond_enqueue(fl_cond *c, struct fl__node *node)
{
	FL__LOT(lot, c);
	/* a hint */
	(cond_is_together(fl__load_relaxed(&c->word_)) ? fl__lot_add_together : fl__lot_add)(&lot, node);
	/* the mutex, then the queue lock order it */
	fl__or_relaxed(&c->word_, (uintptr_t)COND_WAITERS);
}

/* Called with the mutex held. False: another context waits. */
static bool cond_try_spin(fl_cond *c, struct fl__wait *wait)
{
	uintptr_t seen = fl__load_relaxed(&c->word_); /* the CAS decides */
	if (wait->ctx->ops != &fl__thread_parker || (seen & COND_WAITERS) || cond_is_together(seen) ||
	    cond_spinner(seen) || cond_forks() == COND_FORKS)
		return false;
	/* publishes `*wait`; pairs with cond_wake_spinner() */
	return fl__cas_release(&c->word_, &seen, (uintptr_t)wait | cond_forks() | (seen & COND_REST));
}

static bool cond_is_signalled(const void *wait)
{
	/* pairs with cond_wake_spinner() */
	return fl__load_acquire(&((const struct fl__wait *)wait)->park_word) == COND_SIGNALLED;
}

/* False: the spinner has been signalled. */
static bool cond_enqueue_spinner(fl_cond *c, struct fl__node *node)
{
	FL__LOT(lot, c);
	const bool waits = !cond_is_signalled(node->wait);
	if (waits) {
		fl__lot_insert(&lot, node, fl__lot_first(&lot));
		/* A thread that sees WAITERS locks the queue. None replaces a spinner. */
		fl__store_relaxed(&c->word_, (fl__load_relaxed(&c->word_) & COND_REST) | COND_WAITERS);
	}
	return waits;
}

/* Also locks `to`, the queue of the first waiter's mutex, and returns this; NULL: no waiter. */
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

/* Moves up to `max` waiters of the first waiter's mutex: how many. 0: none, or all gave up. */
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

/* Under the queue lock. Returns how many, 0 or 1. */
static size_t cond_wake_spinner(fl_cond *c)
{
	uintptr_t seen = fl__load_relaxed(&c->word_); /* the CAS decides */
	do
		if (!(seen & ~COND_REST))
			return 0;
	/* pairs with cond_try_spin() */
	while (!fl__cas_weak_acquire(&c->word_, &seen, seen & COND_REST));
	struct fl__wait *spinner = cond_spinner(seen);
	if (!spinner)
		return 0;
	/* the signaller's writes; pairs with cond_is_signalled(). The spinner has not parked. */
	fl__store_release(&spinner->park_word, (uint32_t)COND_SIGNALLED);
	return 1;
}

/* cond_requeue_some() may release and take the queue lock. */
static void cond_wake_queue(fl_cond *c, struct fl__lot *queue, size_t max)
{
	while (max > 0 && fl__lot_has_waiters(queue))
		max -= cond_requeue_some(queue, max);
	if (!fl__lot_has_waiters(queue))
		/* as in fl_cond_signal_n(). The last access. */
		fl__and_relaxed(&c->word_, ~(uintptr_t)COND_WAITERS);
}

bool fl__cond_is_busy(const fl_cond *c)
{
	/* relaxed: no new waiter comes */
	return fl__lot_has_waiters_at(c) || cond_spinner(fl__load_relaxed(&c->word_));
}

void fl_cond_destroy(fl_cond *c)
{
	fl__hook_destroy(c, c, fl__cond_is_busy(c));
}

void fl_cond_signal_n(fl_cond *c, size_t n)
{
	/* the mutex orders it */
	if (n == 0 || !(fl__load_relaxed(&c->word_) & ~(uintptr_t)COND_HABIT))
		return;
	struct fl__lot queue;
	fl__lot_open(&queue, c);
	const struct fl__node *first = fl__lot_first(&queue);
	if (first && first->next != first)
		fl__or_relaxed(&c->word_, (uintptr_t)(n < SIZE_MAX ? COND_APART : COND_TOGETHER)); /* a hint */
	n -= cond_wake_spinner(c);
	if (n > 0)
		cond_wake_queue(c, &queue, n);
	fl__lot_close(&queue);
}

/* After a timeout or cancel. False: a signal moved the waiter, which leaves the mutex's queue. */
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

int fl__cond_wait(fl_cond *c, fl_mutex *m, fl_time deadline, fl_cancel_token *cancel, bool holds)
{
	if (!fl_mutex_is_locked(m))
		fl__panic("fl_cond_wait", m, "the mutex is not locked");
	_Alignas(COND_FORK + COND_FORKS) struct fl__wait wait;
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
