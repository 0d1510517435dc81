/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promises: futures that the user's code ends. One block has the future, the promise and the
 * result.
 *
 *   step       meaning                       next
 *   PENDING    the first step                STARTED: fl_promise_start(); CANCELLED: a cancel;
 *                                            TAKEN: set, fail, free
 *   STARTED    a cancel only requests stop   TAKEN: set, fail, free
 *   TAKEN      one context ends the future   none
 *   CANCELLED  a canceller ends the future   none
 *
 * Invariants
 *   1. `step` and the future's claim change together, under `lock`. So a claim of the future never
 *      fails here.
 *   2. The context that has set TAKEN or CANCELLED ends the future alone, without the lock, and
 *      frees the producer's reference.
 *   3. Contexts that request `stop` hold a reference to the future, so the block exists. `stop` is
 *      in no tree, so it needs no destroy.
 *   4. The promise is a third reference to the block.
 */
#include "../base/sys.h"
#include "../wait/lock.h"
#include "future.h"
#include <errno.h>
#include <fairlead/promise.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum step { PENDING, STARTED, TAKEN, CANCELLED };

struct fl_promise {
	fl_future future;
	fl_task_type type; /* the promise's own: result size and hook */
	uint32_t lock;     /* an fl__lock: guards `step` */
	enum step step;
	fl_cancel_token stop;
	max_align_t result[];
};

static struct fl_promise *promise_of(fl_future *f)
{
	return (struct fl_promise *)(void *)f; /* its first member */
}

/* The future's home. */

static bool on_claim_cancel(fl_future *f)
{
	struct fl_promise *p = promise_of(f);
	fl__lock(&p->lock);
	const bool ours = p->step == PENDING && fl__future_claim_cancel(f);
	if (ours)
		p->step = CANCELLED;
	(void)fl__unlock(&p->lock);
	return ours;
}

static void on_asked(fl_future *f)
{
	fl_cancel_token_request(&promise_of(f)->stop);
}

static void on_ended(fl_future *f)
{
	on_asked(f);
	fl_future_free(f); /* the producer's reference */
}

static void on_release(fl_future *f)
{
	fl__free(promise_of(f));
}

static const struct fl__future_home home = {
    .claim_cancel = on_claim_cancel,
    .ended = on_ended,
    .asked = on_asked,
    .release = on_release,
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
	fl__future_init(&p->future, &home, &p->type, 3, FL_SHIELDED, FL_FOREVER);
	p->future.result = size > 0 ? p->result : NULL;
	fl_cancel_token_init(&p->stop, FL_SHIELDED, FL_FOREVER);
	*made = p;
	*f = &p->future;
	return 0;
}

int fl_promise_start(fl_promise *p)
{
	fl__lock(&p->lock);
	const enum step before = p->step;
	if (before == PENDING) {
		p->step = STARTED;
		(void)fl__future_claim_ended(&p->future); /* true: invariant 1 */
	}
	(void)fl__unlock(&p->lock);
	if (before == PENDING)
		return 0;
	return before == CANCELLED ? -ECANCELED : -EALREADY;
}

/* Sets TAKEN: 0, and the caller must end the future. */
static int take(fl_promise *p)
{
	fl__lock(&p->lock);
	const enum step before = p->step;
	if (before == PENDING)
		(void)fl__future_claim_ended(&p->future); /* true: invariant 1 */
	if (before == PENDING || before == STARTED)
		p->step = TAKEN;
	(void)fl__unlock(&p->lock);
	if (before == CANCELLED)
		return -ECANCELED;
	return before == TAKEN ? -EALREADY : 0;
}

static void store(fl_promise *p, const void *value)
{
	if (p->type.result_size > 0)
		memcpy(p->result, value, p->type.result_size);
}

static void finish(fl_promise *p, int error, char *message)
{
	fl__future_finish(&p->future, error, message);
	fl_future_free(&p->future); /* the producer's reference */
}

int fl_promise_set(fl_promise *p, const void *value)
{
	int rc = take(p);
	if (rc != 0)
		return rc;
	store(p, value);
	finish(p, 0, NULL);
	return 0;
}

FL_PRINTF(3, 0) static void fail(fl_promise *p, int error, const char *format, va_list args)
{
	char *message = fl__message_new();
	if (!fl__message_lost(message))
		(void)vsnprintf(message, FL_MESSAGE_MAX, format, args);
	finish(p, error ? error : -EINVAL, message);
}

int fl_promise_fail(fl_promise *p, int error, const char *format, ...)
{
	int rc = take(p);
	if (rc != 0)
		return rc;
	va_list args;
	va_start(args, format);
	fail(p, error, format, args);
	va_end(args);
	return 0;
}

int fl_promise_fail_with(fl_promise *p, const void *value, int error, const char *format, ...)
{
	int rc = take(p);
	if (rc != 0)
		return rc;
	store(p, value);
	fl__future_keep_result(&p->future);
	va_list args;
	va_start(args, format);
	fail(p, error, format, args);
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
	/* Fails if the promise was fulfilled or is cancelled. */
	int rc = fl_promise_fail(p, -EOWNERDEAD, "broken promise");
	(void)rc;
	fl_future_free(&p->future); /* the promise's own reference */
}
