/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Callbacks of cancel tokens. One bucket of the parking lot guards all callbacks of a tree. Its key
 * is an address in the tree's root, used only as a number: callbacks may outlive the tokens.
 *
 *   CANCEL_CALLBACK_  meaning                   set by                        list
 *   IDLE              not registered, or        the removal                   -
 *                     removed
 *   REGISTERED        waits for a request       fl_cancel_token_on_request()  the token's
 *   COLLECTED         a request is about to     fl__cancel_take_callbacks()   the request's, on its
 *                     run the function                                        stack
 *   RUNNING           the function runs         cancel_callback_take_next();  -
 *                                               fl_cancel_token_on_request()
 *   ENDED             the function has          cancel_callback_run(); a      -
 *                     returned, or removed the  removal by the function
 *                     callback
 *
 * Invariants
 *   1. State, links and run_ change only under the bucket's lock.
 *   2. A token has CALLBACKS (cancel.c) while its list is not empty, except while a request that
 *      cleared the bit is about to take the list. A registration sets the bit by a CAS on the word
 *      of REQUESTED: either the request sees the bit, or the registration sees REQUESTED.
 *   3. Functions run without any lock. Between two functions a request touches its own stack and
 *      the bucket, but no token. A callback on the request's list exists until its removal, which
 *      takes it off the list.
 *   4. A callback that its own function removes may be freed at once: the removal follows run_ to
 *      the running thread's stack and sets `removed` there, so cancel_callback_run() does not
 *      touch the callback again. Any other context waits for the end of the function.
 *   5. A context that waits for the end of a function is in the wait queue, and checks again each
 *      time a function of the tree has returned.
 *
 * Lock order: tree, then bucket. Linearization: the first removal or request to lock the bucket
 * decides.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "cancel.h"
#include <fairlead/cancel.h>

enum {
	CANCEL_CALLBACK_IDLE,
	CANCEL_CALLBACK_REGISTERED,
	CANCEL_CALLBACK_COLLECTED,
	CANCEL_CALLBACK_RUNNING,
	CANCEL_CALLBACK_ENDED
};

/* Lives on the stack of the thread that runs the function. */
struct fl__cancel_run {
	uint64_t context;
	bool removed; /* by the function; only its own context uses the flag */
};

/* An odd address, unlike other keys: another object may have the memory at a late wake. */
static const void *cancel_callback_queue_of(const fl_cancel_token *c)
{
	const fl_cancel_token *root = c->root_ ? c->root_ : c;
	return (const char *)root + 1;
}

void fl__cancel_take_callbacks(fl_cancel_token *c, struct fl__lot *lot, struct fl__cancel_calls *calls)
{
	calls->queue = cancel_callback_queue_of(c);
	fl__lot_open_next(lot, calls->queue);
	while (c->callbacks_) {
		fl_cancel_callback *cb = c->callbacks_;
		FL__LIST_REMOVE_BY(next_, link_, cb);
		FL__LIST_ADD_BY(next_, link_, &calls->first, cb);
		cb->state_ = CANCEL_CALLBACK_COLLECTED;
	}
	fl__lot_unlock(lot);
}

/* `cb` is RUNNING. */
static void cancel_callback_run(fl_cancel_callback *cb, const struct fl__cancel_run *now)
{
	const void *queue = cb->queue_;
	cb->function_(cb->arg_);
	FL__LOT(lot, queue);
	if (!now->removed) /* a removed callback may be gone */
		cb->state_ = CANCEL_CALLBACK_ENDED;
	fl__lot_take(&lot, FL__ALL, 0);
}

/* NULL: no callback is left. */
static fl_cancel_callback *cancel_callback_take_next(struct fl__cancel_calls *calls, struct fl__cancel_run *now)
{
	FL__LOT(lot, calls->queue);
	fl_cancel_callback *cb = calls->first;
	if (cb) {
		FL__LIST_REMOVE_BY(next_, link_, cb);
		cb->state_ = CANCEL_CALLBACK_RUNNING;
		cb->run_ = now;
	}
	return cb;
}

