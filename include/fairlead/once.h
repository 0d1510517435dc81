/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ONCE_H
#define FAIRLEAD_ONCE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Once: runs a function until it has succeeded once. 4 bytes, valid when all-zero.
 *
 *     static fl_once opened = FL_ONCE_INIT;
 *     rc = fl_once_call(&opened, open_database, NULL);        // check
 *
 * One caller runs the function; other callers wait. If the function fails, or ends its thread by
 * pthread_exit() or pthread_cancel(), its caller gets the error, and a waiting caller runs the
 * function again. After longjmp() out of it other callers wait for ever, as does a function that
 * calls its own once.
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
 * Calls `function` unless it has succeeded. Blocks the calling context while another context runs
 * it. Returns:
 *   0            the function has succeeded, now or before
 *   -ECANCELED   cancelled while another context ran it; neither a cancel nor a deadline ends
 *                the function
 *   other        what the function returned: this call ran it, and it failed
 *
 * After any error `function` has not succeeded by this call, and the next call may run it. A
 * function that may itself return -ETIMEDOUT, -ECANCELED or -EAGAIN tells by its argument that it
 * has run.
 */
FL_API FL_MUST_CHECK int fl_once_call_until(fl_once *o, int (*function)(void *arg), void *arg, fl_time deadline,
                                            fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_once_call(fl_once *_o, int (*_function)(void *arg), void *_arg)
{
	return fl_once_call_until(_o, _function, _arg, FL_FOREVER, NULL);
}

/* As fl_once_call(). Never waits: returns -EAGAIN while another context runs the function. */
FL_API FL_MUST_CHECK int fl_once_try_call(fl_once *o, int (*function)(void *arg), void *arg);

/* Whether the function has succeeded. Acquires when true. */
FL_INLINE bool fl_once_is_done(const fl_once *_o)
{
	/* pairs with the release at the end of the call */
	return fl__load_acquire(&_o->word_) & FL_ONCE_DONE_;
}

FL_END_DECLS

#endif
