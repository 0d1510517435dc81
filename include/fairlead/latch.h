/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LATCH_H
#define FAIRLEAD_LATCH_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/private/number.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * A latch counts down to zero once, and contexts (threads or fibers) wait for zero.
 *
 *     fl_latch done = FL_LATCH_INIT(3);
 *     fl_latch_count_down(&done, 1);          // in each of three threads
 *     rc = fl_latch_wait(&done);              // check
 *
 * A latch is 4 bytes, and all-zero memory is a latch at zero.
 *
 * Memory order: a wait acquires what each fl_latch_count_down() released. A waiter that was woken
 * may free the latch.
 */
typedef struct fl_latch {
	uint32_t word_;
} fl_latch;
FL__ASSERT_SIZE(fl_latch, 4);

#define FL_LATCH_MAX 0x7fffffffu
/* A constant above FL_LATCH_MAX does not compile, and another number above it panics. */
/* clang-format off */
#define FL_LATCH_INIT(count) { FL__NUMBER(LATCH_INIT, count, 0, FL_LATCH_MAX) }
/* clang-format on */

/* Makes `l` a latch with this count. Returns 0, or -EINVAL if `count` is above FL_LATCH_MAX. */
FL_INLINE FL_MUST_CHECK int fl_latch_init(fl_latch *_l, uint32_t _count)
{
	if (_count > FL_LATCH_MAX)
		return -EINVAL;
	_l->word_ = _count;
	return 0;
}

/* Ends the life of `l` (fairlead/defs.h, "Destroy"). */
FL_API void fl_latch_destroy(fl_latch *l);

/* Subtracts `n` from the count, and wakes all waiters at zero. Panics if the count is below `n`. */
FL_API void fl_latch_count_down(fl_latch *l, uint32_t n);

/* Returns the count that remains. Memory order: an acquire if the result is 0. */
FL_INLINE uint32_t fl_latch_count(const fl_latch *_l)
{
	return fl__load_acquire(&_l->word_) & FL_LATCH_MAX; /* pairs with fl_latch_count_down() */
}

/*
 * Waits until the count is zero. Blocks the calling context. Returns 0, -ECANCELED or -ETIMEDOUT.
 */
FL_API FL_MUST_CHECK int fl_latch_wait_until(fl_latch *l, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_latch_wait(fl_latch *_l)
{
	return fl_latch_wait_until(_l, FL_FOREVER, NULL);
}

/* FL_ON_LATCH(&l) is an object for FL_WAIT_ANY(), ready when the count is zero. */
#define FL_ON_LATCH(l) FL__ON(fl__on_latch, (l))
FL_API extern const fl_on_type fl__on_latch;

FL_END_DECLS

#endif
