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
 * Barrier: a fixed number of contexts, the parties, wait for each other, again and again.
 *
 *     fl_barrier turn;
 *     rc = fl_barrier_init(&turn, 4);         // check
 *     rc = fl_barrier_wait(&turn);            // 0, 1, 2 or 3, different in each of the four
 *
 * A barrier breaks when a waiter gives up (timeout, cancel), or by fl_barrier_abort(): all its
 * waiters and all later ones get -EPIPE, until fl_barrier_reset(). Once one waiter of each phase
 * has returned with a number, and no context will wait again, the barrier may be destroyed.
 *
 * The last party of each phase calls the action, if there is one, before any party passes.
 *
 *     rc = fl_barrier_init_with_action(&turn, 4, merge_parts, &parts);        // check
 *
 * The phase is complete when the action begins: a waiter that times out or is cancelled then waits
 * for the end of the action, and passes. fl_barrier_abort() and fl_barrier_reset() still fail the
 * phase: its parties get -EPIPE. A context that arrives while the action runs waits for the next
 * phase; if it gives up, the barrier breaks for later waits.
 *
 * Memory order: the action acquires what each party released by its wait; all parties acquire what
 * parties and action released.
 */
typedef struct fl_barrier {
	uint32_t parties_;
	uint32_t arrived_;
	uint64_t state_;
	uint64_t acting_; /* whether the action runs, and in which process */
	void (*action_)(void *arg);
	void *action_arg_;
} fl_barrier;
FL__ASSERT_SIZE(fl_barrier, 24 + 2 * sizeof(void *));

/* clang-format off */
/* Initialises a barrier without an action. */
#define FL_BARRIER_INIT(parties) { (uint32_t)(parties), 0, 0, 0, 0, 0 }
/* clang-format on */

/*
 * Makes `b` a barrier for `parties` (1 to INT_MAX), with an action; NULL, or the second form: none.
 * The last party calls action(arg) in its own context and cancel scope, without a lock held. An
 * action that fails calls fl_barrier_abort(b): then all parties of the phase get -EPIPE. So they do
 * if the action ends its thread, by pthread_exit() or pthread_cancel(). The action must not wait at
 * `b`, nor destroy it. Returns 0, -EINVAL.
 */
FL_INLINE FL_MUST_CHECK int fl_barrier_init_with_action(fl_barrier *_b, uint32_t _parties, void (*_action)(void *arg),
                                                        void *_arg)
{
	const fl_barrier _value = FL_BARRIER_INIT(_parties);
	if (_parties == 0 || _parties > INT_MAX)
		return -EINVAL;
	*_b = _value;
	_b->action_ = _action;
	_b->action_arg_ = _arg;
	return 0;
}
FL_INLINE FL_MUST_CHECK int fl_barrier_init(fl_barrier *_b, uint32_t _parties)
{
	return fl_barrier_init_with_action(_b, _parties, NULL, NULL);
}

/*
 * Ends `b`. Requires that no context waits at `b` and no action runs. Debugging checks it:
 * fairlead/defs.h, "Destroy".
 */
FL_API void fl_barrier_destroy(fl_barrier *b);

/*
 * Waits until all parties have arrived and the action has returned. Blocks the calling context.
 * Panics when `b` has no parties. Returns:
 *   0 to parties - 1  the order of arrival
 *   -EPIPE            `b` was broken, or breaks or is reset during the wait
 *   -ECANCELED        cancelled; `b` breaks, as after -ETIMEDOUT
 */
FL_API FL_MUST_CHECK int fl_barrier_wait_until(fl_barrier *b, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_barrier_wait(fl_barrier *_b)
{
	return fl_barrier_wait_until(_b, FL_FOREVER, NULL);
}

/*
 * Arrives only if the caller is the last party, which runs the action. Returns:
 *   parties - 1  the phase is complete
 *   -EAGAIN      other parties are missing, or the action runs
 *   -EPIPE       as fl_barrier_wait()
 */
FL_API FL_MUST_CHECK int fl_barrier_try_wait(fl_barrier *b);

/* Breaks `b`: its waiters get -EPIPE. Does not wait for a running action. */
FL_API void fl_barrier_abort(fl_barrier *b);

/* Makes `b` unbroken and empty; its waiters get -EPIPE. A running action delays the next phase. */
FL_API void fl_barrier_reset(fl_barrier *b);

/* Whether `b` is broken. */
FL_INLINE bool fl_barrier_is_broken(const fl_barrier *_b)
{
	return fl__load_relaxed(&_b->state_) & 1; /* may be stale at once */
}

/* The number of parties of the present phase that wait at `b` now. */
FL_API uint32_t fl_barrier_waiting(const fl_barrier *b);

FL_END_DECLS

#endif
