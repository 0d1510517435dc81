/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many workers there are.
 *
 *   word            meaning                                  changed
 *   base.workers    the most workers that may be active,     under the lock, by a resize; all
 *                   besides stand-ins for those that doze    threads read it
 *   made            worker structs                           under the lock
 *   starts, leaves  threads ever started; those that have    under the lock
 *                   left
 *   alive           workers from their start until they      under the lock: +1 by a start, -1 by a
 *                   decide to end                            worker that decides to end
 *   blocked         of those alive: in a blocking section    under the lock, by the worker
 *   surplus         of those alive: how many must end after  under the lock: set by a resize, -1 by
 *                   their current task, since a resize       a worker that ends; lowered by
 *                                                            fl__pool_relieve()
 *   started         NO_WORKER: no worker was started yet,    under the lock: after a start; when a
 *                   or a task has ended the thread of the    task has ended the last thread;
 *                   last one.                                START_FAILED becomes STARTED when
 *                   START_FAILED: the last start failed,     fl__pool_wake_locked() looks again
 *                   so the next submit tries again.
 *                   STARTED: neither of the two
 *   initializing    workers in their initializer             under the lock
 *   over            nothing more comes, and workers end      under the lock
 *   ended           the thread that left last; it joins the  under the lock, by the thread that
 *                   thread that left before it               leaves; without the lock, by the join
 *                                                            after the last thread has left
 *   vacant          workers without a thread                 under the lock
 *   workers         all workers, the last made first; none   under the lock; read without
 *                   is removed
 *
 * The first submit starts a worker before it adds its task: no submit fails with its task in the
 * backlog.
 *
 * The end of a worker. A worker decides to end in a section under the lock. From then on only
 * `starts` less `leaves` counts it. In a later section it leaves: it stores its thread in `ended`,
 * and its struct in `vacant`. Workers, and the fork stacks that thieves read, last as long as the
 * executor.
 *
 * After a blocking section one worker may be too many. The next worker that ends a task steps back:
 * it sleeps, and ends after a while. If a worker blocks before that while tasks are pending, the
 * worker that went to sleep last is usually woken (search.c).
 *
 * If a task ends the thread of the last worker, `started` is NO_WORKER again, and the thread stays
 * until no task is pending or another worker was started.
 *
 * Waits of workers. A worker that waits for a pending task of its own executor runs that task, as a
 * call. While it sleeps in another wait that may need a task to run (a future, a loop, a join of a
 * thread, a process, a group, a queue or an executor, or an FL_WAIT_ANY() with one of them), it
 * counts as blocked, as in FL_BLOCKING(), and another worker stands in. So executors with one
 * worker each may wait for each other's tasks. There are two exceptions, which do not count as
 * blocked: a wait for one task that another worker of the same executor runs, and a join of a group
 * of that executor. Waits of this kind form a chain, whose last worker does not wait in this way:
 * it runs, or blocks and has a stand-in. Without this rule a recursion with futures would make a
 * thread for each level.
 *
 * Signals. A thread starts with all signals blocked, except those of faults, and sets the mask of
 * the executor's creator itself. The kernel gives a signal of the process to the main thread,
 * unless the main thread blocks the signal (docs/decisions/worker-signals.md).
 *
 * Tasks that end their thread, as by pthread_exit() in old code. One cleanup frame in each worker's
 * thread ends the future and replaces the worker; a task pays nothing for it. When the frame runs,
 * the frames within it are gone, since glibc jumps there. So a task that runs inside of another
 * task's wait, whose frame is in the executor's list, cannot be ended, and the program panics. A
 * cleanup frame for each such call would cost each of them a sigsetjmp(). docs/ends.md has a table
 * of all functions.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../exec/map.h"
#include "../sync/thread.h"
#include "taking.h"
#include <limits.h>
#include <stdio.h>

unsigned fl__pool_limit_with(const struct fl__thread_pool *p, unsigned stand_ins)
{
	const unsigned workers = p->base.workers, more = p->blocked + stand_ins;
	return more < FL_WORKERS_MAX - workers ? workers + more : FL_WORKERS_MAX;
}

