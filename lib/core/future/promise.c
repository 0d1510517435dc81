/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A promise is a future that the user ends. One block contains the future, the promise and the
 * result.
 *
 * The future is claimed by a cancel, by fl_promise_start(), or by the first set, fail or free. If a
 * cancel has claimed it, the canceller ends it. Otherwise the context that sets `fulfilled` ends
 * it, even if another context or a start has claimed it. A start claims the future early, so that a
 * later cancel only asks the producer to stop.
 *
 * Invariants
 *   1. Exactly one context ends the future and frees the producer's reference: the canceller that
 *      has claimed it, or otherwise the context that has changed `fulfilled` from 0 to 1.
 *   2. A context that cancels `stop` holds a reference to the future, so the block exists. `stop`
 *      is in no tree, so it need not be destroyed.
 *   3. The future's user, the producer and the promise each hold a reference to the block.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "bytes.h"
#include "future.h"
#include <fairlead/future.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct fl_promise {
	fl_future future;
	fl_task_type type; /* the promise's own, with result size and hook */
	uint32_t fulfilled;
	fl_cancel_token stop;
	max_align_t result[];
};

static struct fl_promise *promise_of(fl_future *f)
{
	return (struct fl_promise *)(void *)f; /* its first member */
}

/* The operations of the future. */

static void promise_on_requested(fl_future *f)
{
	fl_cancel_token_request(&promise_of(f)->stop);
}

static void promise_on_release(fl_future *f)
{
	fl__free(promise_of(f));
}

static const struct fl__future_ops promise_ops = {
    .claim_cancel = fl__future_claim_cancel,
    .ended = promise_on_requested,
    .requested = promise_on_requested,
    .release = promise_on_release,
};

/* The promise. */

int fl_promise_create(fl_promise **made, size_t size, void (*drop)(void *result), fl_future **f)
{
	if (size > FL_TASK_SIZE_MAX)
		return -E2BIG;
	if (fl__bytes_are_short(drop, size))
		return -EINVAL;
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
	if (fl__future_claim_ended(&p->future))
		return 0;
	return fl__future_is_cancelled(&p->future) ? -ECANCELED : -EALREADY;
}

/* Returns 0 if the caller must end the future; otherwise -ECANCELED or -EALREADY. */
static int promise_begin_end(fl_promise *p)
{
	if (!fl__future_claim_ended(&p->future) && fl__future_is_cancelled(&p->future))
		return -ECANCELED;
	/*
	 * relaxed: only the result of the swap matters, and the end publishes what the caller
	 * writes
	 */
	return fl__swap_relaxed(&p->fulfilled, 1) ? -EALREADY : 0;
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

/* If `keeps` is true, the future gets a copy of `*value`. */
__attribute__((format(printf, 5, 0))) static int promise_fail(fl_promise *p, bool keeps, const void *value, int error,
                                                              const char *format, va_list args)
{
	int rc = promise_begin_end(p);
	if (rc != 0)
		return rc;
	if (keeps) {
		promise_store(p, value);
		fl__future_keep_result(&p->future);
	}
	promise_finish(p, error ? error : -EINVAL, fl__message_vformat(format, args));
	return 0;
}

int fl_promise_fail(fl_promise *p, int error, const char *message, ...)
{
	va_list args;
	va_start(args, message);
	const int rc = promise_fail(p, false, NULL, error, message, args);
	va_end(args);
	return rc;
}

int fl_promise_fail_with(fl_promise *p, const void *value, int error, const char *message, ...)
{
	va_list args;
	va_start(args, message);
	const int rc = promise_fail(p, true, value, error, message, args);
	va_end(args);
	return rc;
}

fl_cancel_token *fl_promise_token(fl_promise *p)
{
	return &p->stop;
}

void fl_promise_free(fl_promise *p)
{
	if (!p)
		return;
	fl__hook_ends(p);
	/* This has no effect if the promise has ended. */
	FL_IGNORE(fl_promise_fail(p, -EOWNERDEAD, "broken promise"));
	fl__hook_freed(p);          /* its future may keep the memory alive */
	fl_future_free(&p->future); /* the promise's own reference */
}
