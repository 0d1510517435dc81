/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futures.
 *
 *   bit         meaning                             set by                                          cleared by
 *   CLAIMED     one context has the right and the   fl__future_claim(), fl__future_claim_cancel():  nobody
 *               duty to end it                      CAS
 *   CANCELLED   it was claimed to be cancelled      the same CAS                                    nobody
 *   ENDED       its end is public                   fl__future_finish(): CAS, or under the lot      nobody
 *   WAITERS     somebody may stand in line          fl__word_arm(), under the lot                   the step to ENDED
 *
 * As fl_future_get_state() has it: ENDED, with or without CANCELLED, is FL_CANCELLED or FL_DONE; CLAIMED without CANCELLED
 * is FL_RUNNING; the rest is FL_PENDING, also while a canceller drops the argument.
 *
 * Invariants
 *   1. Exactly one context claims; it alone writes error, message and result, and ends the future.
 *   2. Linearization: start or cancel, the claim's CAS; the end, the step to ENDED. That step is taken under `lock`, in one
 *      section with the end of the token and the detaching of the callbacks. So whoever holds the lock sees either a future
 *      that has not ended, whose token may be requested and whose list takes callbacks, or one that has.
 *   3. While WAITERS is set the step is a transaction of the lot (lot.c, invariant 5); without, one CAS.
 *   4. Before the end is public: the argument's drop hook has returned and the token is out of its tree, so that who waits
 *      may give up what the argument referred to, and the parent token. After it: the callbacks, in order.
 *   5. The memory stays until the last reference is freed. Who ends the future holds one, the producer's, so there is no last
 *      touch to be careful about.
 *
 * Safe mistakes: WAITERS without a line costs one visit to the lot. Locks: an executor's, then `lock`, then a token's tree,
 * then a bucket of the lot.
 */
#include "future.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include <errno.h>
#include <string.h>

enum { CLAIMED = 1, CANCELLED = 2, ENDED = 4, WAITERS = 8 };

static const struct fl__word ended = {ENDED, ENDED, WAITERS};

struct fl__callback {
	struct fl__callback *next;
	fl_future_callback *call;
	void *arg;
};

/* Messages. */

static char lost_message[] = "(message lost: out of memory)";

char *fl__message_new(void)
{
	char *message = fl__alloc(1, FL_MESSAGE_MAX);
	return message ? message : lost_message;
}

bool fl__message_lost(const char *message)
{
	return message == lost_message;
}

void fl__message_free(char *message)
{
	if (message != lost_message)
		fl__free(message);
}

/* Life. */

void fl__future_init(fl_future *f, const struct fl__future_home *home, const fl_task_type *type, uint32_t refs,
                     fl_cancel *parent, int64_t deadline)
{
	f->refs = refs;
	f->home = home;
	f->type = type;
	fl_cancel_init(&f->token, parent ? parent : FL_SHIELDED, deadline);
}

void fl__future_discard(fl_future *f)
{
	fl_cancel_destroy(&f->token);
	fl__free(f->callbacks); /* one at most: fl__future_register() */
	f->home->release(f);
}

fl_future *fl_future_ref(fl_future *f)
{
	fl__add_relaxed(&f->refs, 1); /* relaxed: the caller's own reference keeps it alive */
	return f;
}

static bool is_ended(const fl_future *f)
{
	return fl__load_acquire(&f->state) & ENDED; /* pairs with the release in step_to_ended() */
}

static bool has_succeeded(const fl_future *f)
{
	/* acquire: pairs with the release in step_to_ended() */
	return (fl__load_acquire(&f->state) & (ENDED | CANCELLED)) == ENDED && f->error == 0;
}

void fl_future_free(fl_future *f)
{
	/* acq_rel: the last one sees what all others did with it; pairs with itself */
	if (!f || fl__sub_acq_rel(&f->refs, 1) > 1)
		return;
	if (f->type->drop_result && has_succeeded(f))
		f->type->drop_result(f->result);
	fl__message_free(f->message);
	f->home->release(f);
}

/* Claiming. */

static bool claim(fl_future *f, uint32_t bits)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* relaxed: the CAS decides */
	while (!(seen & CLAIMED))
		/*
		 * relaxed: a claim hands nothing over. What the claimer reads was written before it got the future, and what
		 * it writes is published by step_to_ended().
		 */
		if (fl__cas_weak_relaxed(&f->state, &seen, seen | bits))
			return true;
	return false;
}

bool fl__future_claim_ended(fl_future *f)
{
	return claim(f, CLAIMED);
}

