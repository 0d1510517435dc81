/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a worker of the thread executor, and the number of workers. pool.h has the words.
 *
 * A worker decides to end in a section under the lock. From then on only `threads` counts it: no
 * thread wakes it, or waits until it looks for tasks. In a later section it leaves. It stores its
 * thread in `ended`, where the next worker that leaves, or the join, finds and joins it: so at most
 * one thread has ended and is not joined. It puts its struct into `vacant`. A start takes a worker
 * from there, with its fork stack, or makes one. Workers, and the fork stacks that thieves read,
 * never move, and last as long as the executor.
 *
 * While a worker blocks another one may be active in its place, so afterwards there is one too
 * many. The next worker that ends a task steps back (pool_search.c): it sleeps, is woken first when
 * a worker blocks again, and ends after a while.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "thread_pool.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>
#include <stdio.h>

static const int64_t SPARE_TIME = FL_S(1); /* how long a worker too many sleeps before it ends */

/* How many. */

/* The most workers that may be alive. */
static unsigned most(const struct fl__pool *p)
{
	const unsigned workers = p->base.workers;
	return p->blocked < FL_WORKERS_MAX - workers ? workers + p->blocked : FL_WORKERS_MAX;
}

void fl__pool_recount(struct fl__pool *p)
{
	const unsigned awake = p->alive - p->idle, may_be = most(p); /* both with blocked workers */
	const bool more = awake < may_be;
	const uint32_t crowded = awake > may_be || p->surplus > 0 ? FL__POOL_CROWDED : 0;
	if (more != p->more)
		fl__store_seq_cst(&p->more, more); /* seq_cst: see the invariant in pool_search.c */
	/* relaxed: agree() orders it */
	if (crowded != (p->crowded & FL__POOL_CROWDED))
		fl__store_relaxed(&p->crowded, (p->crowded & FL__POOL_FENCED) | crowded);
}

bool fl__pool_may_start(const struct fl__pool *p)
{
	return p->more && p->alive < most(p) && !p->base.broken;
}

int64_t fl__pool_bedtime(const struct fl__pool *p)
{
	if (p->alive == 1 || p->base.closed)
		return FL_FOREVER;
	const int64_t time = p->idle_timeout > 0 ? p->idle_timeout : FL_FOREVER;
	if (p->alive > most(p))
		return fl_after(time < SPARE_TIME ? time : SPARE_TIME);
	return fl_after(time);
}

bool fl__pool_is_to_end(struct fl__pool *p, bool slept)
{
	if (p->surplus > 0) {
		p->surplus--;
		fl__pool_recount(p);
		return true;
	}
	return slept && p->alive > 1 && (p->idle_timeout > 0 || p->alive > most(p));
}

/*
 * After this call each worker that takes a task sees CROWDED, if it is set; each worker that did
 * not see CROWDED has its task.
 *
 * A worker stores in `running` that it is about to take a task, then reads `crowded`, without a
 * fence in between. This call makes every thread pass a fence after the store to `crowded`, and
 * before the call reads `running`. If a worker passes the fence before its store to `running`, it
 * sees CROWDED. If after, this call waits until the worker has taken its task. (Dekker's algorithm;
 * the resize, which is rare, pays for both fences.)
 */
static void agree(struct fl__pool *p)
{
	if (p->crowded & FL__POOL_FENCED)
		fl__fence_seq_cst(); /* pairs with the fence in is_to_step_back() */
	else if (fl__sys.membarrier() != 0)
		fl__panic("fl_executor_resize", p, "membarrier() works no more: has it been forbidden since?");
	/* relaxed: nothing behind the pointer is read */
	for (const struct fl__worker *w = p->workers; w; w = w->next)
		for (unsigned round = 0; fl__load_relaxed(&w->running) == &fl__pool_taking; round++)
			fl__back_off(round); /* the load is relaxed: nothing of the task is looked at */
}

int fl__pool_resize(fl_executor *e, unsigned workers)
{
	struct fl__pool *p = (struct fl__pool *)(void *)e;
	const unsigned before = most(p);
	fl__store_relaxed(&e->workers, workers); /* relaxed: a single number */
	fl__places_resize(e, before, most(p));
	fl__forks_resize(&p->forks, workers);
	p->surplus = p->alive > most(p) ? p->alive - most(p) : 0;
	fl__pool_wake_sleepers(p, p->surplus);
	fl__pool_settle(p);
	if (p->crowded & FL__POOL_CROWDED)
		agree(p);
	return 0;
}

