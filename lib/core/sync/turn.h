/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/sys.h"

/*
 * A turn bounds the time for which running contexts may overtake a waiter of a mutex, an rwlock or
 * a semaphore. A release that finds the first waiter asleep wakes it, and clears the waiters bit.
 * (If a fiber takes part, the bit may stay set, or a permit is handed over at once: mutex.c,
 * rwlock.c and sem.c.) Running contexts may overtake the awake waiter for the time FL__TURN. Then a
 * mutex or a permit is handed over to the waiter, and an rwlock closes to all other contexts.
 *
 *   state         meaning                       set by                      cleared by
 *   since         when the first waiter was     fl__turn_is_over()          -
 *                 first woken, or 0
 *   fl__last_wake the object of the waiter      the waking thread           the waking thread, once
 *                 that this thread woke last                                the waiter has run
 *
 * Invariants
 *   1. An awake waiter of a mutex or a semaphore stays first in the queue (with an exception:
 *      mutex.c, invariant 4). The awake waiter of an rwlock has left the queue, and goes back to
 *      its front. An awake waiter acquires the object, gives up, or goes back to sleep and sets the
 *      waiters bit in the same transaction.
 *   2. While a waiter is queued, the waiters bit is set, or a waiter is awake: the first one, or
 *      that of the rwlock.
 *   3. `since` is set once for each wait, under the queue lock. So a waiter that sleeps again does
 *      not begin a new turn.
 *   4. An awake waiter may wait for the CPU of the thread that woke it. Therefore that thread
 *      checks the queue of a mutex or rwlock at each FL__CALLS_PER_CHECK-th call on the object of
 *      its last wake. For the semaphore this is left to the kernel's scheduler.
 *
 * A turn of the rwlock does not wait for the first wake, because overlapping readers may never free
 * the lock. It begins when a waiter comes to the empty queue, and when the awake waiter takes the
 * lock. If a waiter becomes the first because another gave up, it inherits the turn. The time is
 * stored in the lock, because a reader that overtakes reads it without the queue lock.
 *
 * Turns meet three goals. A running thread should lock again at once, because it does a hundred
 * times as much work as a thread that must be woken first. No thread should wait for long. And an
 * owner should pay nothing for fairness while there are no waiters. docs/decisions/turns.md has the
 * five rules that achieve this.
 */
#define FL__TURN FL_MS(1)
enum { FL__CALLS_PER_CHECK = 64 };

/*
 * Returns whether the turn of the first waiter, which is awake, is over. Begins the turn if it has
 * not begun. The caller holds the queue lock.
 */
static inline bool fl__turn_is_over(int64_t *since)
{
	const int64_t now = fl__sys.now();
	if (*since == 0)
		*since = now;
	return now - *since >= FL__TURN;
}

struct fl__last_wake {
	const void *object; /* only compared, never dereferenced */
	unsigned calls;     /* calls on `object` since the last wake */
};

/*
 * Counts a call on `object`. Returns true if the thread must now check whether the waiter that it
 * woke has run.
 */
static inline bool fl__last_wake_is_due(struct fl__last_wake *last, const void *object)
{
	return last->object == object && ++last->calls % FL__CALLS_PER_CHECK == 0;
}
