/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BARRIER_H
#define FAIRLEAD_BARRIER_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/private/number.h>
#include <fairlead/time.h>
#include <limits.h>

FL_BEGIN_DECLS

/*
 * At a barrier, a fixed number of contexts (threads or fibers), the parties, wait for each other
 * again and again.
 *
 *     fl_barrier turn;
 *     rc = fl_barrier_init(&turn, 4);         // check
 *     rc = fl_barrier_wait(&turn);            // 0, 1, 2 or 3, different in each of the four
 *
 * Each round of waits is a phase. When all parties have arrived, all of them pass, and the next
 * phase begins. If the barrier has an action, the last party calls it before any party passes.
 *
 * A barrier breaks when a waiter gives up (timeout, cancel), and when fl_barrier_abort() is called.
 * Its waiters and all later callers then get -EPIPE, until fl_barrier_reset().
 *
 * You may destroy the barrier as soon as one wait of the last phase has returned 0 to parties - 1;
 * if that phase failed, when all its waits have returned.
 *
 * Memory order: the action acquires what each party released by its wait. All parties acquire what
 * the parties and the action released.
 */
typedef struct fl_barrier {
	uint32_t parties_;
	uint32_t arrived_;
	FL__WORD64 uint64_t state_;
	FL__WORD64 uint64_t acting_;
	void (*action_)(void *arg);
	void *action_arg_;
} fl_barrier;
FL__ASSERT_SIZE(fl_barrier, 24 + 2 * sizeof(void *));

/* clang-format off */
/*
 * Initializes a barrier of `parties` parties, 1 to INT_MAX, without an action. A constant outside
 * of this range does not compile; a variable outside of it panics.
 */
#define FL_BARRIER_INIT(parties) { FL__NUMBER(BARRIER_INIT, parties, 1, INT_MAX), 0, 0, 0, NULL, NULL }
/* clang-format on */

/*
 * Makes `b` a barrier for `parties` contexts, 1 to INT_MAX. The last party of each phase calls
 * action(arg), unless `action` is NULL, in its own context and cancel scope, without a lock held.
 *
 *     rc = fl_barrier_init_with_action(&turn, 4, merge_parts, &parts);        // check
 *
 * The action must not wait at `b`, and must not destroy it. If it fails, it calls
 * fl_barrier_abort(b). docs/in-your-process.md says what happens if it does not return.
 *
 * Once the action has begun, a timeout or a cancel no longer ends a wait of its phase, but
 * fl_barrier_abort() and fl_barrier_reset() do. A context that arrives while the action runs
 * belongs to the next phase. Returns 0, or -EINVAL if `parties` is 0 or above INT_MAX.
 */
FL_INLINE FL_MUST_CHECK int fl_barrier_init_with_action(fl_barrier *_b, uint32_t _parties, void (*_action)(void *arg),
                                                        void *_arg)
{
	const fl_barrier _value = {0, 0, 0, 0, NULL, NULL};
	if (_parties == 0 || _parties > INT_MAX)
		return -EINVAL;
	*_b = _value;
	_b->parties_ = _parties;
	_b->action_ = _action;
	_b->action_arg_ = _arg;
	return 0;
}
FL_INLINE FL_MUST_CHECK int fl_barrier_init(fl_barrier *_b, uint32_t _parties)
{
	return fl_barrier_init_with_action(_b, _parties, NULL, NULL);
}

/* Ends the life of `b` (fairlead/defs.h, "Destroy"). No action may run. */
FL_API void fl_barrier_destroy(fl_barrier *b);

/*
 * Waits until all parties have arrived and the action has returned. Both functions block the
 * calling context, and panic if `b` has no parties. Returns:
 *   0 to parties - 1        the place of the caller in the order of arrival
 *   -EPIPE                  `b` is broken, or was broken or reset during the wait
 *   -ECANCELED, -ETIMEDOUT  the caller gave up, and `b` is now broken
 */
FL_API FL_MUST_CHECK int fl_barrier_wait_until(fl_barrier *b, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_barrier_wait(fl_barrier *_b)
{
	return fl_barrier_wait_until(_b, FL_FOREVER, NULL);
}

/* Breaks `b`. It does not wait for a running action. */
FL_API void fl_barrier_abort(fl_barrier *b);

/* Makes `b` unbroken and empty. Its waiters get -EPIPE. */
FL_API void fl_barrier_reset(fl_barrier *b);

/* Returns whether `b` is broken. */
FL_INLINE bool fl_barrier_is_broken(const fl_barrier *_b)
{
	return fl__load_relaxed(&_b->state_) & 1; /* relaxed: the answer may be stale at once */
}

/* Returns how many parties of the present phase wait. */
FL_API uint32_t fl_barrier_waiting(const fl_barrier *b);

FL_END_DECLS

#endif
