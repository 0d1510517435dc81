/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The callbacks of cancel tokens. One bucket of the parking lot guards all callbacks of a tree: the
 * bucket of the wait queue on which removals wait. The key of that queue is made from the address
 * of the tree's root (cancel_callback_queue_of()), which is used only as a number, because
 * callbacks may outlive the tokens. `queue_` of a callback is this key, or NULL if it was never
 * registered.
 *
 *   CANCEL_CALLBACK_  meaning                   set by                        list
 *   IDLE              not registered, or        the removal; a registration,  -
 *                     removed                   at its beginning
 *   REGISTERED        waits for a request       fl_cancel_token_on_request()  the token's
 *   COLLECTED         a request is about to     fl__cancel_take_callbacks()   the request's, on its
 *                     run the function                                        stack
 *   BEGUN             the function runs, or     cancel_callback_begin()       -
 *                     has returned
 *
 * Invariants
 *   1. The state, the links and run_ of a callback change only under the bucket's lock, except that
 *      a registration first initializes the callback without the lock.
 *   2. While a token's list is not empty, CALLBACKS (cancel.c) is set, unless a request has cleared
 *      the bit and is about to take the list. A registration sets the bit by a CAS on the token's
 *      word, and REQUESTED is a bit of the same word. So either the request sees CALLBACKS, or the
 *      registration sees REQUESTED.
 *   3. Functions run without any lock. Between two functions a request touches its own stack and
 *      the bucket, but no token. A callback on the request's list exists until its removal, which
 *      takes it off the list.
 *   4. Once the function has begun, the library writes nothing to the callback, because its
 *      function may remove and free it. So the callback cannot say whether the function still runs.
 *      Instead, the bucket lists the runs whose functions have not returned. A removal looks there
 *      for a run whose address is run_ and that belongs to this callback. It checks both, because a
 *      later run, of another callback, may have the same address on a stack. A removal waits for a
 *      run of another context, even if the function has removed the callback.
 *   5. A context that waits for the end of a function is in the wait queue of the tree. The value
 *      of its node is made from the address of the run that it waits for. When that run ends, it
 *      wakes the context, which checks again, because another run may have the same value.
 *
 * The links between the tokens of a tree have another lock, the tree's (cancel.c). A thread that
 * needs both locks takes the tree's lock first, and then the bucket's.
 *
 * Linearization points. Whether a callback's function runs is decided under the bucket's lock. It
 * runs if a request makes the callback BEGUN (cancel_callback_take_next()) before a removal takes
 * the callback off its list, or if the token is already cancelled when the callback is registered.
 * It does not run if the removal comes first, even if the callback is COLLECTED by then.
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

/*
 * Returns the key of the wait queue for callbacks. A removal may wait there, and a wake may come,
 * after the root was destroyed and another object got its memory. This is safe, because only
 * another token or a timer can have the same key (fl__lot_key()), and their waiters check again
 * after each wake.
 */
static const void *cancel_callback_queue_of(fl_cancel_token *c)
{
	return fl__lot_key(fl__cancel_root_of(c), FL__KEY_OF_CALLBACKS);
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
 * Returns the pointer in the bucket's list that points to `run`, or the NULL at the end of the
 * list. The caller is in a transaction.
 */
static struct fl__cancel_run **cancel_run_find(struct fl__bucket *bucket, const struct fl__cancel_run *run)
{
	struct fl__cancel_run **at = &bucket->runs;
	while (*at && *at != run)
		at = &(*at)->next;
	return at;
}

/* Returns the value of nodes that wait for the end of `run`. */
static uint32_t cancel_run_value(const struct fl__cancel_run *run)
{
	return (uint32_t)((uintptr_t)run / _Alignof(struct fl__cancel_run));
}

/* Wakes the removals that wait for the end of `run`. The caller is in a transaction. */
static void cancel_run_wake(struct fl__lot *lot, const struct fl__cancel_run *run)
{
	for (struct fl__node *next, *node = fl__lot_first(lot); node; node = next) {
		next = fl__lot_node_after(node);
		if (node->value == cancel_run_value(run))
			(void)fl__lot_take_node(lot, node, 0);
	}
}

/* Enters a run of `cb` in the bucket's list. The caller is in a transaction. */
static void cancel_callback_begin(fl_cancel_callback *cb, struct fl__lot *lot, struct fl__cancel_run *now)
{
	*now = (struct fl__cancel_run){fl__ctx_get()->id, cb, lot->bucket->runs};
	lot->bucket->runs = now;
	cb->run_ = now;
	cb->state_ = CANCEL_CALLBACK_BEGUN;
}

/* Calls the function of `cb`, which is BEGUN, and then ends the run. */
static void cancel_callback_run(const fl_cancel_callback *cb, const struct fl__cancel_run *now)
{
	const void *queue = cb->queue_;
	cb->function_(cb->arg_);
	FL__LOT(lot, queue);
	struct fl__cancel_run **at = cancel_run_find(lot.bucket, now);
	*at = now->next;
	cancel_run_wake(&lot, now);
}

/* Begins a run of the next callback and returns that callback. Returns NULL if none is left. */
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

/* Registers `cb`. Returns false if the token is cancelled. */
static bool cancel_callback_register(fl_cancel_callback *cb)
{
	fl_cancel_token *c = cb->token_;
	FL__LOT(lot, cb->queue_);
	/*
	 * relaxed, both: a stale value of the load only makes the CAS fail, and the bucket's lock
	 * publishes the callback
	 */
	uint32_t seen = fl__load_relaxed(&c->word_);
	while (!(seen & FL__CANCEL_REQUESTED) && !fl__cas_weak_relaxed(&c->word_, &seen, seen | FL__CANCEL_CALLBACKS))
		;
	if (seen & FL__CANCEL_REQUESTED) {
		(void)fl__load_acquire(&c->word_); /* acquire: rule 2 of cancel.c */
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
	/* NOLINTNEXTLINE(clang-analyzer-core.StackAddressEscape): after the end, `run_` is only compared */
	return false;
}

/* Takes `cb` off its list. The caller is in a transaction. */
static void cancel_callback_unregister(fl_cancel_callback *cb)
{
	FL__LIST_REMOVE_BY(next_, link_, cb);
	if (cb->state_ == CANCEL_CALLBACK_REGISTERED && !cb->token_->callbacks_)
		/*
		 * relaxed: a request that still sees the bit opens the queue, and finds the list
		 * empty
		 */
		fl__and_relaxed(&cb->token_->word_, ~(uint32_t)FL__CANCEL_CALLBACKS);
	cb->state_ = CANCEL_CALLBACK_IDLE;
}

/*
 * Returns whether another context runs the function of `cb`, which is BEGUN (invariant 4). The
 * caller is in a transaction.
 */
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
		if (waits) {
			node.value = cancel_run_value(cb->run_);
			fl__lot_add(&lot, &node);
		}
		fl__lot_close(&lot);
		if (!waits)
			return idle;
		/* This returns 0, because there is no deadline and no token. */
		(void)fl__wait_sleep(&wait, FL_FOREVER, FL_SHIELDED);
	}
}
