/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many workers there are. thread_pool.h explains the counts, and why no task is overlooked.
 *
 *   word        meaning                                    changed
 *   starts,     threads ever started; threads that         under the lock: +1 by a start, and by a
 *   leaves      have left                                  thread that leaves
 *   over        no more task comes, and workers end        under the lock; never cleared
 *   ended       the thread that left last; it joins the    under the lock, by a leaving thread;
 *               thread that left before it                 without the lock, by the join after the
 *                                                          last thread has left
 *   vacant      workers without a thread                   under the lock
 *   workers     all workers, the newest first; none is     under the lock; read without the lock
 *               ever removed
 *   sits        a worker counts as blocked because of a    under the lock, by the worker
 *               wait (fl__pool_wait())
 *   waiting     active workers that have slept for some    by the worker
 *               time in a wait of their task
 *   reported    the log has said that all workers wait     under the lock; never cleared
 *
 * A worker is started if a task comes, MORE is set, and no worker searches or sleeps. The first
 * submit starts one before it adds its task. So if no worker can be started, a submit fails only if
 * there is no worker at all. If a later start fails, the next submit tries again.
 *
 * After a blocking section there may be one active worker too many. Then CROWDED is set, and the
 * next worker that looks for a task goes to sleep. While too many workers are alive, a worker ends
 * after it has slept for a second.
 *
 * Waits of workers. fairlead/blocking.h says which waits count as blocked, and fl__run_block() the
 * exception. With `workers_max`, any other wait of a task also counts as blocked once it has lasted
 * for 5 ms: fl__pool_wait(). The worker may then hold locks of the user's allocator, so it only
 * tries the executor's lock. For the same reason it does not start a thread, but wakes a spare
 * worker, which sleeps for this purpose. There is a spare worker as long as more threads may be
 * started.
 *
 * Signals. A thread starts with all signals blocked except those of faults, and then sets the
 * signal mask of the executor's creator. The kernel delivers a process's signal to the main thread
 * unless the main thread blocks it (docs/decisions/worker-signals.md).
 */
#include "../base/atomic.h"
#include "../base/awaited.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../sync/thread.h"
#include "thread_pool.h"
#include <limits.h>
#include <pthread.h>
#include <stdio.h>

void fl__pool_count(struct fl__thread_pool *p, int active, int searching)
{
	p->active += (unsigned)active;
	const bool may_grow = p->blocked > 0 || p->base.running_now > p->guests || p->base.foreign > 0;
	const unsigned workers = may_grow ? FL__MAX(p->base.workers, p->depending + 1) : p->base.workers;
	/* A thread that blocks needs another one, and there are at most FL_WORKERS_MAX. */
	const bool more = p->active < workers && p->active + p->blocked < FL_WORKERS_MAX;
	const bool crowded = p->active > workers || p->active + p->blocked > FL_WORKERS_MAX;
	const uint32_t flags = (more ? FL__POOL_MORE : 0) | (crowded ? FL__POOL_CROWDED : 0);
	/* relaxed: these two flags change under the lock */
	const uint32_t before = fl__load_relaxed(&p->state) & (FL__POOL_MORE | FL__POOL_CROWDED);
	const uint32_t change = flags - before + (uint32_t)searching * FL__POOL_SEARCHES;
	if (change != 0)
		fl__add_seq_cst(&p->state, change); /* seq_cst: "No task is overlooked" */
	if (p->active + p->blocked == 0)
		fl__executor_tell_if_idle(&p->base);
}

void fl__pool_take_place(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	/* relaxed: CROWDED changes under the lock */
	if (w->place != 0 || (fl__load_relaxed(&p->state) & FL__POOL_CROWDED))
		return;
	/* one is free, because at most FL_WORKERS_MAX workers are active or blocked */
	w->place = 1 + fl__numbers_add_lowest(&p->places);
}

void fl__pool_give_place(struct fl__thread_worker *w)
{
	if (w->place == 0)
		return;
	fl__numbers_remove(&w->pool->places, w->place - 1);
	w->place = 0;
}

void fl__pool_wake(struct fl__thread_pool *p, size_t n)
{
	const int woken = (int)fl__wait_queue_take(&p->sleepers, n);
	fl__pool_count(p, woken, woken);
}

