/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits for a future, and reads what an ended future contains. future.c explains the states. */
#include "../base/atomic.h"
#include "../hooks.h"
#include "../wait/lot.h"
#include "bytes.h"
#include "failure.h"
#include "future.h"

static const struct fl__word future_ended = {FL__FUTURE_ENDED, FL__FUTURE_ENDED, FL__FUTURE_WAITERS, .of_future = true,
                                             .kind = FL__DEBUG_FUTURE};
_Static_assert(offsetof(fl_future, state) == 0, "of_future takes the word for the future");

void fl__future_help(fl_future *f, fl_time deadline, const fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	/* relaxed: a hint; the claim checks it */
	if (!ctx->help || (fl__load_relaxed(&f->state) & FL__FUTURE_CLAIMED))
		return;
	if (fl_cancel_token_is_requested(cancel) || fl__is_expired(deadline))
		return;
	ctx->help(ctx, f);
}

static FL__NOINLINE int future_await(fl_future *f, fl_time deadline, fl_cancel_token *cancel)
{
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
	return fl__future_has_ended(f) ? 0 : -EAGAIN;
}

static int future_copy_result(const fl_future *f, void *result, size_t size)
{
	if (size > 0 && fl__future_has_result(f)) {
		if (fl__bytes_declares(f->type->drop_result)) {
			fl_bytes held;
			const int rc = fl__bytes_hold(&held, f->result);
			if (rc != 0)
				return rc;
			memcpy(result, f->result, size);
			*(fl_bytes *)result = held;
		} else {
			fl__copy(result, f->result, size);
		}
	}
	return f->error == 0 ? 0 : fl__failure_store(FL__NO_INDEX, f->error, fl_future_message(f));
}

int fl_future_get_until(fl_future *f, void *result, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	if (size != f->type->result_size)
		return -EINVAL;
	int rc = fl_future_wait_until(f, deadline, cancel);
	return rc == 0 ? future_copy_result(f, result, size) : rc;
}

fl_task_state fl_future_state(const fl_future *f)
{
	/* acquire: invariant 6 of future.c */
	uint32_t seen = fl__load_acquire(&f->state);
	if (!(seen & (FL__FUTURE_ENDED | FL__FUTURE_CLAIMED)) && f->ops->has_started) {
		if (f->ops->has_started(f))
			return FL_RUNNING;
		/* acquire: invariant 6 of future.c. The future may have ended meanwhile. */
		seen = fl__load_acquire(&f->state);
	}
	if (seen & FL__FUTURE_ENDED)
		return seen & FL__FUTURE_CANCELLED ? FL_CANCELLED : FL_DONE;
	return (seen & (FL__FUTURE_CLAIMED | FL__FUTURE_CANCELLED)) == FL__FUTURE_CLAIMED ? FL_RUNNING : FL_PENDING;
}

const void *fl_future_result(const fl_future *f)
{
	return fl__future_has_result(f) ? f->result : NULL;
}

int fl_future_error(const fl_future *f)
{
	return fl__future_has_ended(f) ? f->error : -EINPROGRESS;
}

const char *fl_future_message(const fl_future *f)
{
	/* acquire: invariant 6 of future.c */
	uint32_t seen = fl__load_acquire(&f->state);
	if (!(seen & FL__FUTURE_ENDED))
		return "";
	if (seen & FL__FUTURE_CANCELLED)
		return seen & FL__FUTURE_EXPIRED ? "its deadline passed before it started"
		                                 : "cancelled before it started";
	if (f->message && *f->message)
		return f->message;
	return seen & FL__FUTURE_EXPIRED ? "its deadline passed before it ended" : "";
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
