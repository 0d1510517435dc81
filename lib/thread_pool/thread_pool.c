/* SPDX-License-Identifier: BSD-2-Clause */
/* The executor interface of the thread executor. pool.h says what is where. */
#include "thread_pool.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <errno.h>
#include <stdio.h>

static struct fl__pool *pool_of(fl_executor *e)
{
	return (struct fl__pool *)(void *)e; /* base is its first member */
}

static int start_first(struct fl__pool *p)
{
	FL_LOCKED(&p->base.lock);
	int rc = fl__executor_refuses(&p->base);
	if (rc != 0 || p->started > 0)
		return rc;
	fl__add_relaxed(&p->searching, 1);
	rc = fl__pool_start_worker(p);
	if (rc != 0)
		fl__sub_relaxed(&p->searching, 1);
	return rc;
}

/* For a task that the ring refuses: the ring is full or closed, or tasks are in the list. */
static int submit_locked(struct fl__pool *p, struct fl__task_block *block, struct fl__task_block **dead)
{
	FL_LOCKED(&p->base.lock);
	int rc = fl__executor_refuses(&p->base);
	if (rc != 0)
		return rc;
	rc = fl__backlog_add_locked(&p->backlog, block);
	if (rc != 0)
		return rc;
	fl__pool_wake_locked(p);
	*dead = fl__backlog_take_dead(&p->backlog);
	for (const struct fl__task_block *each = *dead; each; each = each->next)
		p->base.foreign++;
	return 0;
}

static int submit_slow(struct fl__pool *p, struct fl__task_block *block)
{
	struct fl__task_block *dead = NULL;
	int rc = submit_locked(p, block, &dead);
	for (struct fl__task_block *next; dead; dead = next) {
		next = dead->next;
		fl__task_block_part(dead);
	}
	return rc;
}

static int submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__pool *p = pool_of(e);
	int rc = 0;
	bool marked = false;
	/* relaxed: a single number */
	if (__builtin_expect(fl__load_relaxed(&p->started) == 0, 0))
		rc = start_first(p);
	if (rc != 0)
		return rc;
	rc = fl__backlog_add(&p->backlog, block, &marked);
	if (__builtin_expect(rc != 0, 0))
		return submit_slow(p, block);
	/* relaxed: a worker in its initializer looks for tasks afterwards */
	if (marked || __builtin_expect(fl__load_relaxed(&p->initializing) > 0, 0))
		fl__pool_wake(p);
	return 0;
}

static struct fl__task_block *take_left(fl_executor *e)
{
	struct fl__pool *p = pool_of(e);
	for (unsigned round = 0;; round++) {
		struct fl__task_block *block = fl__backlog_take_locked(&p->backlog);
		if (block || fl__backlog_is_over(&p->backlog))
			return block;
		fl__back_off(round); /* an accepted put is not yet published */
	}
}

static void list_running(fl_executor *e, struct fl__queue *running)
{
	struct fl__pool *p = pool_of(e);
	for (struct fl__worker *w = p->workers; w; w = w->next) {
		fl_future *f;
		for (unsigned round = 0; (f = fl__load_acquire(&w->running)) == &fl__pool_taking; round++)
			fl__back_off(round); /* the load pairs with take() */
		if (!f || !fl__future_ref_running(f))
			continue;
		struct fl__task_block *block = fl__task_block_of(f);
		/*
		 * a `queued` task is in a list, with a reference: it was, or will be, asked to stop
		 * there
		 */
		if (!block->queued || !fl__future_free_shared(f))
			fl__queue_add(running, block);
	}
}

static void died(fl_executor *e, const struct fl__task_block *block)
{
	fl__add_relaxed(&pool_of(e)->backlog.dead, 1); /* relaxed: approximate */
	fl__place_give(e, block->place);
}

static bool dig(fl_executor *e, struct fl__task_block *block)
{
	struct fl__pool *p = pool_of(e);
	const bool found = fl__backlog_dig(&p->backlog, block);
	if (found)
		fl__sub_relaxed(&p->backlog.dead, 1); /* relaxed: approximate */
	if (p->backlog.early.head)
		fl__pool_wake_locked(p);
	return found;
}

/*
 * Closed: wakes a worker, which checks whether all is done. The last worker wakes the others. If no
 * more worker may be active, an active one checks.
 */
static void wake_all(fl_executor *e)
{
	struct fl__pool *p = pool_of(e);
	fl__backlog_close(&p->backlog);
	fl__places_give_up(e);
	if (p->more)
		fl__pool_wake_sleepers(p, 1);
}

