/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of a worker: it takes, runs and ends a task; if it finds none, it searches, and then
 * sleeps.
 *
 * A worker looks into its local queue first, then into the injectors, and in a search also into the
 * local queues of the other workers. Every sixteenth time it begins with another queue, so that no
 * task starves while other queues are never empty. Here all injectors count as one queue, and the
 * worker begins with another injector each time. A single worker takes tasks from the injector one
 * at a time, so that they begin in the order of submission.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "thread_pool.h"
#include <fairlead/time.h>

/* A worker takes at most 1 / (SHARES x workers) of an injector's tasks at once, or one task. */
#ifndef FL__BACKLOG_SHARES
#define FL__BACKLOG_SHARES 2
#endif

/* Returns how many of an injector's tasks a worker takes. */
static size_t pool_share(const struct fl__thread_pool *p, const struct fl__injector *q)
{
	const size_t workers = fl__load_relaxed(&p->base.workers); /* relaxed: a single number */
	if (workers == 1)
		return 1;
	const size_t share = fl__load_relaxed(&q->length) / (FL__BACKLOG_SHARES * workers); /* relaxed: a hint */
	return share <= 1 ? 1 : FL__MIN(share, FL__BACKLOG_BATCH);
}

static struct fl__task_block *pool_take_own(struct fl__thread_worker *w)
{
	struct fl__task_block *block;
	return fl__local_take(&w->local, &block, 1, false) == 1 ? block : NULL;
}

/*
 * Takes a task from an injector, beginning with injector `first`. If `moved` is not NULL, also
 * moves others to the local queue, which must be empty.
 */
static struct fl__task_block *pool_take_injected(struct fl__thread_worker *w, unsigned first, bool *moved)
{
	const struct fl__thread_pool *p = w->pool;
	struct fl__task_block *block = NULL;
	for (unsigned i = 0; i <= p->backlog.mask && !block; i++) {
		struct fl__injector *q = fl__backlog_injector(&p->backlog, first + i);
		block = fl__injector_take(q, &w->local, moved ? pool_share(p, q) : 1, moved);
	}
	return block;
}

static struct fl__thread_worker *pool_after(const struct fl__thread_worker *w)
{
	/* acquire: pairs with the release in fl__pool_make_worker() */
	return w->next ? w->next : fl__load_acquire(&w->pool->workers);
}

static struct fl__task_block *pool_steal(struct fl__thread_worker *w, bool *moved)
{
	struct fl__task_block *blocks[FL__BACKLOG_BATCH];
	for (struct fl__thread_worker *v = pool_after(w); v != w; v = pool_after(v)) {
		const size_t n = fl__local_take(&v->local, blocks, FL__BACKLOG_BATCH, true);
		if (n > 1) {
			fl__local_put_many(&w->local, blocks + 1, n - 1);
			*moved = true;
		}
		if (n > 0)
			return blocks[0];
	}
	return NULL;
}

/* Takes one task from the next queue, in rotation (see the top). */
static struct fl__task_block *pool_take_in_turn(struct fl__thread_worker *w)
{
	struct fl__task_block *block = NULL;
	w->visited = pool_after(w->visited ? w->visited : w);
	if (w->visited == w || fl__local_take(&w->visited->local, &block, 1, false) == 0)
		block = pool_take_injected(w, w->turns++, NULL);
	return block;
}

/* Takes a task, and moves others to the local queue. If `searches`, also steals. */
static inline struct fl__task_block *pool_take(struct fl__thread_worker *w, bool searches)
{
	struct fl__thread_pool *p = w->pool;
	bool moved = false;
	struct fl__task_block *block = NULL;
	if (fl__unlikely(++w->takes % FL__BACKLOG_BATCH == 0))
		block = pool_take_in_turn(w);
	if (!block)
		block = pool_take_own(w);
	if (!block)
		block = pool_take_injected(w, w->takes, &moved);
	if (!block && searches)
		block = pool_steal(w, &moved);
	if (moved && fl__pool_needs_notify(fl__load_seq_cst(&p->state))) /* seq_cst: "No task is overlooked" */
		fl__pool_notify(p);
	return block;
}

/* Ends the search of the calling worker, which has a task or will look for forks. */
static void pool_stop_searching(struct fl__thread_pool *p)
{
	/* seq_cst: "No task is overlooked" */
	const uint32_t before = fl__sub_seq_cst(&p->state, FL__POOL_SEARCHES);
	if (fl__pool_needs_notify(before - FL__POOL_SEARCHES) && ((before & FL__POOL_FORKS) || fl__pool_has_task(p)))
		fl__pool_notify(p);
}