void fl__pool_notify_locked(struct fl__thread_pool *p)
{
	/* relaxed: MORE changes under the lock; a search that ends later checks the queues */
	if (!fl__pool_needs_notify(fl__load_relaxed(&p->state)) || p->over)
		return;
	/* any other worker's sleep has expired, and it checks the queues before it ends */
	const bool none_wakes = p->alive == p->active + p->blocked - p->guests;
	if (p->sleepers.first)
		fl__pool_wake(p, 1);
	else if (!p->base.broken && none_wakes)
		(void)fl__pool_start_worker(p);
}

FL__NOINLINE void fl__pool_notify(struct fl__thread_pool *p)
{
	FL__POOL_LOCKED(p);
	fl__pool_notify_locked(p);
}

bool fl__pool_has_task(struct fl__thread_pool *p)
{
	if (!fl__backlog_is_empty(&p->backlog))
		return true;
	/* acquire: pairs with the release in fl__pool_make_worker() */
	FL__EACH (const struct fl__thread_worker, w, fl__load_acquire(&p->workers))
		if (!fl__local_is_empty(&w->local))
			return true;
	return false;
}

bool fl__pool_needs_search(struct fl__thread_pool *p)
{
	const uint32_t state = fl__load_relaxed(&p->state); /* relaxed: as in a notify */
	return fl__pool_needs_notify(state) && ((state & FL__POOL_FORKS) || fl__pool_has_task(p));
}

void fl__pool_settle(struct fl__thread_pool *p)
{
	if (fl__pool_needs_search(p))
		fl__pool_notify_locked(p);
}

void fl__pool_wake_for_forks(void *arg)
{
	struct fl__thread_pool *p = arg;
	/* seq_cst: a worker that ends its search later sees FORKS */
	if (fl__pool_needs_notify(fl__or_seq_cst(&p->state, FL__POOL_FORKS)))
		fl__pool_notify(p);
}

/* The worker's last use of the pool. Returns the thread that left before it. */
FL__COLD static fl_thread *pool_leave(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	FL__POOL_LOCKED(p);
	fl_thread *before = p->ended;
	p->ended = w->thread;
	w->thread = NULL;
	w->next_vacant = p->vacant;
	p->vacant = w;
	if (++p->leaves == p->starts)
		fl_cond_broadcast(&p->base.gone);
	return before;
}

FL__COLD static void pool_worker_exits(void *arg)
{
	const struct fl__thread_worker *w = arg;
	if (w->run.active)
		fl__panic(w->run.future->type->name, w->run.future, "the task " FL__ENDS_THREAD);
	fl__panic("fl_thread_executor", w->pool,
	          "an initializer, a callback, a hook or a part of a parallel loop " FL__ENDS_THREAD);
}

static const struct fl__worker_ops pool_worker_ops = {fl__run_block, fl__pool_wait};

void fl__pool_become(struct fl__thread_worker *w)
{
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->worker = w ? &w->run : NULL;
	ctx->worker_ops = w ? &pool_worker_ops : NULL;
}

static int pool_work(void *arg)
{
	struct fl__thread_worker *w = arg;
	struct fl__thread_pool *p = w->pool;
	fl__run_enter(&w->run, &p->base);
	fl__pool_become(w);
	pthread_cleanup_push(pool_worker_exits, w);
	if (p->base.initialize) {
		(void)fl__executor_initialize(&p->base, &p->base.stop); /* an error breaks the executor */
		fl__add_seq_cst(&p->state, FL__POOL_SEARCHES);          /* seq_cst: "No task is overlooked" */
	}
	w->forks = fl__forks_are_linked() ? fl__forks_enter(&p->forks, w->forks) : NULL;
	fl__pool_serve(w);
	pthread_cleanup_pop(0);
	if (w->forks)
		fl__forks_leave(w->forks);
	fl__pool_become(NULL);
	fl__run_leave(&w->run);
	fl_thread *before = pool_leave(w);
	fl__thread_join(&before); /* NULL if this thread is the first to leave */
	return 0;
}

FL__COLD struct fl__thread_worker *fl__pool_make_worker(struct fl__thread_pool *p)
{
	struct fl__thread_worker *w = fl__alloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->pool = p;
	w->number = p->workers ? p->workers->number + 1 : 0;
	w->stats.next = fl__stats_are_linked() ? 0 : SIZE_MAX;
	w->next = p->workers;
	fl__store_release(&p->workers, w); /* release: publishes the worker; pairs with the acquire of each walk */
	return w;
}