void fl__pool_block(struct fl__run *run, bool begins)
{
	/* `run` is a worker's first member */
	struct fl__worker *w = (struct fl__worker *)(void *)run;
	struct fl__pool *p = w->pool;
	if (!begins && w->blocking == 0)
		fl__panic("fl_blocking_end", w, "without a begin");
	w->blocking += begins ? 1 : UINT_MAX; /* wraps: -1 */
	if (w->blocking != begins || fl__executor_is_forked(&p->base))
		return;
	FL_LOCKED(&p->base.lock);
	const unsigned before = most(p);
	p->blocked += begins ? 1 : UINT_MAX;
	fl__places_resize(&p->base, before, most(p));
	fl__pool_recount(p);
	fl__pool_settle(p);
}

/* Life. */

/* Without the lock. The worker is counted as searching before and after. */
static void initialize(struct fl__pool *p)
{
	if (!p->base.initialize)
		return;
	{
		FL_LOCKED(&p->base.lock);
		/* relaxed: a submit that sees it looks under the lock */
		fl__store_relaxed(&p->initializing, p->initializing + 1);
		/*
		 * seq_cst: as in stop_searching(); then needs_worker() looks at the backlog's
		 * length
		 */
		fl__sub_seq_cst(&p->searching, 1);
		fl__pool_wake_locked(p);
	}
	char *message = NULL;
	const int error = fl__executor_initialize(&p->base, &message);
	if (error != 0)
		fl__executor_initialize_failed(&p->base, error, message);
	else
		fl__message_free(message);
	FL_LOCKED(&p->base.lock);
	fl__store_relaxed(&p->initializing, p->initializing - 1);
	fl__add_relaxed(&p->searching, 1);
}

/* The worker's last use of the pool. Returns the thread that left before it. */
static fl_thread leave(struct fl__worker *w)
{
	struct fl__pool *p = w->pool;
	FL_LOCKED(&p->base.lock);
	fl_thread before = p->ended;
	p->ended = w->thread;
	w->thread = (fl_thread){NULL};
	w->next_vacant = p->vacant;
	p->vacant = w;
	p->threads--;
	if (p->threads == 0)
		fl_cond_broadcast(&p->base.gone);
	return before;
}

static int work(void *arg)
{
	struct fl__worker *w = arg;
	struct fl__pool *p = w->pool;
	fl__run_enter(&w->run, &p->base);
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->worker = &w->run;
	ctx->block = fl__run_block;
	initialize(p);
	w->forks = fl__forks_enter(&p->forks, w->place);
	fl__pool_serve(w);
	fl__forks_leave(w->forks);
	ctx->block = NULL;
	ctx->worker = NULL;
	fl__run_leave(&w->run);
	fl_thread before = leave(w);
	int rc = fl_thread_join_until(&before, NULL, FL_FOREVER, FL_SHIELDED);
	(void)rc; /* -EINVAL: there was none */
	return 0;
}

struct fl__worker *fl__pool_make_worker(struct fl__pool *p)
{
	struct fl__worker *w = fl__alloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->pool = p;
	w->place = p->made++;
	w->next = p->workers;
	p->workers = w;
	return w;
}

int fl__pool_start_worker(struct fl__pool *p)
{
	char name[40];
	struct fl__worker *w = p->vacant ? p->vacant : fl__pool_make_worker(p);
	if (!w)
		return -ENOMEM;
	(void)snprintf(name, sizeof name, "%s-%u", p->name, w->place);
	const fl_thread_config config = {.name = name, .block_signals = true};
	int rc = fl_thread_start(&w->thread, work, w, &config);
	p->vacant = rc == 0 ? w->next_vacant : w;
	if (rc != 0)
		return rc == -ENOMEM ? rc : -EAGAIN;
	p->alive++;
	p->threads++;
	p->starts++;
	/* relaxed: as in submit(); other readers hold the lock */
	fl__store_relaxed(&p->started, 1);
	fl__pool_recount(p);
	return 0;
}
