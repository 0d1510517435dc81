/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor: one FIFO of tasks, and workers that are started when more is queued than there are workers to take it.
 *
 * All of its state is guarded by the executor's lock. A worker takes the lock once per task: it gives back the frame of the
 * task it has ended and takes the next.
 *
 * Waking. A worker without work waits on `work`; `idle` counts these. `waking` says that one of them was signalled and is
 * not yet back under the lock: then nobody signals another. Whoever takes a task and leaves others in the queue wakes the
 * next. So a submit makes at most one wake, a burst of small tasks is served by the workers that run anyway instead of a
 * herd, and
 *
 *   invariant: when the lock is free, a task is queued and a worker is idle, then `waking`.
 *
 * It holds after a submit, which signals; after a take, which signals; and after a wake, which takes or finds the queue
 * empty. `waking` is cleared by every worker that returns from a wait; a condition has no spurious wakes, and if it had,
 * the mistake is safe: one signal too many.
 *
 * Workers are never fewer than needed for progress: a submit is accepted only when there is one. A worker that waits for a
 * task of this executor runs it itself (run.c).
 */
#include "../base/sys.h"
#include "executor.h"
#include <errno.h>
#include <fairlead/thread.h>
#include <stdio.h>

struct pool {
	fl_executor base;
	fl_cond work;
	unsigned started, alive;
	unsigned starting; /* started, and not yet under the lock for their first task */
	unsigned idle;
	bool waking;
	bool joining, joined;
	char name[24];
	fl_thread *threads; /* base.workers of them, `started` in use */
};

static struct pool *pool_of(fl_executor *e)
{
	return (struct pool *)(void *)e; /* base is its first member */
}

/* Under the lock: keeps the invariant. */
static void wake_one(struct pool *p)
{
	if (p->base.queue.length == 0 || p->idle == 0 || p->waking)
		return;
	p->waking = true;
	fl_cond_signal(&p->work);
}

/* Workers. */

/* Under the lock: the next task into the frame; a cell that another has claimed is his. */
static void take(struct pool *p, struct fl__run *run)
{
	fl_executor *e = &p->base;
	struct fl__cell *cell;
	while ((cell = e->queue.head) != NULL) {
		fl__queue_remove(&e->queue, cell);
		enum fl__claim claim = fl__future_claim(&cell->future);
		if (claim != FL__CLAIM_LOST) {
			fl__run_begin(run, &cell->future, claim);
			break;
		}
		e->foreign++;
	}
	wake_one(p);
}

static bool is_over(const struct pool *p)
{
	return p->base.broken || (p->base.closed && p->base.queue.length == 0);
}

/* Under the lock. */
static void wait_for_work(struct pool *p)
{
	while (p->base.queue.length == 0 && !is_over(p)) {
		p->idle++;
		int rc = fl_cond_wait_until(&p->work, &p->base.lock, FL_FOREVER, FL_SHIELDED);
		(void)rc; /* 0: neither timed nor cancelled */
		p->idle--;
		p->waking = false;
	}
}

/*
 * Gives back what the frame has ended, and takes the next task into it. Only a worker that has nothing to give back waits:
 * the last reference to a future may run a drop hook, and is freed without the lock. False when the worker is to end.
 */
static bool next(struct pool *p, struct fl__run *run)
{
	fl_future *ended = run->future;
	bool more;
	{
		FL_LOCKED(&p->base.lock);
		if (ended)
			fl__run_end(run);
		else
			wait_for_work(p);
		more = !is_over(p);
		if (more)
			take(p, run);
	}
	fl_future_free(ended); /* the producer's reference */
	return more;
}

static int work(void *arg)
{
	struct pool *p = arg;
	struct fl__run run;
	fl__run_enter(&run, &p->base);
	char *message = NULL;
	int error = fl__executor_initialize(&p->base, &message);
	if (error != 0)
		fl__executor_initialize_failed(&p->base, error, message);
	else
		fl__message_free(message);
	{
		FL_LOCKED(&p->base.lock);
		p->starting--;
	}
	while (next(p, &run))
		if (run.future)
			fl__run_task(&run);
	fl__run_leave(&run);
	FL_LOCKED(&p->base.lock);
	p->alive--;
	if (p->alive == 0)
		fl_cond_broadcast(&p->base.gone);
	return 0; /* the unlock is the last touch of the pool */
}

