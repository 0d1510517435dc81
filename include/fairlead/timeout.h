/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIMEOUT_H
#define FAIRLEAD_TIMEOUT_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * A timeout is one deadline for all waits in a piece of code, in a fiber or a thread.
 *
 *     FL_SCOPED(fl_timeout) t = FL_TIMEOUT_INIT;      // ended at the end of the scope
 *     fl_timeout_begin(&t, fl_after(FL_S(5)));
 *     int rc = ask(server, &answer);                  // each of its waits ends within 5 s
 *     rc = fl_timeout_end(&t, rc);
 *     if (rc == -ETIMEDOUT)
 *             ...
 *
 * Between begin and end the calling context's scope is a cancel token of the timeout, a child of
 * the outer scope. After the deadline every wait under the token that would block returns
 * -ECANCELED. The code handles this as any other cancel, and returns -ECANCELED. fl_timeout_end()
 * turns that into -ETIMEDOUT if only this deadline was the reason. If the outer scope was requested
 * too, or the outer scope's deadline has passed, -ECANCELED stays.
 *
 * Timeouts nest: the context that began them ends the innermost one first. A timeout must not move
 * between begin and end. An all-zero timeout, and one that was ended, can be begun.
 */
typedef struct fl_timeout {
	fl_cancel_token token_;
	fl_cancel_token *before_; /* the outer scope */
	int64_t deadline_;
	void *context_; /* NULL: not begun */
} fl_timeout;

/* clang-format off */
#define FL_TIMEOUT_INIT { FL_CANCEL_TOKEN_INIT, 0, 0, 0 }
/* clang-format on */

/*
 * Begins `t`: the calling context's waits end at `deadline`, and when the outer scope is requested.
 * FL_FOREVER: no deadline. Panics if `t` is begun. Never waits.
 */
FL_API void fl_timeout_begin(fl_timeout *t, int64_t deadline);

/*
 * Ends `t`, and restores the outer scope. Requires that no child of the timeout's token is left,
 * and no wait under it. Does nothing if `t` was not begun. Panics if the context's scope is not
 * that of `t`. Never waits. Returns `rc`; or
 *
 *   -ETIMEDOUT  `rc` is -ECANCELED, the deadline has passed, and the outer scope was not requested
 */
FL_API FL_MUST_CHECK int fl_timeout_end(fl_timeout *t, int rc);

/*
 * Calls `function(arg)` under a timeout, in the calling context, and stores its result in
 * `*result`, which may be NULL. Calls the function even if the deadline has passed before. Returns
 *
 *   0           the function has ended for any other reason
 *   -ETIMEDOUT  the function returned -ECANCELED because of the deadline
 *   -ECANCELED  the function returned -ECANCELED because of the caller's own scope
 */
FL_INLINE FL_MUST_CHECK int fl_wait_for(int (*function)(void *arg), void *arg, int64_t deadline, int *result);

static inline void fl__scoped_fl_timeout(fl_timeout *_t)
{
	FL_IGNORE(fl_timeout_end(_t, 0)); /* 0 stays 0 */
}

/* The inline functions. */

FL_INLINE int fl_wait_for(int (*_function)(void *), void *_arg, int64_t _deadline, int *_result)
{
	fl_timeout _t = FL_TIMEOUT_INIT;
	int _returned, _rc;
	fl_timeout_begin(&_t, _deadline);
	_returned = _function(_arg);
	if (_result)
		*_result = _returned;
	_rc = fl_timeout_end(&_t, _returned);
	return _returned == -ECANCELED && (_rc == -ETIMEDOUT || fl_cancel_token_is_requested(NULL)) ? _rc : 0;
}

FL_END_DECLS

#endif
