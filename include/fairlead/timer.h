/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIMER_H
#define FAIRLEAD_TIMER_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A timer calls a function at a later time, once or periodically.
 *
 *     static void remind(void *user) { ... }
 *
 *     FL_SCOPED(fl_timer) t = FL_TIMER_INIT;                     // cancelled and joined at the end
 *     rc = fl_timer_start(&t, fl_after(FL_S(5)), remind, user);  // once; check
 *     rc = fl_timer_start_every(&t, fl_after(0), FL_S(60), remind, user); // now, and each minute
 *
 * All-zero memory is a timer that is not started. A timer allocates nothing. fairlead/loop.h has
 * the timers of an event loop.
 *
 * A thread of the library, "timers" (docs/in-your-process.md), calls the functions one after the
 * other, ordered by deadline, or by start if the deadlines are equal. A long function delays the
 * others, so submit a task instead. A process that ends does not wait for its timers.
 *
 * The function may lock, wait, and start, cancel and destroy timers, also its own. It may free the
 * memory of its own timer, unless that timer is to be called again. It has no cancel scope. It must
 * not leave by pthread_exit(), pthread_cancel() or longjmp().
 *
 * Memory order: a start happens before the call, and the end of the call before the return of a
 * join.
 */
typedef void fl_timer_callback(void *arg);

typedef struct fl_timer {
	int64_t heap_[5];
	int64_t period_;
	uint64_t missed_;
	fl_timer_callback *function_;
	void *arg_;
	uint32_t start_;
} fl_timer;

/* clang-format off */
#define FL_TIMER_INIT { { 0, 0, 0, 0, 0 }, 0, 0, NULL, NULL, 0 }
/* clang-format on */

/* Makes `t`, which must not be in use, a timer that is not started. */
FL_INLINE void fl_timer_init(fl_timer *_t)
{
	const fl_timer _value = FL_TIMER_INIT;
	*_t = _value;
}

/*
 * Starts `t`, so that function(arg) is called once, at `deadline` or soon after. With FL_FOREVER
 * the timer stays pending.
 *
 * fl_timer_start_every() has the function called at `first`, or now if `first` has passed, and then
 * each `period` nanoseconds until `t` is cancelled. The calls do not drift: each is due one
 * `period` after the one before was due. If several become due while the thread is busy, only the
 * last of them is made.
 *
 * `t` must not move until the call has begun or the timer was cancelled; a periodic timer, until it
 * was cancelled. Returns 0, -ENOMEM, or:
 *   -EBUSY      `t` is pending already
 *   -ECANCELED  the caller is the function of `t`, and another context has cancelled `t`
 *   -EINVAL     only fl_timer_start_every(): `period` is not above 0
 *   -EAGAIN     the thread cannot be started, or the process is at its end
 */
FL_API FL_MUST_CHECK int fl_timer_start(fl_timer *t, fl_time deadline, fl_timer_callback *function, void *arg);
FL_API FL_MUST_CHECK int fl_timer_start_every(fl_timer *t, fl_time first, fl_duration period,
                                              fl_timer_callback *function, void *arg);

/* Returns how many calls of a periodic timer were left out since its start. */
FL_API uint64_t fl_timer_missed(const fl_timer *t);

/*
 * Cancels `t`, without waiting for a function that runs: no call begins after the return, unless
 * `t` is started again. If the function of `t` runs in another context, it can no longer start `t`
 * itself. Returns:
 *   0             `t` was pending, and its function does not run
 *   -EINPROGRESS  the function of `t` runs now
 *   -EALREADY     neither: `t` has been called, was cancelled, or was never started
 *
 * In the function of `t` itself, the result is 0 if `t` is pending, and -EALREADY otherwise.
 */
FL_API FL_MUST_CHECK int fl_timer_cancel(fl_timer *t);

/*
 * Waits until `t` is neither pending nor running. Blocks the calling context, except
 * fl_timer_try_join(). `t` must not move meanwhile. Returns 0, -ECANCELED, -ETIMEDOUT, or:
 *   -EAGAIN   only fl_timer_try_join(): `t` is pending or running
 *   -EDEADLK  the caller is a timer's function, and would have to wait
 */
FL_API FL_MUST_CHECK int fl_timer_join_until(fl_timer *t, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_timer_join(fl_timer *_t)
{
	return fl_timer_join_until(_t, FL_FOREVER, NULL);
}
FL_API FL_MUST_CHECK int fl_timer_try_join(fl_timer *t);

/*
 * Ends the life of `t`, which must be neither pending nor running in another context
 * (fairlead/defs.h, "Destroy"): call fl_timer_cancel() and then fl_timer_join() before.
 */
FL_API void fl_timer_destroy(fl_timer *t);

static inline void fl__scoped_fl_timer(fl_timer *_t)
{
	FL_IGNORE(fl_timer_cancel(_t));
	/*
	 * The join returns 0: only the timer's own function, which does not run this block, could
	 * get -EDEADLK.
	 */
	FL_IGNORE(fl_timer_join_until(_t, FL_FOREVER, FL_SHIELDED));
}

FL_END_DECLS

#endif