enum fl__claim fl__future_claim(fl_future *f)
{
	if (!fl_cancel_requested(&f->token))
		return claim(f, CLAIMED) ? FL__CLAIM_RUN : FL__CLAIM_LOST;
	return claim(f, CLAIMED | CANCELLED) ? FL__CLAIM_CANCEL : FL__CLAIM_LOST;
}

bool fl__future_claim_cancel(fl_future *f)
{
	return claim(f, CLAIMED | CANCELLED);
}

/* The end. */

/* Under `lock`. True when waiters were taken: then the lot is open, to be closed without the lock. */
static bool step_to_ended(fl_future *f, uint32_t now, struct fl__lot *lot)
{
	uint32_t seen = now & ~(uint32_t)ENDED;
	/* release: error, message, result; pairs with is_ended(), has_succeeded(), state_of() and fl__word_wait() */
	if (fl__cas_release(&f->state, &seen, now))
		return false;
	fl__lot_open(lot, &f->state);
	fl__lot_take(lot, FL__ALL, 0);
	fl__store_release(&f->state, now); /* as above; under the lot nobody else changes a claimed future */
	return true;
}

static struct fl__callback *reversed(struct fl__callback *list)
{
	struct fl__callback *before = NULL;
	while (list) {
		struct fl__callback *next = list->next;
		list->next = before;
		before = list;
		list = next;
	}
	return before;
}

/* Publishes the end, unless there are callbacks and `may_call` is false. Returns the callbacks, newest first. */
static struct fl__callback *publish(fl_future *f, bool may_call)
{
	struct fl__lot lot;
	/* relaxed: CLAIMED and CANCELLED are the caller's own */
	uint32_t claimed = fl__load_relaxed(&f->state) & (CLAIMED | CANCELLED);
	fl__lock(&f->lock);
	struct fl__callback *list = f->callbacks;
	if (list && !may_call) {
		fl__unlock(&f->lock);
		return list;
	}
	fl_cancel_destroy(&f->token);
	f->callbacks = NULL;
	bool taken = step_to_ended(f, claimed | ENDED, &lot);
	fl__unlock(&f->lock);
	if (taken)
		fl__lot_close(&lot);
	return list;
}

static void run_callbacks(fl_future *f, struct fl__callback *list)
{
	while (list) {
		struct fl__callback *next = list->next;
		list->call(f, list->arg);
		fl__free(list);
		list = next;
	}
}

/* Of a claimed future. Takes over `message`. */
static void set_error(fl_future *f, int error, char *message)
{
	bool cancelled = fl__load_relaxed(&f->state) & CANCELLED; /* relaxed: the caller's own claim */
	f->error = cancelled ? -ECANCELED : error;
	if (f->error != 0 && !cancelled)
		f->message = message;
	else
		fl__message_free(message);
}

void fl__future_finish(fl_future *f, int error, char *message)
{
	set_error(f, error, message);
	if (f->type->drop_arg)
		f->type->drop_arg(f->arg);
	run_callbacks(f, reversed(publish(f, true)));
}

bool fl__future_try_finish(fl_future *f)
{
	return !f->type->drop_arg && !f->type->drop_result && publish(f, false) == NULL;
}

/* Cancelling. */

void fl__future_ask(fl_future *f)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	fl__lock(&f->lock);
	if (!(fl__load_relaxed(&f->state) & ENDED)) /* relaxed: under the lock; invariant 2 */
		fl__cancel_request_begin(&f->token, &calls);
	fl__unlock(&f->lock);
	fl__cancel_call(&calls);
}

bool fl__future_cancel_pending(fl_future *f)
{
	if (!f->home->claim_cancel(f))
		return false;
	fl__future_finish(f, -ECANCELED, NULL);
	f->home->ended(f);
	fl_future_free(f); /* the producer's reference */
	return true;
}

int fl_future_cancel(fl_future *f)
{
	if (fl__future_cancel_pending(f))
		return 0;
	uint32_t seen = fl__load_acquire(&f->state); /* pairs with the release in step_to_ended() */
	if (seen & ENDED)
		return seen & CANCELLED ? 0 : -EALREADY;
	fl__future_ask(f); /* if it is just being cancelled elsewhere, that changes nothing */
	if (f->home->asked)
		f->home->asked(f);
	return -EBUSY;
}

