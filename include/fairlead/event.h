/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_EVENT_H
#define FAIRLEAD_EVENT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Event: a flag that contexts wait for. 4 bytes, valid (not set) when all-zero. An event stays set
 * until it is reset. An auto-reset event stays set until one wait returns, which resets it; two
 * sets count as one.
 *
 *     static fl_event ready = FL_EVENT_INIT;
 *     fl_event_set(&ready);                   // in one thread
 *     rc = fl_event_wait(&ready);             // in any number of others; check
 *
 * fl_event_set() wakes all present waiters, even if the event is reset at once; of an auto-reset
 * event the first. The wait queue is FIFO. A wait that times out or is cancelled takes no set.
 *
 * Memory order: a context that sees the event set acquires what fl_event_set() released. The last
 * access of fl_event_set() is the instruction that sets the event, so a woken waiter may free it.
 */
typedef struct fl_event {
	uint32_t word_;
} fl_event;
FL__ASSERT_SIZE(fl_event, 4);

/* clang-format off */
#define FL_EVENT_INIT { 0 }
#define FL_EVENT_AUTO_INIT { FL_EVENT_AUTO_ }
#define FL_EVENT_SET_ 1u
#define FL_EVENT_AUTO_ 4u
/* clang-format on */

/* Makes `e` an event that is not set. */
FL_INLINE void fl_event_init(fl_event *_e)
{
	_e->word_ = 0;
}

/* Makes `e` an auto-reset event that is not set. */
FL_INLINE void fl_event_init_auto(fl_event *_e)
{
	_e->word_ = FL_EVENT_AUTO_;
}

/*
 * Ends `e`. Requires that no context waits for `e`. Debugging checks it: fairlead/defs.h,
 * "Destroy".
 */
FL_API void fl_event_destroy(fl_event *e);

/*
 * Sets `e` and wakes all waiters. With auto-reset: wakes the first waiter, which takes the set;
 * without waiters, `e` stays set for the next wait. Releases also when `e` is set already.
 */
FL_API void fl_event_set(fl_event *e);

/*
 * Makes `e` not set. Woken waiters stay woken. Acquires what each undone set released, so "reset,
 * look for work, wait if there is none" misses no work.
 */
FL_API void fl_event_reset(fl_event *e);

/* Whether `e` is set now. Acquires when true. */
FL_INLINE bool fl_event_is_set(const fl_event *_e)
{
	/* pairs with fl_event_set() */
	return fl__load_acquire(&_e->word_) & FL_EVENT_SET_;
}

/*
 * Waits until `e` is set. Resets an auto-reset event. Blocks the calling context. Returns 0,
 * -ECANCELED.
 */
FL_API FL_MUST_CHECK int fl_event_wait_until(fl_event *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_event_wait(fl_event *_e)
{
	return fl_event_wait_until(_e, FL_FOREVER, NULL);
}

/* Returns 0 when `e` is set, and resets an auto-reset event. Else returns -EAGAIN. */
FL_API FL_MUST_CHECK int fl_event_try_wait(fl_event *e);

/*
 * For FL_WAIT_ANY(): ready while `e` is set. It may miss a set that is reset at once, and resets
 * nothing: take the set of an auto-reset event by fl_event_try_wait().
 */
#define FL_ON_EVENT(e) FL__ON(fl__on_event, (e))
FL_API extern const fl_on_type fl__on_event;

FL_END_DECLS

#endif
