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
 * Event: a flag that contexts wait for. 4 bytes, valid (not set) when all-zero. It stays set until it is reset, or, in its other
 * form, until a wait returns for it: then it is reset by that wait, which alone goes on (an auto-reset event).
 *
 *     static fl_event ready = FL_EVENT_INIT;
 *     fl_event_set(&ready);                   // in one thread
 *     rc = fl_event_wait(&ready);             // in any number of others; check
 *
 *     static fl_event bell = FL_EVENT_AUTO_INIT;
 *     fl_event_set(&bell);                    // lets one wait return; twice without a wait between is once
 *     rc = fl_event_wait(&bell);              // and is not set any more
 *
 * fl_event_set() wakes all that wait at that moment, even when the event is reset at once; of one that resets itself, the
 * first in line: waits stand there in FIFO order, apart from their first moments (some 25 us), in which threads look at the
 * event. A wait that times out or is cancelled takes no set.
 *
 * Memory order: who sees the event set sees what was written before fl_event_set(). Setting touches the event for the last
 * time in the instruction that makes it set, so that a woken waiter may free it.
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

/* Makes `e` an event that is not set. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_event_init(fl_event *e);

/* Makes `e` an event that is not set, and that a wait resets. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_event_init_auto(fl_event *e);

/* Returns 0 when nobody waits on `e`, else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_event_destroy(fl_event *e);

/*
 * Sets `e` and wakes all its waiters; of one that a wait resets, the first, who takes the set, or else it stays for the next.
 * Releases also when it was set already. Never waits.
 */
FL_API void fl_event_set(fl_event *e);

/*
 * Makes `e` not set. Who is being woken stays woken. Never waits. Acquires what came before each set that it undoes, so that
 * "reset, look for work, wait if there is none" misses no work.
 */
FL_API void fl_event_reset(fl_event *e);

/* Whether `e` is set now. Never waits. Acquires when true. */
FL_INLINE bool fl_event_is_set(const fl_event *e);

/*
 * Waits until `e` is set, and resets it if it is of that form. Blocks the calling context. Observes its cancel scope. Returns
 * 0, -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_event_wait(fl_event *e);

/* Returns 0 when `e` is set, which it resets if it is of that form; else -EAGAIN. Never waits. */
FL_API FL_MUST_CHECK int fl_event_try_wait(fl_event *e);

/* As fl_event_wait; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_event_wait_until(fl_event *e, int64_t deadline, fl_cancel_token *cancel);

/*
 * For fl_wait_any: ready while it is set; unlike a wait, it may miss a set that is reset at once, and resets nothing: take the
 * set of one that a wait resets with fl_event_try_wait().
 */
#define FL_ON_EVENT(e) FL__ON(fl__on_event, (e))
FL_API extern const fl_on_type fl__on_event;

/* The inline functions. */

FL_INLINE void fl_event_init(fl_event *_e)
{
	_e->word_ = 0;
}

FL_INLINE void fl_event_init_auto(fl_event *_e)
{
	_e->word_ = FL_EVENT_AUTO_;
}

FL_INLINE int fl_event_wait(fl_event *_e)
{
	return fl_event_wait_until(_e, FL_FOREVER, NULL);
}

FL_INLINE bool fl_event_is_set(const fl_event *_e)
{
	return fl__load_acquire(&_e->word_) & FL_EVENT_SET_; /* pairs with the release in fl_event_set() */
}

FL_END_DECLS

#endif
