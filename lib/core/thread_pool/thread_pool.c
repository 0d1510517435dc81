/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor's interface: submit, close, cancel, join, statistics. thread_pool.h says
 * which file has what.
 */
#include "thread_pool.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../sync/thread.h"
#include "taking.h"

static void pool_ends(struct fl__run *run)
{
	/* relaxed: the wake that follows publishes the store */
	fl__store_relaxed(&((struct fl__thread_worker *)(void *)run)->doing, FL__POOL_BETWEEN);
}

/*
 * The submit under the lock: for the first task, after a start has failed, after a task has ended
 * the last worker's thread, while the injector's overflow list is not empty, and if the injector's
 * ring is full or closed.
 */
static FL__NOINLINE int pool_submit_slow(struct fl__thread_pool *p, struct fl__task_queue *injector,
                                         struct fl__task_block *block)
{
	struct fl__task_block *claimed = NULL;
	int rc;
	{
		FL__POOL_LOCKED(p);
		rc = fl__executor_refuses(&p->base);
		if (rc == 0 && p->started == FL__POOL_NO_WORKER) {
			fl__add_relaxed(&p->searching, 1);
			rc = fl__pool_start_worker(p);
			if (rc != 0)
				fl__sub_relaxed(&p->searching, 1);
		}
		if (rc == 0)
			rc = fl__backlog_add_locked(injector, block);
		if (rc == 0) {
			fl__pool_wake_locked(p);
			claimed = fl__backlog_take_claimed(&p->backlog);
		}
	}
	FL__EACH_SAFE (struct fl__task_block, taken, claimed)
		fl__task_block_free(taken);
	return rc;
}

static inline int pool_submit_to(struct fl__thread_pool *p, struct fl__task_queue *injector,
                                 struct fl__task_block *block)
{
	bool marked;
	/*
	 * acquire: pairs with the store in backlog_set_slow(). If the list was emptied, the tasks
	 * of this producer are in the ring.
	 */
	if (fl__unlikely(fl__load_acquire(&injector->slow) != 0 || !fl__task_queue_put(injector, block, &marked)))
		return pool_submit_slow(p, injector, block);
	if (fl__unlikely(marked))
		fl__pool_wake(p);
	return 0;
}

/* A submit by a worker of this executor, or of another one. */
static FL__NOINLINE int pool_submit_from_worker(struct fl__thread_pool *p, struct fl__task_block *block)
{
	const struct fl__ctx *const ctx = fl__ctx_current;
	if (ctx->worker->executor != &p->base)
		return pool_submit_to(p, fl__backlog_injector(&p->backlog, ctx->id), block);
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)ctx->worker;
	struct fl__task_queue *const injector = fl__backlog_injector(&p->backlog, w->number);
	bool marked;
	/*
	 * relaxed, both: an old value changes the order in which tasks begin, or which submit tries
	 * a failed start again. While a pool starts, the order is that of several workers, and
	 * after a resize no order is promised.
	 */
	if (!(fl__load_relaxed(&injector->slow) & FL__QUEUE_STARTUP) && fl__load_relaxed(&p->backlog.workers) > 1 &&
	    fl__local_is_open(&w->local, injector) && fl__task_queue_put(&w->local, block, &marked)) {
		if (marked) {
			fl__task_queue_list(&w->local);
			fl__pool_wake(p);
		}
		return 0;
	}
	fl__local_spill(&w->local);
	return pool_submit_to(p, injector, block);
}

static int pool_submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	const struct fl__ctx *const ctx = fl__ctx_current; /* the caller has one */
	if (fl__unlikely(ctx->worker != NULL))
		return pool_submit_from_worker(p, block);
	return pool_submit_to(p, fl__backlog_injector(&p->backlog, ctx->id), block);
}

/* The backlog is closed: no producer adds a task. */
static struct fl__task_block *pool_take_left(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	struct fl__task_block *block;
	fl__pool_hold_takes(p);
	/* an accepted put may not be published yet */
	FL__BACK_OFF_UNTIL((block = fl__backlog_take_locked(&p->backlog)) || fl__backlog_is_over(&p->backlog));
	if (!block)
		fl__pool_release_takes(p);
	return block;
}

static void pool_claimed(fl_executor *e, struct fl__task_block *block)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	fl__permit_release(e, block->permit);
	fl__add_relaxed(&p->backlog.n_claimed, 1); /* relaxed: approximate */
}

/*
 * The executor was closed, or has broken. If one more worker may be active, wakes one; else some
 * are awake. A worker without a task checks whether all tasks have ended. The last worker wakes the
 * others.
 */
static void pool_on_closed(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	fl__backlog_close(&p->backlog);
	fl__permits_close(e);
	if (p->more)
		fl__pool_wake_sleepers(p, 1);
	fl__pool_unpark(p);
}