bool fl__pool_seems_to_have_task(const void *pool)
{
	const struct fl__thread_pool *p = pool;
	if (!fl__backlog_seems_empty(&p->backlog))
		return true;
	/* acquire: pairs with the release in fl__pool_make_worker() */
	FL__EACH (const struct fl__thread_worker, w, fl__load_acquire(&p->workers))
		if (fl__local_length(fl__load_relaxed(&w->local.word)) > 0) /* relaxed: a hint */
			return true;
	return false;
}

static bool pool_has_work(const void *pool)
{
	/* relaxed: a hint */
	return (fl__load_relaxed(&((const struct fl__thread_pool *)pool)->state) & FL__POOL_FORKS) ||
	       fl__pool_seems_to_have_task(pool);
}

/* Looks for a task for a while. If yields are not allowed (base/yield.c), fl__spin() pauses. */
static void pool_spin(struct fl__thread_pool *p)
{
	struct fl__ctx *ctx = fl__ctx_get();
	/* the result does not matter: the caller looks again */
	if (ctx->ops == &fl__thread_parker)
		(void)fl__spin(ctx, pool_has_work, p, FL_FOREVER);
}

/*
 * If the worker's wait ended while another context had the lock, it is still counted as blocked.
 * Counts it as active again, because otherwise more workers than the limit would run tasks.
 */
FL__NOINLINE static void pool_rise_late(struct fl__thread_worker *w)
{
	FL__POOL_LOCKED(w->pool);
	fl__pool_rise(w);
}

/* Runs a fork of another worker. Returns whether there may be more forks. */
static bool pool_help_forks(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	/* relaxed: the thread that woke this worker for forks has set `used` */
	if (!w->forks || !fl__load_relaxed(&p->forks.used))
		return false; /* the first fork finds `sleepers` set, and calls fl__pool_wake_for_forks() */
	/* This worker looks for forks now. If it steals one, the next fork wakes another. */
	if (fl__load_relaxed(&p->state) & FL__POOL_FORKS)                    /* relaxed: if set later, it remains set */
		(void)fl__and_acquire(&p->state, ~(uint32_t)FL__POOL_FORKS); /* acquire: the fork */
	pool_stop_searching(p);
	const bool more = fl__forks_run_one(&p->forks, w->forks) || fl__forks_prepare_sleep(&p->forks, w->forks);
	if (fl__unlikely(w->sits))
		pool_rise_late(w);
	fl__add_seq_cst(&p->state, FL__POOL_SEARCHES); /* seq_cst: "No task is overlooked" */
	return more;
}

/* Ends a worker that is counted neither as active nor as searching. */
static bool pool_end_worker(struct fl__thread_pool *p)
{
	p->alive--;
	return false;
}

/* Called under the lock. See pool_rest(). */
static bool pool_rest_locked(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	const uint32_t state =
	    fl__load_relaxed(&p->state); /* relaxed: the lock orders CROWDED; FORKS is checked again */
	const bool crowded = state & FL__POOL_CROWDED;
	if (!crowded && (state & FL__POOL_FORKS) && !p->over) {
		/* acquire: `used`; pairs with fl__pool_wake_for_forks() */
		(void)fl__and_acquire(&p->state, ~(uint32_t)FL__POOL_FORKS);
		return true;
	}
	fl__pool_count(p, -1, -1);
	if (!crowded && !p->over) {
		if (fl__pool_has_task(p) || (fl__load_seq_cst(&p->state) & FL__POOL_FORKS)) { /* seq_cst: the same */
			fl__pool_count(p, 1, 1);
			return true;
		}
		if (p->base.closed && p->active + p->blocked == 0) {
			p->over = true;
			fl__pool_wake(p, FL__ALL);
		}
	}
	fl__pool_give_place(w);
	if (p->over)
		return pool_end_worker(p);
	if (!fl__pool_sleep(p))
		return pool_end_worker(p);
	fl__pool_keep_spare(p);
	return true;
}

/*
 * Called by a searching worker that has found nothing or must step back. Unless CROWDED is set,
 * checks the queues under the lock. Sleeps if there is nothing. Returns whether the worker goes on.
 */
