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
 * Eventcount: makes any condition over atomics something that contexts can wait for. What a condition variable is to a
 * mutex, it is to lock-free code: whoever makes the condition true need not take a lock, and when nobody waits pays for a
 * fence and a load. 8 bytes, valid when all-zero.
 *
 *     while (!ring_get(r, &item)) {                                    // the waiter
 *             fl_eventcount_key key = fl_eventcount_prepare(&r->filled);
 *             if (ring_get(r, &item))                                  // look again: required
 *                     break;                                           // a key that is not waited for may be dropped
 *             rc = fl_eventcount_wait(&r->filled, key);                // check
 *     }
 *     ring_put(r, item);                                               // whoever makes it true
 *     fl_eventcount_notify(&r->filled);
 *
 * A wait returns when there was a notification after its prepare: perhaps for another waiter, perhaps for something else, so
 * the condition is looked at in a loop. A notification after the prepare is never missed, however many there are.
 *
 * Memory order: if the look between prepare and wait does not see what was written before a notification, that notification
 * ends the wait, also where condition and look are relaxed atomics. A wait that returns 0 sees what was written before.
 * It must outlive every notification: whoever sees the condition true cannot know that the notifier is done.
 */
typedef struct fl_eventcount {
	uint64_t word_;
} fl_eventcount;
FL__ASSERT_SIZE(fl_eventcount, 8);

/* clang-format off */
#define FL_EVENTCOUNT_INIT { 0 }
/* clang-format on */

/* The state of an eventcount at the time of a prepare. A plain value: it may be copied, kept, and dropped. */
typedef uint64_t fl_eventcount_key;

/* Makes `ec` an eventcount without waiters. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_eventcount_init(fl_eventcount *ec);

/* Returns 0 when nobody waits on `ec`, else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_eventcount_destroy(fl_eventcount *ec);

/*
 * Announces a waiter, who now looks at the condition again. The next notification goes the slow way, whether it is waited for or
 * not. Never waits. A full fence.
 */
FL_API FL_MUST_CHECK fl_eventcount_key fl_eventcount_prepare(fl_eventcount *ec);

/*
 * Waits until there was a notification after the prepare that made `key`. Blocks the calling context. Observes its cancel
 * scope. Returns 0, -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_eventcount_wait(fl_eventcount *ec, fl_eventcount_key key);

/* Returns 0 when there was a notification after the prepare that made `key`, else -EAGAIN. Never waits. */
FL_API FL_MUST_CHECK int fl_eventcount_try_wait(fl_eventcount *ec, fl_eventcount_key key);

/* As fl_eventcount_wait. Blocks the calling context. Returns 0, -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_eventcount_wait_until(fl_eventcount *ec, fl_eventcount_key key, int64_t deadline,
                                                  fl_cancel_token *cancel);

/*
 * Ends the wait of one who stands in line, the first that came, and the waits of all who have prepared and do not stand there yet:
 * in the first moments of its wait (some 25 us) a thread only looks. Who gives up at the same time does not count as woken. Never
 * waits. A full fence.
 */
FL_API void fl_eventcount_notify(fl_eventcount *ec);

/* Ends the waits of all who have prepared. Never waits. A full fence. */
FL_API void fl_eventcount_notify_all(fl_eventcount *ec);

/*
 * For fl_wait_any: what is waited for is a notification after a prepare.
 *
 *     fl_eventcount_watch w = {&r->filled, fl_eventcount_prepare(&r->filled)};
 *     if (!ring_get(r, &item))
 *             rc = FL_WAIT_ANY(FL_ON_EVENTCOUNT(&w), FL_ON_EVENT(&stop));
 *
 * It takes no notification away from others: fl_eventcount_notify() wakes it if it stands in line before the one that it wakes.
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
