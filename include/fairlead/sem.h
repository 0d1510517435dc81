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
 * Counting semaphore: a number of permits. 8 bytes; all-zero is a semaphore without permits and without a bound.
 *
 *     static fl_sem slots = FL_SEM_INIT(3);
 *     rc = fl_sem_acquire(&slots);            // check
 *     use_one();
 *     fl_sem_release(&slots);
 *
 * Waiters are FIFO, and a release wakes the first of them; but who runs may take the permit before it does, for a millisecond:
 * then it is handed over. So threads that want more than there is do not wait for a context switch at each permit, and nobody is
 * starved. A waiter that times out or is cancelled holds none, and no wake is lost with it. A fiber is handed its permit at once.
 * Who waits for several permits gets all of them at once, in its turn: while it is the first, those behind it wait, and a try
 * fails, though there be permits enough for them. In the first moments of its wait (some 25 us) a thread looks for permits
 * before it stands in line, if nobody does. Limit: FL_SEM_MAX permits.
 *
 * A bounded semaphore panics when it is given more permits than its bound, which tells of a release too many:
 *
 *     static fl_sem slots = FL_SEM_BOUNDED_INIT(3);
 *
 * Memory order: an acquire sees what was written before the release of its permit. A release touches the semaphore for
 * the last time in the instruction that makes the permit available.
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

/* Makes `s` a semaphore of `permits`. Requires that nobody uses it. Returns 0, -EINVAL above FL_SEM_MAX. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_sem_init(fl_sem *s, uint32_t permits);

/*
 * Makes `s` a semaphore of `permits` that never has more than `bound`. Requires that nobody uses it. Returns 0; -EINVAL when
 * `bound` is 0 or above FL_SEM_MAX, or below `permits`. Never waits.
 */
FL_INLINE FL_MUST_CHECK int fl_sem_init_bounded(fl_sem *s, uint32_t permits, uint32_t bound);

/* Returns 0 when nobody waits on `s`, else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_sem_destroy(fl_sem *s);

/* Takes a permit. Blocks the calling context. Observes its cancel scope. Returns 0, -ECANCELED. */
FL_INLINE FL_MUST_CHECK int fl_sem_acquire(fl_sem *s);

/* Takes a permit that is free now, and not kept for who stands in line: 0, else -EAGAIN. Never waits. */
FL_API FL_MUST_CHECK int fl_sem_try_acquire(fl_sem *s);

/* Takes a permit. Blocks the calling context. Returns 0, -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_sem_acquire_until(fl_sem *s, int64_t deadline, fl_cancel_token *cancel);

/*
 * Takes `n` permits, all or nothing; 0 takes none. Blocks the calling context. Observes its cancel scope. Returns 0, -ECANCELED;
 * -EINVAL when there can never be so many.
 */
FL_INLINE FL_MUST_CHECK int fl_sem_acquire_n(fl_sem *s, uint32_t n);

/* Takes `n` permits that are free now, and not kept for who stands in line: 0, else -EAGAIN, -EINVAL as above. Never waits. */
FL_API FL_MUST_CHECK int fl_sem_try_acquire_n(fl_sem *s, uint32_t n);

/* As fl_sem_acquire_n; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_sem_acquire_n_until(fl_sem *s, uint32_t n, int64_t deadline, fl_cancel_token *cancel);

/* Gives a permit. Never waits. Panics above its bound. */
FL_API void fl_sem_release(fl_sem *s);

/* Gives `n` permits at once; 0 does nothing. Wakes no more waiters than they serve. Never waits. Panics above its bound. */
FL_API void fl_sem_release_n(fl_sem *s, uint32_t n);

/*
 * Gives a permit, where a release too many is an error of the program's input and not a bug. Never
 * waits. Returns:
 *
 *   0            the permit was given
 *   -EOVERFLOW   there would be more permits than the bound; nothing was given
 */
FL_INLINE FL_MUST_CHECK int fl_sem_try_release(fl_sem *s);

/*
 * As fl_sem_try_release(), for `n` permits, all or none; 0 does nothing. Returns 0, -EOVERFLOW.
 * Never waits.
 */
FL_API FL_MUST_CHECK int fl_sem_try_release_n(fl_sem *s, uint32_t n);

/*
 * Gives a permit; for signal handlers, whatever the signal has interrupted: an operation on the same semaphore, or on anything
 * of the library. When that is at the lines of waiters, it serves this one's before it goes on. Leaves errno as it is. Never
 * waits, allocates nothing. Panics above its bound; but while somebody waits, a later release does. Elsewhere fl_sem_release() is
 * faster when somebody waits.
 */
FL_API void fl_sem_release_in_handler(fl_sem *s);

/* The permits that are free now, also those that are too few for who stands first: for reports and assertions. Never waits. No memory order. */
FL_API uint32_t fl_sem_value(const fl_sem *s);

/* For fl_wait_any: ready while a permit is free, and not kept for who stands in line. */
#define FL_ON_SEM(s) FL__ON(fl__on_sem, (s))
FL_API extern const fl_on_type fl__on_sem;

/* The inline functions. */

FL_INLINE int fl_sem_init(fl_sem *_s, uint32_t _permits)
{
	if (_permits > FL_SEM_MAX)
		return -EINVAL;
	_s->word_ = _permits;
	_s->bound_ = 0;
	return 0;
}

FL_INLINE int fl_sem_init_bounded(fl_sem *_s, uint32_t _permits, uint32_t _bound)
{
	if (_bound == 0 || _bound > FL_SEM_MAX || _permits > _bound)
		return -EINVAL;
	_s->word_ = _permits;
	_s->bound_ = _bound;
	return 0;
}

FL_INLINE int fl_sem_acquire(fl_sem *_s)
{
	return fl_sem_acquire_until(_s, FL_FOREVER, NULL);
}

FL_INLINE int fl_sem_acquire_n(fl_sem *_s, uint32_t _n)
{
	return fl_sem_acquire_n_until(_s, _n, FL_FOREVER, NULL);
}

FL_INLINE int fl_sem_try_release(fl_sem *_s)
{
	return fl_sem_try_release_n(_s, 1);
}

FL_END_DECLS

#endif
