/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CANCEL_H
#define FAIRLEAD_CANCEL_H

#include <fairlead/defs.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A cancel token asks waits and tasks to end early.
 *
 *     FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
 *     fl_cancel_token_init(&stop, NULL, fl_after(FL_S(5)));
 *     rc = fl_queue_get_until(q, &item, FL_FOREVER, &stop);   // -ECANCELED after 5 s or a cancel
 *
 * Tokens form a tree. A cancel is final, and reaches a token and all its descendants: every wait
 * under one of them that would block returns -ECANCELED.
 *
 * Every context (a thread or a fiber) has a cancel scope: one token, or none. Its waits observe it,
 * unless they are given a token.
 *
 * All-zero memory is a token without parent and deadline. A token in use must not move.
 */
typedef struct fl_cancel_token {
	uint32_t word_;
	uint32_t lock_;
	fl_time deadline_;
	struct fl_cancel_token *root_, *parent_, *child_, *next_, **link_;
	struct fl_cancel_callback *callbacks_;
} fl_cancel_token;

/* clang-format off */
#define FL_CANCEL_TOKEN_INIT { 0, 0, { 0 }, NULL, NULL, NULL, NULL, NULL, NULL }
/* clang-format on */

/* FL_SHIELDED as a token argument means that the wait cannot be cancelled. */
FL_API extern fl_cancel_token fl__shielded;
#define FL_SHIELDED (&fl__shielded)

/*
 * Makes `c` a token that is cancelled from `deadline` on, as a child of `parent`, which must
 * outlive it. If `parent` is NULL, the context's scope is the parent. FL_SHIELDED, or NULL without
 * a scope, makes `c` a root.
 */
FL_API void fl_cancel_token_init(fl_cancel_token *c, fl_cancel_token *parent, fl_time deadline);

/*
 * Ends the life of `c`, under which no wait may be left. Panics if `c` still has a child, or a
 * callback that was neither removed nor called.
 */
FL_API void fl_cancel_token_destroy(fl_cancel_token *c);

/*
 * Cancels `c` and all its descendants: wakes all waits under them, and then runs their callbacks.
 * Later calls do nothing.
 *
 *     fl_cancel_token_request(&stop);         // by any thread
 *     rc = fl_thread_join(t, NULL);           // its waits under `stop` have returned -ECANCELED
 *
 * Memory order: a call that sees the cancel sees what was written before.
 */
FL_API void fl_cancel_token_request(fl_cancel_token *c);

/*
 * Returns whether `c` or an ancestor was cancelled, or its deadline has passed. NULL means the
 * context's scope.
 */
FL_API bool fl_cancel_token_is_requested(const fl_cancel_token *c);

/*
 * Returns the earliest deadline of `c` and its ancestors, or FL_FOREVER. NULL means the context's
 * scope.
 */
FL_API fl_time fl_cancel_token_deadline(const fl_cancel_token *c);

/* Returns the calling context's cancel scope, or NULL if it has none. */
FL_API fl_cancel_token *fl_cancel_scope_current(void);

/*
 * Makes `c` the calling context's cancel scope, and returns the previous scope. NULL or FL_SHIELDED
 * means none.
 */
FL_API fl_cancel_token *fl_cancel_scope_set(fl_cancel_token *c);

