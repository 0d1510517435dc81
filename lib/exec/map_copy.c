/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ordered map of executors whose tasks have memory of their own. A chunk is a task whose
 * argument and result are the elements' bytes. map.c states the guarantees.
 *
 * The map submits chunks in ascending order, a window at a time, and takes their results in the
 * same order. The ring holds the chunks under way, oldest first. So memory does not grow with the
 * array, and the first failure that the map takes is the lowest: all chunks before it have ended,
 * and the map then cancels all chunks after it. A failure behind a slow chunk wastes at most a
 * window of chunks.
 *
 * Once `reason` is set, the map submits nothing more, cancels the chunks under way and empties the
 * ring. Tasks have no parent token, since each would cost a place in the tree of tokens. The
 * waiting thread watches the caller's token instead.
 */
#include "../base/sys.h"
#include "../future/failure.h"
#include "map.h"
#include <errno.h>
#include <string.h>

struct copies {
	fl_executor *executor;
	const fl_task_type *type, *sent;
	struct fl__chunk_type room;
	const void *args;
	void *results;
	size_t n, chunk;
	/* Elements: the first of the oldest chunk under way; the first not yet submitted. */
	size_t first, next;
	fl_future **ring; /* `size` entries */
	size_t size, head, length;
	size_t window; /* the most chunks under way */
	/* of the tasks; its deadline is the earlier of the map's and the token's */
	fl_submit_config config;
	int64_t deadline;        /* the map's; FL_FOREVER: none */
	fl_cancel_token *cancel; /* NULL: none */
	int reason;              /* 0: the map goes on */
	fl_map_error failure;    /* for FL_ETASK */
};

/* The i-th future under way. */
static fl_future *future_at(const struct copies *m, size_t i)
{
	const size_t at = m->head + i;
	return m->ring[at < m->size ? at : at - m->size];
}

static size_t count_at(const struct copies *m, size_t begin)
{
	return m->n - begin < m->chunk ? m->n - begin : m->chunk;
}

/* Ending early. */

static int why_stopped(const struct copies *m)
{
	if (m->cancel && fl_cancel_token_is_requested(m->cancel))
		return -ECANCELED;
	return fl__is_past(m->deadline) ? -ETIMEDOUT : 0;
}

/* Cancels the newest first, so that no worker begins a chunk in between. */
static void end_with(struct copies *m, int reason)
{
	m->reason = reason;
	for (size_t i = m->length; i > 0; i--) {
		int rc = fl_future_cancel(future_at(m, i - 1));
		(void)rc; /* whatever its state, it ends */
	}
}

static void end_with_failure(struct copies *m, size_t index, fl_future *f)
{
	m->failure.index = index;
	m->failure.error = fl_future_error(f);
	/* the rest is zero */
	(void)strncpy(m->failure.message, fl_future_message(f), FL_MESSAGE_MAX - 1);
	end_with(m, FL_ETASK);
}

/* Whether the chunk failed for a reason of its own, not because of a stop or a broken executor. */
static bool has_failed(struct copies *m, fl_future *f, struct fl__chunk_end *end)
{
	*end = fl__chunk_end(f, m->type);
	if (end->error == -ECANCELED && fl__is_past(m->config.deadline))
		end->stopped = true; /* the task saw the deadline on its own */
	return end->error != 0 && !end->stopped &&
	       !(end->error == -ENOTRECOVERABLE && fl_executor_is_broken(m->executor));
}

/*
 * The caller's wait ended with `why`. An ended chunk in the ring that failed is the earlier reason.
 */
static void give_up(struct copies *m, int why)
{
	size_t begin = m->first;
	for (size_t i = 0; i < m->length; i++, begin += m->chunk) {
		struct fl__chunk_end end;
		fl_future *f = future_at(m, i);
		if (fl_future_try_wait(f) == 0 && has_failed(m, f, &end)) {
			end_with_failure(m, begin + end.done, f);
			return;
		}
	}
	end_with(m, why);
}

/* Taking results and submitting. */

static void copy_results(const struct copies *m, const fl_future *f, size_t n)
{
	const size_t size = m->type->result_size;
	if (size > 0 && n > 0)
		memcpy(fl__element(m->results, m->first, size), f->result, n * size);
}

