/* SPDX-License-Identifier: BSD-2-Clause */
/* The public functions of the lazy map: imap.h has the overview. */
#include "imap.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../future/failure.h"
#include "../wait/cancel.h"
#include <errno.h>
#include <fairlead/cancel_callback.h>
#include <fairlead/wait_any.h>
#include <stdio.h>

/* The source. */

/* Prepares up to a chunk of arguments. Returns their number. */
static size_t gather(fl_imap *it)
{
	struct fl__source *s = &it->source;
	if (!s->make)
		s->held = s->n - s->taken < it->chunk ? s->n - s->taken : it->chunk;
	while (s->make && s->held < it->chunk && s->end == 0) {
		int rc = s->make(s->state, fl__element(s->made, s->held, it->type->arg_size));
		if (rc > 0)
			s->held++;
		else
			s->end = rc < 0 ? rc : -ENODATA;
	}
	return s->held;
}

static void forget_held(fl_imap *it)
{
	fl__imap_drop_args(it, it->source.made, 0, it->source.held);
	it->source.held = 0;
}

/* Submits the next chunk, if any. Returns 0, or an error; then the caller may try again. */
static int submit_next(fl_imap *it)
{
	struct fl__source *s = &it->source;
	const size_t count = s->end == 0 ? gather(it) : s->held;
	if (count == 0)
		return 0;
	const void *args = s->make ? s->made : fl__element(s->args, s->taken, it->type->arg_size);
	int rc = fl__batch_submit(it, args, s->taken, count);
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
	forget_held(it);
	/* Newest first, so that no worker begins a batch in between. */
	for (struct fl__batch *b = it->newest; b; b = b->prev) {
		b->ended_first = !b->f || fl_future_try_wait(b->f) == 0;
		int rc = b->f ? fl_future_cancel(b->f) : 0;
		(void)rc; /* whatever its state, it ends */
	}
}

/* Stops the iteration at its deadline, or when its token is requested. */
static void stop_if_due(fl_imap *it)
{
	const bool requested = it->cancel && fl_cancel_token_is_requested(it->cancel);
	if (!it->stopped && (requested || fl__is_past(it->deadline)))
		fl__imap_stop(it, requested ? -ECANCELED : -ETIMEDOUT);
}

/*
 * Submits one chunk if there is room, and more until a result is ready. So the consumer of a slow
 * generator waits for one chunk only.
 */
static int fill(fl_imap *it)
{
	int rc = 0;
	stop_if_due(it);
	while (rc == 0 && it->used < it->most && (it->source.end == 0 || it->source.held > 0)) {
		rc = submit_next(it);
		if (fl__batch_over(it))
			break;
	}
	return rc;
}

/* Returning results. */

static void note_failure(fl_imap *it, const struct fl__batch *b)
{
	const char *message =
	    b->f ? fl_future_message(b->f) : "it was not submitted again after one before it had failed";
	it->error = b->error;
	(void)snprintf(it->message, sizeof it->message, "%s", message);
}

static int give(fl_imap *it, size_t *index, void *result)
{
	struct fl__batch *b = it->current;
	const size_t i = b->given++, size = it->type->result_size, at = b->index + i;
	const bool good = i < b->good;
	if (index)
		*index = at;
	if (!good)
		note_failure(it, b);
	if (i < b->kept && size > 0)
		fl__copy(result, fl__element(b->f->result, i, size), size);
	if (b->given == b->count)
		fl__batch_retire(it);
	return good ? 0 : fl__failure_at(at, it->error, it->message);
}

/* Waiting. */

/* Waits for `on`, or for the iteration's token: 0, -ETIMEDOUT, -ECANCELED. */
static int await_on(const fl_imap *it, fl_on on, int64_t deadline, fl_cancel_token *cancel)
{
	fl_on things[2] = {on};
	size_t n = 1;
	if (it->cancel && !it->stopped)
		things[n++] = (fl_on)FL_ON_CANCEL_TOKEN(it->cancel);
	int rc = fl_wait_any_until(things, n, deadline, cancel);
	return rc < 0 ? rc : 0;
}

static int await_future(const fl_imap *it, fl_future *f, int64_t deadline, fl_cancel_token *cancel)
{
	if (!it->cancel || it->stopped)
		return fl_future_wait_until(f, deadline, cancel);
	fl__future_help(f, deadline, cancel);
	if (f->home->attend)
		f->home->attend(f, deadline, cancel);
	return await_on(it, (fl_on)FL_ON_FUTURE(f), deadline, cancel);
}

static int await_oldest(fl_imap *it, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__batch *b = it->oldest;
	int rc = await_future(it, b->f, deadline, cancel);
	/* The callback of an ended future is about to come. */
	while (it->calls && !b->returned && fl_future_try_wait(b->f) == 0) {
		fl_event_reset(&it->bell);
		fl__batch_collect(it);
		if (!b->returned)
			(void)!fl_event_wait_until(&it->bell, FL_FOREVER, FL_SHIELDED);
	}
	return rc;
}

static int await_any(fl_imap *it, int64_t deadline, fl_cancel_token *cancel)
{
	fl_event_reset(&it->bell);
	if (fl__batch_over(it))
		return 0;
	fl__future_help(it->oldest->f, deadline, cancel);
	return await_on(it, (fl_on)FL_ON_EVENT(&it->bell), deadline, cancel);
}

static void request(void *token)
{
	fl_cancel_token_request(token);
}

/*
 * fill(), which also waits for room in a bounded backlog while nothing is under way. Returns 0 at a
 * request of the iteration's token.
 */
