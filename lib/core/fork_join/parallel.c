/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parallel loops. A loop is cut into chunks, and a range of chunks is halved until one chunk is
 * left. Another worker may run the right half; otherwise the context that has split the range runs
 * it after the left half. A chunk is one call of the body, unless the caller's grain divides it
 * into several calls.
 *
 * A split is an fl_parallel_invoke(), so the right half is a fork. A caller outside of the executor
 * submits the loop as one task. If the caller is a thread that runs no task, and the executor has
 * room for one more worker (all conditions are in parallel_enter()), the thread becomes a worker
 * for the loop and runs this task itself. Then the caller keeps the front of the loop, and other
 * workers steal from the back, even in a series of loops over the same memory.
 *
 * Because waking a worker takes a few microseconds, a loop first makes calls without a split, until
 * their time shows that the whole loop takes more than SHORT. However, a loop of fewer than FEW
 * chunks is split at once, because even its first call may be long.
 *
 * A loop ends at the first call that fails, or when its scope is cancelled. The failed call sets
 * `failed`, which every part reads before each call. A call that returns -ECANCELED while its scope
 * is cancelled has not failed.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../exec/map.h"
#include "../future/failure.h"
#include "fork_join.h"
#include <fairlead/parallel.h>
#include <string.h>

enum {
	PARALLEL_SHORT = 20000, /* in ns */
	PARALLEL_FEW = 32,
	PARALLEL_CHUNKS = 64, /* of a loop with up to 8 workers */
};

struct parallel_loop {
	int (*body)(void *state, size_t from, size_t to);
	const fl_reduction *reduction; /* instead of `body`, or NULL */
	void *state;
	size_t begin, end;
	size_t chunk, grain; /* how many indices a chunk contains, and at most a call */
	uint32_t failed;     /* set by the call that then writes `error` */
	int error;
};

struct parallel_part {
	struct parallel_loop *loop;
	size_t from, to; /* chunks */
	void *value;     /* NULL without a reduction */
};

static int parallel_run_loop(struct parallel_part *all);

static void parallel_fail(struct parallel_loop *loop, int error)
{
	uint32_t none = 0;
	bool stopped = error == -ECANCELED && fl_cancel_token_is_requested(NULL);
	/* relaxed: a hint to other parts; the joins order `error` */
	if (!stopped && fl__cas_relaxed(&loop->failed, &none, 1))
		loop->error = error;
}

static bool parallel_is_stopped(const struct parallel_loop *loop)
{
	return fl__load_relaxed(&loop->failed) || fl_cancel_token_is_requested(NULL); /* relaxed: a hint */
}

/* Makes the calls of a part, one after another. */
static int parallel_call(const struct parallel_part *part)
{
	struct parallel_loop *loop = part->loop;
	const size_t past = part->to - part->from, chunk = loop->chunk;
	size_t from = loop->begin + part->from * chunk;
	const size_t end = past <= (loop->end - from) / chunk ? from + past * chunk : loop->end;
	int error = 0;
	while (from < end && error == 0) {
		const size_t to = from + FL__MIN(loop->grain, end - from);
		if (parallel_is_stopped(loop))
			return -ECANCELED;
		error = part->value ? loop->reduction->body(loop->state, from, to, part->value)
		                    : loop->body(loop->state, from, to);
		from = to;
	}
	if (error != 0)
		parallel_fail(loop, error);
	return error;
}

static int parallel_run_task(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)ctx; /* its token, a child of the loop's, is the scope */
	(void)result;
	return parallel_run_loop(*(struct parallel_part *const *)arg);
}

static const fl_task_type parallel_type = FL__TASK_OF_POINTER("fl__parallel", parallel_run_task);

static int parallel_run_part(void *arg);

static int parallel_split(const struct parallel_part *part)
{
	struct parallel_part left = *part, right = *part;
	left.to = right.from = part->from + (part->to - part->from + 1) / 2;
	if (!part->value)
		return fl_parallel_invoke(parallel_run_part, &left, parallel_run_part, &right);
	const fl_reduction *reduction = part->loop->reduction;
	_Alignas(max_align_t) unsigned char value[FL_REDUCTION_MAX];
	memcpy(value, reduction->identity, reduction->size);
	right.value = value;
	const int error = fl_parallel_invoke(parallel_run_part, &left, parallel_run_part, &right);
	if (error == 0)
		reduction->combine(part->loop->state, part->value, value);
	return error;
}

static int parallel_run_part(void *arg)
{
	const struct parallel_part *part = arg;
	if (part->to - part->from == 1)
		return parallel_call(part);
	return parallel_is_stopped(part->loop) ? -ECANCELED : parallel_split(part);
}

