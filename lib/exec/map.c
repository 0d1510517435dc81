/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ordered map, for executors whose tasks refer to the caller's memory (FL_CAP_BY_REFERENCE).
 * map_copy.c has the map for other executors.
 *
 * The array is cut into chunks of consecutive elements. The map submits at most as many tasks as
 * the executor has workers. Each of these *runners* takes the next chunk until none is left. So
 * memory does not grow with the array, and the load is balanced. Elements that were not begun at an
 * error, timeout or cancel cost nothing.
 *
 * Which failure is reported: runners take chunks in ascending order. After a failure at index i no
 * runner begins an element above i, but the elements below still run. So every run reports the
 * lowest index that fails. `lowest` only falls; a runner that reads an old value begins an element
 * too many, never one too few.
 *
 * A map ends early for one reason, the first: a failure, or the early end of the caller's wait
 * (`stopped`). An element that returns -ECANCELED while its token is requested was stopped and has
 * not failed.
 */
#include "map.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../future/failure.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include <errno.h>
#include <string.h>

enum { CHUNKS_PER_WORKER = 8, STOPPED = 1 };

struct map {
	fl_executor *executor;
	const fl_task_type *type;
	const unsigned char *args;
	unsigned char *results;
	size_t n, chunk, chunks;
	size_t next;      /* a chunk; taken by adding */
	size_t done;      /* elements that succeeded */
	size_t lowest;    /* the lowest index that failed; n: none; written under `lock` */
	uint32_t stopped; /* the caller's wait ended early */
	uint32_t lock;    /* an fl__lock; guards `failure` */
	/* Requested by the first runner that ends: no further runner need begin. */
	fl_cancel_token over;
	fl_map_error failure;
};

/* Records the failure, unless the map ended for another reason or a lower element has failed. */
static void fail(struct map *map, size_t index, int error, const char *message)
{
	fl__lock(&map->lock);
	/* relaxed, all three: under the lock; other readers use hints */
	if (!fl__load_relaxed(&map->stopped) && index < fl__load_relaxed(&map->lowest)) {
		fl__store_relaxed(&map->lowest, index);
		map->failure.index = index;
		map->failure.error = error;
		/* the rest is zero */
		(void)strncpy(map->failure.message, message, FL_MESSAGE_MAX - 1);
	}
	fl__unlock(&map->lock);
}

static bool may_begin(const struct map *map, size_t index, const fl_task_ctx *ctx)
{
	/* relaxed: hints, see above */
	return index < fl__load_relaxed(&map->lowest) && !fl__load_relaxed(&map->stopped) && !fl_task_is_cancelled(ctx);
}

/* Returns true if the element succeeded. */
static bool run_element(struct map *map, size_t index, fl_task_ctx *ctx)
{
	const fl_task_type *type = map->type;
	const void *arg = type->arg_size ? map->args + index * type->arg_size : NULL;
	void *result = type->result_size ? map->results + index * type->result_size : NULL;
	if (result)
		memset(result, 0, type->result_size);
	int error = fl__task_run(type, arg, result, ctx);
	char *message = fl__task_take_message(ctx);
	bool asked = error == -ECANCELED && fl_task_is_cancelled(ctx);
	if (error != 0 && !asked)
		fail(map, index, error, message ? message : "");
	fl__message_free(message);
	return error == 0;
}

/* Runs elements while they may begin and succeed. Returns the number that succeeded. */
static size_t run_chunk(struct map *map, size_t begin, size_t end, fl_task_ctx *ctx)
{
	size_t i = begin;
	while (i < end && may_begin(map, i, ctx) && run_element(map, i, ctx))
		i++;
	return i - begin;
}

static int runner(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)result;
	struct map *map = *(struct map *const *)arg;
	for (;;) {
		/* relaxed: only the value's uniqueness counts */
		size_t chunk = fl__add_relaxed(&map->next, 1);
		if (chunk >= map->chunks || !may_begin(map, chunk * map->chunk, ctx)) {
			fl_cancel_token_request(&map->over);
			return 0;
		}
		size_t begin = chunk * map->chunk;
		size_t end = map->n - begin < map->chunk ? map->n : begin + map->chunk;
		/* relaxed: the caller reads it after the end of all runners, which orders it */
		fl__add_relaxed(&map->done, run_chunk(map, begin, end, ctx));
	}
}

static const fl_task_type runner_type = {
    .size = sizeof(fl_task_type),
    .name = "fl__map",
    .run = runner,
    .arg_size = sizeof(struct map *),
    .arg_align = _Alignof(struct map *),
};

/*
 * Submits up to `n` runners. One suffices, so the end of the map ends a wait for room for another.
 * Returns the number of runners, or the error if there is none.
 */
