/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CANCEL_H
#define FAIRLEAD_CANCEL_H

#include <fairlead/defs.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A cancel token asks waits and tasks to end before they have what they wait for.
 *
 *     fl_cancel_token stop;
 *     fl_cancel_token_init(&stop, NULL, fl_after(FL_S(5)));
 *     rc = fl_queue_get_until(q, &item, FL_FOREVER, &stop);   // -ECANCELED on request or after 5 s
 *     fl_cancel_token_destroy(&stop);
 *
 * Tokens form a tree. A request of a token reaches the token and all its descendants, and stays for
 * ever. From then on, a wait under any of them that would block returns -ECANCELED.
 *
 * Every context (a thread or a fiber) has a cancel scope: one token, or none. A wait without a
 * token argument observes the scope of its context. For a token argument, NULL means the scope, and
 * FL_SHIELDED means that the wait observes no token.
 *
 * A call that sleeps when its token is requested returns -ECANCELED and consumes nothing: an item,
 * a permit or a wake that comes after the request is left for other contexts. A call that was woken
 * before the request may still succeed. Some waits are special. A barrier wait that all parties
 * have reached returns as usual. A condition wait locks its mutex before it returns.
 * fl_group_join(), a map and a parallel loop cancel what they wait for, and return when it has
 * ended.
 *
 * All-zero memory is a token without parent and deadline. A token must not move while it is in use.
 */