static int parallel_run_loop(struct parallel_part *all)
{
	const size_t chunks = all->to;
	const int64_t begun = fl__sys.now();
	bool is_short = chunks >= PARALLEL_FEW;
	while (is_short) {
		struct parallel_part first = *all;
		all->from = first.to = FL__MIN(FL__MAX(2 * all->from, 1), chunks);
		const int error = parallel_call(&first);
		if (error != 0 || all->from == chunks)
			return error;
		const int64_t took = fl__sys.now() - begun;
		is_short = took < PARALLEL_SHORT && (size_t)took * chunks < PARALLEL_SHORT * all->from;
	}
	return parallel_run_part(all);
}

static int parallel_run_here(struct parallel_part *all, fl_cancel_token *token)
{
	FL_CANCEL_SCOPE(token);
	return parallel_run_loop(all);
}

/*
 * Makes the caller a worker of `e`, or returns NULL. The caller has checked FL_CAP_BY_REFERENCE, so
 * if `e` also has `resize`, it is a thread executor.
 */
static struct fl__run *parallel_enter(fl_executor *e)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	const bool may = e->ops->resize && fl_executor_workers(e) > 1 && !e->initialize &&
	                 ctx->ops == &fl__thread_parker && !ctx->help;
	return may ? fl__pool_enter(e) : NULL;
}

static int parallel_submit(fl_executor *e, struct parallel_part *all, fl_cancel_token *token)
{
	const fl_submit_config config = {.cancel = token};
	FL_SCOPED(fl_future) *f = NULL;
	const struct fl__patience patience = {FL_FOREVER, token};
	struct fl__run *entered = parallel_enter(e);
	int rc = fl__submit_waiting(e, &parallel_type, &all, 1, &f, &config, 0, entered ? &fl__here : &patience);
	if (entered)
		fl__pool_leave(entered);
	if (rc != 0)
		return rc;
	rc = fl_future_wait_until(f, FL_FOREVER, token);
	if (rc != 0 && fl_future_cancel(f) != 0)
		FL_IGNORE(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED)); /* the task sees the cancel, too */
	return fl_future_error(f);
}

static int parallel_run(fl_executor *e, struct parallel_loop *loop, void *value, const fl_parallel_config *config)
{
	if (!(e->ops->capabilities & FL_CAP_BY_REFERENCE))
		return -ENOTSUP;
	if (loop->begin >= loop->end)
		return 0;
	config = FL__OR_DEFAULTS(config);
	const size_t n = loop->end - loop->begin;
	loop->grain = config->grain ? config->grain : SIZE_MAX;
	loop->chunk = fl__chunk_size(n, FL__MAX(fl__chunks_for(e), PARALLEL_CHUNKS));
	if (config->grain)
		loop->chunk = config->grain < n ? fl__chunks(loop->chunk, config->grain) * config->grain : n;
	struct parallel_part all = {.loop = loop, .to = fl__chunks(n, loop->chunk), .value = value};
	fl_cancel_token token;
	fl_cancel_token_init(&token, config->cancel, config->deadline);
	int rc = fl__run_serves(e) ? parallel_run_here(&all, &token) : parallel_submit(e, &all, &token);
	fl_cancel_token_destroy(&token);
	if (loop->failed && config->error)
		*config->error = loop->error;
	if (loop->failed)
		return fl__failure_store(FL__NO_INDEX, loop->error, "");
	return rc == -ECANCELED || rc == -ETIMEDOUT ? fl__why_stopped(config->deadline, config->cancel) : rc;
}

int fl_parallel_for(fl_executor *e, size_t begin, size_t end, int (*body)(void *state, size_t from, size_t to),
                    void *state, const fl_parallel_config *config)
{
	const int rc = fl__executor_enter(e, "fl_parallel_for");
	if (rc != 0)
		return rc;
	struct parallel_loop loop = {.body = body, .state = state, .begin = begin, .end = end};
	return parallel_run(e, &loop, NULL, config);
}

int fl_parallel_reduce(fl_executor *e, size_t begin, size_t end, const fl_reduction *reduction, void *state,
                       void *value, const fl_parallel_config *config)
{
	int rc = fl__executor_enter(e, "fl_parallel_reduce");
	if (rc != 0)
		return rc;
	if (reduction->size > FL_REDUCTION_MAX)
		return -E2BIG;
	_Alignas(max_align_t) unsigned char whole[FL_REDUCTION_MAX];
	memcpy(whole, reduction->identity, reduction->size);
	struct parallel_loop loop = {.reduction = reduction, .state = state, .begin = begin, .end = end};
	rc = parallel_run(e, &loop, whole, config);
	if (rc == 0)
		memcpy(value, whole, reduction->size);
	return rc;
}
