/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor's interface: submit, close, cancel, join, statistics. thread_pool.h lists
 * the other files.
 */
#include "thread_pool.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../sync/thread.h"

/*
 * The part of a submit under the lock, for the first task of the executor and after a close.
 * Returns 0 if the caller may try again.
 */
FL__COLD static int pool_submit_slow(struct fl__thread_pool *p)
{
	FL__POOL_LOCKED(p);
	int rc = fl__executor_refuses(&p->base);
	if (rc == 0 && p->alive == 0)
		rc = fl__pool_start_worker(p);
	if (rc == 0)
		(void)fl__and_release(&p->state, ~(uint32_t)FL__POOL_COLD); /* release: the start, for reports */
	return rc;
}

static inline int pool_submit_to(struct fl__thread_pool *p, struct fl__injector *q, struct fl__task_block *block)
{
	uint32_t state;
	for (;;) {
		fl__lock(&q->lock);
		state = fl__load_relaxed(&p->state); /* relaxed, because of q->lock: "No task is overlooked" */
		const bool may = fl__likely(!(state & (FL__POOL_COLD | FL__POOL_CLOSED)));
		if (may && fl__likely(fl__injector_add(&p->backlog, q, block)))
			break;
		const size_t slots = q->mask + 1;
		fl__unlock(&q->lock);
		const int rc = may ? fl__injector_grow(q, slots) : pool_submit_slow(p);
		if (rc != 0)
			return rc;
	}
	fl__unlock(&q->lock);
	if (fl__unlikely(fl__pool_needs_notify(state)))
		fl__pool_notify(p);
	return 0;
}

/* A submit by a worker of this or another executor. */
static FL__NOINLINE int pool_submit_from_worker(struct fl__thread_pool *p, struct fl__task_block *block)
{
	const struct fl__ctx *const ctx = fl__ctx_current;
	uint64_t producer = ctx->id;
	if (ctx->worker->executor == &p->base) {
		struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)ctx->worker;
		producer = w->number;
		/* relaxed, both: single words; a submit after the close returned sees CLOSED */
		if (fl__load_relaxed(&p->base.workers) > 1 && !(fl__load_relaxed(&p->state) & FL__POOL_CLOSED) &&
		    fl__local_put(&w->local, block)) {
			if (fl__pool_needs_notify(fl__load_seq_cst(&p->state))) /* seq_cst: "No task is overlooked" */
				fl__pool_notify(p);
			return 0;
		}
	}
	return pool_submit_to(p, fl__backlog_injector(&p->backlog, producer), block);
}

static int pool_submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	const struct fl__ctx *const ctx = fl__ctx_current; /* the caller has one */
	if (fl__unlikely(ctx->worker != NULL))
		return pool_submit_from_worker(p, block);
	return pool_submit_to(p, fl__backlog_injector(&p->backlog, ctx->id), block);
}

/* No producer adds a task meanwhile, because the executor is closed. */
FL__COLD static struct fl__task_block *pool_take_left(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	/* seq_cst: "A cancel" */
	if (!(fl__load_relaxed(&p->state) & FL__POOL_HALTED)) /* relaxed: under the lock */
		(void)fl__or_seq_cst(&p->state, FL__POOL_HALTED);
	struct fl__task_block *block = fl__backlog_take_any(&p->backlog);
	FL__EACH (struct fl__thread_worker, w, p->workers)
		while (!block && !fl__local_is_empty(&w->local))
			if (fl__local_take(&w->local, &block, 1, false) == 0)
				block = NULL;
	return block;
}

FL__COLD static void pool_list_running(fl_executor *e, struct fl__task_list *running)
{
	FL__EACH (struct fl__thread_worker, w, fl__pool_of(e)->workers) {
		fl_future *const f = fl__load_seq_cst(&w->doing); /* seq_cst: "A cancel" */
		if (!f || !fl__future_try_ref(f))
			continue;
		struct fl__task_block *block = fl__task_block_of(f);
		/* a `queued` task is in the list of another cancel, which cancels its token */
		if (!block->queued || !fl__future_free_shared(f))
			fl__task_list_add(running, block);
	}
}

static void pool_claimed(fl_executor *e, struct fl__task_block *block)
{
	fl__permit_release(e, block->permit);
	if (fl__backlog_remove(&fl__pool_of(e)->backlog, block))
		fl__task_block_free(block);
}

/*
 * Called after the executor was closed or has broken. An active worker notices this before it
 * sleeps. If there is none, wakes one, which ends the others.
 */
FL__COLD static void pool_on_closed(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	/* release: the close. A submit in progress holds an injector's lock, or sees it. */
	(void)fl__or_release(&p->state, FL__POOL_CLOSED);
	fl__permits_close(e);
	if (p->active == 0)
		fl__pool_wake(p, 1);
	fl__pool_unpark(p);
}

/*
 * An active worker may have a task. The last worker that goes to sleep or ends broadcasts `gone`.
 * If all sleep and the backlog has a task, a wake is under way.
 */
