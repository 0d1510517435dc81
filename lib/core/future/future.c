/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futures. Bits of `state` (each with the prefix FUTURE_):
 *
 *   CLAIMED    one context alone may end the   fl__future_claim(),            never
 *              future, and must                fl__future_claim_cancel(),
 *                                              fl__future_claim_ended(): CAS
 *   CANCELLED  the claim was for a cancel      the same CAS                   never
 *   EXPIRED    the future ends with            the same CAS;                  never
 *              -ETIMEDOUT, since the           fl__future_set_error(),
 *              deadline has passed             before the end
 *   ENDED      the end is published            the ending CAS                 never
 *   WAITERS    there may be a wait queue       fl__word_arm(), with the       the ending CAS
 *                                              bucket locked
 *   GUARDED    the ending CAS needs `lock`     future_guard(), before the     never
 *                                              end: CAS; to add a callback
 *                                              or to request the token
 *   REGISTERED the future had a callback       fl__future_register()          never
 *              before other threads saw it
 *   KEPT       the future has failed, and its  fl__future_keep_result(),      never
 *              result counts                   before the end
 *              (fl_task_keep_result())
 *   the rest   references, in units of REF     fl_future_ref(),               fl_future_free(),
 *                                              fl__future_ref_running()       _free_shared(),
 *                                                                             the ending CAS
 *
 * The columns: bit, meaning, set by, cleared by.
 *
 * fl_future_get_state() maps ENDED to FL_CANCELLED with CANCELLED, and to FL_DONE without. CLAIMED
 * without CANCELLED is FL_RUNNING, and so is a future of which `has_started` is true. The rest is
 * FL_PENDING, also while a canceller drops the argument.
 *
 * Invariants
 *   1. Exactly one context claims. That context alone writes error, message and result, and ends
 *      the future.
 *   2. Linearization points: of start and cancel, the claim's CAS; of the end, the ending CAS; or
 *      the stores of invariant 6.
 *      While GUARDED is set, one section under `lock` ends the token, detaches the callbacks and
 *      does the ending CAS. A thread that wants to request the token or to add a callback sets
 *      GUARDED first, unless the future has ended. Then the thread takes the lock and reads the
 *      state again. The future either has ended, or does not end before the unlock. A future with
 *      neither GUARDED nor WAITERS, whose token is in no tree (fl__cancel_is_alone()), ends
 *      with one CAS. Afterwards nobody changes its callbacks.
 *   3. While WAITERS is set, the ending CAS is part of a transaction of the parking lot (lot.c,
 *      invariant 5).
 *   4. Before the end is published, the argument's drop hook has returned and the token has left
 *      its tree. So a waiter may then free what the argument referred to, and the parent token.
 *      After the end is published, the reports of as_completed.c are made, without `lock`, and
 *      then the callbacks run in order. Reports are in the same list, and leave it under `lock`.
 *   5. The memory stays until the last reference is freed. The context that ends the future holds
 *      the producer's reference. A worker without callbacks to run frees that reference by the
 *      ending CAS, or after it, but before it wakes the waiters. So a waiter that frees its
 *      reference runs the result's drop hook, and not the worker, which is free for its next task.
 *   6. A future is *unshared* if it has one reference, no other bits than CLAIMED, a token that is
 *      alone, and no queue. Then only the producer can reach it, and claims and ends it by plain
 *      stores.
 *
 * Stale bits are safe: WAITERS without a wait queue costs a visit of the parking lot, GUARDED
 * without callbacks a lock.
 *
 * A token that is APART (cancel.c) is asked for only by the context that has claimed the future:
 * until that context ends it, the parent exists. So such a future is claimed first, and is then
 * claimed for a cancel if its token is requested. Lock order: an executor's, `lock`, a token's tree, a bucket of the
 * parking lot.
 */
#include "future.h"
#include "../base/atomic.h"
#include "../base/error.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "bytes.h"
#include "failure.h"
#include <errno.h>
#include <stdio.h>

