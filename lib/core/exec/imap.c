/* SPDX-License-Identifier: BSD-2-Clause */
/* The lazy map: its source, its window and its waits. imap.h explains the states of a batch. */
#include "imap.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../future/failure.h"
#include "../hooks.h"
#include <fairlead/cancel.h>
#include <stdio.h>

/* Makes a zeroed iteration with one reference. Returns NULL if there is no memory. */
static fl_imap *imap_new(size_t batches)
{
	size_t bytes;
	if (__builtin_mul_overflow(batches, sizeof(struct fl__imap_batch), &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(fl_imap), &bytes))
		return NULL;
	fl_imap *it = fl__alloc(1, bytes);
	if (!it)
		return NULL;
	it->refs = 1;
	for (size_t i = 0; i < batches; i++) {
		it->batches[i].next = it->free;
		it->free = &it->batches[i];
	}
	return it;
}

/* Returns 1, as a generator does, or an error. */
static int imap_hold(fl_bytes *b)
{
	const int rc = fl__bytes_hold(b, b);
	return rc == 0 ? 1 : rc;
}

/* Generates the arguments of an array with an fl_bytes. Each chunk needs its own handles. */
static int imap_make_copy(void *state, void *arg)
{
	const fl_imap *it = state;
	const size_t i = it->source.taken + it->source.held, size = it->type->arg_size;
	if (i == it->source.n)
		return 0;
	memcpy(arg, fl__element(it->source.args, i, size), size);
	return imap_hold(arg);
}

static size_t imap_gather(fl_imap *it)
{
	struct fl__imap_source *s = &it->source;
	if (!s->make)
		s->held = FL__MIN(s->n - s->taken, it->chunk);
	while (s->make && s->held < it->chunk && s->end == 0) {
		void *arg = fl__element(s->made, s->held, it->type->arg_size);
		int rc = s->make(s->state, arg);
		if (rc == 1 && it->type->drop_arg == FL_BYTES_DROP && !((fl_bytes *)arg)->owner_)
			rc = imap_hold(arg); /* the generator has only lent the memory */
		if (rc == 1) {
			s->held++;
			continue;
		}
		s->end = rc < 0 ? rc : rc == 0 ? -ENODATA : -EINVAL;
		if (rc > 1)
			fl__log(FL_LOG_ERROR, "fl_imap_config.next returned %d, not 1, 0 or a negative errno", rc);
	}
	return s->held;
}

static void imap_drop_held(fl_imap *it)
{
	fl__imap_drop_args(it, it->source.made, 0, it->source.held);
	it->source.held = 0;
}

/* Submits the next chunk, if there is one. After an error the caller may try again. */
static int imap_submit_next(fl_imap *it)
{
	struct fl__imap_source *s = &it->source;
	const size_t count = s->end == 0 ? imap_gather(it) : s->held;
	if (count == 0)
		return 0;
	const void *args = s->make ? s->made : fl__element(s->args, s->taken, it->type->arg_size);
	int rc = fl__imap_batch_add(it, args, s->taken, count);
	if (rc != 0)
		return rc;
	s->taken += count;
	s->held = 0;
	if (!s->make && s->taken == s->n)
		s->end = -ENODATA;
	return 0;
}

void fl__imap_stop(fl_imap *it, int why)
{
	it->stopped = why;
	if (it->source.end == 0 || it->source.held > 0)
		it->source.end = it->stopped;
	imap_drop_held(it);
	/* from the newest to the oldest, so that no worker begins another batch meanwhile */
	for (struct fl__imap_batch *b = it->newest; b; b = b->prev) {
		b->ended_first = fl_future_try_wait(b->f) == 0;
		FL_IGNORE(fl_future_cancel(b->f)); /* it ends in any state */
	}
}

static void imap_stop_if_due(fl_imap *it)
{
	if (!it->stopped && (fl_cancel_token_is_requested(it->cancel) || fl__is_expired(it->deadline)))
		fl__imap_stop(it, fl__why_stopped(it->deadline, it->cancel));
}

/*
 * Submits chunks until the window is full or a result is ready. Even if a result is ready, submits
 * one chunk, if the window has room. Thus a slow generator makes one chunk at a time.
 */
static int imap_fill(fl_imap *it)
{
	int rc = 0;
	imap_stop_if_due(it);
	while (rc == 0 && it->used < it->most && (it->source.end == 0 || it->source.held > 0)) {
		rc = imap_submit_next(it);
		if (fl__imap_next_ended(it))
			break;
	}
	return rc;
}

