/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_COND_H
#define FAIRLEAD_COND_H

#include <fairlead/mutex.h>
#include <fairlead/private/cond_forms.h>
#include <fairlead/time.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Condition variable. The size of a pointer, valid when all-zero.
 *
 *     FL_LOCKED(&lock);
 *     while (!ready)
 *             if ((rc = fl_cond_wait(&changed, &lock)) != 0)
 *                     return rc;
 *
 * A signal wakes the context that has waited longest at that time, and no other. (A context that
 * can run goes before fibers that cannot: see fl_loop_run_once().) A waiter that times out or is
 * cancelled has consumed no signal. There are no spurious wakeups, but another context may lock
 * first: check the predicate. All waiters at one time must use the same mutex.
 *
 * Every wait returns with the mutex locked, whatever its result; that lock is neither timed nor
 * cancelled. A condition may be destroyed as soon as all its waiters are woken.
 */
typedef struct fl_cond {
	uintptr_t word_;
} fl_cond;
FL__ASSERT_SIZE(fl_cond, sizeof(void *));

/* clang-format off */
#define FL_COND_INIT { 0 }
/* clang-format on */

/* Makes `c` a condition without waiters. */
FL_INLINE void fl_cond_init(fl_cond *_c)
{
	_c->word_ = 0;
}

/*
 * Ends `c`. Requires that no context waits on `c`; a context that was woken no longer does.
 * Debugging checks it: fairlead/defs.h, "Destroy".
 */
FL_API void fl_cond_destroy(fl_cond *c);

/*
 * Unlocks `m`, waits until woken, locks `m`. The unlock and the begin of the wait are one step.
 * Blocks the calling context. Panics when `m` is not locked. Returns 0 when woken, -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait(fl_cond *c, fl_mutex *m);

/* As fl_cond_wait(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_cond_wait_until(fl_cond *c, fl_mutex *m, fl_time deadline, fl_cancel_token *cancel);

/*
 * Waits until `predicate(arg)` is true; calls it with `m` locked, first at once, then after each
 * wait. Returns 0 when the predicate is true, even after a cancel or timeout; else -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg);

/* As fl_cond_wait_for(). Also returns -ETIMEDOUT. */
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for_until(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg,
                                                   fl_time deadline, fl_cancel_token *cancel);

/*
 * Wakes the `n` contexts that have waited longest, or all if fewer wait; the second form: one. The
 * mutex may be locked.
 */
FL_API void fl_cond_signal_n(fl_cond *c, size_t n);
FL_INLINE void fl_cond_signal(fl_cond *_c)
{
	fl_cond_signal_n(_c, 1);
}

/* Wakes all present waiters; the mutex may be locked. */
FL_INLINE void fl_cond_broadcast(fl_cond *_c)
{
	fl_cond_signal_n(_c, SIZE_MAX);
}

FL__COND_FORMS(fl_cond, fl_mutex)

FL_END_DECLS

#endif
