/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CANCEL_CALLBACK_H
#define FAIRLEAD_CANCEL_CALLBACK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Callbacks of cancel tokens: for what Fairlead does not wait for itself. A request runs a function that ends such a wait: it
 * closes a socket, kills a child, interrupts a library. As C++20's std::stop_callback; no memory is allocated.
 *
 *     fl_cancel_callback cb;
 *     (void)fl_cancel_token_on_request(stop, &cb, interrupt, connection);
 *     rows = run_query(connection);                    // interrupt(connection) may run meanwhile, on another thread
 *     (void)fl_cancel_callback_remove(&cb);            // from here on it neither runs nor will
 *
 * A function runs once at most, by the context that makes the request, of the token or of an ancestor, before
 * fl_cancel_token_request() returns there; waits under the token are woken first. No lock of the library is held meanwhile: it may
 * lock, wait, request other tokens, remove and register callbacks, its own too, and destroy the token. It returns: neither longjmp nor
 * pthread_exit. Of several the order is not specified. A second request does not wait for functions that the first still runs.
 *
 * The deadline of a token runs no function when it passes: nobody watches the clock for it. One that has passed before the
 * registration counts as a request.
 *
 * Some requests are made by the library, and run the functions in their context: the cancel of a task, a fiber, a group or a loop,
 * the failure of a group's child, a listener to the requests for tasks of another process. There a function that waits holds up
 * what runs it.
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
 * Registers `cb`, so that a request of `c` (NULL: the context's scope) runs `function(arg)`; or runs it at once, if `c` is
 * requested already, also by its deadline. Returns whether it was registered; also for FL_SHIELDED and without a scope, when it
 * never runs. `cb` need not be initialized, is not registered elsewhere, and stays where it is until it was removed. Never waits,
 * apart from what the function does. Memory order: the function sees what was written before the registration, and before the
 * request.
 */
FL_API bool fl_cancel_token_on_request(fl_cancel_token *c, fl_cancel_callback *cb, void (*function)(void *arg),
                                       void *arg);

/*
 * Takes `cb` out: true when its function has not run and will not; false when it has, and has returned. One that runs just now is
 * waited for: blocks the calling context, is never cancelled. So the caller holds no lock that the function takes. By the function
 * itself, and by what it calls in its context: false at once. Then `cb` is the caller's again, to be freed or registered anew.
 * Needed before its memory goes, and, unless it has run, before the token is destroyed. One context at a time removes it. A
 * second time, and of one that was never registered (FL_CANCEL_CALLBACK_INIT), it does nothing.
 * Memory order: after false, what the function wrote is visible.
 */
FL_API bool fl_cancel_callback_remove(fl_cancel_callback *cb);

static inline void fl__scoped_fl_cancel_callback(fl_cancel_callback *_cb)
{
	(void)fl_cancel_callback_remove(_cb);
}

FL_END_DECLS

#endif