/* Adds `node` to the list; false when the future has ended. */
static bool register_callback(fl_future *f, struct fl__callback *node)
{
	fl__lock(&f->lock);
	bool in_time = !is_ended(f);
	if (in_time) {
		node->next = f->callbacks;
		f->callbacks = node;
	}
	fl__unlock(&f->lock);
	return in_time;
}

int fl__future_register(fl_future *f, fl_future_callback *callback, void *arg)
{
	struct fl__callback *node = fl__alloc(1, sizeof *node);
	if (!node)
		return -ENOMEM;
	node->call = callback;
	node->arg = arg;
	f->callbacks = node;
	return 0;
}

int fl_future_on_end(fl_future *f, fl_future_callback *callback, void *arg)
{
	if (!is_ended(f)) {
		struct fl__callback *node = fl__alloc(1, sizeof *node);
		if (!node)
			return -ENOMEM;
		node->call = callback;
		node->arg = arg;
		if (register_callback(f, node))
			return 0;
		fl__free(node);
	}
	callback(f, arg);
	return 0;
}

/* Waiting. */

/* Has the context run the task itself, where it may and where a wait would not answer at once. */
static void help(fl_future *f, int64_t deadline, const fl_cancel *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (!ctx->help || (fl__load_relaxed(&f->state) & CLAIMED)) /* relaxed: a hint, the claim decides */
		return;
	if (fl_cancel_requested(cancel) || (deadline != FL_FOREVER && deadline <= fl__sys.now()))
		return;
	ctx->help(ctx, f);
}

int fl_future_wait_until(fl_future *f, int64_t deadline, fl_cancel *cancel)
{
	if (is_ended(f))
		return 0;
	help(f, deadline, cancel);
	if (f->home->attend)
		f->home->attend(f, deadline, cancel);
	return fl__word_wait(&f->state, &ended, deadline, cancel);
}

int fl_future_wait(fl_future *f)
{
	return fl_future_wait_until(f, FL_FOREVER, NULL);
}

int fl_future_try_wait(fl_future *f)
{
	return is_ended(f) ? 0 : -EAGAIN;
}

/* Of a future that has ended. */
static int copy_result(const fl_future *f, void *result)
{
	if (f->error != 0)
		return FL_ETASK;
	if (f->type->result_size > 0)
		memcpy(result, f->result, f->type->result_size);
	return 0;
}

int fl_future_get_until(fl_future *f, void *result, size_t size, int64_t deadline, fl_cancel *cancel)
{
	if (size != f->type->result_size)
		return -EINVAL;
	int rc = fl_future_wait_until(f, deadline, cancel);
	return rc == 0 ? copy_result(f, result) : rc;
}

int fl_future_get(fl_future *f, void *result, size_t size)
{
	return fl_future_get_until(f, result, size, FL_FOREVER, NULL);
}

int fl_future_try_get(fl_future *f, void *result, size_t size)
{
	if (size != f->type->result_size)
		return -EINVAL;
	return is_ended(f) ? copy_result(f, result) : -EAGAIN;
}

/* Looking. */

fl_future_state fl_future_get_state(const fl_future *f)
{
	uint32_t seen = fl__load_acquire(&f->state); /* pairs with the release in step_to_ended() */
	if (seen & ENDED)
		return seen & CANCELLED ? FL_CANCELLED : FL_DONE;
	if (!(seen & CLAIMED) && f->home->has_started) {
		if (f->home->has_started(f))
			return FL_RUNNING;
		seen = fl__load_acquire(&f->state); /* it may have ended since; pairs as above */
		if (seen & ENDED)
			return seen & CANCELLED ? FL_CANCELLED : FL_DONE;
	}
	return (seen & (CLAIMED | CANCELLED)) == CLAIMED ? FL_RUNNING : FL_PENDING;
}

const void *fl_future_result(const fl_future *f)
{
	return has_succeeded(f) ? f->result : NULL;
}

int fl_future_error(const fl_future *f)
{
	return is_ended(f) ? f->error : 0;
}

const char *fl_future_message(const fl_future *f)
{
	/* acquire: pairs with the release in step_to_ended() */
	uint32_t seen = fl__load_acquire(&f->state);
	if (!(seen & ENDED))
		return "";
	if (seen & CANCELLED)
		return "cancelled before it started";
	return f->message ? f->message : "";
}

static bool on_ready(void *object)
{
	return is_ended(object);
}

static bool on_arm(void *object, struct fl__node *node)
{
	fl_future *f = object;
	return fl__word_arm(&f->state, &ended, node);
}

const fl_on_type fl__on_future = {on_ready, on_arm, fl__node_disarm, NULL};
