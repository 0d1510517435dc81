/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ordered map. It works by reference on executors whose tasks can refer to the caller's memory
 * (FL_CAP_BY_REFERENCE), and by copy on other executors.
 *
 * By reference, the array is cut into chunks. The map submits at most as many tasks as the executor
 * has workers. Each of these *runners* takes the next chunk until none is left. Therefore a chunk
 * needs no submit of its own (docs/decisions/mechanisms.md has figures).
 *
 * Runners take chunks in ascending order, and never begin an element whose index is `limit` or
 * higher. If element i fails, `limit` becomes i. The elements below i still run, so every run
 * reports the lowest index that fails. If the caller's wait ends early, `limit` becomes 0. As
 * `limit` only falls, a runner that reads an old value may begin one element too many, but never
 * skips one.
 *
 * A map may end early for three reasons, and the first that occurs counts: an element fails; the
 * caller's wait ends early; or the executor breaks or is cancelled while an element is left that no
 * runner has begun. An element that returns -ECANCELED because its token was cancelled has not
 * failed.
 */
#include "map.h"
#include "../base/atomic.h"
#include "../future/failure.h"
#include "../wait/lock.h"
#include "imap.h"
#include <string.h>

struct map_in_place {
	const fl_task_type *type;
	const void *args;
	void *results;
	size_t n, chunk, chunks;
	size_t next;   /* the lowest chunk that no runner took */
	size_t done;   /* elements that succeeded */
	size_t limit;  /* no element from here on begins; written under `lock` */
	uint32_t lock; /* guards `failure` */
	/* Cancelled by the first runner that ends, because no more runners are needed then. */
	fl_cancel_token over;
	fl_map_error failure;
};

/* Stores a failure in `*failure`, which is zeroed. */
static void map_note(fl_map_error *failure, size_t index, int error, const char *message)
{
	failure->index = index;
	failure->error = error;
	(void)strncpy(failure->message, message, FL_MESSAGE_MAX - 1);
}

/* Notes a failure, unless the caller's wait has ended early or a lower element has failed. */
static void map_fail(struct map_in_place *map, size_t index, int error, const char *message)
{
	FL__LOCKED(&map->lock);
	/* relaxed, both: the lock orders them; without the lock, readers use `limit` as a hint */
	if (index < fl__load_relaxed(&map->limit)) {
		fl__store_relaxed(&map->limit, index);
		map_note(&map->failure, index, error, message);
	}
}

/* Returns whether the element has succeeded. */
static bool map_run_element(struct map_in_place *map, size_t index, fl_task_ctx *ctx)
{
	const fl_task_type *type = map->type;
	void *result = fl__element(map->results, index, type->result_size);
	if (result)
		memset(result, 0, type->result_size);
	ctx->keeps_result = false;
	int error = fl__task_call(type, fl__element(map->args, index, type->arg_size), result, ctx);
	if (fl__likely(error == 0 && !ctx->message))
		return true;
	char *message = fl__task_take_message(ctx);
	bool requested = error == -ECANCELED && fl_task_is_cancelled(ctx);
	if (error > 0 && !message)
		message = fl__message_positive(type, error);
	if (error != 0 && !requested)
		map_fail(map, index, error, message ? message : "");
	fl__message_free(message);
	return error == 0;
}

/* Runs chunks, until an element fails or may not begin: then no later element may begin, either. */
static int map_runner(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)result;
	struct map_in_place *map = *(struct map_in_place *const *)arg;
	size_t i = 0, end = 0, chunk;
	/* relaxed: a number only needs to be unique */
	while (i == end && (chunk = fl__add_relaxed(&map->next, 1)) < map->chunks) {
		const size_t begin = chunk * map->chunk;
		end = begin + FL__MIN(map->chunk, map->n - begin);
		i = begin;
		/* relaxed: an old value lets one element too many begin */
		while (i < end && i < fl__load_relaxed(&map->limit) && !fl__cancel_is_requested(ctx->token) &&
		       map_run_element(map, i, ctx))
			i++;
		/* relaxed: the caller reads it after the end of all runners, which orders it */
		fl__add_relaxed(&map->done, i - begin);
	}
	fl_cancel_token_request(&map->over);
	return 0;
}