/* Copies the result of the failed element: zeros if the worker died or the result is lost. */
static void copy_failed(const struct copies *m, const fl_future *f, size_t i)
{
	const size_t size = m->type->result_size;
	void *to = fl__element(m->results, m->first + i, size);
	const void *from = fl__element(f->result, i, size);
	if (to && from)
		memcpy(to, from, size);
	else if (to)
		memset(to, 0, size);
}

/* Takes the oldest chunk, which has ended. */
static void take(struct copies *m)
{
	fl_future *f = future_at(m, 0);
	const size_t begin = m->first;
	struct fl__chunk_end end;
	const bool failed = has_failed(m, f, &end);
	copy_results(m, f, end.done);
	if (failed)
		copy_failed(m, f, end.done);
	m->head = m->head + 1 < m->size ? m->head + 1 : 0;
	m->length--;
	m->first += count_at(m, begin);
	if (m->reason == 0 && failed)
		end_with_failure(m, begin + end.done, f);
	else if (m->reason == 0 && end.error != 0) {
		const int why = end.stopped ? why_stopped(m) : 0;
		end_with(m, why != 0 ? why : end.error);
	}
	fl__chunk_let_go(f);
	fl_future_free(f);
}

/* Shrinks the window if a submit fails. A permanent error recurs when nothing is under way. */
static void submit_next(struct copies *m)
{
	const size_t count = count_at(m, m->next);
	const size_t at = m->head + m->length;
	const void *args = fl__element(m->args, m->next, m->type->arg_size);
	int rc = fl__submit(m->executor, m->sent, args, (uint32_t)count, &m->ring[at < m->size ? at : at - m->size],
	                    &m->config);
	if (rc == 0) {
		m->next += count;
		m->length++;
	} else if (m->length > 0) {
		m->window = m->length;
	} else {
		m->reason = rc;
	}
}

static void await_oldest(struct copies *m)
{
	const bool goes_on = m->reason == 0;
	const int64_t deadline = goes_on ? m->deadline : FL_FOREVER;
	int rc = fl_future_wait_until(future_at(m, 0), deadline, goes_on && m->cancel ? m->cancel : FL_SHIELDED);
	if (rc != 0)
		give_up(m, rc);
}

static bool wants_more(const struct copies *m)
{
	return m->reason == 0 && m->next < m->n && m->length < m->window;
}

static void run(struct copies *m)
{
	while (m->length > 0 || wants_more(m)) {
		const int why = wants_more(m) ? why_stopped(m) : 0;
		if (m->length > 0 && fl_future_try_wait(future_at(m, 0)) == 0)
			take(m);
		else if (why != 0)
			give_up(m, why);
		else if (wants_more(m))
			submit_next(m);
		else
			await_oldest(m);
	}
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

int fl__map_by_copy(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                    const fl_map_config *config)
{
	const size_t chosen = least(fl__map_chunk(n, fl_executor_workers(e)), fl__chunk_handy(type));
	const size_t chunk = fl__chunk_cut(e, type, least(config->chunk ? config->chunk : chosen, n));
	struct copies m = {
	    .executor = e,
	    .type = type,
	    .args = args,
	    .results = results,
	    .n = n,
	    .chunk = chunk,
	    .deadline = config->deadline != 0 ? config->deadline : FL_FOREVER,
	    .cancel = config->cancel,
	};
	m.config.deadline = fl__deadline_under(m.deadline, m.cancel);
	m.sent = fl__chunk_type(&m.room, e, type, chunk);
	m.size = m.window = least(fl__chunk_window(e, type, chunk), n / chunk + (n % chunk != 0));
	m.ring = fl__alloc(m.size, sizeof(fl_future *));
	if (!m.ring)
		return -ENOMEM;
	run(&m);
	fl__free(m.ring);
	if (m.reason == FL_ETASK && config->error)
		*config->error = m.failure;
	return m.reason == FL_ETASK ? fl__failure_at(m.failure.index, m.failure.error, m.failure.message) : m.reason;
}