/*
 * Joins the thread that left last, which joins the others. Called with the lock, which it releases
 * while it waits.
 */
static int join_last(struct fl__pool *p, int64_t deadline, fl_cancel_token *cancel)
{
	p->joining = true;
	fl_mutex_unlock(&p->base.lock);
	int rc = fl_thread_join_until(&p->ended, NULL, deadline, cancel);
	if (rc == -EINVAL)
		rc = 0; /* there was none */
	fl_mutex_lock(&p->base.lock);
	p->joining = false;
	p->joined = rc == 0;
	fl_cond_broadcast(&p->base.gone);
	return rc;
}

static int fl__pool_join(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__pool *p = pool_of(e);
	int rc = 0;
	while (!p->joined) {
		bool ready = p->threads == 0 && fl__executor_is_idle(e) && !p->joining;
		if (rc != 0 && !ready)
			return rc;
		if (!ready)
			rc = fl_cond_wait_until(&e->gone, &e->lock, deadline, cancel);
		else if ((rc = join_last(p, deadline, cancel)) != 0)
			return rc;
	}
	return 0;
}

static void destroy(fl_executor *e)
{
	struct fl__pool *p = pool_of(e);
	int rc = fl_thread_detach(&p->ended);
	for (struct fl__worker *next, *w = p->workers; w; w = next) {
		next = w->next;
		rc = fl_thread_detach(&w->thread);
		fl__free(w);
	}
	/* -EINVAL: joined or never started. In a forked child this frees the thread's memory. */
	(void)rc;
	fl__backlog_fini(&p->backlog);
	fl__forks_fini(&p->forks);
	fl__executor_fini(e);
	fl__free(p);
}

static void add_counts(fl_executor *e, fl_executor_stats *stats)
{
	struct fl__pool *p = pool_of(e);
	const size_t length = fl__backlog_length(&p->backlog);
	/* relaxed: approximate, may be below 0 */
	const int32_t dead = (int32_t)fl__load_relaxed(&p->backlog.dead);
	stats->threads = p->alive;
	stats->idle = p->idle;
	stats->blocked = p->blocked;
	stats->waiting = dead <= 0 ? length : length > (size_t)dead ? length - (size_t)dead : 0;
	stats->started = p->starts;
	stats->stolen = fl__forks_taken(&p->forks);
	for (struct fl__worker *w = p->workers; w; w = w->next) {
		/* relaxed: single numbers; a worker raises `skipped` before `begun` */
		const size_t begun = fl__load_relaxed(&w->begun), skipped = fl__load_relaxed(&w->skipped);
		stats->ran += skipped < begun ? begun - skipped : 0;
		stats->unbegun += skipped;
	}
}

static const struct fl__executor_ops ops = {
    .size = sizeof ops,
    .kind = "threads",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .submit = submit,
    .wake_all = wake_all,
    .join = fl__pool_join,
    .destroy = destroy,
    .take = take_left,
    .list_running = list_running,
    .died = died,
    .dig = dig,
    .resize = fl__pool_resize,
    .block = fl__pool_block,
    .count = add_counts,
};

static int init(struct fl__pool *p, unsigned workers, const fl_executor_config *config)
{
	int rc = fl__backlog_init(&p->backlog);
	if (rc != 0)
		return rc;
	fl__forks_init(&p->forks, workers, fl__pool_wake_for_forks, p);
	p->forks.has_task = fl__pool_has_task;
	rc = fl__places_init(&p->base.places, config, workers);
	if (rc == 0)
		rc = fl__executor_init(&p->base, &ops, workers, config, false);
	if (rc != 0)
		fl__backlog_fini(&p->backlog);
	return rc;
}

int fl_thread_executor_create(fl_executor **made, const fl_executor_config *config)
{
	static const fl_executor_config defaults;
	if (!config)
		config = &defaults;
	if (config->workers > FL_WORKERS_MAX || config->idle_timeout < 0)
		return -EINVAL;
	const unsigned workers = fl__executor_workers_of(config);
	struct fl__pool *p = fl__alloc(1, sizeof *p);
	int rc = p ? init(p, workers, config) : -ENOMEM;
	if (rc != 0) {
		fl__free(p);
		return rc;
	}
	p->idle_timeout = config->idle_timeout;
	p->crowded = fl__sys.membarrier() == 0 ? 0 : FL__POOL_FENCED;
	fl__pool_recount(p);
	(void)snprintf(p->name, sizeof p->name, "%s", config->name ? config->name : "worker");
	*made = &p->base;
	return 0;
}