static const fl_task_type map_runner_type = FL__TASK_OF_POINTER("fl__map", map_runner);

/*
 * Submits up to `n` runners. Returns how many it has submitted, or the error if there are none. One
 * runner suffices. When it ends, it cancels `over`, which ends the wait for another permit.
 */
static int map_submit_runners(fl_executor *e, struct map_in_place *map, fl_future **runners, int n,
                              const fl_map_config *config)
{
	const fl_submit_config submit = {.deadline = config->deadline, .cancel = config->cancel};
	const struct fl__patience patience = {config->deadline, &map->over};
	int rc = 0, count = 0;
	while (count < n && rc == 0) {
		rc = fl__submit_waiting(e, &map_runner_type, &map, 1, &runners[count], &submit, 0, &patience);
		if (rc == 0)
			count++;
	}
	return count > 0 ? count : rc;
}

/* Lets no further element begin, and asks the running elements to stop. */
static void map_stop(struct map_in_place *map, fl_future **runners, int n)
{
	{
		FL__LOCKED(&map->lock);
		fl__store_relaxed(&map->limit, 0); /* relaxed: as in map_fail() */
	}
	for (int i = 0; i < n; i++)
		FL_IGNORE(fl_future_cancel(runners[i])); /* it ends in any state */
}

/*
 * Waits for all runners and frees them. Returns the error if the wait ended early, -ENOTRECOVERABLE
 * if a runner ended because the executor broke, or 0.
 */
static int map_await_runners(struct map_in_place *map, fl_future **runners, int n, const fl_map_config *config)
{
	int early = 0, broken = 0;
	for (int i = 0; i < n; i++) {
		if (early == 0 && (early = fl_future_wait_until(runners[i], config->deadline, config->cancel)) != 0)
			map_stop(map, runners + i, n - i);
		FL_IGNORE(fl_future_wait_until(runners[i], FL_FOREVER, FL_SHIELDED));
		if (fl_future_error(runners[i]) == -ENOTRECOVERABLE)
			broken = -ENOTRECOVERABLE;
		/* after the end of the first runner, no chunk is left that may begin */
		for (int k = 1; i == 0 && k < n; k++)
			FL_IGNORE(fl_future_cancel_pending(runners[k]));
		fl_future_free(runners[i]);
	}
	return early ? early : broken;
}

static int map_failed(const fl_map_error *failure, fl_map_error *error)
{
	if (error)
		*error = *failure;
	return fl__failure_store(failure->index, failure->error, failure->message);
}

static int map_in_place(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                        const fl_map_config *config)
{
	const size_t chunk = config->chunk ? config->chunk : fl__chunk_size(n, fl__chunks_for(e)),
		     chunks = fl__chunks(n, chunk);
	const int most = (int)FL__MIN(chunks, fl_executor_workers(e));
	fl_future **runners = fl__alloc((size_t)most, sizeof(fl_future *));
	if (!runners)
		return -ENOMEM;
	struct map_in_place map = {
	    .type = type,
	    .args = args,
	    .results = results,
	    .n = n,
	    .chunk = chunk,
	    .chunks = chunks,
	    .limit = n,
	};
	fl_cancel_token_init(&map.over, config->cancel, FL_FOREVER);
	int rc = map_submit_runners(e, &map, runners, most, config);
	if (rc > 0) {
		rc = map_await_runners(&map, runners, rc, config);
		if (map.failure.error != 0)
			rc = map_failed(&map.failure, config->error);
		else if (map.done == n)
			rc = 0;
		else if (rc == 0)
			/* no element failed, and the wait did not end early */
			rc = fl__why_stopped(config->deadline, config->cancel);
	}
	fl_cancel_token_destroy(&map.over);
	fl__free(runners);
	return rc;
}