enum {
	FUTURE_CLAIMED = FL__FUTURE_CLAIMED,
	FUTURE_CANCELLED = 2,
	FUTURE_ENDED = FL__FUTURE_ENDED,
	FUTURE_WAITERS = 8,
	FUTURE_GUARDED = 16,
	FUTURE_KEPT = 32,
	FUTURE_EXPIRED = 64,
	FUTURE_REGISTERED = 128,
	FUTURE_REF = FL__FUTURE_REF
};

static const struct fl__word future_ended = {FUTURE_ENDED, FUTURE_ENDED, FUTURE_WAITERS, .of_future = true,
                                             .kind = FL__DEBUG_FUTURE};
_Static_assert(offsetof(fl_future, state) == 0, "of_future takes the word for the future");

/* Messages. */

static char future_lost_message[] = "(message lost: out of memory)";

char *fl__message_vformat(const char *format, va_list args)
{
	char *message = fl__alloc(1, FL_MESSAGE_MAX);
	if (!message)
		return future_lost_message;
	(void)vsnprintf(message, FL_MESSAGE_MAX, format, args);
	return message;
}

char *fl__message_format(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *message = fl__message_vformat(format, args);
	va_end(args);
	return message;
}

FL__COLD char *fl__message_positive(const fl_task_type *type, int error)
{
	char number[64];
	return fl__message_format("task %s returned %s", type->name ? type->name : "",
	                          fl__error_describe(error, number));
}

void fl__message_free(char *text)
{
	if (text != future_lost_message)
		fl__free(text);
}

/* Life. */

void fl__future_discard(fl_future *f)
{
	fl_cancel_token_destroy(&f->token);
	f->ops->release(f);
}

fl_future *fl_future_ref(fl_future *f)
{
	/* the caller's own reference keeps the future alive */
	const uint32_t before = fl__add_relaxed(&f->state, FUTURE_REF);
	if (before / FUTURE_REF < UINT32_MAX / FUTURE_REF)
		return f;
	fl__sub_relaxed(&f->state, FUTURE_REF);
	fl__panic("fl_future_ref", f, "too many references");
}

bool fl__future_ref_running(fl_future *f)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* the CAS decides */
	while ((seen & (FUTURE_CLAIMED | FUTURE_ENDED)) == FUTURE_CLAIMED && seen / FUTURE_REF > 0)
		/* as in fl_future_ref() */
		if (fl__cas_weak_relaxed(&f->state, &seen, seen + FUTURE_REF))
			return true;
	return false;
}

bool fl__future_free_shared(fl_future *f)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* the CAS decides */
	while (seen / FUTURE_REF > 1)
		/* as in fl__future_drop() */
		if (fl__cas_weak_release(&f->state, &seen, seen - FUTURE_REF))
			return true;
	return false;
}

bool fl__future_has_ended(const fl_future *f)
{
	/* pairs with future_try_publish() */
	return fl__load_acquire(&f->state) & FUTURE_ENDED;
}

static bool future_has_result(const fl_future *f)
{
	/* pairs with future_try_publish(); in future_clean(), with all that freed a reference */
	const uint32_t seen = fl__load_acquire(&f->state);
	return (seen & (FUTURE_ENDED | FUTURE_CANCELLED)) == FUTURE_ENDED && (f->error == 0 || (seen & FUTURE_KEPT));
}

static void future_clean(fl_future *f)
{
	/* The type of a cancelled future may be gone. */
	if (future_has_result(f) && f->type->drop_result)
		fl__drop(f->type->drop_result, f->result);
	fl__message_free(f->message);
}

static void future_release(fl_future *f)
{
	future_clean(f);
	f->ops->release(f);
}

bool fl__future_drop(fl_future *f)
{
	/* future_clean() acquires. No thread can make another reference. */
	const uint32_t seen = fl__load_relaxed(&f->state);
	if (!((seen & FUTURE_ENDED) && seen / FUTURE_REF == 1)) {
		/* the last to free a reference sees all uses; pairs with future_has_result() */
		if (fl__sub_release(&f->state, FUTURE_REF) / FUTURE_REF > 1)
			return false;
	}
	future_clean(f);
	return true;
}