static bool pool_rest(struct fl__thread_worker *w)
{
	FL__POOL_LOCKED(w->pool);
	const bool goes_on = pool_rest_locked(w);
	if (goes_on)
		fl__pool_take_place(w);
	return goes_on;
}

/* Searches and sleeps until it has a task. Returns NULL if the worker must end. */
static struct fl__task_block *pool_search(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	for (;;) {
		/* relaxed: checked under the lock */
		if (w->place != 0 && !(fl__load_relaxed(&p->state) & FL__POOL_CROWDED)) {
			pool_spin(p);
			struct fl__task_block *block = pool_take(w, true);
			if (block) {
				pool_stop_searching(p);
				return block;
			}
			if (pool_help_forks(w))
				continue;
		}
		if (!pool_rest(w))
			return NULL;
	}
}

static inline struct fl__task_block *pool_next(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	if (fl__unlikely(w->sits))
		pool_rise_late(w);
	if (fl__likely(!(fl__load_relaxed(&p->state) & FL__POOL_CROWDED))) { /* relaxed: checked under the lock */
		struct fl__task_block *block = pool_take(w, false);
		if (block)
			return block;
	}
	fl__add_seq_cst(&p->state, FL__POOL_SEARCHES); /* seq_cst: "No task is overlooked" */
	return pool_search(w);
}

/* Called after a claim to run, because the executor is halted. Returns what the claim counts as. */
FL__COLD static enum fl__claim pool_halt(struct fl__thread_pool *p, fl_future *f)
{
	FL__POOL_LOCKED(p); /* because a cancelled executor may break now */
	if (p->base.broken != 0)
		return FL__CLAIM_BREAK;
	fl__future_cancel_claimed(f);
	return FL__CLAIM_CANCEL;
}

/* Runs a task in the frame `run`: the worker's, or a new one if the task runs within another. */
static inline void pool_run(struct fl__thread_worker *w, struct fl__thread_pool *p, struct fl__task_block *block,
                            struct fl__run *run)
{
	const bool outermost = run == &w->run;
	fl_future *const f = &block->future;
	char *message;
	enum fl__claim claim = fl__future_claim(f);
	if (fl__unlikely(claim == FL__CLAIM_LOST)) {
		fl__task_block_free(block); /* the backlog's share */
		return;
	}
	if (fl__unlikely(block->permit == FL__PERMIT_PENDING))
		fl__permit_release(&p->base, FL__PERMIT_PENDING);
	if (outermost)
		fl__store_seq_cst(&w->doing, f); /* seq_cst: "A cancel" */
	/* seq_cst: "A cancel" */
	if (fl__unlikely((fl__load_seq_cst(&p->state) & FL__POOL_HALTED) && claim == FL__CLAIM_RUN))
		claim = pool_halt(p, f);
	if (fl__unlikely(claim != FL__CLAIM_RUN)) {
		fl__store_relaxed(&w->skipped, w->skipped + 1); /* relaxed: for statistics */
		/* It counts as begun, so that no measurement is counted again for it (stats.c). */
		w->stats.next++;
		w->stats.queued.begun++;
		w->stats.ran.begun++;
	}
	run->claim = claim;
	run->future = f;
	const int error = fl__run_measured(run, &w->stats, w->ended, &message);
	if (fl__unlikely(error != 0) && claim == FL__CLAIM_RUN)
		fl__store_relaxed(&w->failed, w->failed + 1); /* relaxed: for statistics */
	fl__store_relaxed(&w->ended, w->ended + 1);           /* relaxed: for statistics */
	if (outermost)
		fl__store_relaxed(&w->doing, NULL); /* relaxed: a canceller looks at the state of the future */
	fl__future_set_end(f, error, message);
	struct fl__callback *callbacks;
	if (fl__unlikely(!fl__future_publish_end(f, &callbacks)))
		fl__future_end_rest(f, callbacks);
}

void fl__pool_run_within(struct fl__thread_worker *w, struct fl__task_block *block)
{
	struct fl__run run;
	fl__run_enter(&run, &w->pool->base);
	pool_run(w, w->pool, block, &run);
	fl__run_leave(&run);
}

struct fl__task_block *fl__pool_take_any(struct fl__thread_worker *w)
{
	return pool_take(w, true);
}

void fl__pool_serve(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	for (struct fl__task_block *block = pool_search(w); block; block = pool_next(w))
		pool_run(w, p, block, &w->run);
}
