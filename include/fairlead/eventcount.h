/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_EVENTCOUNT_H
#define FAIRLEAD_EVENTCOUNT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Eventcount: makes any condition over atomics something that contexts can wait for, as a condition
 * variable does for a mutex. The context that makes the condition true takes no lock; without
 * waiters, its notification costs a fence and a load. 8 bytes, valid when all-zero.
 *
 *     while (!ring_get(r, &item)) {                                    // the waiter
 *             fl_eventcount_key key = fl_eventcount_prepare(&r->filled);
 *             if (ring_get(r, &item))                                  // check again: required
 *                     break;                                           // a key may be dropped
 *             rc = fl_eventcount_wait(&r->filled, key);                // check
 *     }
 *     ring_put(r, item);                                               // the notifier
 *     fl_eventcount_notify(&r->filled);
 *
 * A wait that begins after a notification that followed its prepare returns at once. A queued wait
 * ends when fl_eventcount_notify_all() wakes all waiters, or when fl_eventcount_notify() finds it
 * first in the queue. A wake may be meant for another waiter or condition, so the waiter checks in
 * a loop.
 *
 * Memory order: if the check between prepare and wait does not see what was written before a
 * notification, the notifier sees the waiter, even if both accesses are relaxed atomics:
 * fl_eventcount_notify_all() ends the wait, fl_eventcount_notify() ends it or that of a waiter
 * queued earlier. A wait that returns 0 acquires what was written before the notification.
 *
 * The eventcount must outlive every notification: a waiter that sees its condition true does not
 * know that the notifier is done.
 */
typedef struct fl_eventcount {
	uint64_t word_;
} fl_eventcount;
FL__ASSERT_SIZE(fl_eventcount, 8);

/* clang-format off */
#define FL_EVENTCOUNT_INIT { 0 }
/* clang-format on */

/* The state of an eventcount at a prepare. A plain value: it may be copied, kept and dropped. */
typedef uint64_t fl_eventcount_key;

/* Makes `ec` an eventcount without waiters. Requires that no context uses `ec`. Never waits. */
FL_INLINE void fl_eventcount_init(fl_eventcount *ec);

/*
 * Returns -EBUSY when a context is in the wait queue of `ec`, else 0. Requires that no context
 * still spins in a wait: it enters the queue only after that. Never waits.
 */
FL_API FL_MUST_CHECK int fl_eventcount_destroy(fl_eventcount *ec);

/*
 * Announces a waiter, which then checks the condition again. The next notification takes its slow
 * path, even if no wait follows. Never waits. A full fence.
 */
FL_API FL_MUST_CHECK fl_eventcount_key fl_eventcount_prepare(fl_eventcount *ec);

/*
 * Waits for a notification after the prepare that made `key`. Blocks the calling context. Observes
 * its cancel scope. Returns 0, -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_eventcount_wait(fl_eventcount *ec, fl_eventcount_key key);

/*
 * Returns 0 when there was a notification after the prepare that made `key`, else -EAGAIN. Never
 * waits.
 */
FL_API FL_MUST_CHECK int fl_eventcount_try_wait(fl_eventcount *ec, fl_eventcount_key key);

/* As fl_eventcount_wait(): 0, -ECANCELED. Also -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_eventcount_wait_until(fl_eventcount *ec, fl_eventcount_key key, int64_t deadline,
                                                  fl_cancel_token *cancel);

/*
 * Ends the wait of the first queued waiter, and the waits of all contexts that have prepared and
 * are not queued yet: for its first 25 us or so, a waiting thread only polls. A waiter that gives
 * up at the same time does not count. Never waits. A full fence.
 */
FL_API void fl_eventcount_notify(fl_eventcount *ec);

/* Ends the waits of all contexts that have prepared. Never waits. A full fence. */
FL_API void fl_eventcount_notify_all(fl_eventcount *ec);

/*
 * For FL_WAIT_ANY(): ready after a notification that follows a prepare.
 *
 *     fl_eventcount_watch w = {&r->filled, fl_eventcount_prepare(&r->filled)};
 *     if (!ring_get(r, &item))
 *             rc = FL_WAIT_ANY(FL_ON_EVENTCOUNT(&w), FL_ON_EVENT(&stop));
 *
 * FL_WAIT_ANY() takes no notification from other waiters: fl_eventcount_notify() wakes it in
 * addition, if it is queued before the waiter that is woken.
 */
typedef struct fl_eventcount_watch {
	fl_eventcount *eventcount;
	fl_eventcount_key key;
} fl_eventcount_watch;

#define FL_ON_EVENTCOUNT(watch) FL__ON(fl__on_eventcount, (watch))
FL_API extern const fl_on_type fl__on_eventcount;

/* The inline functions. */

FL_INLINE void fl_eventcount_init(fl_eventcount *_ec)
{
	_ec->word_ = 0;
}

FL_INLINE int fl_eventcount_wait(fl_eventcount *_ec, fl_eventcount_key _key)
{
	return fl_eventcount_wait_until(_ec, _key, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
