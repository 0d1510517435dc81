/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIMER_H
#define FAIRLEAD_TIMER_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Timer: calls a function later, once or periodically. A timer allocates nothing. fairlead/loop.h
 * has the timers of an event loop.
 *
 *     static void remind(void *user) { ... }
 *
 *     FL_SCOPED(fl_timer) t = FL_TIMER_INIT;                     // the scope's end cancels and joins
 *     rc = fl_timer_start(&t, fl_after(FL_S(5)), remind, user);  // once; check
 *     rc = fl_timer_start_every(&t, fl_after(0), FL_S(60), remind, user); // now, and each minute
 *
 * Functions are called one after the other, by deadline (one that has passed counts as now), then
 * by start, on a thread of the library, "timers", which ends when it has found no timer for ten
 * seconds. It blocks the signals that the starter of the first timer blocks. A long function delays
 * the others: submit a task instead.
 *
 * The function may lock, wait, and start, cancel and destroy timers, also its own; it may free its
 * own timer's memory unless that timer is to be called again. It must return: pthread_exit() and
 * pthread_cancel() panic, and it must not leave by longjmp(). It has no cancel scope.
 *
 * A start takes constant time, and a cancel or a call O(log n) for n timers, on average. The end of
 * each call also wakes all contexts that are in fl_timer_join(), to look at their own timers.
 *
 * Memory order: a call sees what was written before the start; a context that has waited for the
 * end of the call sees what the call wrote. Fork: in the child no timer is started. Exit: a process
 * does not wait for its timers; those that are pending are not called. Before code is unloaded
 * (dlclose), its timers have to be stopped.
 */
typedef void fl_timer_callback(void *arg);

typedef struct fl_timer {
	int64_t heap_[5];
	int64_t period_; /* 0: once */
	uint64_t missed_;
	fl_timer_callback *function_;
	void *arg_;
	uint32_t fork_, start_;
} fl_timer;

/* clang-format off */
#define FL_TIMER_INIT { { 0, 0, 0, 0, 0 }, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/* Makes `t` a timer that is not started, as all-zero memory is. Requires that `t` is not in use. */
FL_INLINE void fl_timer_init(fl_timer *_t)
{
	const fl_timer _value = FL_TIMER_INIT;
	*_t = _value;
}

/*
 * Has `function(arg)` called once, at `deadline` or soon after. FL_FOREVER: never, but the timer is
 * pending. `t` must not move until the call has begun, or the timer was cancelled. Returns 0, or:
 *   -EBUSY      `t` is pending
 *   -ECANCELED  in its own function, after another context has cancelled it
 *   -EAGAIN     the thread cannot be started, or the process exits
 *   -ENOMEM     there is no memory for the thread
 */
FL_API FL_MUST_CHECK int fl_timer_start(fl_timer *t, fl_time deadline, fl_timer_callback *function, void *arg);

/*
 * Has `function(arg)` called at `first` (now, if that has passed), and then each `period` ns, until
 * it is cancelled. Call number n is due n * `period` after the first was due. Of calls that become
 * due while the thread is busy only the last is made; fl_timer_missed() counts the others. `t` must
 * not move until it was cancelled. Returns as fl_timer_start(), or -EINVAL: `period` is not above
 * 0.
 */
FL_API FL_MUST_CHECK int fl_timer_start_every(fl_timer *t, fl_time first, fl_duration period,
                                              fl_timer_callback *function, void *arg);

/* The number of calls of a periodic timer that were skipped since its start. */
FL_API uint64_t fl_timer_missed(const fl_timer *t);

/*
 * Cancels `t`: no call begins after this has returned, unless `t` is started again. If its function
 * runs now in another context, this run cannot start `t` again. Returns:
 *   0             it was pending, and does not run
 *   -EINPROGRESS  its function runs now
 *   -EALREADY     neither: it has been called, was cancelled, or was never started
 *
 * In its own function: 0 if it was periodic or started again, else -EALREADY.
 */
FL_API FL_MUST_CHECK int fl_timer_cancel(fl_timer *t);

/*
 * Waits until `t` is neither pending nor running. `t` must not move until then. Blocks the calling
 * context. Returns -ECANCELED, or:
 *   0         at once if `t` is not started
 *   -EDEADLK  called by a timer's function, if it would have to wait
 */
FL_API FL_MUST_CHECK int fl_timer_join_until(fl_timer *t, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_timer_join(fl_timer *_t)
{
	return fl_timer_join_until(_t, FL_FOREVER, NULL);
}

/* As fl_timer_join(). Never waits: returns -EAGAIN while `t` is pending or running. */
FL_API FL_MUST_CHECK int fl_timer_try_join(fl_timer *t);

/*
 * Ends `t`. Requires that `t` is not pending, and does not run in another context. That is so after
 * fl_timer_cancel() and then fl_timer_join(). Debugging checks it: fairlead/defs.h, "Destroy".
 */
FL_API void fl_timer_destroy(fl_timer *t);

static inline void fl__scoped_fl_timer(fl_timer *_t)
{
	FL_IGNORE(fl_timer_cancel(_t));
	FL_IGNORE(fl_timer_join_until(_t, FL_FOREVER, FL_SHIELDED)); /* 0: the timer's function has no such scope */
}

FL_END_DECLS

#endif
