/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SEM_H
#define FAIRLEAD_SEM_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/number.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * A counting semaphore has a number of permits, which contexts (threads or fibers) acquire and
 * release.
 *
 *     static fl_sem slots = FL_SEM_INIT(3);
 *     rc = fl_sem_acquire(&slots);            // check
 *     use_one();
 *     fl_sem_release(&slots);
 *
 * A semaphore has 8 bytes. All-zero memory is a semaphore without permits and without a bound. A
 * semaphore may have a bound: the most permits that may be free. Without a bound the most is
 * FL_SEM_MAX. A release that would exceed this limit panics. There are two exceptions:
 * fl_sem_try_release_n() returns an error in place of the panic, and fl_sem_release_in_handler()
 * may exceed the bound while the first waiter sleeps. fl_sem_init_bounded() sets the bound.
 * FL_SEM_BOUNDED_INIT(n) has n free permits and the bound n, which must be from 1 to FL_SEM_MAX.
 *
 * Fairness: the wait queue is FIFO, and a release wakes the first waiter. For about a millisecond a
 * running thread may take the permit before the woken waiter does. After that time the permit is
 * handed over to the waiter, so no waiter starves. If the waiter gets no CPU, threads may overtake
 * it for longer. A fiber is handed its permit at once. A loop that a program drives by
 * fl_loop_run_once() is a special case: its fibers cannot run between two calls. Between two calls,
 * the thread that drives the loop may wait in a function of this library. During that wait,
 * contexts that can run go before the fibers of that loop. fl_loop_run_once() (fairlead/loop.h)
 * describes this.
 *
 * A waiter for several permits gets them all at once. While it is first in the queue, all later
 * waiters wait behind it, and the try forms fail, even if there are permits enough for them.
 *
 * Memory order: an acquire of a permit acquires what the release of that permit released. The last
 * access of a release to the memory of the semaphore is the instruction that makes the permit
 * available.
 */
typedef struct fl_sem {
	uint32_t word_, bound_;
} fl_sem;
FL__ASSERT_SIZE(fl_sem, 8);

#define FL_SEM_MAX 0x7fffffffu
/*
 * The number of permits is at most FL_SEM_MAX; for FL_SEM_BOUNDED_INIT it is also at least 1. A
 * constant outside of this range, such as -1, does not compile. Another number outside of it panics.
 */
/* clang-format off */
#define FL_SEM_INIT(permits) { FL__NUMBER(SEM_INIT, permits, 0, FL_SEM_MAX), 0 }
#define FL_SEM_BOUNDED_INIT(permits) { FL__NUMBER(SEM_BOUNDED_INIT, permits, 1, FL_SEM_MAX), FL__CAST(uint32_t, permits) }
/* clang-format on */

/*
 * Makes `s` a semaphore with `permits` free permits and without a bound. Returns:
 *   0        `s` is a semaphore
 *   -EINVAL  `permits` is above FL_SEM_MAX
 */
FL_INLINE FL_MUST_CHECK int fl_sem_init(fl_sem *_s, uint32_t _permits)
{
	if (_permits > FL_SEM_MAX)
		return -EINVAL;
	_s->word_ = _permits;
	_s->bound_ = 0;
	return 0;
}

/*
 * Makes `s` a semaphore with `permits` free permits and the bound `bound`. Returns:
 *   0        `s` is a semaphore
 *   -EINVAL  `bound` is 0, above FL_SEM_MAX, or below `permits`
 */
FL_INLINE FL_MUST_CHECK int fl_sem_init_bounded(fl_sem *_s, uint32_t _permits, uint32_t _bound)
{
	if (_bound == 0 || _bound > FL_SEM_MAX || _permits > _bound)
		return -EINVAL;
	_s->word_ = _permits;
	_s->bound_ = _bound;
	return 0;
}

/*
 * Ends the life of `s`. The call requires that no context waits for `s`. While debugging is on, it
 * panics if a context does (fairlead/defs.h, "Destroy").
 */
FL_API void fl_sem_destroy(fl_sem *s);

/*
 * Acquires one permit. Both functions block the calling context until there is a permit for the
 * call. Returns:
 *   0           the caller has a permit
 *   -ECANCELED  the wait was cancelled; no permit was taken
 *   -ETIMEDOUT  the deadline of fl_sem_acquire_until() passed; no permit was taken
 */
FL_API FL_MUST_CHECK int fl_sem_acquire_until(fl_sem *s, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_sem_acquire(fl_sem *_s)
{
	return fl_sem_acquire_until(_s, FL_FOREVER, NULL);
}

/*
 * Acquires one permit if that is possible now, and never waits. Returns:
 *   0        the caller has a permit
 *   -EAGAIN  no permit is free, or the free permits are reserved for a waiter
 */
FL_API FL_MUST_CHECK int fl_sem_try_acquire(fl_sem *s);

/*
 * Acquires `n` permits, all of them or none. With `n` 0 it acquires none. It blocks the calling
 * context until there are enough permits for the call. Returns:
 *   0           the caller has `n` permits
 *   -ECANCELED  the wait was cancelled; no permit was taken
 *   -ETIMEDOUT  the deadline passed; no permit was taken
 *   -EINVAL     `n` is above the bound of `s`, or above FL_SEM_MAX
 */
FL_API FL_MUST_CHECK int fl_sem_acquire_n_until(fl_sem *s, uint32_t n, fl_time deadline, fl_cancel_token *cancel);

/*
 * Releases one permit, and wakes the first waiter if there are now permits enough for it. It panics
 * if `s` would exceed its limit.
 */
FL_API void fl_sem_release(fl_sem *s);

/*
 * Releases `n` permits in one step, and wakes the waiters that get their permits by it. It panics,
 * and releases none, if `s` would exceed its limit.
 */
FL_API void fl_sem_release_n(fl_sem *s, uint32_t n);

/*
 * Releases `n` permits in one step, or none if `s` would exceed its limit. It differs from
 * fl_sem_release_n() in that a release of too many is a result, not a panic. Returns:
 *   0           `n` permits were released
 *   -EOVERFLOW  `s` would exceed its limit; no permit was released
 */
FL_API FL_MUST_CHECK int fl_sem_try_release_n(fl_sem *s, uint32_t n);

/*
 * Releases one permit from within a signal handler. It is async-signal-safe: it may be called
 * whatever the signal has interrupted, keeps errno, and never allocates. Outside of signal handlers
 * use fl_sem_release(), which is faster when contexts wait.
 *
 * The call panics if `s` would exceed its limit. There is one exception: while the first waiter
 * sleeps, the new permit may exceed the bound, since the waiters may take it. A later release
 * panics if the waiters have not taken the new permit before. A first waiter that a release has
 * woken no longer sleeps, even if it has not run yet. So of two calls with the bound 1 and one
 * waiter, the second panics if the waiter has not taken the permit of the first.
 */
FL_API void fl_sem_release_in_handler(fl_sem *s);

/*
 * Returns the number of free permits. It counts them also when they are too few for the first
 * waiter. Use it for reports only, since the answer may be out of date at once. It orders no memory
 * accesses.
 */
FL_API uint32_t fl_sem_value(const fl_sem *s);

/*
 * FL_ON_SEM(&s) is an object for FL_WAIT_ANY(). It is ready while a permit is free that is not
 * reserved for a waiter.
 */
#define FL_ON_SEM(s) FL__ON(fl__on_sem, (s))
FL_API extern const fl_on_type fl__on_sem;

FL_END_DECLS

#endif
