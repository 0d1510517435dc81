/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CANCEL_H
#define FAIRLEAD_CANCEL_H

#include <errno.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Cancel token: asks waits to give up. Tokens form a tree. A request reaches the token and all its
 * descendants, for ever: each wait that would block under the token returns -ECANCELED.
 *
 *     fl_cancel_token stop;
 *     fl_cancel_token_init(&stop, NULL, fl_after(FL_S(5)));
 *     rc = fl_queue_get_until(q, &item, FL_FOREVER, &stop);   // -ECANCELED on request or after 5 s
 *     fl_cancel_token_destroy(&stop);
 *
 * A call that sleeps when its token is requested returns -ECANCELED and consumes nothing: an item,
 * a permit or a wake that comes after the request is left for other contexts. A call that was woken
 * before the request may still succeed. A barrier wait that all parties have reached returns as
 * usual, and a condition wait locks its mutex before it returns.
 *
 * Every context (thread or fiber) has a cancel scope: a token, or none. Where a call takes a token,
 * NULL means the scope, and FL_SHIELDED means no token.
 *
 * All-zero is a token without parent and deadline. A token must not move while it is in use.
 */
typedef struct fl_cancel_token {
	uint32_t word_; /* requested, waiters, callbacks */
	uint32_t lock_; /* of the tree, used in its root */
	fl_time deadline_;
	struct fl_cancel_token *root_, *parent_, *child_, *next_, **link_;
	struct fl_cancel_callback *callbacks_;
} fl_cancel_token;

/* clang-format off */
#define FL_CANCEL_TOKEN_INIT { 0, 0, { 0 }, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/* As a token argument: the wait cannot be cancelled. */
FL_API extern fl_cancel_token fl__shielded;
#define FL_SHIELDED (&fl__shielded)

/*
 * Makes `c` a child of `parent`; NULL: of the context's scope; FL_SHIELDED, or NULL without a
 * scope: a root. `c` counts as requested from `deadline` on. Other threads may use `parent` at the
 * same time. `parent` must outlive `c`.
 */
FL_API void fl_cancel_token_init(fl_cancel_token *c, fl_cancel_token *parent, fl_time deadline);

/*
 * Removes `c` from its tree. Requires that no wait is under `c`, and that no other thread uses `c`.
 * Panics if `c` has a child, or a callback that is neither removed nor started by a request.
 */
FL_API void fl_cancel_token_destroy(fl_cancel_token *c);

/*
 * Requests `c` and all its descendants, wakes all waits under them, then runs their callbacks. A
 * second request does nothing. Memory order: a release, acquired by each call that sees the
 * request.
 */
FL_API void fl_cancel_token_request(fl_cancel_token *c);

/*
 * Whether `c` or an ancestor was requested, or its deadline has passed. NULL: the context's scope;
 * false without one, and for FL_SHIELDED.
 */
FL_API bool fl_cancel_token_is_requested(const fl_cancel_token *c);

/*
 * The earliest deadline of `c` and its ancestors; FL_FOREVER: none.
 * NULL: the context's scope; FL_FOREVER without one, and for FL_SHIELDED.
 */
FL_API fl_time fl_cancel_token_deadline(const fl_cancel_token *c);

/* Returns the calling context's scope; NULL: none. */
FL_API fl_cancel_token *fl_cancel_scope_current(void);

/* Makes `c` the calling context's scope; NULL or FL_SHIELDED: none. Returns the scope before. */
FL_API fl_cancel_token *fl_cancel_scope_set(fl_cancel_token *c);

/* FL_CANCEL_SCOPE(&c): makes `c` the calling context's scope until the end of the block. */
#define FL_CANCEL_SCOPE(c)                                                                                             \
	__attribute__((__cleanup__(fl__cancel_scope_end), __unused__)) fl_cancel_token *FL__UNIQUE(fl__scope_) =       \
	    fl_cancel_scope_set(c)

static inline void fl__cancel_scope_end(fl_cancel_token **_before)
{
	(void)fl_cancel_scope_set(*_before);
}

static inline void fl__scoped_fl_cancel_token(fl_cancel_token *_c)
{
	fl_cancel_token_destroy(_c);
}

/*
 * Callback of a cancel token: a function that a request runs, to end a wait that is not Fairlead's.
 * As std::stop_callback. Allocates nothing.
 *
 *     fl_cancel_callback cb;
 *     (void)fl_cancel_token_on_request(stop, &cb, interrupt, connection);
 *     rows = run_query(connection);          // another thread may call interrupt(connection)
 *     (void)fl_cancel_callback_remove(&cb);  // from here on it neither runs nor will
 *
 * The function runs at most once, in the context that requests the token or an ancestor, after the
 * waits under the token were woken. The request returns after the function has. A registration and
 * a removal take constant time; a request takes a step for each descendant, wait and callback.
 * Callbacks have no order. A second request does not wait for the first.
 *
 * The function may lock, wait, request other tokens, register and remove callbacks (its own too),
 * and destroy the token. It must return, and not leave by longjmp() or pthread_exit().
 *
 * A deadline runs no callback; a registration after it counts as one after a request.
 *
 * The library requests tokens, too: of cancelled tasks (also in worker processes), fibers, groups
 * and loops, and of a group with a failed member.
 */