FL__COLD static int pool_start_thread(struct fl__thread_pool *p)
{
	char name[40];
	struct fl__thread_worker *w = p->vacant ? p->vacant : fl__pool_make_worker(p);
	if (!w)
		return -ENOMEM;
	(void)snprintf(name, sizeof name, "%s-%u", p->base.name, w->number);
	const fl_thread_config config = {.name = name, .stack_size = p->stack_size};
	const int searches = p->base.initialize ? 0 : 1;
	fl__pool_count(p, 1, searches); /* before the start: a spare worker must see CROWDED */
	fl__pool_take_place(w);
	int rc = fl__thread_start(&w->thread, pool_work, w, &config, &p->base.signals);
	p->vacant = rc == 0 ? w->next_vacant : w;
	if (rc != 0) {
		/* the workers that are alive run the tasks that the search would have found */
		fl__pool_give_place(w);
		fl__pool_count(p, -1, -searches);
		return rc == -ENOMEM ? rc : -EAGAIN;
	}
	p->alive++;
	p->starts++;
	return 0;
}

FL__COLD int fl__pool_start_worker(struct fl__thread_pool *p)
{
	const int rc = pool_start_thread(p);
	if (rc == 0)
		fl__pool_keep_spare(p);
	return rc;
}

FL__COLD void fl__pool_keep_spare(struct fl__thread_pool *p)
{
	if (p->alive < p->most && p->alive >= p->base.workers && !p->sleepers.first && !p->base.closed &&
	    !p->base.broken)
		(void)pool_start_thread(p); /* if it fails, waits count as blocked only while a worker sleeps */
}

FL__COLD int fl__pool_resize(fl_executor *e, unsigned workers)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	fl__store_relaxed(&e->workers, workers); /* relaxed: a single number, which publishes nothing */
	if (fl__forks_are_linked())
		fl__forks_resize(&p->forks, workers);
	/* workers that sleep without a deadline must notice that they are too many */
	if (p->alive > workers + p->blocked)
		fl__pool_wake(p, p->alive - workers - p->blocked);
	fl__pool_count(p, 0, 0);
	fl__pool_settle(p);
	fl__pool_keep_spare(p);
	fl__pool_unpark(p);
	return 0;
}

void fl__pool_rise(struct fl__thread_worker *w)
{
	if (!w->sits)
		return;
	w->sits = false;
	w->pool->blocked--;
	fl__pool_count(w->pool, 1, 0);
}

void fl__pool_block(struct fl__run *run, bool begins)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)run;
	struct fl__thread_pool *p = w->pool;
	if (!begins && w->blocking == 0)
		fl__panic("fl_blocking_end", w, "without a begin");
	w->blocking += begins ? 1 : UINT_MAX; /* wraps: -1 */
	if (w->blocking != begins)
		return;
	FL__POOL_LOCKED(p);
	fl__pool_rise(w);
	p->blocked += begins ? 1 : UINT_MAX;
	fl__pool_count(p, begins ? -1 : 1, 0);
	if (begins) /* an end does not set MORE */
		fl__pool_settle(p);
}

/* Called under the lock. The caller must then compute the flags. */
static void pool_set_depends(struct fl__thread_worker *w, bool depends)
{
	w->pool->depending += (unsigned)depends - w->depends;
	w->depends = depends;
}

FL__COLD void fl__pool_depend(struct fl__run *run, bool begins)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)run;
	struct fl__thread_pool *p = w->pool;
	if (w->blocking > 0)
		return; /* because it is not active */
	FL__POOL_LOCKED(p);
	fl__pool_rise(w);
	pool_set_depends(w, begins);
	fl__pool_count(p, 0, 0);
	if (begins)
		fl__pool_settle(p);
}

/* A worker that waits. */

__attribute__((no_sanitize("thread"))) size_t fl__pool_length(const struct fl__thread_pool *p)
{
	size_t length = 0;
	for (unsigned i = 0; i <= p->backlog.mask; i++)
		length += p->backlog.injectors[i].length;
	FL__EACH (const struct fl__thread_worker, w, fl__load_acquire(&p->workers)) /* acquire: as in has_task() */
		length += fl__local_length(fl__load_relaxed(&w->local.word));       /* relaxed: a figure */
	return length;
}

/*
 * Writes " (2 for queue (to get), 1 for mutex)", or "". It may read without the lock, which
 * ThreadSanitizer must not see.
 */