void fl_future_free(fl_future *f)
{
	if (f && fl__future_drop(f))
		f->ops->release(f);
}

/* Claiming. */

static bool future_claim(fl_future *f, uint32_t bits)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* the CAS decides */
	while (!(seen & FUTURE_CLAIMED))
		/*
		 * the claim publishes nothing. What the claimer reads was written before it got
		 * the future; future_try_publish() publishes what it writes.
		 */
		if (fl__cas_weak_relaxed(&f->state, &seen, seen | bits))
			return true;
	return false;
}

/*
 * The deadline is the reason for a cancel after it, even if the token was requested before: often
 * the code that sees a deadline pass makes the request.
 */
static bool future_is_late(const fl_future *f)
{
	return fl__is_expired(f->token.deadline_);
}

static bool future_claim_for_cancel(fl_future *f, bool expired)
{
	const bool claimed = future_claim(f, FUTURE_CLAIMED | FUTURE_CANCELLED | (expired ? FUTURE_EXPIRED : 0));
	if (claimed)
		fl__hook_task(FL__TRACE_CANCEL, f);
	return claimed;
}

bool fl__future_claim_ended(fl_future *f)
{
	return future_claim(f, FUTURE_CLAIMED);
}

enum fl__claim fl__future_claim(fl_future *f)
{
	/* a pending task's token stays APART */
	const bool apart = fl__load_relaxed(&f->token.word_) & FL__CANCEL_APART;
	if (!apart && fl__cancel_is_requested(&f->token))
		return fl__future_claim_cancel(f) ? FL__CLAIM_CANCEL : FL__CLAIM_LOST;
	if (!future_claim(f, FUTURE_CLAIMED))
		return FL__CLAIM_LOST;
	if (!apart || !fl__cancel_is_requested(&f->token))
		return FL__CLAIM_RUN;
	/* the ending CAS publishes it */
	(void)fl__or_relaxed(&f->state, FUTURE_CANCELLED | (future_is_late(f) ? FUTURE_EXPIRED : 0));
	fl__hook_task(FL__TRACE_CANCEL, f);
	return FL__CLAIM_CANCEL;
}

bool fl__future_is_claimed(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FUTURE_CLAIMED; /* a claim publishes nothing */
}

bool fl__future_is_cancelled(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FUTURE_CANCELLED; /* as above */
}

bool fl__future_claim_cancel(fl_future *f)
{
	return future_claim_for_cancel(f, future_is_late(f));
}

bool fl__future_claim_cancel_as(fl_future *f, const fl_future *before)
{
	return future_claim_for_cancel(f, fl__future_has_expired(before));
}

bool fl__future_has_expired(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FUTURE_EXPIRED; /* the caller has seen the end */
}

/* The end. */

/*
 * The ending CAS; also subtracts `drop` (0 or FUTURE_REF), unless the future is REGISTERED. Returns
 * the old word; 0: needs `lock`.
 */
static uint32_t future_try_publish(fl_future *f, uint32_t drop)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* the CAS decides */
	while (!(seen & (FUTURE_WAITERS | FUTURE_GUARDED)) && fl__cancel_is_alone(&f->token))
		/*
		 * error, message and result; pairs with fl__future_has_ended(),
		 * future_has_result(), fl_future_get_state() and fl__word_wait()
		 */
		if (fl__cas_weak_release(&f->state, &seen,
		                         (seen | FUTURE_ENDED) - (seen & FUTURE_REGISTERED ? 0 : drop)))
			return seen;
	return 0;
}

/* The ending CAS under `lock`. True: waiters are dequeued; close `lot` after the unlock. */
static bool future_publish_locked(fl_future *f, struct fl__lot *lot)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* the CAS decides */
	while (!(seen & FUTURE_WAITERS))
		/* as in future_try_publish() */
		if (fl__cas_weak_release(&f->state, &seen, seen | FUTURE_ENDED))
			return false;
	fl__lot_open(lot, &f->state);
	fl__lot_take(lot, FL__ALL, 0);
	/* as in future_try_publish() */
	while (!fl__cas_weak_release(&f->state, &seen, (seen & ~(uint32_t)FUTURE_WAITERS) | FUTURE_ENDED))
		;
	return true;
}

