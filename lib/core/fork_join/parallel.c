/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parallel loops by fl_parallel_invoke(): lazy binary splitting (Tzannes et al. 2010). A worker
 * runs its part in chunks. Between two chunks it publishes one half of the rest as a fork, if its
 * stack has no fork that another worker could steal.
 *
 * A chunk takes some microseconds. Later elements may take longer than the first, so chunks grow
 * step by step. A rest of one chunk is not split. Of a split part, the half that is run second
 * begins with the chunk size of the first half.
 *
 * The second half of the workers run the second half of a split part first. So in a series of loops
 * over the same memory, each of two workers finds its half in its cache.
 *
 * A loop ends at the first call that fails, or when its scope is requested. The call that fails
 * sets `failed`, which every part reads before each chunk. A call that returns -ECANCELED while its
 * scope is requested has not failed.
 *
 * A caller outside of the executor submits the loop as one task. A thread that runs no task runs
 * this task itself, as with FL_FULL_RUN, and submits the rest (parallel_may_run_here() has all
 * conditions). The caller then takes chunks from the front of the rest, and a worker takes chunks
 * from the back, so that each finds its half in its cache. Near the end both take less. If there
 * are more than two workers, the worker that takes from the back takes larger parts, and splits
 * them.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../exec/map.h"
#include "../future/failure.h"
#include "../wait/lock.h"
#include "fork_join.h"
#include <fairlead/parallel.h>
#include <string.h>

/*
 * CHUNK    How long a chunk takes, in ns. A loop that takes less is not split, unless it follows
 *          another loop soon (GROWTH) or has few calls (CALLS).
 * FEW      With up to FEW workers a chunk takes CHUNK. With more of them it takes less, down to
 *          CHUNK/FEW, since a worker publishes a half of its part only between two chunks. A chunk
 *          that takes FEW times too long is made smaller. Near the end of the shared rest, a take
 *          is 1/FEW of it.
 * GROWTH   The largest factor of one growth of a chunk. No chunk grows beyond 2/GROWTH of the rest.
 *          A loop is not split before it has run for half of CHUNK/GROWTH, so that its time can be
 *          guessed. If the previous loop of the thread began less than 2 * CHUNK ago, the worker
 *          that helped with it is still awake: then a loop that takes more than CHUNK/GROWTH is
 *          split.
 * CALLS    A loop of fewer calls is run by workers alone, and split at once, since the first call
 *          may be long. If the caller has set a grain, a take is at least 1/CALLS of the shared
 *          rest.
 *
 * The constants were chosen by the time of a loop on two CPUs, in us.
 *
 *   constant   the loop                                    as it is   with another value
 *   CHUNK      10 us of work, after a pause                13         10 us: 14, 5 us: 17
 *              200,000 floats in the cache, after a pause  14         10 us: 20, 5 us: 20
 *   FEW        64 calls of 1 us                            31         2: 58, 8: 31
 *   GROWTH     5 us of work, one loop after the other      4.7        4: 6.8, 64: 6.0
 *   CALLS      64 calls of 1 us                            31         256: 64
 *              16 calls of 4 us                            43         16: 60
 *
 * With sixteen workers on as many CPUs, chunks of 5 to 20 us were better than those of 20 to 80.
 */
enum { PARALLEL_CHUNK = 20000, PARALLEL_FEW = 4, PARALLEL_GROWTH = 16 };
#ifndef FL__PARALLEL_CALLS
#define FL__PARALLEL_CALLS 64
#endif

struct parallel_loop {
	int (*body)(void *state, size_t from, size_t to);
	const fl_reduction *reduction; /* in place of `body` */
	void *state;
	size_t grain; /* 0: chunks adapt until one takes from time / 2 to 4 * time, in ns */
	int64_t time;
	uint32_t failed; /* claimed by the call that writes `error` */
	int error;
	fl_executor *executor; /* of a caller that runs the loop's task; else NULL */
	uint32_t lock;
	size_t from, to; /* the shared rest, guarded by `lock` */
};

