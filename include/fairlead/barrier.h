/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BARRIER_H
#define FAIRLEAD_BARRIER_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/time.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Barrier: a fixed number of contexts wait for each other, again and again.
 *
 *     fl_barrier turn;
 *     rc = fl_barrier_init(&turn, 4);         // check
 *     rc = fl_barrier_wait(&turn);            // 0, 1, 2 or 3: a different number in each of the four
 *
 * A barrier breaks when a waiter gives up (timeout, cancel) or fl_barrier_abort() is called: all its waiters and all
 * later ones get -EPIPE, until fl_barrier_reset(). A wait that is complete stays complete: who was let through returns
 * its number. The barrier may be destroyed as soon as one waiter has returned with a number and nobody will wait again:
 * those that are still leaving do not touch it.
 *
 * A barrier can have an action, a function of the user's. The last party to arrive calls the
 * action, once for each phase, before any party is let through.
 *
 *     rc = fl_barrier_init_with_action(&turn, 4, merge_parts, &parts);        // check
 *
 * The phase is complete when the action begins. A waiter whose deadline or cancel comes while the
 * action runs waits for the end of the action, and passes. fl_barrier_abort() and
 * fl_barrier_reset() fail the phase all the same: its parties get -EPIPE, the last party when the
 * action has returned. A context that arrives while the action runs waits for the next phase. If
 * that context gives up before the action has returned, the barrier breaks for later waits; the
 * present phase still passes.
 *
 * Memory order: what each wrote before its wait is visible to the action, and to all after the
 * wait; so is what the action wrote.
 */
typedef struct fl_barrier {
	uint32_t parties_;
	uint32_t arrived_;
	uint32_t broken_;
	uint32_t acting_; /* that the action runs, and in which process */
	void (*action_)(void *arg);
	void *action_arg_;
} fl_barrier;
FL__ASSERT_SIZE(fl_barrier, 16 + 2 * sizeof(void *));

/* clang-format off */
/* Without an action. */
#define FL_BARRIER_INIT(parties) { (uint32_t)(parties), 0, 0, 0, 0, 0 }
/* clang-format on */

/* Makes `b` a barrier for `parties` (1 to INT_MAX). Requires that nobody uses it. Returns 0, -EINVAL. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_barrier_init(fl_barrier *b, uint32_t parties);

/*
 * As fl_barrier_init(), with an action; NULL: none. The last party calls action(arg) in its own
 * context and cancel scope, without a lock held. An action that failed calls fl_barrier_abort(b):
 * then all parties of the phase, also the last one, get -EPIPE. The action must not wait at `b`,
 * nor destroy `b`. Returns 0, -EINVAL. Never waits.
 */
FL_INLINE FL_MUST_CHECK int fl_barrier_init_with_action(fl_barrier *b, uint32_t parties, void (*action)(void *arg),
                                                        void *arg);

/* Returns 0 when nobody waits at `b` and no action runs, else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_barrier_destroy(fl_barrier *b);

/*
 * Waits until all parties are here, and the action has returned. Blocks the calling context.
 * Observes its cancel scope. Returns the order of arrival, 0 to parties - 1; -EPIPE when the
 * barrier is or gets broken, or is reset meanwhile; -ECANCELED (which breaks it). Panics when `b`
 * has no parties.
 */
FL_INLINE FL_MUST_CHECK int fl_barrier_wait(fl_barrier *b);

/*
 * Passes if this is the last party, and returns its number; else -EAGAIN, without arriving, also
 * while the action runs; or -EPIPE. Never waits, but runs the action.
 */
FL_API FL_MUST_CHECK int fl_barrier_try_wait(fl_barrier *b);

/* As fl_barrier_wait; also returns -ETIMEDOUT, which breaks the barrier. */
FL_API FL_MUST_CHECK int fl_barrier_wait_until(fl_barrier *b, int64_t deadline, fl_cancel_token *cancel);

/* Breaks `b`: its waiters get -EPIPE. Never waits, also not for an action that runs. */
FL_API void fl_barrier_abort(fl_barrier *b);

/*
 * Makes `b` whole and empty; the waiters get -EPIPE. While an action runs, the next phase begins
 * when the action has returned. Never waits.
 */
FL_API void fl_barrier_reset(fl_barrier *b);

/* Whether `b` is broken. Never waits. */
FL_INLINE bool fl_barrier_is_broken(const fl_barrier *b);

/* How many parties of the present phase wait at `b` now. Never waits. */
FL_INLINE uint32_t fl_barrier_waiting(const fl_barrier *b);

/* The inline functions. */

FL_INLINE int fl_barrier_init(fl_barrier *_b, uint32_t _parties)
{
	return fl_barrier_init_with_action(_b, _parties, NULL, NULL);
}

FL_INLINE int fl_barrier_init_with_action(fl_barrier *_b, uint32_t _parties, void (*_action)(void *), void *_arg)
{
	const fl_barrier _value = FL_BARRIER_INIT(_parties);
	if (_parties == 0 || _parties > INT_MAX)
		return -EINVAL;
	*_b = _value;
	_b->action_ = _action;
	_b->action_arg_ = _arg;
	return 0;
}

FL_INLINE int fl_barrier_wait(fl_barrier *_b)
{
	return fl_barrier_wait_until(_b, FL_FOREVER, NULL);
}

FL_INLINE bool fl_barrier_is_broken(const fl_barrier *_b)
{
	return fl__load_relaxed(&_b->broken_); /* relaxed: may be stale at once */
}

FL_INLINE uint32_t fl_barrier_waiting(const fl_barrier *_b)
{
	return fl__load_relaxed(&_b->arrived_); /* relaxed: may be stale at once */
}

FL_END_DECLS

#endif
