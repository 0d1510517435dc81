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
 * A semaphore is 8 bytes, and all-zero memory is a semaphore without permits. Its bound is the most
 * permits that may be free, usually FL_SEM_MAX. fl_sem_init_bounded() sets another bound, and
 * FL_SEM_BOUNDED_INIT(n) makes a semaphore with n free permits and the bound n.
 *
 * Fairness: a release wakes the first waiter, which running threads may overtake as at a mutex
 * (fairlead/mutex.h).
 *
 * A waiter for several permits gets them all at once. While it is first, later waiters wait behind
 * it, and the try forms fail, even if there are enough permits for them.
 *
 * Memory order: an acquire of a permit acquires what the release of that permit released. A release
 * does not access the semaphore after it has made the permit available.
 */
typedef struct fl_sem {
	uint32_t word_, bound_;
} fl_sem;
FL__ASSERT_SIZE(fl_sem, 8);

#define FL_SEM_MAX 0x7fffffffu
/*
 * The number is at most FL_SEM_MAX, and for FL_SEM_BOUNDED_INIT at least 1. Another constant does
 * not compile, and another computed number panics.
 */
/* clang-format off */
#define FL_SEM_INIT(permits) { FL__NUMBER(SEM_INIT, permits, 0, FL_SEM_MAX), 0 }
#define FL_SEM_BOUNDED_INIT(permits) { FL__NUMBER(SEM_BOUNDED_INIT, permits, 1, FL_SEM_MAX), FL__CAST(uint32_t, permits) }
/* clang-format on */

/*
 * Makes `s` a semaphore with `permits` free permits and the bound FL_SEM_MAX. Returns 0, or -EINVAL
 * if `permits` is above FL_SEM_MAX.
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
 * Makes `s` a semaphore with `permits` free permits and the bound `bound`. Returns 0, or -EINVAL if
 * `bound` is 0, above FL_SEM_MAX, or below `permits`.
 */
FL_INLINE FL_MUST_CHECK int fl_sem_init_bounded(fl_sem *_s, uint32_t _permits, uint32_t _bound)
{
	if (_bound == 0 || _bound > FL_SEM_MAX || _permits > _bound)
		return -EINVAL;
	_s->word_ = _permits;
	_s->bound_ = _bound;
	return 0;
}

/* Ends the life of `s` (fairlead/defs.h, "Destroy"). */
FL_API void fl_sem_destroy(fl_sem *s);

/*
 * Acquires one permit. fl_sem_acquire() and fl_sem_acquire_until() block the calling context until
 * there is one for it. Returns 0, -ECANCELED, -ETIMEDOUT, or -EAGAIN if no permit is free, or the
 * free permits are reserved for a waiter.
 */
FL_API FL_MUST_CHECK int fl_sem_acquire_until(fl_sem *s, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_sem_acquire(fl_sem *_s)
{
	return fl_sem_acquire_until(_s, FL_FOREVER, NULL);
}
FL_API FL_MUST_CHECK int fl_sem_try_acquire(fl_sem *s);

/*
 * Acquires `n` permits, or none; `n` may be 0. Blocks the calling context until there are enough
 * for it. Returns 0, -ECANCELED, -ETIMEDOUT, or -EINVAL if `n` is above the bound of `s`.
 */
FL_API FL_MUST_CHECK int fl_sem_acquire_n_until(fl_sem *s, uint32_t n, fl_time deadline, fl_cancel_token *cancel);

/*
 * Releases one permit, or `n` in one step, and wakes the waiters for which there are now enough. If
 * `s` would exceed its bound, no permit is released, and fl_sem_release() and fl_sem_release_n()
 * panic. fl_sem_try_release_n() then returns -EOVERFLOW, and otherwise 0.
 */
FL_API void fl_sem_release(fl_sem *s);
FL_API void fl_sem_release_n(fl_sem *s, uint32_t n);
FL_API FL_MUST_CHECK int fl_sem_try_release_n(fl_sem *s, uint32_t n);

/*
 * Releases one permit. Async-signal-safe, and keeps errno. Outside of signal handlers,
 * fl_sem_release() is faster when contexts wait.
 *
 * Panics if `s` would exceed its bound. However, while the first waiter sleeps, this call does not
 * panic, because that waiter may take the permit. If it does not, a later release panics.
 */
FL_API void fl_sem_release_in_handler(fl_sem *s);

/*
 * Returns the number of free permits, for reports, even if they are too few for the first waiter.
 * It orders no memory accesses, and may be out of date at once.
 */
FL_API uint32_t fl_sem_value(const fl_sem *s);

/* FL_ON_SEM(&s) is an object for FL_WAIT_ANY(), ready while fl_sem_try_acquire() would succeed. */
#define FL_ON_SEM(s) FL__ON(fl__on_sem, (s))
FL_API extern const fl_on_type fl__on_sem;

FL_END_DECLS

#endif
