/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CANCEL_CALLBACK_H
#define FAIRLEAD_CANCEL_CALLBACK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Callback of a cancel token: a function that a request runs, to end a wait that is not Fairlead's.
 * It closes a socket, kills a child, or interrupts a library. As C++20's std::stop_callback. No
 * memory is allocated.
 *
 *     fl_cancel_callback cb;
 *     (void)fl_cancel_token_on_request(stop, &cb, interrupt, connection);
 *     rows = run_query(connection);          // another thread may call interrupt(connection)
 *     (void)fl_cancel_callback_remove(&cb);  // from here on it neither runs nor will
 *
 * The function runs at most once, in the context that requests the token or an ancestor. The
 * request first wakes the waits under the token, and returns after the function has returned. The
 * order of several callbacks is not specified. A second request does not wait for functions that
 * the first request still runs.
 *
 * The library holds no lock while the function runs. The function may lock, wait, request other
 * tokens, register and remove callbacks (its own too), and destroy the token. It must return, and
 * not leave by longjmp() or pthread_exit().
 *
 * A deadline that passes runs no callback, since no thread watches it. A registration after the
 * deadline counts as one after a request.
 *
 * The library requests tokens, too: when a task, a fiber, a group or a loop is cancelled, when a
 * member of a group fails, and in a worker process, for a cancelled task. The functions run in the
 * context that does so, and delay it while they wait.
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
 * removed. Never waits, except in the function. Returns:
 *
 *   true    registered; or `c` is FL_SHIELDED, or NULL without a scope: the function never runs
 *   false   `c` was requested already, or its deadline has passed: the function has run in this
 *           call
 *
 * Memory order: the function sees what was written before the registration and before the request.
 */
FL_API bool fl_cancel_token_on_request(fl_cancel_token *c, fl_cancel_callback *cb, void (*function)(void *arg),
                                       void *arg);

/*
 * Removes `cb`. Afterwards its memory may be freed, or registered again. Required before the memory
 * is freed, and, unless the function has run, before the token is destroyed. If another context
 * runs the function now, blocks until the function has returned, and cannot be cancelled: the
 * caller must hold no lock that the function takes. Called by the function itself, does not wait.
 * Only one context at a time may call it for `cb`. Returns:
 *
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

FL_END_DECLS

#endif