/*
 * Publishes the end, and stores the callbacks, oldest first. With `prompt_only`, returns false and
 * does nothing if there is a callback other than `prompt`. Also makes the reports. If `freed` is not
 * NULL, stores in it whether the producer's reference was freed. That is done before the waiters
 * wake, if there is no callback and another reference. A report does not need this reference: the
 * waiter of the report has one, and keeps it until the report was made.
 */
static bool future_publish_if(fl_future *f, bool prompt_only, fl_future_callback *prompt, struct fl__callback **list,
                              bool *freed)
{
	struct fl__lot lot;
	*list = NULL;
	const uint32_t before = future_try_publish(f, 0);
	if (before != 0) {
		*list = before & FUTURE_REGISTERED ? f->callbacks : NULL;
		return true;
	}
	fl__lock(&f->lock);
	struct fl__callback *all = f->callbacks, *newest = all;
	while (newest && newest->call == fl__future_report)
		newest = newest->next;
	if (newest && prompt_only && (newest->next || newest->call != prompt)) {
		fl__unlock(&f->lock);
		return false;
	}
	fl_cancel_token_destroy(&f->token);
	f->callbacks = NULL;
	bool taken = future_publish_locked(f, &lot);
	fl__unlock(&f->lock);
	if (freed)
		*freed = !newest && fl__future_free_shared(f);
	if (taken)
		fl__lot_close(&lot);
	for (struct fl__callback *next; all; all = next) {
		next = all->next;
		if (all->call == fl__future_report) { /* the call may free the memory */
			all->call(f, all->arg);
		} else {
			all->next = *list; /* this reverses the order */
			*list = all;
		}
	}
	return true;
}

static struct fl__callback *future_publish(fl_future *f)
{
	struct fl__callback *list;
	(void)future_publish_if(f, false, NULL, &list, NULL); /* always true */
	return list;
}

/* A callback does not inherit the completing thread's scope. */
static void future_call(fl_future *f, fl_future_callback *callback, void *arg)
{
	FL_CANCEL_SCOPE(NULL);
	callback(f, arg);
}

/* A callback with memory of its own: that of fl_future_on_end(). */
struct future_own_callback {
	struct fl__callback node;
	fl_future_callback *call;
	void *arg;
};

static void future_call_own(fl_future *f, void *memory)
{
	const struct future_own_callback own = *(struct future_own_callback *)memory;
	fl__free(memory);
	own.call(f, own.arg);
}

static void future_run_next(struct fl__ending *now)
{
	struct fl__callback *next = now->left;
	now->left = next->next;
	/* fl__future_end_after() in the callback may free `now` */
	future_call(now->future, next->call, next->arg);
}

/* Also, innermost first, callbacks of futures that a callback ends by fl__future_end_after(). */
static void future_run_callbacks(fl_future *f, struct fl__callback *list)
{
	if (!list)
		return;
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__ending own = {f, list, NULL};
	struct fl__calling calling = {&own, ctx->front.inside.calling};
	ctx->front.inside.calling = &calling;
	for (struct fl__ending *now; (now = calling.innermost)->left || now != &own;) {
		if (now->left) {
			future_run_next(now);
		} else {
			calling.innermost = now->outer;
			fl_future_free(now->future); /* the producer's reference */
		}
	}
	ctx->front.inside.calling = calling.outer;
}

bool fl__future_ends_promptly(const fl_future *f)
{
	const struct fl__ending *now = fl__ctx_get()->front.inside.calling->innermost;
	return now->future == f && !now->left && !now->outer && !f->type->drop_result;
}