struct parallel_part {
	struct parallel_loop *loop;
	size_t from, to;
	size_t beyond;      /* numbers left in the shared rest */
	size_t chunk;       /* written by the part's worker */
	const size_t *hint; /* `chunk` of the half that is run first, or NULL */
	void *value;        /* NULL without a reduction */
	bool is_whole;      /* the loop, not yet split, if it has CALLS calls or more */
	unsigned workers;   /* not 0: takes parts from the back of the rest */
	void *behind;       /* then the value of the parts that were taken before */
};

static int parallel_run_part(void *arg);

/*
 * Returns the size of a chunk, at most `n` and `rest`. `past` says how far `n` numbers end behind a
 * multiple of FL__LINE or, if the chunk is taken from the back, how far before a multiple they
 * begin. A large chunk is cut at that multiple, so that the vectors of both neighbours are aligned:
 * an addition of two floats took 0.09 ns in place of 0.14.
 */
static size_t parallel_align(size_t n, size_t rest, size_t past)
{
	return n >= rest ? rest : n >= PARALLEL_GROWTH / 2 * FL__LINE ? n - past % FL__LINE : n;
}

/* Returns to how many numbers a chunk of a part may grow, by how many numbers are left. */
static size_t parallel_share(const struct parallel_part *part)
{
	return (part->to - part->from + part->beyond) / (PARALLEL_GROWTH / 2);
}

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

static int parallel_run_chunk(struct parallel_part *part, size_t n)
{
	struct parallel_loop *loop = part->loop;
	const uint32_t forks = fl__fork_count;
	const size_t from = part->from, to = from + n;
	const int error =
	    part->value ? loop->reduction->body(loop->state, from, to, part->value) : loop->body(loop->state, from, to);
	fl__child_ends(forks, "fl_parallel_for");
	if (error != 0)
		parallel_fail(loop, error);
	part->from = to;
	return error;
}

static void parallel_set_chunk(struct parallel_part *part, size_t chunk)
{
	fl__store_relaxed(&part->chunk, chunk); /* relaxed: a hint for the half that is run second */
}

/* Adapts the chunk, after `n` numbers that took `took` ns. */
static void parallel_adapt(struct parallel_part *part, size_t n, int64_t took)
{
	const size_t sure = FL__MIN(n * PARALLEL_GROWTH, parallel_share(part));
	const int64_t time = part->loop->time;
	const size_t fits = n * (size_t)FL__MAX(time / (took + 1), 1);
	if (took > PARALLEL_FEW * time)
		parallel_set_chunk(part, n / 2 + (n == 1));
	else if (n <= SIZE_MAX / PARALLEL_CHUNK) /* no overflow */
		parallel_set_chunk(part, FL__MIN(fits, FL__MAX(part->chunk, sure)));
}

/* Another worker may steal the half that is not run first. */
static int parallel_run_halves(struct parallel_part *part, struct parallel_part *left, struct parallel_part *right)
{
	const bool swap = fl__fork_takes_second_half();
	struct parallel_part *first = swap ? right : left, *second = swap ? left : right;
	first->hint = NULL;
	second->hint = &first->chunk;
	const int error = fl_parallel_invoke(parallel_run_part, first, parallel_run_part, second);
	parallel_set_chunk(part, second->chunk);
	return error;
}

static int parallel_split(struct parallel_part *part)
{
	part->is_whole = false;
	part->beyond = 0;
	struct parallel_part left = *part, right = *part;
	left.to = right.from = part->from + (part->to - part->from) / 2;
	if (!part->value)
		return parallel_run_halves(part, &left, &right);
	const fl_reduction *reduction = part->loop->reduction;
	_Alignas(max_align_t) unsigned char value[FL_REDUCTION_MAX];
	memcpy(value, reduction->identity, reduction->size);
	right.value = value;
	const int error = parallel_run_halves(part, &left, &right);
	if (error == 0)
		reduction->combine(part->loop->state, part->value, value);
	return error;
}

/* The shared rest. */

