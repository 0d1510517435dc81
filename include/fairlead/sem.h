/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SEM_H
#define FAIRLEAD_SEM_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Counting semaphore: a number of permits, up to FL_SEM_MAX. 8 bytes. All-zero is a semaphore
 * without permits and without a bound.
 *
 *     static fl_sem slots = FL_SEM_INIT(3);
 *     rc = fl_sem_acquire(&slots);            // check
 *     use_one();
 *     fl_sem_release(&slots);
 *
 * The wait queue is FIFO, and a release wakes the first waiter. A running thread may take the
 * permit before the woken waiter does, for a millisecond; then the permit is handed over: no waiter
 * starves. A fiber is handed its permit at once. A context that can run goes before fibers that
 * cannot: see fl_loop_run_once().
 *
 * A waiter for several permits gets them all at once. While it is first in the queue, later waiters
 * wait and a try fails, even if there are permits enough for them.
 *
 * A release above the bound of a bounded semaphore (FL_SEM_BOUNDED_INIT()) panics.
 *
 * Memory order: an acquire acquires what the release of its permit released. The last access of a
 * release is the instruction that makes the permit available.
 */
typedef struct fl_sem {
	uint32_t word_, bound_;
} fl_sem;
FL__ASSERT_SIZE(fl_sem, 8);

#define FL_SEM_MAX 0x7fffffffu
/* clang-format off */
#define FL_SEM_INIT(permits) { (uint32_t)(permits), 0 }
#define FL_SEM_BOUNDED_INIT(permits) { (uint32_t)(permits), (uint32_t)(permits) }
/* clang-format on */

/* Makes `s` a semaphore of `permits`, without a bound. Returns 0, -EINVAL above FL_SEM_MAX. */
FL_INLINE FL_MUST_CHECK int fl_sem_init(fl_sem *_s, uint32_t _permits)
{
	if (_permits > FL_SEM_MAX)
		return -EINVAL;
	_s->word_ = _permits;
	_s->bound_ = 0;
	return 0;
}

/*
 * Makes `s` a semaphore of `permits` that never has more than `bound`. Returns 0, or:
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
 * Ends `s`. Requires that no context waits for `s`. Debugging checks it: fairlead/defs.h,
 * "Destroy".
 */
FL_API void fl_sem_destroy(fl_sem *s);

/* Takes a permit. Blocks the calling context. Returns 0, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_sem_acquire_until(fl_sem *s, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_sem_acquire(fl_sem *_s)
{
	return fl_sem_acquire_until(_s, FL_FOREVER, NULL);
}

/* Takes a permit that is free now and not kept for a waiter: 0. Else -EAGAIN. */
FL_API FL_MUST_CHECK int fl_sem_try_acquire(fl_sem *s);

/*
 * Takes `n` permits, all or none; 0 takes none. Blocks the calling context. Returns 0, -ECANCELED,
 * or:
 *   -EINVAL  `n` exceeds the bound or FL_SEM_MAX
 */
FL_API FL_MUST_CHECK int fl_sem_acquire_n_until(fl_sem *s, uint32_t n, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_sem_acquire_n(fl_sem *_s, uint32_t _n)
{
	return fl_sem_acquire_n_until(_s, _n, FL_FOREVER, NULL);
}

/*
 * Takes `n` permits that are free and not kept for a waiter. Returns 0; -EAGAIN: too few are free;
 * -EINVAL: as fl_sem_acquire_n().
 */
FL_API FL_MUST_CHECK int fl_sem_try_acquire_n(fl_sem *s, uint32_t n);

/* Adds a permit. Panics above the bound. */
FL_API void fl_sem_release(fl_sem *s);

/* Adds `n` permits, or none, at once. Wakes only waiters that it serves. Panics above the bound. */
FL_API void fl_sem_release_n(fl_sem *s, uint32_t n);

/*
 * As fl_sem_release_n(), where a release too many is no bug. Returns 0, or:
 *   -EOVERFLOW  too many: it has released none
 */
FL_API FL_MUST_CHECK int fl_sem_try_release_n(fl_sem *s, uint32_t n);

/*
 * Adds a permit. May be called in a signal handler, whatever the signal interrupted. Keeps errno.
 * Never allocates. Panics above the bound; while a context waits, a later release panics instead.
 * Outside of handlers fl_sem_release() is faster when contexts wait.
 */
FL_API void fl_sem_release_in_handler(fl_sem *s);

/* The free permits, also if too few for the first waiter. For reports. No memory order. */
FL_API uint32_t fl_sem_value(const fl_sem *s);

/* For FL_WAIT_ANY(): ready while a permit is free and not kept for a waiter. */
#define FL_ON_SEM(s) FL__ON(fl__on_sem, (s))
FL_API extern const fl_on_type fl__on_sem;

FL_END_DECLS

#endif
