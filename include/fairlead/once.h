/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ONCE_H
#define FAIRLEAD_ONCE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A once calls a function until it has succeeded once.
 *
 *     static fl_once opened = FL_ONCE_INIT;
 *     rc = fl_once_call(&opened, open_database, NULL);        // check
 *
 * A once is 4 bytes. All-zero memory is a once whose function has not succeeded.
 *
 * One caller runs the function while the others wait. When it has returned 0, it is not called
 * again. If it fails, its caller gets the error, and a waiting or later caller runs it again. The
 * function must not call its own once, and must return (docs/in-your-process.md).
 *
 * Memory order: a call that returns 0 acquires what the function wrote.
 */
typedef struct fl_once {
	uint32_t word_;
} fl_once;
FL__ASSERT_SIZE(fl_once, 4);

#define FL_ONCE_DONE_ 1u

/* clang-format off */
#define FL_ONCE_INIT { 0 }
/* clang-format on */

/*
 * Calls function(arg), unless it has already succeeded. Blocks the calling context while another
 * context runs the function. Returns:
 *   0           the function has succeeded, in this call or before
 *   -ECANCELED  the wait was cancelled
 *   -ETIMEDOUT  the deadline of fl_once_call_until() passed during the wait
 *   other       this call has run the function, which returned this error
 *
 * If the function can itself return -ETIMEDOUT or -ECANCELED, let it note in `*arg` that it has
 * run, because the caller cannot tell otherwise.
 */
FL_API FL_MUST_CHECK int fl_once_call_until(fl_once *o, int (*function)(void *arg), void *arg, fl_time deadline,
                                            fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_once_call(fl_once *_o, int (*_function)(void *arg), void *_arg)
{
	return fl_once_call_until(_o, _function, _arg, FL_FOREVER, NULL);
}

/* Returns whether the function has succeeded. Memory order: an acquire if the result is true. */
FL_INLINE bool fl_once_is_done(const fl_once *_o)
{
	/* pairs with the release at the end of the call */
	return fl__load_acquire(&_o->word_) & FL_ONCE_DONE_;
}

FL_END_DECLS

#endif