static bool parallel_take(struct parallel_part *part)
{
	struct parallel_loop *loop = part->loop;
	const bool back = part->workers > 0;
	FL__LOCKED(&loop->lock);
	const size_t rest = loop->to - loop->from;
	size_t least = loop->grain > 0 ? rest / FL__PARALLEL_CALLS : 0;
	if (back) /* 1 - 2 / workers of the rest; all of a rest that is less than the workers */
		least = FL__MAX(least, rest - rest / part->workers * 2);
	const size_t fits = FL__MIN(part->chunk, (rest + part->chunk) / PARALLEL_FEW + 1);
	const size_t most = FL__MAX(fits, least);
	const size_t n = parallel_align(most, rest, back ? most - loop->to : loop->from + most);
	part->from = back ? loop->to -= n : loop->from;
	part->to = part->from + n;
	if (!back)
		loop->from = part->to;
	part->beyond = rest - n;
	return n > 0;
}

static int parallel_run_shared(struct parallel_part *part)
{
	const fl_reduction *reduction = part->behind ? part->loop->reduction : NULL;
	int error = 0;
	while (error == 0 && parallel_take(part)) {
		if (reduction)
			memcpy(part->value, reduction->identity, reduction->size);
		error = parallel_run_part(part);
		if (error == 0 && reduction) {
			reduction->combine(part->loop->state, part->value, part->behind);
			memcpy(part->behind, part->value, reduction->size);
		}
	}
	return error;
}

static int parallel_run_task(fl_task_ctx *ctx, const void *arg, void *result)
{
	struct parallel_part *part = *(struct parallel_part *const *)arg;
	(void)ctx; /* its token, a child of the loop's, is the scope */
	(void)result;
	return part->workers > 0 ? parallel_run_shared(part) : parallel_run_part(part);
}

static const fl_task_type parallel_type = FL__TASK_OF_POINTER("fl__parallel", parallel_run_task);

static FL__NOINLINE int parallel_submit_rest(struct parallel_part *part)
{
	struct parallel_loop *loop = part->loop;
	const fl_reduction *reduction = loop->reduction;
	const fl_submit_config config = {.cancel = fl__ctx_get()->front.scope, .backlog_deadline = FL_NO_WAIT};
	_Alignas(max_align_t) unsigned char value[FL_REDUCTION_MAX], behind[FL_REDUCTION_MAX];
	FL_SCOPED(fl_future) *f = NULL;
	part->is_whole = false;
	struct parallel_part back = *part, *arg = &back;
	back.workers = FL__MAX(fl_executor_workers(loop->executor), 2);
	if (reduction) {
		back.value = value;
		back.behind = memcpy(behind, reduction->identity, reduction->size);
	}
	loop->from = part->from;
	loop->to = part->to;
	FL_IGNORE(fl_submit_with(loop->executor, &parallel_type, &arg, &f, &config));
	int error = parallel_run_shared(part);
	if (!f)
		return error;
	if (error != 0)
		FL_IGNORE(fl_future_cancel(f));                      /* stops its calls, too */
	FL_IGNORE(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED)); /* runs it, if it is pending */
	/* cancelled: it has taken nothing */
	if (error == 0 && fl_future_get_state(f) != FL_CANCELLED)
		error = fl_future_error(f);
	if (error == 0 && reduction)
		reduction->combine(loop->state, part->value, behind);
	return error;
}

static int parallel_run_part(void *arg)
{
	struct parallel_part *part = arg;
	const bool measured = part->loop->grain == 0;
	if (measured && part->hint)
		parallel_set_chunk(part, fl__load_relaxed(part->hint)); /* relaxed: a hint */
	const size_t all = part->to - part->from;
	size_t n = part->chunk;
	if (measured && (all > n || part->beyond == 0))
		n = FL__MIN(n, parallel_share(part) + 1);
	int64_t begun = measured ? fl__sys.now() : 0;
	const int64_t first = begun;
	int64_t *const loop_begun = &fl__thread_data()->loop_begun;
	const bool again = first - *loop_begun < 2 * PARALLEL_CHUNK;
	const int64_t least = again ? PARALLEL_CHUNK / PARALLEL_GROWTH : PARALLEL_CHUNK;
	if (part->is_whole)
		*loop_begun = first;
	for (size_t left; (left = part->to - part->from) > 0;) {
		if (parallel_is_stopped(part->loop))
			return -ECANCELED;
		const bool is_short =
		    part->is_whole && measured &&
		    begun - first <= PARALLEL_CHUNK / PARALLEL_GROWTH / 2 + least / (int64_t)(all / (all - left + 1));
		if (left > part->chunk && !is_short) {
			if (part->is_whole && part->loop->executor)
				return parallel_submit_rest(part);
			if (fl__fork_is_wanted())
				return parallel_split(part);
		}
		n = parallel_align(n, left, part->from + n);
		const int error = parallel_run_chunk(part, n);
		if (error != 0)
			return error;
		if (!measured)
			continue;
		const int64_t now = fl__sys.now();
		parallel_adapt(part, n, now - begun);
		begun = now;
		n = part->chunk;
	}
	return 0;
}

