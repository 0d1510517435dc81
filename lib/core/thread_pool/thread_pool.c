/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor's interface: submit, close, cancel, join, statistics. thread_pool.h says which
 * file has what.
 */
#include "thread_pool.h"
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../sync/thread.h"
#include "taking.h"
#include <errno.h>

static void pool_ends(struct fl__run *run)
{
	/* the wake that follows publishes the store */
	fl__store_relaxed(&((struct fl__thread_worker *)(void *)run)->running, &fl__pool_between);
}

/*
 * For a task that the ring refuses (it is full or closed, or `late` has tasks), for the first task,
 * and for a task after a start that failed.
 */
static FL__NOINLINE int pool_submit_slow(struct fl__thread_pool *p, struct fl__task_block *block)
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
			rc = fl__backlog_add_locked(&p->backlog, block);
		if (rc == 0) {
			fl__pool_wake_locked(p);
			claimed = fl__backlog_take_claimed(&p->backlog);
		}
	}
	FL__EACH_SAFE (struct fl__task_block, taken, claimed)
		fl_future_free(&taken->future); /* the producer's reference */
	return rc;
}

static int pool_submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	bool marked;
	/*
	 * `started`: a single number. A producer that has added to `late` sees its own store to
	 * `overflowing`; only its tasks have an order.
	 */
	if (fl__unlikely((fl__load_relaxed(&p->started) | fl__load_relaxed(&p->backlog.overflowing)) != 0 ||
	                 !fl__backlog_put(&p->backlog, block, &marked)))
		return pool_submit_slow(p, block);
	/* a worker in its initializer looks for tasks afterwards */
	if (fl__unlikely((marked | fl__load_relaxed(&p->initializing)) != 0))
		fl__pool_wake(p);
	return 0;
}

static struct fl__task_block *pool_take_left(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	struct fl__task_block *block;
	/* an accepted put may not be published yet */
	FL__BACK_OFF_UNTIL((block = fl__backlog_take_locked(&p->backlog)) || fl__backlog_is_over(&p->backlog));
	return block;
}

static void pool_claimed(fl_executor *e, struct fl__task_block *block)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	fl__permit_release(e, block->permit);
	fl__add_relaxed(&p->backlog.n_claimed, 1); /* relaxed: approximate */
}

/* Closed: wakes a worker, which checks whether all tasks have ended. The last wakes the others. */
static void pool_wake_all(fl_executor *e)
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
	return p->alive > p->idle || fl__backlog_any(&p->backlog);
}

static bool pool_has_ended(fl_executor *e)
{
	return fl__pool_of(e)->leaves == fl__pool_of(e)->starts && fl__executor_is_idle(e);
}

/* The thread that left last has joined the others. */
static int fl__thread_pool_join(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__executor_join_thread(e, &fl__pool_of(e)->ended, pool_has_ended, deadline, cancel);
}

FL__COLD static void pool_destroy(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	/* the join of the thread orders the rest */
	if (fl__load_relaxed(&p->agent) != FL__POOL_NO_AGENT && !fl__executor_is_forked(e))
		(void)fl__sys.thread_join(p->agent_thread);
	fl__thread_detach(p->ended);
	FL__EACH_SAFE (struct fl__thread_worker, w, p->workers) {
		fl__thread_detach(w->thread);
		fl__free(w);
	}
	fl__executor_fini(e);
	fl__backlog_fini(&p->backlog);
	if (fl__forks_are_linked())
		fl__forks_fini(&p->forks);
	fl__free(p);
}

/* How many tasks in the backlog no context has claimed. */
static size_t pool_pending(const struct fl__thread_pool *p, size_t length)
{
	/* approximate, may be below 0 */
	const int32_t claimed = (int32_t)fl__load_relaxed(&p->backlog.n_claimed);
	return claimed <= 0 ? length : length > (size_t)claimed ? length - (size_t)claimed : 0;
}

/* May read without the lock, which ThreadSanitizer must not see. */
__attribute__((cold, no_sanitize("thread"))) static void pool_count(const fl_executor *e, fl_executor_stats *stats)
{
	struct fl__thread_pool *p = fl__pool_of((fl_executor *)(uintptr_t)e);
	const struct fl__backlog *b = &p->backlog;
	stats->threads = p->alive;
	stats->idle = p->idle;
	stats->blocked = p->blocked;
	stats->waiting = p->dozing;
	stats->pending = pool_pending(p, fl_mpmc_length(&p->backlog.ring) + b->late.length);
	stats->workers_started = p->starts;
	stats->workers_ended = p->leaves;
	stats->stolen = fl__forks_are_linked() ? fl__forks_stolen(&p->forks) : 0;
	/* pairs with fl__pool_make_worker() */
	FL__EACH (const struct fl__thread_worker, w, fl__load_acquire(&p->workers)) {
		/* single numbers; nothing behind the pointer is read */
		const fl_future *const running = fl__load_relaxed(&w->running);
		stats->running += running && running != &fl__pool_taking && running != &fl__pool_between;
		stats->ended += fl__load_relaxed(&w->ended);
		stats->failed += fl__load_relaxed(&w->failed);
		stats->cancelled += fl__load_relaxed(&w->skipped);
	}
}

static const struct fl__executor_ops pool_ops = {
    .kind = "threads",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .submit = pool_submit,
    .wake_all = pool_wake_all,
    .join = fl__thread_pool_join,
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
	int rc = fl__backlog_init(&p->backlog);
	if (rc != 0)
		return rc;
	p->started = FL__POOL_NO_WORKER;
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
	p->crowded = fl__sys.membarrier() == 0 ? 0 : FL__POOL_FENCED;
	fl__pool_recount(p);
	*made = &p->base;
	return 0;
}
