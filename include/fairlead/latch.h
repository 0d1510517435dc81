/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LATCH_H
#define FAIRLEAD_LATCH_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Latch: counts down to zero once; contexts wait for zero. 4 bytes. All-zero is a latch at zero.
 * The count is at most FL_LATCH_MAX.
 *
 *     fl_latch done = FL_LATCH_INIT(3);
 *     fl_latch_count_down(&done, 1);          // in each of three threads
 *     rc = fl_latch_wait(&done);              // check
 *
 * Memory order: a wait acquires what each fl_latch_count_down() released. The last access of the
 * call that reaches zero is the instruction that makes it zero, so a woken waiter may free the
 * latch.
 */
typedef struct fl_latch {
	uint32_t word_;
} fl_latch;
FL__ASSERT_SIZE(fl_latch, 4);

#define FL_LATCH_MAX 0x7fffffffu
/* clang-format off */
#define FL_LATCH_INIT(count) { (uint32_t)(count) }
/* clang-format on */

/* Makes `l` a latch of `count`. Returns 0, -EINVAL above FL_LATCH_MAX. */
FL_INLINE FL_MUST_CHECK int fl_latch_init(fl_latch *_l, uint32_t _count)
{
	if (_count > FL_LATCH_MAX)
		return -EINVAL;
	_l->word_ = _count;
	return 0;
}

/*
 * Ends `l`. Requires that no context waits for `l`. Debugging checks it: fairlead/defs.h,
 * "Destroy".
 */
FL_API void fl_latch_destroy(fl_latch *l);

/* Subtracts `n` from the count; at zero wakes all waiters. Panics when the count is below `n`. */
FL_API void fl_latch_count_down(fl_latch *l, uint32_t n);

/* The remaining count. Acquires when it is 0. */
FL_INLINE uint32_t fl_latch_count(const fl_latch *_l)
{
	return fl__load_acquire(&_l->word_) & FL_LATCH_MAX; /* pairs with fl_latch_count_down() */
}

/* Waits for zero. Blocks the calling context. Returns 0, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_latch_wait_until(fl_latch *l, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_latch_wait(fl_latch *_l)
{
	return fl_latch_wait_until(_l, FL_FOREVER, NULL);
}

/* Returns 0 when the count is zero, else -EAGAIN. */
FL_INLINE FL_MUST_CHECK int fl_latch_try_wait(fl_latch *_l)
{
	return fl_latch_count(_l) == 0 ? 0 : -EAGAIN;
}

/* For FL_WAIT_ANY(): ready at zero. */
#define FL_ON_LATCH(l) FL__ON(fl__on_latch, (l))
FL_API extern const fl_on_type fl__on_latch;

FL_END_DECLS

#endif
