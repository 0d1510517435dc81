/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/sys.h"

/*
 * Turns: how the mutex, the rwlock and the semaphore bound overtaking (docs/design.md, "Locks"). A
 * release that finds the first waiter asleep wakes it, and clears the waiters bit. Running contexts
 * may overtake the awake waiter for a turn. Then mutex and semaphore are handed over, and the
 * rwlock closes to all other contexts.
 *
 *   state         meaning                       set by                      cleared by
 *   since         when the first waiter was     fl__turn_is_over()          -
 *                 first woken; 0: not yet
 *   fl__last_wake the object of the waiter      the waking thread           the waking thread, once
 *                 that this thread woke last                                the waiter has run
 *
 * Invariants
 *   1. An awake waiter stays first (mutex.c, invariant 4, has an exception). It acquires the
 *      object, or sets the waiters bit in the transaction in which it goes back to sleep.
 *   2. While a waiter is queued, the waiters bit is set, or the first waiter is awake.
 *   3. `since` is set once for each wait, under the queue lock: a waiter that sleeps again keeps
 *      its turn.
 *   4. An awake waiter may wait for the CPU of the waking thread. So that thread checks the queue
 *      of a mutex or rwlock at each FL__CALLS_PER_CHECK-th call on the object of its last wake.
 *      (The semaphore leaves this to the kernel's scheduler.)
 *
 * A turn of the rwlock begins when its waiter becomes first, since overlapping readers may never
 * free the lock. The time is a part of the lock: an overtaking reader reads it without the queue
 * lock.
 */
#define FL__TURN FL_MS(1)
enum { FL__CALLS_PER_CHECK = 64 };

/* Under the queue lock; the first waiter is awake. */
static inline bool fl__turn_is_over(int64_t *since)
{
	const int64_t now = fl__sys.now();
	if (*since == 0)
		*since = now;
	return now - *since >= FL__TURN;
}

struct fl__last_wake {
	const void *object; /* only compared, never dereferenced */
	unsigned calls;     /* on `object`, since the last wake or check */
};

/* Counts a call on `object`. True: the thread must check whether its woken waiter has run. */
static inline bool fl__last_wake_is_due(struct fl__last_wake *last, const void *object)
{
	return last->object == object && ++last->calls % FL__CALLS_PER_CHECK == 0;
}
