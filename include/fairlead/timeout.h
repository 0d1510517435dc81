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
 * Timeout: one deadline for all that is waited for in a piece of code, in a fiber or a thread.
 *
 *     FL_SCOPED(fl_timeout) t = FL_TIMEOUT_INIT;              // ended when the scope ends, if it was not before
 *     fl_timeout_begin(&t, fl_after(FL_S(5)));
 *     int rc = ask(server, &answer);                          // every wait in there ends within 5 s
 *     rc = fl_timeout_end(&t, rc);
 *     if (rc == -ETIMEDOUT)
 *             ...
 *
 * Between begin and end the calling context's scope is a cancel token of the timeout, a child of the scope before. From the
 * deadline on every wait that would block under it answers -ECANCELED. The code sees that as any other cancel, gives up what it
 * has, and returns it; the end makes -ETIMEDOUT of it, if it was this deadline alone: when the scope outside has been
 * requested too, or its own deadline has passed, -ECANCELED stays, and goes on to whoever set that.
 *
 * Timeouts nest; the one that was begun last is ended first, by the context that began it. A timeout must not move until it is
 * ended. All-zero is one that was not begun, and can be begun; so is one that was ended.
 */
typedef struct fl_timeout {
	fl_cancel_token token_;
	fl_cancel_token *before_; /* the scope */
	int64_t deadline_;
	void *context_; /* NULL: not begun */
} fl_timeout;

/* clang-format off */
#define FL_TIMEOUT_INIT { FL_CANCEL_TOKEN_INIT, 0, 0, 0 }
/* clang-format on */

/*
 * Begins `t`: the calling context's scope ends at `deadline`; FL_FOREVER: when that outside does. Panics when it
 * is begun. Never waits.
 */
FL_API void fl_timeout_begin(fl_timeout *t, int64_t deadline);

/*
 * Ends `t`: the scope is what it was before. Requires: no child of the timeout's token is left, and no wait under it. One that
 * was not begun: nothing. Panics when another scope was set meanwhile and is still there. Never waits.
 * Returns `rc`; but -ETIMEDOUT when that is -ECANCELED, the deadline has passed, and the scope outside stands.
 */
FL_API FL_MUST_CHECK int fl_timeout_end(fl_timeout *t, int rc);

/*
 * Calls `function(arg)`, on the calling context, under such a timeout. So it is over when this returns; it is called, too, when
 * the deadline has passed before. What it returned is stored in `*result` (may be NULL).
 * Returns 0: it came to an end by itself, whatever that was; -ETIMEDOUT: it returned -ECANCELED because of the deadline;
 * -ECANCELED: because of the caller's own scope.
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
