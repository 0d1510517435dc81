/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a wait sleeps, and how it is cancelled. The invariants are in lot.c. If the wait is under a
 * cancel token that is not the context's own, it has another node, an observer in the token's
 * queue.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "cancel.h"
#include "lot.h"

void fl__wait_begin(struct fl__wait *wait, enum fl__debug_kind kind, const void *object)
{
	wait->ctx = fl__ctx_of_wait();
	const struct fl__awaited outer = wait->ctx->awaits;
	const bool is_part = outer.kind != FL__DEBUG_NOTHING && (kind == FL__DEBUG_NOTHING || kind >= FL__DEBUG_COND);
	wait->object = is_part ? outer.object : object;
	wait->kind = is_part ? outer.kind : (uint8_t)kind;
	wait->decision = FL__PENDING;
	wait->common = NULL;
	wait->park_word = 0;
	wait->no_spin = false;
	wait->waker_cpu = -1;
	wait->result = 0;
	wait->since = 0;
}

/*
 * Ends the wait with `error`, and returns `error`. If a waking thread has already decided the wait,
 * waits for its unpark, and returns 0.
 */
static int wait_give_up(struct fl__wait *wait, int error)
{
	uintptr_t pending = FL__PENDING;
	/*
	 * relaxed: the CAS publishes nothing. If it fails, the unpark orders what the waking thread
	 * wrote.
	 */
	if (fl__cas_relaxed(&wait->decision, &pending, FL__GAVE_UP))
		return error;
	return wait->ctx->ops->park(wait, FL_FOREVER);
}

static int wait_park_until(struct fl__wait *wait, fl_time deadline)
{
	/*
	 * fl_sleep_until() has already compared its deadline with the clock. Its wait parks here
	 * nevertheless, so that a fiber lets others run even if the deadline has passed since then.
	 */
	if (wait->kind != FL__DEBUG_SLEEP && fl__is_expired(deadline))
		return wait_give_up(wait, -ETIMEDOUT);
	if (wait->ctx->ops->park(wait, deadline) == 0)
		return 0;
	return wait_give_up(wait, -ETIMEDOUT);
}

void fl__ctx_cancel(struct fl__ctx *ctx)
{
	/* relaxed, both: the context belongs to this thread, which wrote `waiting` */
	struct fl__wait *wait = fl__load_relaxed(&ctx->waiting);
	uintptr_t pending = FL__PENDING;
	if (wait && fl__cas_relaxed(&wait->decision, &pending, FL__CANCELLED))
		ctx->ops->unpark(wait);
}

/*
 * Parks until the unpark or the deadline. If the deadline of `token` ends the wait, returns
 * -ECANCELED.
 */
static int wait_park_under(struct fl__wait *wait, fl_time deadline, const fl_cancel_token *token)
{
	const fl_time limit = token->deadline_;
	const int rc = wait_park_until(wait, fl__earlier(deadline, limit));
	return rc == -ETIMEDOUT && fl__expiry(limit) < fl__expiry(deadline) ? -ECANCELED : rc;
}

/* Sleeps under the context's own token. When that is cancelled, fl__ctx_cancel() ends the wait. */
static int wait_sleep_under_own(struct fl__wait *wait, fl_time deadline, const fl_cancel_token *token)
{
	if (fl__cancel_is_requested(token))
		return wait_give_up(wait, -ECANCELED);
	/* relaxed, both: waking threads only compare `waiting` with the wait that they wake */
	fl__store_relaxed(&wait->ctx->waiting, wait);
	const int rc = wait_park_under(wait, deadline, token);
	fl__store_relaxed(&wait->ctx->waiting, NULL);
	/* relaxed: CANCELLED comes from this thread, in fl__ctx_cancel() */
	return rc == 0 && fl__load_relaxed(&wait->decision) == FL__CANCELLED ? -ECANCELED : rc;
}

