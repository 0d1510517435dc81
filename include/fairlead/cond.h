/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_COND_H
#define FAIRLEAD_COND_H

#include <fairlead/mutex.h>
#include <fairlead/private/cond_forms.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * At a condition variable, contexts (threads or fibers) wait until another context has changed
 * something.
 *
 *     FL_LOCKED(&lock);
 *     while (!ready)
 *             if ((rc = fl_cond_wait(&changed, &lock)) != 0)
 *                     return rc;
 *
 * A condition variable has the size of a pointer. All-zero memory is a condition variable without
 * waiters. All contexts that wait at one time must use the same mutex.
 *
 * A signal wakes the context that has waited longest, and no other. There are no spurious wakeups.
 * Check the predicate in a loop all the same: between the signal and the return of the wait,
 * another context may lock the mutex and change the data. A waiter that times out or is cancelled
 * has consumed no signal.
 *
 * A loop that a program drives by fl_loop_run_once() is a special case: its fibers cannot run
 * between two calls. Between two calls, the thread that drives the loop may wait in a function of
 * this library. Meanwhile, waiters that can run are woken before the fibers of that loop.
 * fl_loop_run_once() (fairlead/loop.h) describes this.
 *
 * Every wait returns with the mutex locked, whatever its result. At its end a wait locks the mutex
 * again, and waits for the mutex as long as that takes: neither a deadline nor a cancel limits this
 * time.
 *
 * A condition variable may be destroyed as soon as all its waiters have been woken, even if they
 * have not yet returned from their waits.
 */
typedef struct fl_cond {
	uintptr_t word_;
} fl_cond;
FL__ASSERT_SIZE(fl_cond, sizeof(void *));

/* clang-format off */
#define FL_COND_INIT { 0 }
/* clang-format on */

/* Makes `c` a condition variable without waiters, as the initializer FL_COND_INIT does. */
FL_INLINE void fl_cond_init(fl_cond *_c)
{
	_c->word_ = 0;
}

/*
 * Ends the life of `c`. The call requires that no context waits for `c`; a context that has been
 * woken no longer counts as waiting. While debugging is on, it panics if a context waits
 * (fairlead/defs.h, "Destroy").
 */
FL_API void fl_cond_destroy(fl_cond *c);

/*
 * Unlocks `m`, waits until a signal wakes the caller, and locks `m` again. The unlock and the
 * beginning of the wait are one atomic step, so no signal is lost between them. Both functions
 * block the calling context. They panic if `m` is not locked. Both return with `m` locked:
 *   0           a signal woke the caller
 *   -ECANCELED  the wait was cancelled
 *   -ETIMEDOUT  the deadline of fl_cond_wait_until() passed
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait(fl_cond *c, fl_mutex *m) FL_REQUIRES(*m);
FL_API FL_MUST_CHECK int fl_cond_wait_until(fl_cond *c, fl_mutex *m, fl_time deadline, fl_cancel_token *cancel)
    FL_REQUIRES(*m);

/*
 * Waits until `predicate(arg)` is true. It calls the predicate with `m` locked, first at once and
 * then after each wait. Both functions block the calling context, and both return with `m` locked.
 * After a wait that was cancelled or timed out, it calls the predicate once more, and returns 0 if
 * the predicate is true. They panic if they have to wait and `m` is not locked. Returns:
 *   0           the predicate is true
 *   -ECANCELED  the wait was cancelled, and the predicate is false
 *   -ETIMEDOUT  the deadline of fl_cond_wait_for_until() passed, and the predicate is false
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg)
    FL_REQUIRES(*m);
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for_until(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg,
                                                   fl_time deadline, fl_cancel_token *cancel) FL_REQUIRES(*m);

/*
 * Wakes contexts that wait for `c`, those that have waited longest first. fl_cond_signal() wakes
 * one context, and fl_cond_signal_n() wakes `n`; if fewer wait, it wakes all of them. A signal
 * without a waiter has no effect. The caller may hold the mutex, but need not.
 */
FL_API void fl_cond_signal_n(fl_cond *c, size_t n);
FL_INLINE void fl_cond_signal(fl_cond *_c)
{
	fl_cond_signal_n(_c, 1);
}

/* Wakes all contexts that wait for `c` now. The caller may hold the mutex, but need not. */
FL_INLINE void fl_cond_broadcast(fl_cond *_c)
{
	fl_cond_signal_n(_c, SIZE_MAX);
}

FL__COND_FORMS(fl_cond, fl_mutex)

FL_END_DECLS

#endif