static int imap_give(fl_imap *it, size_t *index, void *result)
{
	struct fl__imap_batch *b = it->current;
	const size_t i = b->given++, size = it->type->result_size, at = b->index + i;
	const bool good = i < b->end.done;
	if (index)
		*index = at;
	if (!good) {
		it->error = b->end.error;
		(void)snprintf(it->message, sizeof it->message, "%s", fl_future_message(b->f));
	}
	if (i < fl__chunk_kept(b->end) && size > 0)
		fl__copy(result, fl__element(b->f->result, i, size), size);
	if (b->given == b->count)
		fl__imap_batch_retire(it);
	return good ? 0 : fl__failure_store(at, it->error, it->message);
}

static int imap_await_oldest(fl_imap *it, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__imap_batch *b = it->oldest;
	int rc = fl_future_wait_until(b->f, deadline, cancel);
	/* if the future has ended, wait until its callback has pushed the batch */
	while (it->calls && !b->returned && fl_future_try_wait(b->f) == 0) {
		fl_event_reset(&it->batch_ended);
		fl__imap_collect(it);
		if (!b->returned)
			(void)!fl_event_wait_until(&it->batch_ended, FL_FOREVER, FL_SHIELDED);
	}
	return rc;
}

static int imap_await_any(fl_imap *it, fl_time deadline, fl_cancel_token *cancel)
{
	fl_event_reset(&it->batch_ended);
	if (fl__imap_next_ended(it))
		return 0;
	fl_future *oldest = it->oldest->f;
	fl__future_help(oldest, deadline, cancel);
	if (oldest->ops->advance)
		oldest->ops->advance(oldest, &it->batch_ended, deadline, cancel);
	FL__BLOCKS(deadline);
	return fl_event_wait_until(&it->batch_ended, deadline, cancel);
}

/* Waits for a batch under way. If there is none, waits for a permit. */
static int imap_await(fl_imap *it, fl_time deadline, fl_cancel_token *cancel)
{
	if (it->oldest) {
		FL__AWAITS(FL__DEBUG_IMAP, it);
		return it->unordered ? imap_await_any(it, deadline, cancel) : imap_await_oldest(it, deadline, cancel);
	}
	const struct fl__patience patience = {deadline, cancel};
	it->patience = &patience;
	const int rc = imap_fill(it);
	it->patience = NULL;
	return rc;
}

static void imap_request(void *token)
{
	fl_cancel_token_request(token);
}

/* Does what imap_await() does, but also returns 0 when the iteration's token is cancelled. */
static int imap_await_or_stop(fl_imap *it, fl_time deadline, fl_cancel_token *cancel)
{
	if (it->cancel == FL_SHIELDED || it->stopped)
		return imap_await(it, deadline, cancel);
	fl_cancel_token either;
	fl_cancel_callback callback;
	fl_cancel_token_init(&either, cancel, FL_FOREVER);
	const bool registered = fl_cancel_token_on_request(it->cancel, &callback, imap_request, &either);
	const int rc = imap_await(it, fl__earlier(deadline, fl_cancel_token_deadline(it->cancel)), &either);
	if (registered)
		(void)fl_cancel_callback_remove(&callback); /* called or not */
	fl_cancel_token_destroy(&either);
	return rc == -ECANCELED && fl_cancel_token_is_requested(it->cancel) ? 0 : rc;
}

/* Returns whether a submit that returned `rc` failed only because it did not wait for a permit. */
static bool imap_lacks_permit(const fl_imap *it, int rc)
{
	return rc == -ETIMEDOUT && !it->oldest && it->executor->permits.bound > 0;
}

int fl__imap_take(fl_imap *it, fl_time deadline, fl_cancel_token *cancel)
{
	for (;;) {
		int rc = imap_fill(it);
		struct fl__imap_batch *b = fl__imap_next_ended(it);
		if (b) {
			fl__hook_task(FL__TRACE_GET, b->f);
			if (fl_future_error(b->f) != 0)
				imap_stop_if_due(it); /* the deadline may have ended this batch first */
			fl__imap_batch_make_current(it, b);
			return 0;
		}
		const fl_time limit = it->stopped ? deadline : fl__earlier(deadline, it->deadline);
		if (!it->oldest && !imap_lacks_permit(it, rc))
			return rc != 0 ? rc : it->source.end;
		rc = imap_await_or_stop(it, limit, cancel);
		if (rc != 0 && (rc != -ETIMEDOUT || fl__is_expired(deadline)))
			return rc;
	}
}

/* This is a function of its own, so that the fast path saves no registers. */
FL__NOINLINE static int imap_next_slow(fl_imap *it, size_t *index, void *result, fl_time deadline,
                                       fl_cancel_token *cancel)
{
	int rc = it->current ? 0 : fl__imap_take(it, deadline, cancel);
	return rc == 0 ? imap_give(it, index, result) : rc;
}

