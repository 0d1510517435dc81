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
 * A once has 4 bytes. All-zero memory is a once whose function has not succeeded.
 *
 * One caller runs the function while other callers wait. When the function returns 0, it has
 * succeeded and is not called again. When it fails, its caller gets the error, and a caller that
 * waits, or a later one, runs the function again. The same happens when the function ends its
 * thread by pthread_exit() or pthread_cancel(), unless the caller is a fiber: then the program
 * panics. The function must not leave by longjmp(), because other callers would then wait for ever.
 * It must not call its own once, because it would wait for itself.
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
 * Calls function(arg), unless it has already succeeded. Both functions block the calling context
 * while another context runs the function. Neither a deadline nor a cancel ends a function that
 * runs. Returns:
 *   0           the function has succeeded, in this call or before
 *   -ECANCELED  the wait for another context was cancelled
 *   -ETIMEDOUT  the deadline of fl_once_call_until() passed during the wait for another context
 *   other       this call has run the function, and the function returned this error
 *
 * After any error the function has not succeeded, and the next call may run it. If the function can
 * itself return -ETIMEDOUT or -ECANCELED, let it note in `*arg` that it has run; otherwise the
 * caller cannot tell who returned the code.
 */
FL_API FL_MUST_CHECK int fl_once_call_until(fl_once *o, int (*function)(void *arg), void *arg, fl_time deadline,
                                            fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_once_call(fl_once *_o, int (*_function)(void *arg), void *_arg)
{
	return fl_once_call_until(_o, _function, _arg, FL_FOREVER, NULL);
}

/*
 * Returns whether the function has succeeded. Memory order: the call is an acquire if the result is
 * true.
 */
FL_INLINE bool fl_once_is_done(const fl_once *_o)
{
	/* pairs with the release at the end of the call */
	return fl__load_acquire(&_o->word_) & FL_ONCE_DONE_;
}

FL_END_DECLS

#endif