void fl__cancel_call(struct fl__cancel_calls *calls)
{
	if (!calls->queue)
		return;
	for (;;) {
		struct fl__cancel_run now = {fl__ctx_get()->id, false};
		fl_cancel_callback *cb = cancel_callback_take_next(calls, &now);
		if (!cb)
			return;
		cancel_callback_run(cb, &now);
	}
}

/* False: the token is requested. */
static bool cancel_callback_register(fl_cancel_callback *cb)
{
	fl_cancel_token *c = cb->token_;
	struct fl__lot lot;
	fl__lot_open(&lot, cb->queue_);
	uint32_t seen = fl__load_relaxed(&c->word_); /* the CAS decides */
	/* the bucket's lock publishes the callback */
	while (!(seen & FL__CANCEL_REQUESTED) && !fl__cas_weak_relaxed(&c->word_, &seen, seen | FL__CANCEL_CALLBACKS))
		;
	bool enlisted = !(seen & FL__CANCEL_REQUESTED);
	if (enlisted) {
		FL__LIST_ADD_BY(next_, link_, &c->callbacks_, cb);
		cb->state_ = CANCEL_CALLBACK_REGISTERED;
	}
	fl__lot_close(&lot);
	if (!enlisted)
		(void)fl__load_acquire(&c->word_); /* pairs with cancel_request_one() */
	return enlisted;
}

bool fl_cancel_token_on_request(fl_cancel_token *c, fl_cancel_callback *cb, void (*function)(void *arg), void *arg)
{
	struct fl__cancel_run now = {fl__ctx_get()->id, false};
	*cb = (fl_cancel_callback){.function_ = function, .arg_ = arg, .state_ = CANCEL_CALLBACK_IDLE};
	c = fl__cancel_resolve(c, fl__ctx_get());
	if (!c)
		return true;
	cb->token_ = c;
	cb->queue_ = cancel_callback_queue_of(c);
	if (!fl__cancel_is_requested(c) && cancel_callback_register(cb))
		return true;
	cb->run_ = &now;
	cb->state_ = CANCEL_CALLBACK_RUNNING; /* the callback is not published yet */
	cancel_callback_run(cb, &now);
	return false;
}

/* Called in a transaction. */
static void cancel_callback_unregister(fl_cancel_callback *cb)
{
	FL__LIST_REMOVE_BY(next_, link_, cb);
	if (cb->state_ == CANCEL_CALLBACK_REGISTERED && !cb->token_->callbacks_)
		/* as in cancel_callback_register() */
		fl__and_relaxed(&cb->token_->word_, ~(uint32_t)FL__CANCEL_CALLBACKS);
	cb->state_ = CANCEL_CALLBACK_IDLE;
}

/* In a transaction. False: the function itself calls remove (invariant 4). */
static bool cancel_callback_runs_elsewhere(fl_cancel_callback *cb, const struct fl__ctx *ctx)
{
	if (cb->run_->context != ctx->id)
		return true;
	cb->run_->removed = true;
	cb->state_ = CANCEL_CALLBACK_ENDED;
	return false;
}

bool fl_cancel_callback_remove(fl_cancel_callback *cb)
{
	if (!cb->queue_)
		return true;
	for (;;) {
		struct fl__lot lot;
		FL__WAIT(wait, node, FL__DEBUG_CANCEL_CALLBACK, cb);
		fl__lot_open(&lot, cb->queue_);
		if (cb->state_ == CANCEL_CALLBACK_REGISTERED || cb->state_ == CANCEL_CALLBACK_COLLECTED)
			cancel_callback_unregister(cb);
		const bool idle = cb->state_ == CANCEL_CALLBACK_IDLE;
		const bool waits =
		    cb->state_ == CANCEL_CALLBACK_RUNNING && cancel_callback_runs_elsewhere(cb, wait.ctx);
		if (waits)
			fl__lot_add(&lot, &node);
		fl__lot_close(&lot);
		if (!waits)
			return idle;
		(void)fl__wait_sleep(&wait, FL_FOREVER, FL_SHIELDED); /* 0: no deadline, no token */
	}
}