static FL__NOINLINE void future_set_failure(fl_future *f, char *message)
{
	const uint32_t seen = fl__load_relaxed(&f->state); /* the caller's own claim */
	if (seen & FUTURE_CANCELLED) {
		f->error = seen & FUTURE_EXPIRED ? -ETIMEDOUT : -ECANCELED;
		fl__message_free(message);
		return;
	}
	if (f->error == -ECANCELED && future_is_late(f)) {
		f->error = -ETIMEDOUT;
		/* the ending CAS publishes it */
		(void)fl__or_relaxed(&f->state, FUTURE_EXPIRED);
	}
	f->message = f->error > 0 && !message ? fl__message_positive(f->type, f->error) : message;
}

/* Takes over `message`, and corrects f->error. */
static inline void future_set_message(fl_future *f, char *message)
{
	/* the caller's own claim */
	if (fl__unlikely(f->error != 0 || (fl__load_relaxed(&f->state) & FUTURE_CANCELLED)))
		future_set_failure(f, message);
	else
		fl__message_free(message);
}

void fl__future_set_error(fl_future *f, int error, char *message)
{
	f->error = error;
	future_set_message(f, message);
}

void fl__future_set_end(fl_future *f, int error, char *message)
{
	f->error = error;
	future_set_message(f, message);
	if (!f->type->drop_arg)
		return;
	FL_CANCEL_SCOPE(NULL); /* as in future_call() */
	fl__drop(f->type->drop_arg, f->arg);
}

void fl__future_keep_result(fl_future *f)
{
	(void)fl__or_relaxed(&f->state, FUTURE_KEPT); /* the ending CAS publishes it */
}

bool fl__future_keeps_result(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FUTURE_KEPT; /* the caller has seen the end */
}

void fl__future_finish(fl_future *f, int error, char *message)
{
	fl__future_set_end(f, error, message);
	future_run_callbacks(f, future_publish(f));
}

bool fl__future_end_promptly(fl_future *f, struct fl__callback **callbacks)
{
	const uint32_t before = future_try_publish(f, FUTURE_REF);
	*callbacks = before & FUTURE_REGISTERED ? f->callbacks : NULL;
	if (*callbacks)
		return false;
	if (before / FUTURE_REF > 1)
		return true;
	if (before == 0) {
		bool freed = false;
		(void)future_publish_if(f, false, NULL, callbacks, &freed); /* always true */
		if (*callbacks)
			return false;
		if (freed || fl__future_free_shared(f))
			return true;
	}
	/* the last reference */
	if (f->type->drop_result)
		return false;
	future_release(f);
	return true;
}

void fl__future_end_rest(fl_future *f, struct fl__callback *callbacks)
{
	if (!callbacks) {
		future_release(f);
		return;
	}
	future_run_callbacks(f, callbacks);
	fl_future_free(f);
}

void fl__future_end_after(fl_future *f, int error, char *message, struct fl__ending *storage)
{
	fl__future_set_end(f, error, message);
	*storage = (struct fl__ending){f, future_publish(f), NULL};
	if (!storage->left) {
		fl_future_free(f);
		return;
	}
	struct fl__calling *calling = fl__ctx_get()->front.inside.calling;
	struct fl__ending *now = calling->innermost;
	/* in the last callback of `now`, `storage` replaces `now`: one ending for a long chain */
	const bool is_last = !now->left && now->outer;
	storage->outer = is_last ? now->outer : now;
	calling->innermost = storage;
	if (is_last)
		/* the producer's reference; the callback has one, too */
		fl_future_free(now->future);
}

/* Makes the end take `lock`. False: the future has ended, and the caller sees what it published. */
static bool future_guard(fl_future *f)
{
	/* the CAS decides, or the check under the lock */
	uint32_t seen = fl__load_relaxed(&f->state);
	while (!(seen & (FUTURE_GUARDED | FUTURE_ENDED)))
		/* the end takes the lock */
		if (fl__cas_weak_relaxed(&f->state, &seen, seen | FUTURE_GUARDED))
			return true;
	return !fl__future_has_ended(f);
}