void fl__pool_recount(struct fl__thread_pool *p)
{
	uint32_t flags, counted, stand_ins;
	do {
		/* acquire: `dozing`; pairs with the release of AWAKE in fl__pool_doze() */
		flags = fl__load_acquire(&p->flags);
		/* seq_cst: rule 5 of starved.c */
		const uint32_t dozing = fl__load_seq_cst(&p->dozing);
		stand_ins = FL__MIN(p->stand_ins, dozing);
		/* both include blocked workers */
		const unsigned awake = p->alive - p->idle, may_be = fl__pool_limit_with(p, stand_ins);
		const bool more = awake < may_be;
		if (p->active != awake - p->blocked)
			fl__store_seq_cst(&p->active, awake - p->blocked); /* seq_cst: rule 1 of starved.c */
		if (more != p->more)
			fl__store_seq_cst(&p->more, more); /* seq_cst: rule 2 of search.c */
		counted = (flags & (FL__POOL_FENCED | FL__POOL_LISTED)) |
		          (awake > may_be || p->surplus > 0 ? FL__POOL_CROWDED : 0);
		/*
		 * One CAS clears AWAKE and sets CROWDED, so that the worker that has waked sees
		 * one of them. relaxed: after a resize, fl__pool_fence_takes() orders the CAS with
		 * the takes; at any other time a take that misses CROWDED does no harm.
		 */
	} while (counted != flags && !fl__cas_relaxed(&p->flags, &flags, counted));
	if (p->stand_ins != stand_ins)
		fl__store_seq_cst(&p->stand_ins, stand_ins); /* after CROWDED: rule 5 of starved.c */
	fl__store_relaxed(&p->full, false);                  /* relaxed: rule 4 of starved.c */
	if (p->alive == p->idle)
		fl__executor_tell_if_idle(&p->base);
}

bool fl__pool_may_start(const struct fl__thread_pool *p)
{
	return p->more && p->alive < fl__pool_worker_limit(p) && !p->base.broken;
}

bool fl__pool_is_over(struct fl__thread_pool *p, unsigned awake)
{
	if (!p->over && p->idle + awake == p->alive && fl__backlog_is_over(&p->backlog)) {
		p->over = true;
		fl__pool_wake_sleepers(p, FL__ALL);
	}
	return p->over;
}

void fl__pool_end_worker(struct fl__thread_pool *p)
{
	fl__ctx_get()->worker_ops = NULL; /* it is not counted in `active`, and does not doze */
	p->alive--;
	fl__pool_recount(p);
	if (!fl__pool_is_over(p, 0))
		fl__pool_settle(p);
}

static void pool_initialize_worker(struct fl__thread_pool *p)
{
	if (!p->base.initialize)
		return;
	{
		FL__POOL_LOCKED(p);
		p->initializing++;
		/* seq_cst: this search ends here (rule 2 of search.c) */
		fl__sub_seq_cst(&p->searching, 1);
		fl__pool_wake_locked(p);
	}
	(void)fl__executor_initialize(&p->base); /* an error breaks the executor */
	FL__POOL_LOCKED(p);
	p->initializing--;
	fl__add_relaxed(&p->searching, 1);
}

/* This is the worker's last use of the pool. Returns the thread that left before it. */
static fl_thread *pool_leave(struct fl__thread_worker *w)
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

FL__NOINLINE static void pool_end_thread(struct fl__thread_worker *w)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (w->forks)
		fl__forks_leave(w->forks);
	ctx->worker = NULL;
	fl__run_leave(&w->run);
	fl_thread *before = pool_leave(w);
	fl__thread_join(&before); /* NULL if this thread is the first that leaves */
}

FL__COLD static void pool_fail_running(struct fl__thread_worker *w)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__task_block *block = fl__task_block_of(w->run.future);
	const fl_task_type *type = fl__chunk_type_of(block->future.type);
	w->run.active = false;
	w->run.future = NULL;                         /* so that fl__run_ends() does not announce a next task */
	fl__store_relaxed(&w->failed, w->failed + 1); /* relaxed: statistics, written by this worker alone */
	fl__store_relaxed(&w->ended, w->ended + 1);
	ctx->front.scope = NULL;
	while (w->blocking > 0)
		fl__pool_block(&w->run, false);
	fl__task_block_free_batch(&w->freed);
	fl__pool_forget(w);
	if (fl__bytes_declares(type->drop_result)) /* in a chunk, the bytes of the element that ran */
		fl_bytes_free(fl__element(block->future.result, block->done, type->result_size));
	fl__future_finish(&block->future, -EOWNERDEAD, fl__message_format("the task's function " FL__ENDS_THREAD));
	fl_future_free(&block->future); /* the producer's reference */
}

/* Returns whether tasks are pending, no worker is left, and none can be started. */
FL__COLD static bool pool_is_deserted(struct fl__thread_pool *p)
{
	FL__POOL_LOCKED(p);
	if (p->alive == 0 && fl__backlog_length(&p->backlog) > 0)
		fl__pool_wake_locked(p);
	return p->alive == 0 && fl__backlog_length(&p->backlog) > 0;
}

/* Lets another worker take the place of the calling one, which counts as active until here. */
FL__COLD static void pool_replace_worker(struct fl__thread_pool *p)
{
	{
		FL__POOL_LOCKED(p);
		if (p->surplus > 0)
			p->surplus--;
		/* no worker is left: the next submit starts one before it adds its task */
		if (p->alive == 1)
			fl__pool_set_started(p, FL__POOL_NO_WORKER);
		fl__pool_end_worker(p);
	}
	while (pool_is_deserted(p))
		FL_IGNORE(fl_sleep_until(fl_after(FL__POOL_STAND_IN_PAUSE), FL_SHIELDED));
}