static int parallel_run_here(struct parallel_part *all, fl_cancel_token *token)
{
	FL_CANCEL_SCOPE(token);
	return parallel_run_part(all);
}

/* Only a thread executor has both FL_CAP_BY_REFERENCE and `resize`. */
static bool parallel_may_run_here(const fl_executor *e, const struct parallel_part *all)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	return e->ops->resize && fl_executor_workers(e) > 1 && !e->initialize && ctx->ops == &fl__thread_parker &&
	       !ctx->help && all->is_whole;
}

static int parallel_submit(fl_executor *e, struct parallel_part *all, fl_cancel_token *token)
{
	const fl_submit_config config = {.cancel = token};
	FL_SCOPED(fl_future) *f = NULL;
	const struct fl__patience patience = {FL_FOREVER, token};
	const bool here = parallel_may_run_here(e, all);
	if (here)
		all->loop->executor = e;
	int rc = fl__submit_waiting(e, &parallel_type, &all, 1, &f, &config, 0, here ? &fl__here : &patience);
	if (rc != 0)
		return rc;
	rc = fl_future_wait_until(f, FL_FOREVER, token);
	if (rc != 0 && fl_future_cancel(f) != 0)
		FL_IGNORE(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED)); /* the task sees the request, too */
	return fl_future_error(f);
}

static int parallel_run(fl_executor *e, struct parallel_part *all, const fl_parallel_config *config)
{
	if (!(e->ops->capabilities & FL_CAP_BY_REFERENCE))
		return -ENOTSUP;
	if (all->from >= all->to)
		return 0;
	config = FL__OR_DEFAULTS(config);
	struct parallel_loop *loop = all->loop;
	loop->grain = config->grain;
	const unsigned workers = FL__MIN(fl_executor_workers(e), PARALLEL_FEW * PARALLEL_FEW);
	loop->time = PARALLEL_CHUNK * PARALLEL_FEW / (int)FL__MAX(workers, PARALLEL_FEW);
	all->chunk = FL__MAX(loop->grain, 1);
	all->is_whole = (all->to - all->from) / all->chunk >= FL__PARALLEL_CALLS;
	fl_cancel_token token;
	fl_cancel_token_init(&token, config->cancel, config->deadline);
	int rc = fl__run_serves(e) ? parallel_run_here(all, &token) : parallel_submit(e, all, &token);
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
	fl__executor_check(e, "fl_parallel_for");
	struct parallel_loop loop = {.body = body, .state = state};
	struct parallel_part all = {.loop = &loop, .from = begin, .to = end};
	return parallel_run(e, &all, config);
}

int fl_parallel_reduce(fl_executor *e, size_t begin, size_t end, const fl_reduction *reduction, void *state,
                       void *value, const fl_parallel_config *config)
{
	fl__executor_check(e, "fl_parallel_reduce");
	if (reduction->size > FL_REDUCTION_MAX)
		return -E2BIG;
	_Alignas(max_align_t) unsigned char whole[FL_REDUCTION_MAX];
	memcpy(whole, reduction->identity, reduction->size);
	struct parallel_loop loop = {.reduction = reduction, .state = state};
	struct parallel_part all = {.loop = &loop, .from = begin, .to = end, .value = whole};
	const int rc = parallel_run(e, &all, config);
	if (rc == 0)
		memcpy(value, whole, reduction->size);
	return rc;
}
