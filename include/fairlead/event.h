/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_EVENT_H
#define FAIRLEAD_EVENT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * An event is a flag that contexts (threads or fibers) wait for.
 *
 *     static fl_event ready = FL_EVENT_INIT;
 *     fl_event_set(&ready);                   // in one thread
 *     rc = fl_event_wait(&ready);             // in any number of others; check
 *
 * An event is 4 bytes. All-zero memory is an event that is not set. An event of FL_EVENT_INIT stays
 * set until it is reset. An auto-reset event (FL_EVENT_AUTO_INIT) is also reset by each wait that
 * succeeds, so two sets before that wait count as one. The wait queue is FIFO.
 *
 * Memory order: a context that sees the event set acquires what fl_event_set() released. A waiter
 * that was woken may free the event, even if fl_event_set() has not returned.
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

/* Makes `e` an event that is not set, as FL_EVENT_INIT does. */
FL_INLINE void fl_event_init(fl_event *_e)
{
	_e->word_ = 0;
}

/* Makes `e` an auto-reset event that is not set, as FL_EVENT_AUTO_INIT does. */
FL_INLINE void fl_event_init_auto(fl_event *_e)
{
	_e->word_ = FL_EVENT_AUTO_;
}

/* Ends the life of `e` (fairlead/defs.h, "Destroy"). */
FL_API void fl_event_destroy(fl_event *e);

/*
 * Sets `e`, and wakes all contexts that wait for it, even if `e` is reset at once. An auto-reset
 * event instead wakes only the first waiter, and is then not set. Without waiters, `e` stays set
 * for the next wait. The call is a release even if `e` is set already.
 */
FL_API void fl_event_set(fl_event *e);

/*
 * Makes `e` not set. Waiters that were woken before stay woken. Memory order: acquires what the
 * sets that it undoes released, so a consumer that resets the event before it looks for work misses
 * none.
 */
FL_API void fl_event_reset(fl_event *e);

/* Returns whether `e` is set now. Memory order: an acquire if the result is true. */
FL_INLINE bool fl_event_is_set(const fl_event *_e)
{
	/* acquire: pairs with the release in fl_event_set() */
	return fl__load_acquire(&_e->word_) & FL_EVENT_SET_;
}

/*
 * Waits until `e` is set, and resets an auto-reset event. Blocks the calling context. Returns 0,
 * -ECANCELED or -ETIMEDOUT.
 */
FL_API FL_MUST_CHECK int fl_event_wait_until(fl_event *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_event_wait(fl_event *_e)
{
	return fl_event_wait_until(_e, FL_FOREVER, NULL);
}

/*
 * FL_ON_EVENT(&e) is an object for FL_WAIT_ANY(), ready while `e` is set. The wait may miss a set
 * that is reset at once. To reset an auto-reset event afterwards, call fl_event_wait_until() with
 * FL_NO_WAIT.
 */
#define FL_ON_EVENT(e) FL__ON(fl__on_event, (e))
FL_API extern const fl_on_type fl__on_event;

FL_END_DECLS

#endif
