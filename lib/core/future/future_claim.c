/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How futures are claimed and cancelled. future.c explains the states and claims (invariants 1 and
 * 2).
 */
#include "../base/atomic.h"
#include "../hooks.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "future.h"

static bool future_claim(fl_future *f, uint32_t bits)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* relaxed: a stale value makes the CAS below fail */
	while (!(seen & FL__FUTURE_CLAIMED))
		/*
		 * relaxed: the claim publishes nothing. What the claimer reads was written before
		 * it got the future, and the ending CAS publishes what it writes.
		 */
		if (fl__cas_weak_relaxed(&f->state, &seen, seen | bits))
			return true;
	return false;
}

static bool future_claim_for_cancel(fl_future *f, bool expired, uint32_t leaves)
{
	const bool claimed =
	    future_claim(f, FL__FUTURE_CLAIMED | FL__FUTURE_CANCELLED | (expired ? FL__FUTURE_EXPIRED : 0) | leaves);
	if (claimed)
		fl__hook_task(FL__TRACE_CANCEL, f);
	return claimed;
}

bool fl__future_claim_ended(fl_future *f)
{
	return future_claim(f, FL__FUTURE_CLAIMED);
}

enum fl__claim fl__future_claim_leaving(fl_future *f, uint32_t leaves)
{
	/* relaxed: the token of a pending task stays APART */
	const bool apart = fl__load_relaxed(&f->token.word_) & FL__CANCEL_APART;
	if (!apart && fl__cancel_is_requested(&f->token))
		return fl__future_claim_cancel_leaving(f, leaves) ? FL__CLAIM_CANCEL : FL__CLAIM_LOST;
	if (!future_claim(f, FL__FUTURE_CLAIMED | leaves))
		return FL__CLAIM_LOST;
	if (!apart || !fl__cancel_is_requested(&f->token))
		return FL__CLAIM_RUN;
	fl__future_cancel_claimed(f);
	return FL__CLAIM_CANCEL;
}

void fl__future_cancel_claimed(fl_future *f)
{
	/* relaxed: the ending CAS publishes it */
	(void)fl__or_relaxed(&f->state, FL__FUTURE_CANCELLED | (fl__future_is_late(f) ? FL__FUTURE_EXPIRED : 0));
	fl__hook_task(FL__TRACE_CANCEL, f);
}

bool fl__future_is_claimed(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FL__FUTURE_CLAIMED; /* relaxed: a claim publishes nothing */
}

bool fl__future_is_cancelled(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FL__FUTURE_CANCELLED; /* relaxed: a claim publishes nothing */
}

bool fl__future_was_cancelled(const fl_future *f)
{
	/* relaxed: the caller has seen the end, after which no cancel reaches the token */
	return f->error == -ECANCELED &&
	       (fl__future_is_cancelled(f) || (fl__load_relaxed(&f->token.word_) & FL__CANCEL_REQUESTED));
}

bool fl__future_claim_cancel_leaving(fl_future *f, uint32_t leaves)
{
	return future_claim_for_cancel(f, fl__future_is_late(f), leaves);
}

bool fl__future_claim_cancel_as(fl_future *f, const fl_future *before)
{
	return future_claim_for_cancel(f, fl__future_has_expired(before), 0);
}

bool fl__future_has_expired(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FL__FUTURE_EXPIRED; /* relaxed: the caller has seen the end */
}

void fl__future_request_stop(fl_future *f)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	if (!fl__future_guard(f))
		return;
	fl__lock(&f->lock);
	if (!(fl__load_relaxed(&f->state) & FL__FUTURE_ENDED)) /* relaxed: under `lock` (invariant 7) */
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

/* Cancels a pending task. If `requests` is true, also cancels the token of a running one. */
static int future_cancel_or_request(fl_future *f, bool requests)
{
	if (future_cancel_if_pending(f))
		return 0;
	/* acquire: pairs with the ending CAS (invariant 6) */
	uint32_t seen = fl__load_acquire(&f->state);
	if (seen & FL__FUTURE_ENDED)
		return seen & FL__FUTURE_CANCELLED ? 0 : -EALREADY;
	if (requests) {
		/* This has no effect while another context cancels the task. */
		fl__future_request_stop(f);
		if (f->ops->requested)
			f->ops->requested(f);
	}
	return -EINPROGRESS;
}

/* Holds a reference during the call, because a callback may free the caller's. */
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