static int submit_runners(struct map *map, fl_future **runners, int n, const fl_submit_config *config)
{
	int rc = 0, count = 0;
	while (count < n && rc == 0) {
		rc = fl__submit_waiting(map->executor, &runner_type, &map, 1, &runners[count], config, config->deadline,
		                        &map->over);
		if (rc == 0)
			count++;
	}
	return count > 0 ? count : rc;
}

/* The caller's wait ended early. Begins no further element, and asks the running ones to stop. */
static void stop(struct map *map, fl_future **runners, int n)
{
	fl__lock(&map->lock); /* orders the stop and a failure */
	fl__store_relaxed(&map->stopped, STOPPED);
	fl__unlock(&map->lock);
	for (int i = 0; i < n; i++) {
		int rc = fl_future_cancel(runners[i]);
		(void)rc; /* whatever its state, it ends */
	}
}

/* One runner has ended, so no chunk is left. Cancels the runners that no worker has begun. */
static void dismiss_pending(fl_future **runners, int n)
{
	for (int i = 0; i < n; i++)
		FL_IGNORE(fl_future_cancel_pending(runners[i]));
}

/*
 * Waits for all runners and frees them. Returns why the wait ended early, or -ENOTRECOVERABLE of a
 * broken executor.
 */
static int await_runners(struct map *map, fl_future **runners, int n, int64_t deadline, fl_cancel_token *cancel)
{
	int early = 0, broken = 0;
	for (int i = 0; i < n; i++) {
		int rc = early ? 0 : fl_future_wait_until(runners[i], deadline, cancel);
		if (rc != 0) {
			early = rc;
			stop(map, runners + i, n - i);
		}
		rc = fl_future_wait_until(runners[i], FL_FOREVER, FL_SHIELDED);
		if (rc == 0 && fl_future_error(runners[i]) == -ENOTRECOVERABLE)
			broken = -ENOTRECOVERABLE;
		if (i == 0)
			dismiss_pending(runners + 1, n - 1);
		fl_future_free(runners[i]);
	}
	return early ? early : broken;
}

/* Why the runners stopped: no element failed, and the wait did not end early. */
static int why_stopped(const fl_submit_config *config)
{
	bool requested = config->cancel && fl_cancel_token_is_requested(config->cancel);
	return !requested && config->deadline != 0 && fl_now() >= config->deadline ? -ETIMEDOUT : -ECANCELED;
}

static int run_map(struct map *map, fl_submit_config *config, fl_map_error *error)
{
	const unsigned workers = fl_executor_workers(map->executor);
	const int n = (int)(map->chunks < workers ? map->chunks : workers);
	fl_future **runners = fl__alloc((size_t)n, sizeof(fl_future *));
	if (!runners)
		return -ENOMEM;
	fl_cancel_token_init(&map->over, config->cancel ? config->cancel : FL_SHIELDED, FL_FOREVER);
	int rc = submit_runners(map, runners, n, config);
	if (rc > 0) {
		int64_t deadline = config->deadline ? config->deadline : FL_FOREVER;
		rc = await_runners(map, runners, rc, deadline, config->cancel ? config->cancel : FL_SHIELDED);
		if (map->lowest < map->n)
			rc = FL_ETASK;
		else if (map->done == map->n)
			rc = 0;
		else if (rc == 0)
			rc = why_stopped(config);
	}
	if (rc == FL_ETASK && error)
		*error = map->failure;
	if (rc == FL_ETASK)
		rc = fl__failure_at(map->failure.index, map->failure.error, map->failure.message);
	fl_cancel_token_destroy(&map->over);
	fl__free(runners);
	return rc;
}

size_t fl__map_chunk(size_t n, unsigned workers)
{
	size_t chunks = (size_t)workers * CHUNKS_PER_WORKER;
	return n / chunks + (n % chunks != 0);
}

static int map_by_reference(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                            const fl_map_config *config)
{
	size_t chunk = config->chunk ? config->chunk : fl__map_chunk(n, fl_executor_workers(e));
	struct map map = {
	    .executor = e,
	    .type = type,
	    .args = args,
	    .results = results,
	    .n = n,
	    .chunk = chunk,
	    .chunks = n / chunk + (n % chunk != 0),
	    .lowest = n,
	};
	fl_submit_config submit = {.deadline = config->deadline, .cancel = config->cancel};
	return run_map(&map, &submit, config->error);
}

int fl_map(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
           const fl_map_config *config)
{
	fl__executor_check(e, "fl_map");
	fl_map_config resolved = {0};
	if (n == 0)
		return 0;
	if (config)
		resolved = *config;
	/* NULL: none */
	resolved.cancel = fl__cancel_resolve(resolved.cancel, fl__ctx_get());
	if (e->ops->capabilities & FL_CAP_BY_REFERENCE)
		return map_by_reference(e, type, args, n, results, &resolved);
	return fl__map_by_copy(e, type, args, n, results, &resolved);
}