/*
 * A worker that is awake may have a task. The last worker that goes to sleep, or ends, broadcasts
 * `gone`. When all are asleep, a task in the backlog has a wake under way.
 */
static bool pool_is_busy(const fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of((fl_executor *)e);
	/* not fl__backlog_any(): the caller's task may be behind a put that has not ended */
	return p->alive > p->idle || fl__backlog_length(&p->backlog) > 0;
}

static bool pool_has_ended(fl_executor *e)
{
	return fl__pool_of(e)->leaves == fl__pool_of(e)->starts && fl__executor_is_idle(e);
}

/* The thread that left last has joined the others. */
static int pool_join(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__executor_join_thread(e, &fl__pool_of(e)->ended, pool_has_ended, deadline, cancel);
}

FL__COLD static void pool_destroy(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	/* relaxed: the join of the agent's thread orders all else */
	if (fl__load_relaxed(&p->agent) != FL__POOL_NO_AGENT && !fl__executor_is_forked(e))
		(void)fl__sys.thread_join(p->agent_thread);
	fl__thread_detach(p->ended);
	FL__EACH_SAFE (struct fl__thread_worker, w, p->workers) {
		fl__thread_detach(w->thread);
		fl__mpmc_fini(&w->local.ring);
		fl__free(w);
	}
	fl__executor_fini(e);
	fl__backlog_fini(&p->backlog);
	if (fl__forks_are_linked())
		fl__forks_fini(&p->forks);
	fl__free(p);
}

/* Returns how many tasks in the backlog no context has claimed. */
static size_t pool_pending(const struct fl__thread_pool *p, size_t length)
{
	/* relaxed: approximate, and may be below 0 */
	const int32_t claimed = (int32_t)fl__load_relaxed(&p->backlog.n_claimed);
	return claimed <= 0 ? length : length > (size_t)claimed ? length - (size_t)claimed : 0;
}

/* May read without the lock, which ThreadSanitizer must not see. */
__attribute__((cold, no_sanitize("thread"))) static void pool_count(const fl_executor *e, fl_executor_stats *stats)
{
	struct fl__thread_pool *p = fl__pool_of((fl_executor *)(uintptr_t)e);
	stats->threads = p->alive;
	stats->idle = p->idle;
	stats->blocked = p->blocked;
	stats->waiting = p->dozing;
	stats->pending = pool_pending(p, fl__backlog_length(&p->backlog));
	stats->workers_started = p->starts;
	stats->workers_ended = p->leaves;
	stats->stolen = fl__forks_are_linked() ? fl__forks_stolen(&p->forks) : 0;
	/* acquire: pairs with the release in fl__pool_make_worker() */
	FL__EACH (const struct fl__thread_worker, w, fl__load_acquire(&p->workers)) {
		/* relaxed, all: single numbers; nothing behind the address is read */
		stats->running += fl__pool_task_of(fl__load_relaxed(&w->doing)) != NULL;
		stats->ended += fl__load_relaxed(&w->ended);
		stats->failed += fl__load_relaxed(&w->failed);
		stats->cancelled += fl__load_relaxed(&w->skipped);
	}
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
    .list_running = fl__pool_list_running,
    .claimed = pool_claimed,
    .resize = fl__pool_resize,
    .block = fl__pool_block,
    .ends = pool_ends,
    .count = pool_count,
    .describe_waits = fl__pool_describe_waits,
};

static int pool_init(struct fl__thread_pool *p, const fl_executor_config *config)
{
	const unsigned workers = fl__executor_worker_count(config);
	int rc = fl__backlog_init(&p->backlog, workers);
	if (rc != 0)
		return rc;
	fl__pool_set_started(p, FL__POOL_NO_WORKER);
	if (fl__forks_are_linked())
		fl__forks_init(&p->forks, workers, fl__pool_wake_for_forks, p);
	p->forks.has_task = fl__pool_has_task;
	rc = fl__permits_init(&p->base.permits, config);
	if (rc == 0)
		rc = fl__executor_init(&p->base, &pool_ops, workers, config, false);
	if (rc != 0)
		fl__backlog_fini(&p->backlog);
	return rc;
}

FL__COLD int fl_thread_executor_create(fl_executor **made, const fl_executor_config *config)
{
	config = FL__OR_DEFAULTS(config);
	if (!fl__executor_may_have(config->workers, FL_WORKERS_MAX, "fl_thread_executor_create") ||
	    config->idle_timeout < 0)
		return -EINVAL;
	struct fl__thread_pool *p = fl__alloc(1, sizeof *p);
	int rc = p ? pool_init(p, config) : -ENOMEM;
	if (rc != 0) {
		fl__free(p);
		return rc;
	}
	p->idle_timeout = config->idle_timeout;
	p->flags = fl__sys.membarrier() == 0 ? 0 : FL__POOL_FENCED;
	fl__pool_recount(p);
	*made = &p->base;
	return 0;
}
