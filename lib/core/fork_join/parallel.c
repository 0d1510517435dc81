/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parallel loops by fl_parallel_invoke(): lazy binary splitting (Tzannes, Caragea, Barua, Vishkin
 * 2010). A worker runs its part in chunks. Between two chunks it checks whether an idle worker
 * would find a fork to steal. If not, the worker publishes one half of the rest as a fork and goes
 * on with the other. So a range is split about as often as an idle worker steals a part.
 *
 * A chunk takes tens of microseconds once the cost of an element is known. Later elements may take
 * longer. So the first chunk is at most a share of the part, and a growth is limited by the size of
 * the chunk before and by a share of the rest. A rest of one chunk is not split. Of a split part,
 * the half that is run second begins with the chunk size that the first half has found.
 *
 * The second half of the workers run the second half of a split part first. So in a series of loops
 * over the same memory, each of two workers finds its half in its cache.
 *
 * A loop ends at the first call that fails, which claims `failed`, read by every part before a
 * chunk; or when its scope is requested. A call that then returns -ECANCELED has not failed.
 *
 * A thread that runs no task takes part in a long loop over a thread executor. The loop is a task
 * that the caller runs itself, as with FL_FULL_RUN. So a join of the executor waits for it, and a
 * body is inside of a task. The caller takes numbers from the front of `rest`. Once the other
 * numbers seem to be worth a wake, it submits a helper, which takes numbers from the back: so each
 * of the two finds its half in its cache. Of more than two workers, the helper takes large parts,
 * which it splits. Any other caller submits the whole loop as one task, and waits for it.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../exec/map.h"
#include "../future/failure.h"
#include "fork_join.h"
#include <errno.h>
#include <fairlead/parallel.h>
#include <fairlead/time.h>
#include <string.h>

/*
 * A chunk takes from LEAST / 2 to MOST, in ns. GROWTH: the largest factor of one growth. No chunk
 * grows to more than 1/SHARE of the rest.
 */
enum { PARALLEL_CHUNK_LEAST = 20000, PARALLEL_CHUNK_MOST = 80000 };
enum { PARALLEL_GROWTH = 16, PARALLEL_SHARE = 8 };
/* In ns: how long the caller runs alone at least; and the rest for which it submits a helper. */
enum { PARALLEL_ALONE = 500, PARALLEL_REST = 8000 };
/* The fewest calls of a loop in which the caller takes part: the first runs alone. */
#ifndef FL__PARALLEL_CALLS
#define FL__PARALLEL_CALLS 64
#endif

struct parallel_loop {
	int (*body)(void *state, size_t from, size_t to);
	const fl_reduction *reduction; /* in place of `body` */
	void *state;
	size_t grain;    /* 0: measured */
	uint32_t failed; /* claimed by the call that writes `error` */
	int error;
	int rc; /* of the whole loop */
	fl_executor *executor;
	fl_mutex lock;
	/* Guarded by `lock`: numbers for the caller and its helper. Both 0: the caller has no part. */
	size_t from, to;
};

struct parallel_part {
	struct parallel_loop *loop;
	size_t from, to;
	size_t beyond;      /* what was left in the loop's rest */
	size_t chunk;       /* written by the part's worker */
	const size_t *hint; /* `chunk` of the half that is run first; NULL: none */
	void *value;        /* NULL: no reduction */
	/* Of the helper's part: how many workers there are; else 0. */
	unsigned workers;
};

static int parallel_run_part(void *arg);

static void parallel_fail(struct parallel_loop *loop, int error)
{
	uint32_t none = 0;
	bool stopped = error == -ECANCELED && fl_cancel_token_is_requested(NULL);
	/* a hint to other parts; the joins order `error` */
	if (!stopped && fl__cas_relaxed(&loop->failed, &none, 1))
		loop->error = error;
}

static bool parallel_is_stopped(const struct parallel_loop *loop)
{
	return fl__load_relaxed(&loop->failed) || fl_cancel_token_is_requested(NULL); /* a hint */
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
	fl__store_relaxed(&part->chunk, chunk); /* a hint for the half that is run second */
}

