/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promises: futures that the user's code ends. One block has the future, the promise and the
 * result.
 *
 *   step       meaning                       next
 *   PENDING    the first step                STARTED: fl_promise_start(); CANCELLED: a cancel;
 *                                            ENDING: set, fail, free
 *   STARTED    a cancel only requests stop   ENDING: set, fail, free
 *   ENDING     one context ends the future   none
 *   CANCELLED  a canceller ends the future   none
 *
 * Invariants
 *   1. `step` and the future's claim change together, under `lock`. So a claim of the future never
 *      fails here.
 *   2. The context that has set ENDING or CANCELLED ends the future alone, without the lock, and
 *      frees the producer's reference.
 *   3. A context that requests `stop` holds a reference to the future, so the block exists. `stop`
 *      is in no tree, so it needs no destroy.
 *   4. The future's user, the producer and the promise each hold a reference to the block.
 */
#include "../base/sys.h"
#include "../wait/lock.h"
#include "future.h"
#include <errno.h>
#include <fairlead/future.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum promise_step { PROMISE_PENDING, PROMISE_STARTED, PROMISE_ENDING, PROMISE_CANCELLED };

struct fl_promise {
	fl_future future;
	fl_task_type type; /* the promise's own: result size and hook */
	uint32_t lock;     /* an fl__lock: guards `step` */
	enum promise_step step;
	fl_cancel_token stop;
	max_align_t result[];
};

static struct fl_promise *promise_of(fl_future *f)
{
	return (struct fl_promise *)(void *)f; /* its first member */
}

/* The operations of the future. */

static bool promise_on_claim_cancel(fl_future *f)
{
	struct fl_promise *p = promise_of(f);
	fl__lock(&p->lock);
	const bool ours = p->step == PROMISE_PENDING && fl__future_claim_cancel(f);
	if (ours)
		p->step = PROMISE_CANCELLED;
	(void)fl__unlock(&p->lock);
	return ours;
}

static void promise_on_requested(fl_future *f)
{
	fl_cancel_token_request(&promise_of(f)->stop);
}

static void promise_on_ended(fl_future *f)
{
	promise_on_requested(f);
	fl_future_free(f); /* the producer's reference */
}

static void promise_on_release(fl_future *f)
{
	fl__free(promise_of(f));
}

static const struct fl__future_ops promise_ops = {
    .claim_cancel = promise_on_claim_cancel,
    .ended = promise_on_ended,
    .requested = promise_on_requested,
    .release = promise_on_release,
};

/* The promise. */

int fl_promise_create(fl_promise **made, size_t size, void (*drop)(void *result), fl_future **f)
{
	if (size > FL_TASK_SIZE_MAX)
		return -E2BIG;
	struct fl_promise *p = fl__alloc(1, sizeof *p + size);
	if (!p)
		return -ENOMEM;
	p->type = (fl_task_type){.size = sizeof p->type,
	                         .name = "promise",
	                         .result_size = size,
	                         .result_align = _Alignof(max_align_t),
	                         .drop_result = drop};
	fl__future_init(&p->future, &promise_ops, &p->type, 3, FL_SHIELDED, FL_FOREVER);
	p->future.result = size > 0 ? p->result : NULL;
	fl_cancel_token_init(&p->stop, FL_SHIELDED, FL_FOREVER);
	*made = p;
	*f = &p->future;
	return 0;
}

int fl_promise_start(fl_promise *p)
{
	fl__lock(&p->lock);
	const enum promise_step before = p->step;
	if (before == PROMISE_PENDING) {
		p->step = PROMISE_STARTED;
		(void)fl__future_claim_ended(&p->future); /* true: invariant 1 */
	}
	(void)fl__unlock(&p->lock);
	if (before == PROMISE_PENDING)
		return 0;
	return before == PROMISE_CANCELLED ? -ECANCELED : -EALREADY;
}

/* 0: the caller must end the future; or -ECANCELED, -EALREADY. */
static int promise_begin_end(fl_promise *p)
{
	fl__lock(&p->lock);
	const enum promise_step before = p->step;
	if (before == PROMISE_PENDING)
		(void)fl__future_claim_ended(&p->future); /* true: invariant 1 */
	if (before == PROMISE_PENDING || before == PROMISE_STARTED)
		p->step = PROMISE_ENDING;
	(void)fl__unlock(&p->lock);
	if (before == PROMISE_CANCELLED)
		return -ECANCELED;
	return before == PROMISE_ENDING ? -EALREADY : 0;
}

static void promise_store(fl_promise *p, const void *value)
{
	if (p->type.result_size > 0)
		memcpy(p->result, value, p->type.result_size);
}

static void promise_finish(fl_promise *p, int error, char *message)
{
	fl__future_finish(&p->future, error, message);
	fl_future_free(&p->future); /* the producer's reference */
}

int fl_promise_set(fl_promise *p, const void *value)
{
	int rc = promise_begin_end(p);
	if (rc != 0)
		return rc;
	promise_store(p, value);
	promise_finish(p, 0, NULL);
	return 0;
}

FL_PRINTF(3, 0) static void promise_fail(fl_promise *p, int error, const char *format, va_list args)
{
	char *message = fl__message_new(NULL);
	if (!fl__message_lost(message))
		(void)vsnprintf(message, FL_MESSAGE_MAX, format, args);
	promise_finish(p, error ? error : -EINVAL, message);
}

int fl_promise_fail(fl_promise *p, int error, const char *format, ...)
{
	int rc = promise_begin_end(p);
	if (rc != 0)
		return rc;
	va_list args;
	va_start(args, format);
	promise_fail(p, error, format, args);
	va_end(args);
	return 0;
}

int fl_promise_fail_with(fl_promise *p, const void *value, int error, const char *format, ...)
{
	int rc = promise_begin_end(p);
	if (rc != 0)
		return rc;
	promise_store(p, value);
	fl__future_keep_result(&p->future);
	va_list args;
	va_start(args, format);
	promise_fail(p, error, format, args);
	va_end(args);
	return 0;
}

fl_cancel_token *fl_promise_token(fl_promise *p)
{
	return &p->stop;
}

void fl_promise_free(fl_promise *p)
{
	if (!p)
		return;
	/* No effect if the promise has ended. */
	int rc = fl_promise_fail(p, -EOWNERDEAD, "broken promise");
	(void)rc;
	fl_future_free(&p->future); /* the promise's own reference */
}