bool fl__future_try_finish(fl_future *f, fl_future_callback *prompt)
{
	struct fl__callback *list;
	if (fl__type_has_hooks(f->type))
		return false;
	if (f->type->drop_arg)
		fl__drop(f->type->drop_arg, f->arg);         /* again in fl__future_finish(): it zeroes the handle */
	if (fl__load_relaxed(&f->state) & FUTURE_REGISTERED) /* never changes */
		(void)future_guard(f);                       /* so the end looks at the callbacks first */
	if (!future_publish_if(f, true, prompt, &list, NULL))
		return false;
	if (list)
		future_run_callbacks(f, list);
	return true;
}

/* Cancelling. */

void fl__future_request_stop(fl_future *f)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	if (!future_guard(f))
		return;
	fl__lock(&f->lock);
	if (!(fl__load_relaxed(&f->state) & FUTURE_ENDED)) /* under the lock; invariant 2 */
		fl__cancel_request_begin(&f->token, &calls);
	fl__unlock(&f->lock);
	fl__cancel_call(&calls);
}

void fl__future_end_foreign(fl_future *f)
{
	if (f->ops->ended)
		f->ops->ended(f);
	fl_future_free(f);
}

static bool future_cancel_if_pending(fl_future *f)
{
	if (!f->ops->claim_cancel(f))
		return false;
	fl__future_finish(f, -ECANCELED, NULL);
	fl__future_end_foreign(f);
	return true;
}

/* `requests`: requests the token of a running task. */
static int future_cancel_or_request(fl_future *f, bool requests)
{
	if (future_cancel_if_pending(f))
		return 0;
	/* pairs with future_try_publish() */
	uint32_t seen = fl__load_acquire(&f->state);
	if (seen & FUTURE_ENDED)
		return seen & FUTURE_CANCELLED ? 0 : -EALREADY;
	if (requests) {
		/* No effect while another context cancels the task. */
		fl__future_request_stop(f);
		if (f->ops->requested)
			f->ops->requested(f);
	}
	return requests ? -EINPROGRESS : -EBUSY;
}

/* A callback may free the caller's reference, and may end a chain. */
static int future_cancel(fl_future *f, bool requests)
{
	(void)fl_future_ref(f);
	const int rc = future_cancel_or_request(f, requests);
	fl_future_free(f);
	return rc;
}

int fl_future_cancel(fl_future *f)
{
	return future_cancel(f, true);
}

int fl_future_cancel_pending(fl_future *f)
{
	return future_cancel(f, false);
}

/* False: the future has ended, and the caller sees what it published. */
static bool future_register_callback(fl_future *f, struct fl__callback *node)
{
	if (!future_guard(f))
		return false;
	FL__LOCKED(&f->lock);
	if (fl__future_has_ended(f))
		return false;
	FL__LIST_ADD(&f->callbacks, node);
	return true;
}

bool fl__future_report_end(fl_future *f, struct fl__callback *node, void *arg)
{
	*node = (struct fl__callback){.call = fl__future_report, .arg = arg};
	return future_register_callback(f, node);
}

bool fl__future_report_not(fl_future *f, struct fl__callback *node)
{
	FL__LOCKED(&f->lock);
	const bool ended = fl__future_has_ended(f);
	if (!ended)
		FL__LIST_REMOVE(node);
	return !ended;
}

void fl__future_register(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg)
{
	*node = (struct fl__callback){.call = callback, .arg = arg};
	FL__LIST_ADD(&f->callbacks, node);
	/* the caller publishes the future */
	fl__store_relaxed(&f->state, fl__load_relaxed(&f->state) | FUTURE_REGISTERED);
}

void fl__future_attach(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg)
{
	*node = (struct fl__callback){.call = callback, .arg = arg};
	if (!future_register_callback(f, node))
		future_call(f, callback, arg);
}

int fl_future_on_end(fl_future *f, fl_future_callback *callback, void *arg)
{
	if (fl__future_has_ended(f)) {
		future_call(f, callback, arg);
		return 0;
	}
	struct future_own_callback *own = fl__alloc(1, sizeof *own);
	if (!own)
		return -ENOMEM;
	own->call = callback;
	own->arg = arg;
	fl__future_attach(f, &own->node, future_call_own, own);
	return 0;
}

/* Waiting. */