/*
 * The map by copy is a lazy map in order (imap.h), whose results are copied to the caller's array.
 * The first failure that the map takes has the lowest index, because all chunks before it have
 * ended. The map then cancels the chunks after it.
 *
 * The first reason to end early counts: a failure, a stop by the map's deadline or token, or a
 * broken executor. If a chunk failed before a stop, but the map takes it only after the stop, the
 * failure counts. In any case the map goes on until it has taken all chunks under way.
 */

struct map_by_copy {
	fl_imap *it;
	void *results;
	int reason;           /* 0: the map goes on */
	fl_map_error failure; /* for FL_ETASK */
};

/* Called for a batch that has not succeeded. Notes the reason to end early, unless there is one. */
static void map_copy_end(struct map_by_copy *m, const struct fl__imap_batch *b)
{
	/* an element failed by itself, and not because of a stop or a broken executor */
	const bool failed = b->end.begun && !b->end.stopped && (!m->it->stopped || b->ended_first);
	if (m->reason != 0)
		return;
	m->reason = failed ? FL_ETASK : m->it->stopped ? m->it->stopped : b->end.error;
	if (failed)
		map_note(&m->failure, b->index + b->end.done, b->end.error, fl_future_message(b->f));
	if (!m->it->stopped)
		fl__imap_stop(m->it, -ECANCELED);
}

/* Copies a batch's results. A failed element's result is zero if its worker died or it was lost. */
static void map_copy_take(struct map_by_copy *m)
{
	struct fl__imap_batch *b = m->it->current;
	const size_t size = m->it->type->result_size, bytes = (b->end.done + b->end.begun) * size;
	void *to = fl__element(m->results, b->index, size);
	if (to && b->f->result)
		memcpy(to, b->f->result, bytes);
	else if (to)
		memset(to, 0, bytes);
	if (b->end.error != 0)
		map_copy_end(m, b);
	b->given = b->count; /* no hook runs */
	fl__imap_batch_retire(m->it);
}

/* n > 0 */
static int map_copies(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                      const fl_map_config *config)
{
	const fl_imap_config lazy = {
	    .chunk = config->chunk ? config->chunk
	                           : FL__MIN(fl__chunk_size(n, fl__chunks_for(e)), fl__chunk_preferred(type)),
	    .deadline = config->deadline,
	    .cancel = config->cancel,
	};
	struct map_by_copy m = {.results = results};
	fl_task_type lent = *type; /* the array stays, so no element needs a handle of its own */
	lent.drop_arg = FL__BYTES_LENT;
	/* fl__chunk_type() copies a type with hooks, so no future refers to `lent` */
	int rc = fl_imap_create(&m.it, e, fl__bytes_declares(type->drop_arg) ? &lent : type, args, n, &lazy);
	if (rc != 0)
		return rc;
	while ((rc = fl__imap_take(m.it, FL_FOREVER, FL_SHIELDED)) == 0)
		map_copy_take(&m);
	fl_imap_free(m.it);
	if (m.reason == 0)
		return rc == -ENODATA ? 0 : rc;
	return m.reason == FL_ETASK ? map_failed(&m.failure, config->error) : m.reason;
}

int fl_executor_map(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                    const fl_map_config *config)
{
	const int rc = fl__executor_enter(e, "fl_executor_map");
	if (rc != 0 || n == 0)
		return rc;
	fl_map_config resolved = *FL__OR_DEFAULTS(config);
	if (!resolved.cancel)
		resolved.cancel = fl_cancel_scope_current();
	if (e->ops->capabilities & FL_CAP_BY_REFERENCE)
		return map_in_place(e, type, args, n, results, &resolved);
	return map_copies(e, type, args, n, results, &resolved);
}