/* Under the lock. */
static int start_worker(struct pool *p)
{
	char name[32];
	(void)snprintf(name, sizeof name, "%s-%u", p->name, p->started);
	const fl_thread_config config = {.name = name, .block_signals = true};
	int rc = fl_thread_start(&p->threads[p->started], work, p, &config);
	if (rc != 0)
		return rc == -ENOMEM ? rc : -EAGAIN;
	p->started++;
	p->alive++;
	p->starting++;
	return 0;
}

/* Under the lock: starts a worker if one more task is more than those who are free can take. An error: there is none. */
static int ensure_worker(struct pool *p)
{
	if (p->base.queue.length < (size_t)p->idle + p->starting || p->started == p->base.workers)
		return 0;
	int rc = start_worker(p);
	return p->started > 0 ? 0 : rc;
}

/* The interface. */

static int submit(fl_executor *e, struct fl__cell *cell)
{
	struct pool *p = pool_of(e);
	FL_LOCKED(&e->lock);
	int rc = fl__executor_refuses(e);
	if (rc == 0)
		rc = ensure_worker(p);
	if (rc != 0)
		return rc;
	fl__queue_add(&e->queue, cell);
	wake_one(p);
	return 0;
}

static void wake_all(fl_executor *e)
{
	fl_cond_broadcast(&pool_of(e)->work);
}

/* Joins the threads, which have left, or are leaving, work(). The lock is held; not while it waits. */
static int join_threads(struct pool *p, int64_t deadline, fl_cancel *cancel)
{
	int rc = 0;
	p->joining = true;
	fl_mutex_unlock(&p->base.lock);
	for (unsigned i = 0; i < p->started && rc == 0; i++) {
		rc = fl_thread_join_until(&p->threads[i], NULL, deadline, cancel);
		if (rc == -EINVAL)
			rc = 0; /* joined before, by a join that was given up */
	}
	fl_mutex_lock(&p->base.lock);
	p->joining = false;
	p->joined = rc == 0;
	fl_cond_broadcast(&p->base.gone);
	return rc;
}

static int join(fl_executor *e, int64_t deadline, fl_cancel *cancel)
{
	struct pool *p = pool_of(e);
	int rc = 0;
	while (!p->joined) {
		bool ready = p->alive == 0 && fl__executor_is_idle(e) && !p->joining;
		if (rc != 0 && !ready)
			return rc;
		if (!ready)
			rc = fl_cond_wait_until(&e->gone, &e->lock, deadline, cancel);
		else if ((rc = join_threads(p, deadline, cancel)) != 0)
			return rc;
	}
	return 0;
}

static void destroy(fl_executor *e)
{
	struct pool *p = pool_of(e);
	for (unsigned i = 0; i < e->workers; i++) {
		int rc = fl_thread_detach(&p->threads[i]);
		(void)rc; /* -EINVAL: joined or never started; in a forked child it gives back the thread's memory */
	}
	fl__executor_fini(e);
	fl__free(p->threads);
	fl__free(p);
}

static const struct fl__executor_ops ops = {
    .size = sizeof ops,
    .kind = "threads",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .submit = submit,
    .wake_all = wake_all,
    .join = join,
    .destroy = destroy,
};

int fl_thread_executor_create(fl_executor **made, const fl_executor_config *config)
{
	static const fl_executor_config defaults;
	if (!config)
		config = &defaults;
	if (config->workers > FL_WORKERS_MAX)
		return -EINVAL;
	unsigned workers = fl__executor_workers_of(config);
	struct pool *p = fl__alloc(1, sizeof *p);
	fl_thread *threads = fl__alloc(workers, sizeof *threads);
	int rc = p && threads ? fl__executor_init(&p->base, &ops, workers, config, false) : -ENOMEM;
	if (rc != 0) {
		fl__free(threads);
		fl__free(p);
		return rc;
	}
	p->threads = threads;
	(void)snprintf(p->name, sizeof p->name, "%s", config->name ? config->name : "worker");
	*made = &p->base;
	return 0;
}