typedef struct fl_cancel_token {
	uint32_t word_; /* the bits FL__CANCEL_..., which lib/core/wait/cancel.c describes */
	uint32_t lock_; /* guards the links of the tree; only the lock in the root is used */
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
 * Makes `c` a token, as a child of `parent`. With `parent` NULL it becomes a child of the calling
 * context's scope. It becomes a root, without a parent, if `parent` is FL_SHIELDED, or is NULL and
 * the context has no scope. From `deadline` on, `c` counts as requested; FL_FOREVER means no
 * deadline.
 *
 * The call requires that `parent` exists for as long as `c`. Other threads may use `parent` at the
 * same time.
 */
FL_API void fl_cancel_token_init(fl_cancel_token *c, fl_cancel_token *parent, fl_time deadline);

/*
 * Ends the life of `c`, and removes it from its tree. The call requires that no wait is under `c`
 * and that no other thread uses `c`. It panics if `c` still has a child or a callback. A callback
 * does not count if it was removed, or if its function has run, runs or is about to run.
 */
FL_API void fl_cancel_token_destroy(fl_cancel_token *c);

/*
 * Requests `c` and all its descendants. It first wakes all waits under them and then runs their
 * callbacks, on the calling thread. A second request does nothing.
 *
 * Memory order: the request is a release, and each call that sees the request acquires it.
 */
FL_API void fl_cancel_token_request(fl_cancel_token *c);

/*
 * Returns whether `c` is requested: by a request of `c` or of an ancestor, or because the deadline
 * of one of them has passed. NULL stands for the context's scope. The result is false for
 * FL_SHIELDED, and for NULL if the context has no scope.
 */
FL_API bool fl_cancel_token_is_requested(const fl_cancel_token *c);

/*
 * Returns the earliest deadline of `c` and its ancestors. It returns FL_FOREVER if none of them has
 * a deadline. NULL stands for the context's scope. The result is FL_FOREVER for FL_SHIELDED, and
 * for NULL if the context has no scope.
 */
FL_API fl_time fl_cancel_token_deadline(const fl_cancel_token *c);

/* Returns the calling context's cancel scope, or NULL if it has none. */
FL_API fl_cancel_token *fl_cancel_scope_current(void);

/*
 * Makes `c` the calling context's cancel scope, and returns the scope before. NULL or FL_SHIELDED
 * leaves the context without a scope.
 */
FL_API fl_cancel_token *fl_cancel_scope_set(fl_cancel_token *c);

/*
 * FL_CANCEL_SCOPE(&c) is a declaration that makes `c` the calling context's cancel scope until the
 * end of the enclosing block.
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
 * Callback of a cancel token: a function that a request of the token runs. It serves to end a wait
 * that is not one of this library, as std::stop_callback does in C++. A registration allocates no
 * memory.
 *
 *     fl_cancel_callback cb;
 *     (void)fl_cancel_token_on_request(stop, &cb, interrupt, connection);
 *     rows = run_query(connection);          // another thread may call interrupt(connection)
 *     (void)fl_cancel_callback_remove(&cb);  // interrupt() does not run from here on
 *
 * The function runs at most once for each registration. A request of the token or of an ancestor
 * runs the function in the requesting context, after it has woken the waits under the token. The
 * request returns after the function has returned. A registration after the request runs the
 * function in the registering context. Several callbacks run in no particular order. A second
 * request does not wait for callbacks that a first request runs. A registration takes constant
 * time, unless it runs the function. A removal takes a step for each function that runs at the same
 * time, besides the time for which it waits. A request takes a step for each descendant, wait and
 * callback.
 *
 * The function may lock, wait, request other tokens, register and remove callbacks (also its own),
 * and destroy the token. It must return, so it must not leave by longjmp() or pthread_exit().
 *
 * The deadline of a token runs no callback. A registration after the deadline has passed runs the
 * function at once, as a registration after a request does.
 *
 * The library itself requests the tokens of tasks (also in worker processes), promises, fibers,
 * groups and loops that are cancelled, and the token of a group in which a member has failed. The
 * callbacks then run within the call that cancels, such as fl_future_cancel(), fl_group_cancel() or
 * fl_loop_cancel(), or where the member ends.
 */
typedef struct fl_cancel_callback {
	void (*function_)(void *arg);
	void *arg_;
	fl_cancel_token *token_;
	const void *queue_; /* guards this struct; NULL if it was never registered */
	struct fl_cancel_callback *next_, **link_;
	struct fl__cancel_run *run_;
	uint32_t state_;
} fl_cancel_callback;

/* clang-format off */
#define FL_CANCEL_CALLBACK_INIT { NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
/* clang-format on */

/*
 * Registers `cb`, so that a request of `c` runs `function(arg)`. NULL stands for the context's
 * scope. The call requires that `cb` is not registered. `cb` need not be initialized, and must not
 * move until it is removed. Returns:
 *   true   `cb` is registered; or the function will never run, because `c` is FL_SHIELDED, or is
 *          NULL and the context has no scope
 *   false  `c` was requested, or its deadline has passed: this call has run the function
 *
 * Memory order: the function sees what was written before the registration and what was written
 * before the request.
 */
FL_API bool fl_cancel_token_on_request(fl_cancel_token *c, fl_cancel_callback *cb, void (*function)(void *arg),
                                       void *arg);

/*
 * Removes `cb`, so that its function does not run after the call. Call it before the memory of `cb`
 * is freed. Call it also before the token is destroyed, unless the function has run.
 *
 * If another context runs the function now, the call blocks the calling context until the function
 * has returned, even if the function has removed `cb` itself. A cancel does not end this wait. So
 * the caller must hold no lock that the function takes. Only one context at a time may call
 * fl_cancel_callback_remove() for `cb`, with one exception: while another context's removal waits
 * for the function of `cb`, the function may itself remove `cb`.
 *
 * The function may register `cb` again only if no other context calls fl_cancel_callback_remove()
 * for `cb` at the same time. A later call removes the new registration, and does not wait for the
 * earlier run of the function. Returns:
 *   true   the function has not run, and will not. This is also the result if `cb` was never
 *          registered (FL_CANCEL_CALLBACK_INIT), or is removed already without having run
 *   false  the function has run and has returned; if the function itself is the caller, it has not
 *          yet returned
 *
 * Memory order: after the result false, the caller sees what the function wrote.
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
 * of the outer scope. When the deadline passes, the waits of the code return -ECANCELED, as for any
 * other cancel. fl_timeout_end() turns this result into -ETIMEDOUT if only the deadline was the
 * reason, and not a request of the outer scope.
 *
 * Timeouts nest. A timeout must not move between begin and end, and can be begun again after its
 * end. All-zero memory is a timeout that has not begun.
 */
typedef struct fl_timeout {
	fl_cancel_token token_;
	fl_cancel_token *before_; /* the outer scope */
	fl_time deadline_;
	void *context_; /* NULL if the timeout has not begun */
} fl_timeout;

/* clang-format off */
#define FL_TIMEOUT_INIT { FL_CANCEL_TOKEN_INIT, NULL, { 0 }, NULL }
/* clang-format on */

/*
 * Begins a timeout, so that the waits of the code up to fl_timeout_end() end at `deadline`. These
 * are all waits of the calling context that observe its cancel scope. The call makes the token of
 * `t` the calling context's scope. FL_FOREVER means no deadline. It panics if `t` has begun already
 * and not ended.
 */
FL_API void fl_timeout_begin(fl_timeout *t, fl_time deadline);

/*
 * Ends a timeout, and restores the outer cancel scope. Pass the result of the code as `rc`. The
 * call requires that no child of the timeout's token is left, and no wait under it. It panics if
 * the context's scope is not that of `t`. If `t` has not begun, it does nothing but return `rc`.
 * Returns:
 *   -ETIMEDOUT  `rc` is -ECANCELED, the deadline has passed, and the outer scope was not requested
 *   `rc`        in all other cases
 */
FL_API FL_MUST_CHECK int fl_timeout_end(fl_timeout *t, int rc);

/*
 * Calls `function(arg)` under a timeout, and stores its result in `*result` unless `result` is
 * NULL. It calls the function even if the deadline has passed already. Returns:
 *   0           the function has returned, and neither of the other two cases applies
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
