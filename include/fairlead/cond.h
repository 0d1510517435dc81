/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_COND_H
#define FAIRLEAD_COND_H

#include <fairlead/mutex.h>
#include <fairlead/private/cond_forms.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * At a condition variable, contexts (threads or fibers) wait until another one has changed
 * something.
 *
 *     FL_LOCKED(&lock);
 *     while (!ready)
 *             if ((rc = fl_cond_wait(&changed, &lock)) != 0)
 *                     return rc;
 *
 * A condition variable is as large as a pointer, and all-zero memory is one without waiters. All
 * contexts that wait at one time must use the same fl_mutex. It must not be a recursive one
 * (fl_rmutex), because the wait could undo only one of its owner's locks.
 *
 * A signal wakes the context that has waited longest (but see fl_loop_run_once(), fairlead/loop.h),
 * and there are no spurious wakeups. Check the predicate in a loop all the same, because another
 * context may change the data before the wait returns.
 *
 * Every wait returns with the mutex locked, whatever its result. Neither its deadline nor a cancel
 * limits how long it waits for the mutex.
 */
typedef struct fl_cond {
	uintptr_t word_;
} fl_cond;
FL__ASSERT_SIZE(fl_cond, sizeof(void *));

/* clang-format off */
#define FL_COND_INIT { 0 }
/* clang-format on */

/* Makes `c` a condition variable without waiters, as FL_COND_INIT does. */
FL_INLINE void fl_cond_init(fl_cond *_c)
{
	_c->word_ = 0;
}

/*
 * Ends the life of `c` (fairlead/defs.h, "Destroy"). A context that has been woken no longer counts
 * as waiting.
 */
FL_API void fl_cond_destroy(fl_cond *c);

/*
 * Unlocks `m` and waits as one atomic step, so that no signal is lost in between, and locks `m`
 * again when a signal wakes the caller. Both functions block the calling context, and panic if `m`
 * is not locked. Returns 0, -ECANCELED or -ETIMEDOUT, with `m` locked.
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait(fl_cond *c, fl_mutex *m) FL_REQUIRES(*m);
FL_API FL_MUST_CHECK int fl_cond_wait_until(fl_cond *c, fl_mutex *m, fl_time deadline, fl_cancel_token *cancel)
    FL_REQUIRES(*m);

/*
 * Waits until `predicate(arg)` is true. It calls the predicate with `m` locked, first at once and
 * then after each wait. Both functions block the calling context, return with `m` locked, and panic
 * if they have to wait and `m` is not locked. Returns 0; or, if the predicate is false, -ECANCELED
 * or -ETIMEDOUT.
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg)
    FL_REQUIRES(*m);
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for_until(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg,
                                                   fl_time deadline, fl_cancel_token *cancel) FL_REQUIRES(*m);

/*
 * Wakes contexts that wait for `c`, those that have waited longest first: fl_cond_signal() one,
 * fl_cond_signal_n() `n`, or all if fewer wait, and fl_cond_broadcast() all. A signal without a
 * waiter has no effect. The caller may hold the mutex, but need not.
 */
FL_API void fl_cond_signal_n(fl_cond *c, size_t n);
FL_INLINE void fl_cond_signal(fl_cond *_c)
{
	fl_cond_signal_n(_c, 1);
}
FL_INLINE void fl_cond_broadcast(fl_cond *_c)
{
	fl_cond_signal_n(_c, SIZE_MAX);
}

FL__COND_FORMS(fl_cond, fl_mutex)

FL_END_DECLS

#endif
