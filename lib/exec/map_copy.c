/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ordered map of executors whose tasks have memory of their own: a lazy map in order (imap.h)
 * whose batches are copied to the caller's array as a whole. map.c states the guarantees.
 *
 * The first failure that the map takes is the lowest: all chunks before it have ended, and the map
 * then cancels all chunks after it. A failure behind a slow chunk wastes at most a window of chunks.
 *
 * A map ends early for one reason, the first: a failure, a stop by its deadline or token, or a
 * broken executor. A chunk that had failed before the stop is the earlier reason. The map goes on
 * until it has taken all chunks under way.
 */
#include "../base/sys.h"
#include "../future/failure.h"
#include "imap.h"
#include <errno.h>
#include <string.h>

struct copies {
	fl_imap *it;
	void *results;
	int64_t deadline;     /* of the tasks; FL_FOREVER: none */
	int reason;           /* 0: the map goes on */
	fl_map_error failure; /* for FL_ETASK */
};

/* Whether the chunk failed for a reason of its own, not because of a stop or a broken executor. */
static bool has_failed(const struct copies *m, const struct fl__batch *b, const struct fl__chunk_end *end)
{
	if (end->stopped || (end->error == -ECANCELED && fl__is_past(m->deadline)))
		return false; /* the second: the task saw the deadline on its own */
	if (m->it->stopped && !b->ended_first)
		return false;
	return !(end->error == -ENOTRECOVERABLE && fl_executor_is_broken(m->it->executor));
}

/* Copies the result of the failed element: zeros if the worker died or the result is lost. */
static void copy_failed(const struct copies *m, const struct fl__batch *b)
{
	const size_t size = m->it->type->result_size;
	void *to = fl__element(m->results, b->index + b->good, size);
	const void *from = fl__element(b->f->result, b->good, size);
	if (to && from)
		memcpy(to, from, size);
	else if (to)
		memset(to, 0, size);
}

static void note_failure(struct copies *m, const struct fl__batch *b)
{
	m->failure.index = b->index + b->good;
	m->failure.error = b->error;
	/* the rest is zero */
	(void)strncpy(m->failure.message, fl_future_message(b->f), FL_MESSAGE_MAX - 1);
}

/* Takes the results of the current batch, and the reason for an early end. */
static void take(struct copies *m)
{
	fl_imap *it = m->it;
	struct fl__batch *b = it->current;
	const size_t size = it->type->result_size;
	const struct fl__chunk_end end = fl__chunk_end(b->f, it->type);
	const bool failed = end.error != 0 && has_failed(m, b, &end);
	if (size > 0 && end.done > 0)
		memcpy(fl__element(m->results, b->index, size), b->f->result, end.done * size);
	if (failed)
		copy_failed(m, b);
	if (m->reason == 0 && failed) {
		m->reason = FL_ETASK;
		note_failure(m, b);
	} else if (m->reason == 0 && end.error != 0) {
		m->reason = it->stopped ? it->stopped : end.error;
	}
	if (m->reason != 0 && !it->stopped)
		fl__imap_stop(it, -ECANCELED);
	b->given = b->kept; /* no hook runs */
	fl__batch_retire(it);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

int fl__map_by_copy(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                    const fl_map_config *config)
{
	const size_t chosen = least(fl__map_chunk(n, fl_executor_workers(e)), fl__chunk_handy(type));
	const fl_imap_config lazy = {
	    .chunk = config->chunk ? config->chunk : chosen,
	    .deadline = config->deadline,
	    .cancel = config->cancel,
	};
	struct copies m = {.results = results};
	int rc = fl_imap_create(&m.it, e, type, args, n, &lazy);
	if (rc != 0)
		return rc;
	m.it->whole = true;
	m.deadline = fl__deadline_under(m.it->deadline, m.it->cancel);
	while ((rc = fl__imap_take(m.it, FL_FOREVER, FL_SHIELDED)) == 0)
		take(&m);
	fl_imap_free(m.it);
	if (m.reason == 0)
		return rc == -ENODATA ? 0 : rc;
	if (m.reason == FL_ETASK && config->error)
		*config->error = m.failure;
	return m.reason == FL_ETASK ? fl__failure_at(m.failure.index, m.failure.error, m.failure.message) : m.reason;
}