int fl_imap_next_until(fl_imap *it, size_t *index, void *result, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__imap_batch *b = it->current;
	if (fl__unlikely(!b || b->given + 1 >= b->end.done)) /* the last result of a batch, or a failure */
		return imap_next_slow(it, index, result, deadline, cancel);
	const size_t i = b->given++, size = it->type->result_size;
	if (index)
		*index = b->index + i;
	if (size > 0)
		fl__copy(result, (const char *)b->f->result + i * size, size);
	return 0;
}

int fl_imap_try_next(fl_imap *it, size_t *index, void *result)
{
	int rc = fl_imap_next_until(it, index, result, FL_NO_WAIT, FL_SHIELDED);
	return rc == -ETIMEDOUT && (it->oldest || it->source.end == 0 || it->source.held > 0)
	           /* no result yet, or no permit */
	           ? -EAGAIN
	           : rc;
}

int fl_imap_error(const fl_imap *it)
{
	return it->error;
}

const char *fl_imap_message(const fl_imap *it)
{
	return it->message;
}

static size_t imap_window_batches(const fl_executor *e, const fl_task_type *type, size_t n, size_t chunk, size_t window)
{
	size_t most = window ? window / chunk : fl__chunk_window(e, type, chunk);
	if (!(e->ops->capabilities & FL_CAP_CONCURRENT))
		/* A submit runs the task at once, so submit only when the result is wanted. */
		most = 1;
	return FL__MAX(FL__MIN(most, fl__chunks(n, chunk)), 1);
}

static int imap_alloc_args(fl_imap *it)
{
	struct fl__imap_source *s = &it->source;
	const size_t alignment = FL__MAX(it->type->arg_align, 1);
	if (!s->make || it->type->arg_size == 0)
		return 0;
	s->memory = fl__alloc(1, it->chunk * it->type->arg_size + alignment - 1);
	if (!s->memory)
		return -ENOMEM;
	s->made = fl__align(s->memory, alignment);
	return 0;
}

static int imap_begin(fl_imap *it)
{
	int rc = imap_alloc_args(it);
	if (rc == 0)
		rc = imap_fill(it);
	if (imap_lacks_permit(it, rc))
		rc = imap_await_or_stop(it, it->deadline, NULL);
	return it->oldest ? 0 : rc; /* a chunk is under way */
}

static void imap_configure(fl_imap *it, const fl_imap_config *config)
{
	it->unordered = config->unordered;
	it->calls = config->unordered || it->sent != it->type;
	it->deadline = config->deadline;
	it->cancel = config->cancel ? config->cancel : FL_SHIELDED;
	it->source.make = config->next;
	it->source.state = config->state;
	if (!config->next && it->type->drop_arg == FL_BYTES_DROP) {
		it->source.make = imap_make_copy;
		it->source.state = it;
	}
}

int fl_imap_create(fl_imap **made, fl_executor *e, const fl_task_type *type, const void *args, size_t n,
                   const fl_imap_config *config)
{
	int rc = fl__executor_enter(e, "fl_imap_create");
	if (rc != 0)
		return rc;
	config = FL__OR_DEFAULTS(config);
	if (config->next && (args || n > 0))
		return -EINVAL;
	const size_t length = config->next ? SIZE_MAX : n;
	const size_t wanted = FL__MIN(config->chunk ? config->chunk : 1, config->window ? config->window : SIZE_MAX);
	const size_t chunk = fl__chunk_limit(e, type, wanted);
	const size_t most = imap_window_batches(e, type, length, chunk, config->window);
	fl_imap *it = imap_new(most);
	if (!it)
		return -ENOMEM;
	it->executor = e;
	it->type = type;
	it->sent = fl__chunk_type(&it->type_copy, e, type, chunk);
	it->chunk = chunk;
	it->most = most;
	imap_configure(it, config);
	it->source.args = args;
	it->source.n = n;
	it->source.end = length == 0 ? -ENODATA : 0;
	rc = imap_begin(it);
	if (rc == 0)
		*made = it;
	else
		fl_imap_free(it);
	return rc;
}

void fl_imap_free(fl_imap *it)
{
	if (!it)
		return;
	fl__hook_ends(it);
	fl__hook_freed(it); /* its tasks may keep the memory */
	fl__imap_close(it);
	imap_drop_held(it);
	if (it->current)
		fl__imap_batch_retire(it);
	FL__EACH_SAFE (struct fl__imap_batch, b, it->oldest)
		fl__imap_batch_abandon(it, b);
	fl__imap_release(it);
}
