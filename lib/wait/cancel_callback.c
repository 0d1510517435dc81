/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Callbacks of cancel tokens. Those of a tree are guarded by one bucket of the lot, found by an address in the tree's root
 * that is used as a number alone: so they may be removed, and run, when the tokens are gone.
 *
 *   state        meaning                          set by                                        list
 *   IDLE         not registered, or removed       remove                                        -
 *   REGISTERED   waits for a request              fl_cancel_on_request()                        the token's
 *   ASKED        a request is about to run it     fl__cancel_take_callbacks()                   the request's, on its stack
 *   RUNNING      its function runs                next_of(), or fl_cancel_on_request()          -
 *   ENDED        its function has returned, or    run(), remove                                 -
 *                has removed it
 *
 * Invariants
 *   1. State, links and run_ change under the line's bucket alone.
 *   2. A token has the bit CALLBACKS as long as its list has any, except while a request that has taken the bit is about to
 *      take the list. The bit is set by a CAS on the word that REQUESTED is in: so a registration either comes before the
 *      request, which then sees the bit, or sees REQUESTED.
 *   3. Functions run without any lock. Between two of them a request touches its own stack and the bucket: no token. A
 *      callback on its list is there until it was removed, which takes it off the list.
 *   4. A callback that its own function removes is the caller's at once: run() learns of it from its own stack, where remove
 *      finds it by run_, and does not touch it again. Only the same context can do so while the function runs.
 *   5. Whoever waits for a function's end stands in the line, and looks again when any function of the tree has returned.
 *
 * Lock order: tree, then bucket. Linearization: removed or run, whichever takes the bucket first.
 */
#include "../base/atomic.h"
#include "cancel.h"
#include <fairlead/cancel_callback.h>

enum { IDLE, REGISTERED, ASKED, RUNNING, ENDED };
enum { REQUESTED = FL__CANCEL_REQUESTED, CALLBACKS = FL__CANCEL_CALLBACKS };

/* A function that runs; on the stack of whoever runs it. */
struct fl__cancel_run {
	uint64_t context;
	bool removed; /* by the function: its own context's alone */
};

/*
 * An odd address: nothing has its line there but callbacks. For the token may be gone, and its memory something else that is waited
 * for, when the end of a function wakes the line.
 */
static const void *line_of(const fl_cancel *c)
{
	const fl_cancel *root = c->root_ ? c->root_ : c;
	return (const char *)root + 1;
}

static void link_first(fl_cancel_callback **first, fl_cancel_callback *cb)
{
	cb->next_ = *first;
	cb->link_ = first;
	if (cb->next_)
		cb->next_->link_ = &cb->next_;
	*first = cb;
}

static void unlink(fl_cancel_callback *cb)
{
	*cb->link_ = cb->next_;
	if (cb->next_)
		cb->next_->link_ = cb->link_;
}

void fl__cancel_take_callbacks(fl_cancel *c, struct fl__lot *lot, struct fl__cancel_calls *calls)
{
	calls->line = line_of(c);
	fl__lot_next(lot, calls->line);
	while (c->callbacks_) {
		fl_cancel_callback *cb = c->callbacks_;
		unlink(cb);
		link_first(&calls->first, cb);
		cb->state_ = ASKED;
	}
	fl__lot_shut(lot);
}

/* Runs the function of one that is RUNNING. */
static void run(fl_cancel_callback *cb, const struct fl__cancel_run *now)
{
	const void *line = cb->line_;
	struct fl__lot lot;
	cb->function_(cb->arg_);
	fl__lot_open(&lot, line);
	if (!now->removed) /* else it is gone */
		cb->state_ = ENDED;
	fl__lot_take(&lot, FL__ALL, 0);
	fl__lot_close(&lot);
}

/* The next that the request runs; NULL: none is left. */
static fl_cancel_callback *next_of(struct fl__cancel_calls *calls, struct fl__cancel_run *now)
{
	struct fl__lot lot;
	fl__lot_open(&lot, calls->line);
	fl_cancel_callback *cb = calls->first;
	if (cb) {
		unlink(cb);
		cb->state_ = RUNNING;
		cb->run_ = now;
	}
	fl__lot_close(&lot);
	return cb;
}

void fl__cancel_call(struct fl__cancel_calls *calls)
{
	if (!calls->line)
		return;
	for (;;) {
		struct fl__cancel_run now = {fl__ctx_get()->id, false};
		fl_cancel_callback *cb = next_of(calls, &now);
		if (!cb)
			return;
		run(cb, &now);
	}
}

/* False: the token is requested. */
static bool enlist(fl_cancel_callback *cb)
{
	fl_cancel *c = cb->token_;
	struct fl__lot lot;
	fl__lot_open(&lot, cb->line_);
	uint32_t seen = fl__load_relaxed(&c->word_); /* relaxed: the CAS decides */
	/* relaxed: what the request needs of the callback it has by the bucket's lock */
	while (!(seen & REQUESTED) && !fl__cas_weak_relaxed(&c->word_, &seen, seen | CALLBACKS))
		;
	bool enlisted = !(seen & REQUESTED);
	if (enlisted) {
		link_first(&c->callbacks_, cb);
		cb->state_ = REGISTERED;
	}
	fl__lot_close(&lot);
	if (!enlisted)
		(void)fl__load_acquire(&c->word_); /* pairs with request_one() */
	return enlisted;
}

bool fl_cancel_on_request(fl_cancel *c, fl_cancel_callback *cb, void (*function)(void *arg), void *arg)
{
	struct fl__cancel_run now = {fl__ctx_get()->id, false};
	*cb = (fl_cancel_callback){.function_ = function, .arg_ = arg, .state_ = IDLE};
	c = fl__cancel_resolve(c, fl__ctx_get());
	if (!c)
		return true;
	cb->token_ = c;
	cb->line_ = line_of(c);
	if (!fl__cancel_is_requested(c) && enlist(cb))
		return true;
	cb->run_ = &now;
	cb->state_ = RUNNING; /* nobody else knows of it yet */
	run(cb, &now);
	return false;
}

/* With the line open: takes it off its list. */
static void withdraw(fl_cancel_callback *cb)
{
	unlink(cb);
	if (cb->state_ == REGISTERED && !cb->token_->callbacks_)
		fl__and_relaxed(&cb->token_->word_, ~(uint32_t)CALLBACKS); /* relaxed: as in enlist() */
	cb->state_ = IDLE;
}

/* With the line open: whether its function runs in another context. One that runs in this has removed it. */
static bool runs_elsewhere(fl_cancel_callback *cb, const struct fl__ctx *ctx)
{
	if (cb->run_->context != ctx->id)
		return true;
	cb->run_->removed = true;
	cb->state_ = ENDED;
	return false;
}

bool fl_cancel_callback_remove(fl_cancel_callback *cb)
{
	if (!cb->line_)
		return true;
	for (;;) {
		struct fl__wait wait;
		struct fl__lot lot;
		fl__wait_begin(&wait);
		struct fl__node node = FL__NODE(&wait);
		fl__lot_open(&lot, cb->line_);
		if (cb->state_ == REGISTERED || cb->state_ == ASKED)
			withdraw(cb);
		const bool idle = cb->state_ == IDLE;
		const bool waits = cb->state_ == RUNNING && runs_elsewhere(cb, wait.ctx);
		if (waits)
			fl__lot_add(&lot, &node);
		fl__lot_close(&lot);
		if (!waits)
			return idle;
		(void)fl__wait_sleep(&wait, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
	}
}