/* After `n` numbers that took so long. */
static void parallel_adapt(struct parallel_part *part, size_t n, int64_t took)
{
	const size_t share = (part->to - part->from + part->beyond) / PARALLEL_SHARE;
	const size_t sure = FL__MIN(n * PARALLEL_GROWTH, share);
	const size_t fits = n * (size_t)FL__MAX(PARALLEL_CHUNK_LEAST / (took + 1), 1);
	if (took > PARALLEL_CHUNK_MOST)
		parallel_set_chunk(part, n / 2 + (n == 1));
	else if (n <= SIZE_MAX / PARALLEL_CHUNK_LEAST) /* no overflow */
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
	struct parallel_part left = *part, right = *part;
	left.beyond = right.beyond = 0;
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

static int parallel_run_part(void *arg)
{
	struct parallel_part *part = arg;
	const bool measured = part->loop->grain == 0;
	if (measured && part->hint)
		parallel_set_chunk(part, fl__load_relaxed(part->hint)); /* a hint */
	const size_t share = (part->to - part->from + part->beyond) / PARALLEL_SHARE + 1;
	size_t n = measured ? FL__MIN(part->chunk, share) : part->chunk;
	int64_t begun = measured ? fl__sys.now() : 0;
	for (size_t left; (left = part->to - part->from) > 0;) {
		if (parallel_is_stopped(part->loop))
			return -ECANCELED;
		if (left > part->chunk && fl__fork_is_wanted())
			return parallel_split(part);
		n = FL__MIN(n, left);
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

/* A caller that takes part, and its helper. */

/* False: there is no rest. */
static bool parallel_take(struct parallel_part *part)
{
	struct parallel_loop *loop = part->loop;
	FL_LOCKED(&loop->lock);
	const size_t rest = loop->to - loop->from;
	size_t n = FL__MIN(part->chunk, rest);
	if (part->workers > 0) {
		n = FL__MAX(n, rest / part->workers * (part->workers - 2));
		part->to = loop->to;
		part->from = loop->to -= n;
	} else {
		part->from = loop->from;
		part->to = loop->from += n;
	}
	part->beyond = rest - n;
	return n > 0;
}

struct parallel_helper {
	struct parallel_part part;
	/* `part.value`, of the numbers just taken; and of those behind */
	_Alignas(max_align_t) unsigned char value[FL_REDUCTION_MAX], behind[FL_REDUCTION_MAX];
};

static int parallel_run_helper(fl_task_ctx *ctx, const void *arg, void *result)
{
	struct parallel_helper *helper = *(struct parallel_helper *const *)arg;
	struct parallel_part *part = &helper->part;
	const fl_reduction *reduction = part->loop->reduction;
	(void)ctx;
	(void)result;
	while (parallel_take(part)) {
		if (reduction)
			memcpy(helper->value, reduction->identity, reduction->size);
		const int error = parallel_run_part(part);
		if (error != 0)
			return error;
		if (reduction) {
			reduction->combine(part->loop->state, helper->value, helper->behind);
			memcpy(helper->behind, helper->value, reduction->size);
		}
	}
	return 0;
}

static const fl_task_type parallel_helper_type = {
    .size = sizeof(fl_task_type),
    .name = "fl__parallel_helper",
    .run = parallel_run_helper,
    .arg_size = sizeof(struct parallel_helper *),
    .arg_align = _Alignof(struct parallel_helper *),
};

/* For a loop of `n` numbers, of which `done` were run since `begun`. */
static bool parallel_wants_helper(const struct parallel_part *part, size_t n, size_t done, int64_t begun)
{
	if (part->loop->grain > 0)
		return part->beyond > 0;
	return fl__sys.now() - begun > PARALLEL_ALONE + PARALLEL_REST / (int64_t)(n / (done + 1));
}

static int parallel_run_front(struct parallel_part *part)
{
	struct parallel_loop *loop = part->loop;
	const fl_reduction *reduction = loop->reduction;
	const size_t begin = loop->from, n = loop->to - begin;
	const fl_submit_config config = {.cancel = fl__ctx_get()->front.scope, .backlog_deadline = FL_NO_WAIT};
	struct parallel_helper helper, *arg = &helper;
	FL_SCOPED(fl_future) *f = NULL;
	const int64_t begun = fl__sys.now();
	int error = 0;
	while (error == 0 && parallel_take(part)) {
		if (!f && parallel_wants_helper(part, n, part->from - begin, begun)) {
			helper.part = *part;
			helper.part.workers = FL__MAX(fl_executor_workers(loop->executor), 2);
			if (reduction) {
				helper.part.value = helper.value;
				memcpy(helper.behind, reduction->identity, reduction->size);
			}
			/* without a helper the caller goes on alone */
			FL_IGNORE(fl_submit_with(loop->executor, &parallel_helper_type, &arg, &f, &config));
		}
		error = parallel_run_part(part);
	}
	if (!f)
		return error;
	if (error != 0)
		FL_IGNORE(fl_future_cancel(f));                      /* the helper's calls see the request */
	FL_IGNORE(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED)); /* runs a helper that was not begun */
	/* a cancelled helper has taken no numbers */
	if (error == 0 && fl_future_get_state(f) != FL_CANCELLED)
		error = fl_future_error(f);
	if (error == 0 && reduction)
		reduction->combine(loop->state, part->value, helper.behind);
	return error;
}

/* The whole loop. */

static int parallel_run_root(fl_task_ctx *ctx, const void *arg, void *result)
{
	struct parallel_part *all = *(struct parallel_part *const *)arg;
	(void)ctx; /* its token, a child of the loop's, is the scope */
	(void)result;
	all->loop->rc = all->loop->to > 0 ? parallel_run_front(all) : parallel_run_part(all);
	return 0;
}

static const fl_task_type parallel_root_type = {
    .size = sizeof(fl_task_type),
    .name = "fl__parallel",
    .run = parallel_run_root,
    .arg_size = sizeof(struct parallel_part *),
    .arg_align = _Alignof(struct parallel_part *),
};

static int parallel_run_here(struct parallel_part *all, fl_cancel_token *token)
{
	FL_CANCEL_SCOPE(token);
	all->loop->rc = parallel_run_part(all);
	return 0;
}

/*
 * Only a thread executor has both FL_CAP_BY_REFERENCE and `resize`. One worker runs one call at a
 * time. With an initializer, the calls need a worker.
 */
static bool parallel_may_take_part(const fl_executor *e, const struct parallel_part *all)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	return e->ops->resize && fl_executor_workers(e) > 1 && !e->initialize && ctx->ops == &fl__thread_parker &&
	       !ctx->help && (all->to - all->from) / all->chunk >= FL__PARALLEL_CALLS;
}

/* Sets loop->rc and returns 0, or returns why the loop did not run. */
static int parallel_submit(fl_executor *e, struct parallel_part *all, fl_cancel_token *token)
{
	const fl_submit_config config = {.cancel = token};
	FL_SCOPED(fl_future) *f = NULL;
	const struct fl__patience patience = {0, token};
	const bool here = parallel_may_take_part(e, all);
	if (here) {
		all->loop->from = all->from;
		all->loop->to = all->to;
	}
	int rc = fl__submit_waiting(e, &parallel_root_type, &all, 1, &f, &config, 0, here ? &fl__here : &patience);
	if (rc != 0)
		return rc;
	rc = fl_future_wait_until(f, FL_FOREVER, token);
	if (rc != 0 && fl_future_cancel(f) != 0)
		FL_IGNORE(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED)); /* the task sees the request, too */
	return fl_future_get_state(f) == FL_CANCELLED ? -ECANCELED : fl_future_error(f);
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
	all->chunk = FL__MAX(loop->grain, 1);
	fl_cancel_token token;
	fl_cancel_token_init(&token, config->cancel, config->deadline ? config->deadline : FL_FOREVER);
	int rc = fl__run_serves(e) ? parallel_run_here(all, &token) : parallel_submit(e, all, &token);
	fl_cancel_token_destroy(&token);
	if (rc == 0)
		rc = loop->rc;
	if (loop->failed && config->error)
		*config->error = loop->error;
	if (loop->failed)
		return fl__failure_store(FL__NO_INDEX, loop->error, "");
	return rc == -ECANCELED ? fl__why_stopped(config->deadline, config->cancel) : rc;
}

int fl_parallel_for(fl_executor *e, size_t begin, size_t end, int (*body)(void *state, size_t from, size_t to),
                    void *state, const fl_parallel_config *config)
{
	fl__executor_check(e, "fl_parallel_for");
	struct parallel_loop loop = {.body = body, .state = state, .executor = e};
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
	struct parallel_loop loop = {.reduction = reduction, .state = state, .executor = e};
	struct parallel_part all = {.loop = &loop, .from = begin, .to = end, .value = whole};
	const int rc = parallel_run(e, &all, config);
	if (rc == 0)
		memcpy(value, whole, reduction->size);
	return rc;
}