void fl__future_help(fl_future *f, fl_time deadline, const fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	/* a hint; the claim decides */
	if (!ctx->help || (fl__load_relaxed(&f->state) & FUTURE_CLAIMED))
		return;
	if (fl_cancel_token_is_requested(cancel) || fl__is_expired(deadline))
		return;
	if (f->ops->help)
		f->ops->help(f, deadline, cancel);
	else
		ctx->help(ctx, f);
}

bool fl__future_is_of_parent(const fl_future *f)
{
	/* 0: this process is not a forked child. */
	return fl__fork_count != 0 && f->ops->is_of_parent && !fl__future_has_ended(f) && f->ops->is_of_parent(f);
}

static FL__NOINLINE int future_await(fl_future *f, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl__future_is_of_parent(f))
		return -EOWNERDEAD;
	fl__future_help(f, deadline, cancel);
	if (f->ops->advance)
		f->ops->advance(f, NULL, deadline, cancel);
	return fl__word_wait(&f->state, &future_ended, deadline, cancel);
}

int fl_future_wait_until(fl_future *f, fl_time deadline, fl_cancel_token *cancel)
{
	const int rc = fl__future_has_ended(f) ? 0 : future_await(f, deadline, cancel);
	if (rc == 0)
		fl__hook_task(FL__TRACE_GET, f);
	return rc;
}

int fl_future_try_wait(fl_future *f)
{
	if (fl__future_has_ended(f))
		return 0;
	return fl__future_is_of_parent(f) ? -EOWNERDEAD : -EAGAIN;
}

static int future_copy_result(const fl_future *f, void *result)
{
	if (f->type->result_size > 0 && future_has_result(f)) {
		fl__copy(result, f->result, f->type->result_size);
		const int rc = fl__bytes_declares(f->type->drop_result) ? fl__bytes_hold(result) : 0;
		if (rc != 0)
			return rc;
	}
	return f->error == 0 ? 0 : fl__failure_store(FL__NO_INDEX, f->error, fl_future_message(f));
}

int fl_future_get_until(fl_future *f, void *result, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	if (size != f->type->result_size)
		return -EINVAL;
	int rc = fl_future_wait_until(f, deadline, cancel);
	return rc == 0 ? future_copy_result(f, result) : rc;
}

/* Queries. */

fl_future_state fl_future_get_state(const fl_future *f)
{
	/* pairs with future_try_publish() */
	uint32_t seen = fl__load_acquire(&f->state);
	if (!(seen & (FUTURE_ENDED | FUTURE_CLAIMED)) && f->ops->has_started) {
		if (f->ops->has_started(f))
			return FL_RUNNING;
		/* as above. It may have ended since. */
		seen = fl__load_acquire(&f->state);
	}
	if (seen & FUTURE_ENDED)
		return seen & FUTURE_CANCELLED ? FL_CANCELLED : FL_DONE;
	return (seen & (FUTURE_CLAIMED | FUTURE_CANCELLED)) == FUTURE_CLAIMED ? FL_RUNNING : FL_PENDING;
}

const void *fl_future_result(const fl_future *f)
{
	return future_has_result(f) ? f->result : NULL;
}

int fl_future_error(const fl_future *f)
{
	return fl__future_has_ended(f) ? f->error : 0;
}

const char *fl_future_message(const fl_future *f)
{
	/* pairs with future_try_publish() */
	uint32_t seen = fl__load_acquire(&f->state);
	if (!(seen & FUTURE_ENDED))
		return "";
	if (seen & FUTURE_CANCELLED)
		return seen & FUTURE_EXPIRED ? "its deadline passed before it started" : "cancelled before it started";
	if (f->message && *f->message)
		return f->message;
	return seen & FUTURE_EXPIRED ? "its deadline passed before it ended" : "";
}

static bool future_on_ready(void *object)
{
	return fl__future_has_ended(object);
}

static bool future_on_arm(void *object, struct fl__node *node)
{
	fl_future *f = object;
	return fl__word_arm(&f->state, &future_ended, node);
}

const fl_on_type fl__on_future = {future_on_ready, future_on_arm, fl__node_disarm, NULL, true};