/*
 * FL_CANCEL_SCOPE(&c) makes `c` the calling context's cancel scope until the end of the block.
 *
 *     FL_CANCEL_SCOPE(&stop);
 *     rc = fl_queue_get(q, &item);            // -ECANCELED if `stop` is cancelled
 */
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
 * A callback runs when its cancel token is cancelled. Use it to end a wait outside of this library.
 * Registering one allocates no memory.
 *
 *     fl_cancel_callback cb;
 *     (void)fl_cancel_token_on_request(stop, &cb, interrupt, connection);
 *     rows = run_query(connection);          // another thread may call interrupt(connection)
 *     (void)fl_cancel_callback_remove(&cb);  // interrupt() does not run from here on
 *
 * The function runs at most once. A call that cancels the token or an ancestor runs it before it
 * returns. If the token was cancelled, or its deadline has passed, before the registration, the
 * registering call runs it. A deadline that passes later runs no callback. Callbacks run in no
 * particular order, and a second cancel does not wait for those that the first one runs.
 *
 * The token of a task, promise, fiber, group or loop is cancelled with that object, and a group's
 * token also when a member fails. So callbacks may run within fl_future_cancel(), for example.
 *
 * The function may lock, wait, cancel tokens, register and remove callbacks (also its own), and
 * destroy the token. It must return.
 */
typedef struct fl_cancel_callback {
	void (*function_)(void *arg);
	void *arg_;
	fl_cancel_token *token_;
	const void *queue_;
	struct fl_cancel_callback *next_, **link_;
	struct fl__cancel_run *run_;
	uint32_t state_;
} fl_cancel_callback;

/* clang-format off */
#define FL_CANCEL_CALLBACK_INIT { NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
/* clang-format on */

/*
 * Registers `cb`, so that a cancel of `c` runs `function(arg)`. `cb` need not be initialized, must
 * not be registered already, and must not move until it is removed. Returns:
 *   true   `cb` is registered; or the function will never run, because `c` is FL_SHIELDED, or NULL
 *          without a scope
 *   false  `c` was cancelled, or its deadline has passed: this call has run the function
 *
 * Memory order: the function sees what was written before the registration and before the cancel.
 */
FL_API bool fl_cancel_token_on_request(fl_cancel_token *c, fl_cancel_callback *cb, void (*function)(void *arg),
                                       void *arg);

/*
 * Removes `cb`, so that its function does not run after the call. While another context runs the
 * function, the call blocks the calling context, and no cancel ends this wait, so hold no lock that
 * the function takes.
 *
 * Remove `cb` before its memory is freed and, unless the function has run, before the token is
 * destroyed. Only one context at a time may remove it, not counting the function itself. Returns:
 *   true   the function has not run, and will not; or `cb` is not registered, as after
 *          FL_CANCEL_CALLBACK_INIT
 *   false  the function has run, and the caller sees what it wrote; or the caller is the function
 *          itself
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
 * Between begin and end, the calling context's cancel scope is a token with the deadline, a child
 * of the outer scope. After the deadline, waits return -ECANCELED, and fl_timeout_end() turns this
 * into -ETIMEDOUT, unless the outer scope was cancelled.
 *
 * Timeouts nest. A timeout must not move between begin and end, and can be begun again afterwards.
 * All-zero memory is a timeout that has not begun.
 */
typedef struct fl_timeout {
	fl_cancel_token token_;
	fl_cancel_token *before_;
	fl_time deadline_;
	void *context_;
} fl_timeout;

/* clang-format off */
#define FL_TIMEOUT_INIT { FL_CANCEL_TOKEN_INIT, NULL, { 0 }, NULL }
/* clang-format on */

/* Begins a timeout. Panics if `t` has begun and not ended. */
FL_API void fl_timeout_begin(fl_timeout *t, fl_time deadline);

/*
 * Ends a timeout, and restores the outer cancel scope. Returns -ETIMEDOUT if `rc`, the result of
 * the code, is -ECANCELED, the deadline has passed, and the outer scope was not cancelled;
 * otherwise `rc`. If `t` has not begun, it only returns `rc`.
 *
 * No wait under the timeout's token, and no child of it, may be left. Panics if the context's scope
 * is not that of `t`.
 */
FL_API FL_MUST_CHECK int fl_timeout_end(fl_timeout *t, int rc);

/*
 * Calls `function(arg)` under a timeout, even after the deadline, and stores its result in
 * `*result`, which may be NULL. Returns 0, also after another error of the function, or:
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