__attribute__((cold, no_sanitize("thread"))) void fl__pool_describe_waits(const fl_executor *e, char *text, size_t size)
{
	unsigned counts[FL__DEBUG_KINDS] = {0};
	size_t at = 0;
	FL__EACH (const struct fl__thread_worker, w, fl__pool_of((fl_executor *)(uintptr_t)e)->workers) {
		const uint32_t waits = fl__load_relaxed(&w->waits); /* relaxed: a single number */
		if (waits > 0)
			counts[waits - 1]++;
	}
	text[0] = '\0';
	for (unsigned kind = 0; kind < FL__DEBUG_KINDS && at < size; kind++) {
		char what[40];
		if (counts[kind] == 0)
			continue;
		fl__awaited_write(what, sizeof what, (uint8_t)kind, NULL);
		at += (size_t)snprintf(text + at, size - at, "%s%u for %s", at > 0 ? ", " : " (", counts[kind], what);
	}
	if (at > 0)
		(void)snprintf(text + FL__MIN(at, size - 2), 2, ")");
}

/* Called with the lock, which it releases. Reports once that all active workers wait. */
FL__COLD static void pool_report_waits(struct fl__thread_pool *p) FL_RELEASE(p->base.lock)
{
	char waits[160];
	const size_t pending = fl__pool_length(p);
	/* relaxed: counting a worker that wakes just now is harmless */
	const bool reports = !p->reported && pending > 0 && p->active > 0 && fl__load_relaxed(&p->waiting) >= p->active;
	p->reported |= reports;
	if (reports)
		fl__pool_describe_waits(&p->base, waits, sizeof waits);
	fl__pool_unlock(p);
	if (reports)
		fl__log(
		    FL_LOG_WARNING,
		    "executor %s: all workers wait%s, and %zu tasks are pending: tasks that wait for each other need "
		    "more workers, or workers_max",
		    p->base.name, waits, pending);
}

/*
 * If `begins`, called by a worker that sleeps in a wait of its task, first after 5 ms. Returns the
 * time of the next call. The worker may hold any lock of the user, so this function allocates no
 * memory, only tries the pool's lock, and waits only for locks of injectors, which are held
 * briefly.
 */
FL__COLD int64_t fl__pool_wait(const struct fl__wait *wait, bool begins)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)wait->ctx->worker;
	struct fl__thread_pool *p = w->pool;
	if (!begins) {
		if (w->waits != 0 && !w->sits)
			fl__sub_relaxed(&p->waiting, 1); /* relaxed: for reports, as `waits` */
		fl__store_relaxed(&w->waits, 0);
		if (w->sits && fl_mutex_try_lock(&p->base.lock) == 0) {
			fl__pool_rise(w); /* otherwise soon: in pool_next(), or before its next sleep or section */
			fl__pool_unlock(p);
		}
		return FL__NEVER;
	}
	/*
	 * A worker needs no replacement if it is already blocked, or if it waits for the pool's
	 * lock, which is held briefly, and by no task. A sleep needs no report, because it depends
	 * on no other task.
	 */
	if (w->blocking > 0 || w->sits || wait->object == &p->base.lock ||
	    (wait->kind == FL__DEBUG_SLEEP && p->most == 0))
		return FL__NEVER;
	const int64_t now = fl__sys.now();
	if (w->waits == 0) {
		w->waits_since = now - FL__DOZE_AFTER;
		fl__add_relaxed(&p->waiting, 1); /* relaxed: for reports */
	}
	fl__store_relaxed(&w->waits, 1u + wait->kind); /* relaxed: for reports */
	/* after 5, 10, 20 ms and so on, until 10 s, because a task may become pending later */
	const int64_t next = now - w->waits_since < FL_S(10) ? now + (now - w->waits_since) : FL__NEVER;
	if (fl_mutex_try_lock(&p->base.lock) != 0)
		return now + FL__DOZE_AFTER;
	if (p->most == 0) {
		pool_report_waits(p);
		return next;
	}
	const bool may = p->sleepers.first;
	if (may) {
		w->sits = true;
		pool_set_depends(w, false);
		fl__sub_relaxed(&p->waiting, 1); /* relaxed: for reports */
		p->blocked++;
		fl__pool_count(p, -1, 0);
		fl__pool_settle(p);
	}
	if (!may && p->alive >= p->most) {
		pool_report_waits(p);
		return next;
	}
	fl__pool_unlock(p);
	return may ? FL__NEVER : next; /* !may: the spare worker is about to sleep, or could not be started */
}
