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
 *   BEGUN             the function runs, or     cancel_callback_begin()       -
 *                     has returned
 *
 * Invariants
 *   1. State, links and run_ change only under the bucket's lock.
 *   2. A token has CALLBACKS (cancel.c) while its list is not empty, except while a request that
 *      cleared the bit is about to take the list. A registration sets the bit by a CAS on the word
 *      of REQUESTED: either the request sees the bit, or the registration sees REQUESTED.
 *   3. Functions run without any lock. Between two functions a request touches its own stack and
 *      the bucket, but no token. A callback on the request's list exists until its removal, which
 *      takes it off the list.
 *   4. Once the function has begun, the library writes nothing to the callback: its function may
 *      remove and free it. Whether the function still runs is not in the callback. The bucket has a
 *      list of the runs whose functions have not returned. A removal looks for the callback's run
 *      there: first for its address, since another run may have the same place on a stack later,
 *      then for the callback's address, since the memory of a freed callback may hold another one.
 *      A removal waits for a run of another context, even if its function has removed the callback.
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

enum { CANCEL_CALLBACK_IDLE, CANCEL_CALLBACK_REGISTERED, CANCEL_CALLBACK_COLLECTED, CANCEL_CALLBACK_BEGUN };

/* Lives on the stack of the thread that runs the function. */
struct fl__cancel_run {
	uint64_t context;
	const fl_cancel_callback *callback;
	struct fl__cancel_run *next; /* in the bucket's list */
};

/* An odd address, unlike other keys: another object may have the memory at a late wake. */
static const void *cancel_callback_queue_of(fl_cancel_token *c)
{
	return (const char *)fl__cancel_root_of(c) + 1;
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

/*
 * In a transaction: the pointer of the bucket's list to `run`, or to NULL at the end of the list.
 */
static struct fl__cancel_run **cancel_run_find(struct fl__bucket *bucket, const struct fl__cancel_run *run)
{
	struct fl__cancel_run **at = &bucket->runs;
	while (*at && *at != run)
		at = &(*at)->next;
	return at;
}

/* In a transaction. */
static void cancel_callback_begin(fl_cancel_callback *cb, struct fl__lot *lot, struct fl__cancel_run *now)
{
	*now = (struct fl__cancel_run){fl__ctx_get()->id, cb, lot->bucket->runs};
	lot->bucket->runs = now;
	cb->run_ = now;
	cb->state_ = CANCEL_CALLBACK_BEGUN;
}

/* `cb` is BEGUN. */
static void cancel_callback_run(const fl_cancel_callback *cb, const struct fl__cancel_run *now)
{
	const void *queue = cb->queue_;
	cb->function_(cb->arg_);
	FL__LOT(lot, queue);
	struct fl__cancel_run **at = cancel_run_find(lot.bucket, now);
	if (*at) /* else the function has forked: the child's list was emptied */
		*at = now->next;
	fl__lot_take(&lot, FL__ALL, 0);
}

/* NULL: no callback is left. */
static fl_cancel_callback *cancel_callback_take_next(struct fl__cancel_calls *calls, struct fl__cancel_run *now)
{
	FL__LOT(lot, calls->queue);
	fl_cancel_callback *cb = calls->first;
	if (cb) {
		FL__LIST_REMOVE_BY(next_, link_, cb);
		cancel_callback_begin(cb, &lot, now);
	}
	return cb;
}

void fl__cancel_call(struct fl__cancel_calls *calls)
{
	struct fl__cancel_run now;
	if (!calls->queue)
		return;
	for (fl_cancel_callback *cb; (cb = cancel_callback_take_next(calls, &now)) != NULL;)
		cancel_callback_run(cb, &now);
}

/* False: the token is requested. */
static bool cancel_callback_register(fl_cancel_callback *cb)
{
	fl_cancel_token *c = cb->token_;
	FL__LOT(lot, cb->queue_);
	uint32_t seen = fl__load_relaxed(&c->word_); /* the CAS decides */
	/* the bucket's lock publishes the callback */
	while (!(seen & FL__CANCEL_REQUESTED) && !fl__cas_weak_relaxed(&c->word_, &seen, seen | FL__CANCEL_CALLBACKS))
		;
	if (seen & FL__CANCEL_REQUESTED) {
		(void)fl__load_acquire(&c->word_); /* pairs with cancel_request_one() */
		return false;
	}
	FL__LIST_ADD_BY(next_, link_, &c->callbacks_, cb);
	cb->state_ = CANCEL_CALLBACK_REGISTERED;
	return true;
}

bool fl_cancel_token_on_request(fl_cancel_token *c, fl_cancel_callback *cb, void (*function)(void *arg), void *arg)
{
	struct fl__cancel_run now;
	*cb = (fl_cancel_callback){.function_ = function, .arg_ = arg, .state_ = CANCEL_CALLBACK_IDLE};
	c = fl__cancel_resolve(c, fl__ctx_get());
	if (!c)
		return true;
	fl__cancel_attach(c);
	cb->token_ = c;
	cb->queue_ = cancel_callback_queue_of(c);
	if (!fl__cancel_is_requested(c) && cancel_callback_register(cb))
		return true;
	{
		FL__LOT(lot, cb->queue_);
		cancel_callback_begin(cb, &lot, &now);
	}
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

/* In a transaction, for a callback that is BEGUN (invariant 4). */
static bool cancel_callback_runs_elsewhere(const fl_cancel_callback *cb, struct fl__bucket *bucket)
{
	const struct fl__cancel_run *run = *cancel_run_find(bucket, cb->run_);
	return run && run->callback == cb && run->context != fl__ctx_get()->id;
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
		    cb->state_ == CANCEL_CALLBACK_BEGUN && cancel_callback_runs_elsewhere(cb, lot.bucket);
		if (waits)
			fl__lot_add(&lot, &node);
		fl__lot_close(&lot);
		if (!waits)
			return idle;
		(void)fl__wait_sleep(&wait, FL_FOREVER, FL_SHIELDED); /* 0: no deadline, no token */
	}
}