static bool pool_is_busy(const fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of((fl_executor *)e);
	return p->active + p->blocked > 0 || fl__pool_has_task(p);
}

static bool pool_has_ended(fl_executor *e)
{
	return fl__pool_of(e)->leaves == fl__pool_of(e)->starts && fl__executor_is_idle(e);
}

/* Joins only the thread that left last, which has joined the others. */
FL__COLD static int pool_join(fl_executor *e, fl_time deadline, fl_cancel_token *cancel) FL_REQUIRES(e->lock)
{
	return fl__executor_join_thread(e, &fl__pool_of(e)->ended, pool_has_ended, deadline, cancel);
}

FL__COLD static void pool_destroy(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	fl__thread_detach(p->ended);
	FL__EACH_SAFE (struct fl__thread_worker, w, p->workers) {
		fl__thread_detach(w->thread);
		fl__free(w);
	}
	fl__backlog_fini(&p->backlog);
	if (fl__forks_are_linked())
		fl__forks_fini(&p->forks);
	fl__executor_fini(e);
}

/* May read without the lock, which ThreadSanitizer must not see. */
__attribute__((cold, no_sanitize("thread"))) static void pool_count(const fl_executor *e, fl_stats_executor *stats)
{
	struct fl__thread_pool *p = fl__pool_of((fl_executor *)(uintptr_t)e);
	stats->threads = p->alive;
	stats->idle = p->alive - FL__MIN(p->alive, p->active + p->blocked - p->guests);
	stats->blocked = p->blocked;
	stats->waiting = p->waiting;
	stats->pending = fl__pool_length(p);
	stats->workers_started = p->starts;
	stats->workers_ended = p->leaves;
	stats->stolen = fl__forks_are_linked() ? fl__forks_stolen(&p->forks) : 0;
	/* acquire: pairs with the release in fl__pool_make_worker() */
	FL__EACH (const struct fl__thread_worker, w, fl__load_acquire(&p->workers)) {
		/* relaxed, all: single numbers; nothing behind the address is read */
		stats->running += fl__load_relaxed(&w->doing) != NULL;
		stats->ended += fl__load_relaxed(&w->ended);
		stats->failed += fl__load_relaxed(&w->failed);
		stats->cancelled += fl__load_relaxed(&w->skipped);
	}
}

static unsigned pool_number(const struct fl__run *run)
{
	return ((const struct fl__thread_worker *)(const void *)run)->place - 1;
}

static const struct fl__executor_ops pool_ops = {
    .kind = "threads",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .submit = pool_submit,
    .on_closed = pool_on_closed,
    .join = pool_join,
    .is_busy = pool_is_busy,
    .destroy = pool_destroy,
    .take_oldest = pool_take_left,
    .list_running = pool_list_running,
    .claimed = pool_claimed,
    .run_newest = fl__pool_run_newest,
    .is_stuck = fl__pool_is_stuck,
    .resize = fl__pool_resize,
    .number = pool_number,
    .block = fl__pool_block,
    .depend = fl__pool_depend,
    .count = pool_count,
    .describe_waits = fl__pool_describe_waits,
};

static int pool_init(struct fl__thread_pool *p, const fl_executor_config *config)
{
	const unsigned workers = fl__executor_worker_count(config);
	int rc = fl__backlog_init(&p->backlog, workers);
	if (rc != 0)
		return rc;
	if (fl__forks_are_linked())
		fl__forks_init(&p->forks, workers, fl__pool_wake_for_forks, p);
	p->forks.has_task = fl__pool_seems_to_have_task;
	rc = fl__permits_init(&p->base.permits, config);
	if (rc == 0)
		rc = fl__executor_init(&p->base, &pool_ops, workers, config);
	if (rc != 0)
		fl__backlog_fini(&p->backlog);
	return rc;
}

FL__COLD int fl_thread_executor_create(fl_executor **made, const fl_executor_config *config)
{
	config = FL__OR_DEFAULTS(config);
	if (!fl__executor_may_have(config->workers, FL_WORKERS_MAX, "fl_thread_executor_create") ||
	    !fl__executor_may_have(config->workers_max, FL_WORKERS_MAX, "fl_thread_executor_create") ||
	    config->idle_timeout < 0 ||
	    (config->workers_max > 0 && config->workers_max < fl__executor_worker_count(config)))
		return -EINVAL;
	struct fl__thread_pool *p = fl__alloc(1, sizeof *p);
	int rc = p ? pool_init(p, config) : -ENOMEM;
	if (rc != 0) {
		fl__free(p);
		return rc;
	}
	p->idle_timeout = config->idle_timeout;
	p->stack_size = config->stack_size;
	p->state = FL__POOL_COLD;
	p->most = config->workers_max > p->base.workers ? config->workers_max : 0;
	fl__pool_count(p, 0, 0);
	*made = &p->base;
	return 0;
}