static int fill_waiting(fl_imap *it, int64_t deadline, fl_cancel_token *cancel)
{
	/* NULL: none */
	fl_cancel_token either, *const around = fl__cancel_resolve(cancel, fl__ctx_get());
	fl_cancel_callback asked;
	fl_cancel_token_init(&either, around ? around : FL_SHIELDED, FL_FOREVER);
	const bool asks = it->cancel && fl_cancel_token_on_request(it->cancel, &asked, request, &either);
	it->waiting = &either;
	it->waiting_until = fl__deadline_under(deadline, it->cancel);
	const int rc = fill(it);
	it->waiting = NULL;
	if (asks)
		(void)fl_cancel_callback_remove(&asked); /* whether or not it was called */
	fl_cancel_token_destroy(&either);
	return rc == -ECANCELED && it->cancel && fl_cancel_token_is_requested(it->cancel) ? 0 : rc;
}

/* Whether a submit failed only because it did not wait. */
static bool lacks_room(const fl_imap *it, int rc)
{
	return rc == -ETIMEDOUT && !it->oldest && it->executor->places.bound > 0;
}

int fl__imap_take(fl_imap *it, int64_t deadline, fl_cancel_token *cancel)
{
	for (;;) {
		int rc = fill(it);
		struct fl__batch *b = fl__batch_over(it);
		if (b) {
			if (b->f && fl_future_error(b->f) != 0)
				stop_if_due(it); /* it may be the first that the deadline ended */
			fl__batch_begin(it, b);
			return 0;
		}
		const int64_t limit = it->stopped ? deadline : fl__min_deadline(deadline, it->deadline);
		if (!it->oldest && !lacks_room(it, rc))
			return rc != 0 ? rc : it->source.end;
		if (!it->oldest)
			rc = fill_waiting(it, limit, cancel);
		else
			rc = it->unordered ? await_any(it, limit, cancel) : await_oldest(it, limit, cancel);
		if (rc != 0 && (rc != -ETIMEDOUT || fl__is_past(deadline)))
			return rc;
	}
}

int fl_imap_next_until(fl_imap *it, size_t *index, void *result, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = it->current ? 0 : fl__imap_take(it, deadline, cancel);
	return rc == 0 ? give(it, index, result) : rc;
}

int fl_imap_try_next(fl_imap *it, size_t *index, void *result)
{
	int rc = fl_imap_next_until(it, index, result, 0, FL_SHIELDED);
	return rc == -ETIMEDOUT && (it->oldest || it->source.end == 0 || it->source.held > 0)
	           /* no result yet, or no room */
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

/* Life. */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The number of batches in the window. */
static size_t batches_of(const fl_executor *e, const fl_task_type *type, size_t n, size_t chunk, size_t window)
{
	size_t most = window ? window / chunk : fl__chunk_window(e, type, chunk);
	if (!(e->ops->capabilities & FL_CAP_CONCURRENT))
		/*
		 * A submit runs the task, so each result's submit waits until the result is asked
		 * for.
		 */
		most = 1;
	most = least(most, n / chunk + (n % chunk != 0));
	return most ? most : 1;
}

/* Allocates the room for a generator's arguments. */
static int make_room(fl_imap *it)
{
	struct fl__source *s = &it->source;
	const size_t alignment = it->type->arg_align > 1 ? it->type->arg_align : 1;
	if (!s->make || it->type->arg_size == 0)
		return 0;
	s->memory = fl__alloc(1, it->chunk * it->type->arg_size + alignment - 1);
	if (!s->memory)
		return -ENOMEM;
	s->made = (char *)s->memory + (alignment - (uintptr_t)s->memory % alignment) % alignment;
	return 0;
}

static int begin(fl_imap *it)
{
	int rc = make_room(it);
	if (rc == 0)
		rc = fill(it);
	if (lacks_room(it, rc))
		rc = fill_waiting(it, it->deadline, NULL);
	return it->oldest ? 0 : rc; /* an iteration that has begun goes on with less */
}

static void configure(fl_imap *it, const fl_imap_config *config)
{
	it->unordered = config->unordered;
	it->calls = config->unordered || it->sent != it->type;
	it->deadline = config->deadline ? config->deadline : FL_FOREVER;
	it->cancel = config->cancel == FL_SHIELDED ? NULL : config->cancel;
	it->source.make = config->next;
	it->source.state = config->state;
}

int fl_imap_create(fl_imap **made, fl_executor *e, const fl_task_type *type, const void *args, size_t n,
                   const fl_imap_config *config)
{
	static const fl_imap_config defaults;
	fl__executor_check(e, "fl_imap_create");
	if (!config)
		config = &defaults;
	if (config->next && (args || n > 0))
		return -EINVAL;
	const size_t length = config->next ? SIZE_MAX : n;
	const size_t wanted = least(config->chunk ? config->chunk : 1, config->window ? config->window : SIZE_MAX);
	const size_t chunk = fl__chunk_cut(e, type, wanted);
	const size_t most = batches_of(e, type, length, chunk, config->window);
	fl_imap *it = fl__imap_new(most < SIZE_MAX ? most + 1 : most);
	if (!it)
		return -ENOMEM;
	it->executor = e;
	it->type = type;
	it->sent = fl__chunk_type(&it->room, e, type, chunk);
	it->chunk = chunk;
	it->most = most;
	configure(it, config);
	it->source.args = args;
	it->source.n = n;
	it->source.end = length == 0 ? -ENODATA : 0;
	int rc = begin(it);
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
	fl__imap_close(it);
	forget_held(it);
	if (it->current)
		fl__batch_retire(it);
	struct fl__batch *next;
	for (struct fl__batch *b = it->oldest; b; b = next) {
		next = b->next;
		fl__batch_forget(it, b);
	}
	fl__imap_release(it);
}