static int wait_sleep_under(struct fl__wait *wait, fl_time deadline, fl_cancel_token *cancel)
{
	fl_cancel_token *token = fl__cancel_resolve(cancel, wait->ctx);
	if (!token)
		return wait_park_until(wait, deadline);
	if (token == wait->ctx->own)
		return wait_sleep_under_own(wait, deadline, token);

	struct fl__node node = FL__NODE(wait);
	node.observer = true;
	if (!fl__cancel_arm(token, &node))
		return wait_give_up(wait, -ECANCELED);
	const int rc = wait_park_under(wait, deadline, token);
	/* relaxed: the decision came before the unpark, which the park has acquired */
	if (rc == 0 && fl__load_relaxed(&wait->decision) == (uintptr_t)&node)
		return -ECANCELED;
	fl__lot_leave(&node);
	return rc;
}

int fl__wait_sleep(struct fl__wait *wait, fl_time deadline, fl_cancel_token *cancel)
{
	fl__hook_sleep(wait, deadline);
	/* In FL__BLOCKS_THREAD() the thread waits instead of its fiber, and runs no other fiber. */
	struct fl__host *const blocked = fl__unlikely(fl__blocks_thread > 0) ? fl__ctx_get()->host : NULL;
	if (blocked)
		FL__LIST_ADD(&wait->ctx->hosted, blocked);
	struct fl__host *const hosted = wait->ctx->hosted;
	if (hosted)
		fl__lot_set_away(hosted, true);
	const int rc = wait_sleep_under(wait, deadline, cancel);
	if (hosted)
		fl__lot_set_away(hosted, false);
	if (blocked) {
		FL__LIST_REMOVE(blocked);
		blocked->link = NULL;
	}
	wait->result = rc;
	fl__hook_woken(wait);
	return rc;
}

bool fl__wait_spin(struct fl__wait *wait, bool (*is_ready)(const void *what), const void *what, fl_time deadline,
                   fl_cancel_token *cancel)
{
	if (wait->ctx->ops != &fl__thread_parker || fl__is_expired(deadline) || fl_cancel_token_is_requested(cancel))
		return false;
	bool found = fl__spin(wait->ctx, is_ready, what, deadline);
	wait->no_spin = !found;
	return found;
}

/* The word that a wait polls before it is enqueued. */
struct wait_polled {
	const uint32_t *word;
	const struct fl__word *ready;
};

static bool wait_is_ready(uint32_t seen, const struct fl__word *ready)
{
	return (seen & ready->mask) == ready->value;
}

/*
 * Returns true if the word is ready or its waiters bit is set. If the bit is set, the caller stops
 * polling, and enqueues itself behind the other waiters.
 */
static bool wait_is_decided(const void *what)
{
	const struct wait_polled *polled = what;
	/* relaxed: fl__word_wait() loads a ready word again with acquire */
	uint32_t seen = fl__load_relaxed(polled->word);
	return wait_is_ready(seen, polled->ready) || (seen & polled->ready->waiters);
}

int fl__word_wait(uint32_t *word, const struct fl__word *ready, fl_time deadline, fl_cancel_token *cancel)
{
	/* acquire, both loads: pairs with the release that made the word ready */
	uint32_t seen = fl__load_acquire(word);
	if (wait_is_ready(seen, ready))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait, (enum fl__debug_kind)ready->kind, word);
	const struct wait_polled polled = {word, ready};
	if (!(seen & ready->waiters) && fl__wait_spin(&wait, wait_is_decided, &polled, deadline, cancel) &&
	    wait_is_ready(fl__load_acquire(word), ready))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	if (!fl__word_arm(word, ready, &node))
		return 0;
	const bool blocks = ready->of_future && fl__ctx_block(wait.ctx, word, deadline);
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	fl__ctx_unblock(wait.ctx, word, blocks);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

/*
 * Sleeps until a deadline that has passed. A fiber lets the other contexts of its thread run, and
 * then checks for a cancel. A thread does nothing.
 */
static int wait_yield_once(const fl_cancel_token *cancel)
{
	const struct fl__ctx *ctx = fl__ctx_of_wait();
	if (!ctx->ops->yield)
		return 0;
	ctx->ops->yield();
	return fl_cancel_token_is_requested(cancel) ? -ECANCELED : 0;
}

int fl_sleep_until(fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	if (fl__is_expired(deadline))
		return wait_yield_once(cancel);
	fl__wait_begin(&wait, FL__DEBUG_SLEEP, NULL);
	/*
	 * The wait has no node in the queue of an object, so only the deadline or the token ends
	 * it.
	 */
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	return rc == -ETIMEDOUT ? 0 : rc;
}