/*
 * Called if a function of the user ends the thread. The frames within pool_work() are gone. So the
 * worker can end its task, but no task that runs in a wait of that task, and no fork.
 */
FL__COLD static void pool_worker_exits(void *arg)
{
	struct fl__thread_worker *w = arg;
	if (fl__executor_is_forked(&w->pool->base))
		return; /* a forked child: the process ends with its thread */
	if (!w->run.active)
		fl__panic("fl_thread_executor", w->pool,
		          "an initializer, a callback, a hook or a part of a parallel loop " FL__ENDS_THREAD);
	if (fl__ctx_get()->front.inside.helper != &w->run || (w->forks && fl__forks_any(w->forks)))
		fl__panic("fl_thread_executor", w->pool,
		          "a task that runs inside of another task, or forks, " FL__ENDS_THREAD);
	pthread_cleanup_push(pool_worker_exits, w); /* a callback or a hook may do the same */
	pool_fail_running(w);
	pthread_cleanup_pop(0);
	pool_replace_worker(w->pool);
	pool_end_thread(w);
}

/* A worker does not doze in its initializer, which waits for no task. */
static const struct fl__worker_ops pool_initializer_ops = {fl__run_block, NULL};
static const struct fl__worker_ops pool_worker_ops = {fl__run_block, fl__pool_doze};

static int pool_work(void *arg)
{
	struct fl__thread_worker *w = arg;
	struct fl__thread_pool *p = w->pool;
	fl__run_enter(&w->run, &p->base);
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->worker = &w->run;
	ctx->worker_ops = &pool_initializer_ops;
	pthread_cleanup_push(pool_worker_exits, w);
	pool_initialize_worker(p);
	fl__ctx_get()->worker_ops = &pool_worker_ops;
	w->forks = fl__forks_are_linked() ? fl__forks_enter(&p->forks, w->number) : NULL;
	fl__pool_serve(w);
	pthread_cleanup_pop(0);
	pool_end_thread(w);
	return 0;
}

struct fl__thread_worker *fl__pool_make_worker(struct fl__thread_pool *p)
{
	struct fl__thread_worker *w = fl__alloc(1, sizeof *w);
	if (!w)
		return NULL;
	if (fl__local_init(&w->local, &p->backlog) != 0) {
		fl__free(w);
		return NULL;
	}
	w->pool = p;
	w->stats.next = fl__stats_are_linked() ? 0 : SIZE_MAX;
	w->number = p->made++;
	w->next = p->workers;
	fl__store_release(&p->workers, w); /* release: the worker; pairs with the acquire in pool_count() */
	return w;
}

static int pool_start_thread(struct fl__thread_pool *p)
{
	char name[40];
	struct fl__thread_worker *w = p->vacant ? p->vacant : fl__pool_make_worker(p);
	if (!w)
		return -ENOMEM;
	(void)snprintf(name, sizeof name, "%s-%u", p->base.name, w->number);
	const fl_thread_config config = {.name = name};
	int rc = fl__thread_start(&w->thread, pool_work, w, &config, &p->base.signals);
	p->vacant = rc == 0 ? w->next_vacant : w;
	if (rc != 0)
		return rc == -ENOMEM ? rc : -EAGAIN;
	p->alive++;
	p->starts++;
	fl__pool_recount(p);
	return 0;
}

int fl__pool_start_worker(struct fl__thread_pool *p)
{
	const int rc = pool_start_thread(p);
	if (rc == 0)
		fl__pool_set_started(p, FL__POOL_STARTED);
	else if (p->started != FL__POOL_NO_WORKER)
		fl__pool_set_started(p, FL__POOL_START_FAILED);
	return rc;
}

FL__COLD int fl__pool_resize(fl_executor *e, unsigned workers)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	fl__store_relaxed(&e->workers, workers);         /* relaxed: a single number, which publishes nothing */
	fl__store_relaxed(&p->backlog.workers, workers); /* relaxed: a hint */
	if (fl__forks_are_linked())
		fl__forks_resize(&p->forks, workers);
	p->surplus = p->alive > fl__pool_worker_limit(p) ? p->alive - fl__pool_worker_limit(p) : 0;
	fl__pool_wake_sleepers(p, p->surplus);
	fl__pool_settle(p);
	fl__pool_unpark(p);
	if (fl__pool_flags(p) & FL__POOL_CROWDED)
		fl__pool_fence_takes(p);
	return 0;
}

void fl__pool_block(struct fl__run *run, bool begins)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)run;
	struct fl__thread_pool *p = w->pool;
	if (!begins && w->blocking == 0)
		fl__panic("fl_blocking_end", w, "without a begin");
	w->blocking += begins ? 1 : UINT_MAX; /* wraps: -1 */
	if (w->blocking != begins || fl__executor_is_forked(&p->base))
		return;
	FL__POOL_LOCKED(p);
	p->blocked += begins ? 1 : UINT_MAX;
	fl__pool_recount(p);
	fl__pool_settle(p);
}