typedef struct fl_cancel_callback {
	void (*function_)(void *arg);
	void *arg_;
	fl_cancel_token *token_;
	const void *queue_; /* guards this struct; NULL: never registered */
	struct fl_cancel_callback *next_, **link_;
	struct fl__cancel_run *run_;
	uint32_t state_;
} fl_cancel_callback;

/* clang-format off */
#define FL_CANCEL_CALLBACK_INIT { 0, 0, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/*
 * Registers `cb`, so that a request of `c` runs `function(arg)`. NULL: the context's scope.
 * Requires that `cb` is not registered; `cb` need not be initialized, and must not move until it is
 * removed. Returns:
 *   true    registered; or `c` is FL_SHIELDED, or NULL without a scope: the function never runs
 *   false   `c` was requested, or its deadline has passed: the function has run in this call
 *
 * Memory order: the function sees what was written before the registration and before the request.
 */
FL_API bool fl_cancel_token_on_request(fl_cancel_token *c, fl_cancel_callback *cb, void (*function)(void *arg),
                                       void *arg);

/*
 * Removes `cb`. Required before its memory is freed, and, unless the function has run, before the
 * token is destroyed. If another context runs the function now, blocks until the function has
 * returned, also if the function has removed `cb` itself, and cannot be cancelled: the caller must
 * hold no lock that the function takes. Only one context at a time may call it for `cb`. If the
 * function registers `cb` again, the removal is of that registration, and does not wait for the
 * earlier call. Returns:
 *   true    the function has not run, and will not; also if `cb` was never registered
 *           (FL_CANCEL_CALLBACK_INIT), or is removed already without having run
 *   false   the function has run, and has returned, unless it is the caller
 *
 * Memory order: after false, what the function wrote is visible.
 */
FL_API bool fl_cancel_callback_remove(fl_cancel_callback *cb);

static inline void fl__scoped_fl_cancel_callback(fl_cancel_callback *_cb)
{
	(void)fl_cancel_callback_remove(_cb);
}

/*
 * A timeout is one deadline for all waits in a piece of code.
 *
 *     FL_SCOPED(fl_timeout) t = FL_TIMEOUT_INIT;      // ended at the end of the scope
 *     fl_timeout_begin(&t, fl_after(FL_S(5)));
 *     int rc = ask(server, &answer);                  // each of its waits ends within 5 s
 *     rc = fl_timeout_end(&t, rc);
 *
 * Between begin and end the calling context's scope is a token with the deadline, a child of the
 * outer scope. The code returns -ECANCELED as for any other cancel. fl_timeout_end() turns that
 * into -ETIMEDOUT if only this deadline was the reason, not the outer scope.
 *
 * Timeouts nest. A timeout must not move between begin and end, and can be begun again after its
 * end. All-zero is valid.
 */
typedef struct fl_timeout {
	fl_cancel_token token_;
	fl_cancel_token *before_; /* the outer scope */
	fl_time deadline_;
	void *context_; /* NULL: not begun */
} fl_timeout;

/* clang-format off */
#define FL_TIMEOUT_INIT { FL_CANCEL_TOKEN_INIT, 0, { 0 }, 0 }
/* clang-format on */

/* Begins `t`. FL_FOREVER: no deadline. Panics if `t` is begun. */
FL_API void fl_timeout_begin(fl_timeout *t, fl_time deadline);

/*
 * Ends `t`, and restores the outer scope. Requires that no child of the timeout's token is left,
 * and no wait under it. Does nothing if `t` was not begun. Panics if the context's scope is not
 * that of `t`. Returns `rc`; or
 *   -ETIMEDOUT  `rc` is -ECANCELED, the deadline has passed, and the outer scope was not requested
 */
FL_API FL_MUST_CHECK int fl_timeout_end(fl_timeout *t, int rc);

/*
 * Calls `function(arg)` under a timeout, even after the deadline, and stores its result in
 * `*result`, which may be NULL. Returns:
 *   0           the function has ended for any other reason
 *   -ETIMEDOUT  the function returned -ECANCELED because of the deadline
 *   -ECANCELED  the function returned -ECANCELED because of the caller's own scope
 */
FL_INLINE FL_MUST_CHECK int fl_timeout_call(int (*_function)(void *arg), void *_arg, fl_time _deadline, int *_result)
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

static inline void fl__scoped_fl_timeout(fl_timeout *_t)
{
	FL_IGNORE(fl_timeout_end(_t, 0)); /* 0 stays 0 */
}

FL_END_DECLS

#endif
