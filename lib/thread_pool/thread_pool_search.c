/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a worker of the thread executor finds a task, sleeps when there is none, and is woken.
 *
 * A worker runs a task, searches for one, or sleeps. `searching` counts the workers that search. A
 * thread that wakes a worker counts it there at once, so one wake is under way at a time. A burst
 * of small tasks is served by workers that run anyway, not by a herd.
 *
 *   word        meaning                              changed
 *   searching   workers that search, or were woken   +1 by a worker that has nothing to do, or
 *               or started and have found no task    under the lock for one that is woken or
 *               yet                                  started; -1 by a worker that has found a task
 *                                                    (stop_searching()), and under the lock when
 *                                                    it sleeps or ends
 *   idle        workers that sleep, in `sleepers`    under the lock; -1 by the waking thread, or by
 *                                                    a worker whose sleep timed out
 *   forked      a worker must look for forks before  under the lock: set for fl_parallel_invoke(), cleared by
 *               it sleeps                            a worker that goes to look; a worker that
 *                                                    finds a task instead wakes another
 *
 * Invariant: while the backlog has a task and one more worker may be active (`more`, pool.h), a
 * worker searches, or a thread is about to check whether to wake one, or a worker whose sleep timed
 * out is about to look. These keep it:
 *   - A worker that goes to sleep marks the empty backlog (fl__backlog_mark()) under the lock, or
 *     goes on searching. Or more workers are active than may be, and without it as many as may be.
 *   - A thread that makes `more` true otherwise (an end, a resize, a blocking section) marks the
 *     backlog, or wakes a worker: fl__pool_settle().
 *   - A submit whose put finds such a mark wakes a worker, unless one searches.
 *   - A worker that has found a task, and was the last to search, looks once more if one more may
 *     be active (stop_searching()): it marks the empty backlog, or wakes a worker.
 *   - A wake that finds no worker needed was counted as a search, and ends it in the same way.
 *
 * A submit may wake no worker because a worker S searches. The submit first claims its slot at the
 * tail of the ring, then sees S counted. S first uncounts itself, then marks the tail, or sees it
 * changed. Since the submit did not see S uncounted, S's mark comes after the submit's claim in the
 * order of the tail's changes: S can set it only if that task was taken. S skips the mark if it
 * sees `more` false: a thread that made `more` true before that had set the mark that the submit
 * found, and a thread that makes it true later looks. So these are in the total order of seq_cst:
 * the claim, or for the list the store to `overflowing`; the submit's load of `searching`; the end
 * of S's search; S's load of `more`.
 *
 * Harmless: a wake for a task that another worker takes first; a mark while no worker sleeps.
 *
 * Sleepers are woken last in, first out: older ones may time out and end, and the newest is nearest
 * to its CPU. A worker whose sleep timed out removes itself under the lock, after which no waking
 * thread finds it, and looks at the backlog before it ends. Until it has the lock it counts as
 * idle, though a wake passes over it: it will look.
 *
 * An initializer may take long, so its worker does not count as searching. Then each submit checks
 * whether to start another worker, one for each task.
 *
 * A worker that finds no task looks for forks (fork.c), uncounted, for it may run one for long.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include "thread_pool.h"
#include <errno.h>

/*
 * The turns of a pause: some microseconds, at 40 ns a turn. A macro, since in the model checker
 * (fairlead-stress) each turn is a step.
 */
#ifndef FL__POOL_TURNS
#define FL__POOL_TURNS 128
#endif

/* Waking. */

/*
 * Under the lock, for a worker that is already counted as searching: wakes one, or, with `start`,
 * starts one.
 */
static bool call(struct fl__pool *p, bool start)
{
	if (fl__wait_queue_wake(&p->sleepers, 1) == 1) {
		p->idle--;
		fl__pool_recount(p);
		return true;
	}
	return start && fl__pool_start_worker(p) == 0;
}

/* Under the lock: whether tasks need one more worker, if none sleeps. */
static bool needs_worker(struct fl__pool *p)
{
	return fl__pool_may_start(p) && fl__backlog_length(&p->backlog) > p->initializing;
}

void fl__pool_wake_locked(struct fl__pool *p)
{
	while (p->more && fl__load_seq_cst(&p->searching) == 0) { /* seq_cst: see the invariant */
		/*
		 * relaxed: a thread that sees the count leaves its task to the end of this search
		 */
		fl__add_relaxed(&p->searching, 1);
		const bool needed = needs_worker(p);
		if (call(p, needed))
			return;
		/*
		 * No worker is woken: the counted search ends. relaxed: the mark comes later,
		 * whether it can be set or not.
		 */
		if (fl__sub_relaxed(&p->searching, 1) > 1 || needed)
			return;
		if (!fl__pool_may_start(p) || p->initializing > 0 || p->base.closed)
			return;
		if (fl__backlog_mark(&p->backlog))
			return;
	}
}

void fl__pool_wake_sleepers(struct fl__pool *p, size_t n)
{
	const unsigned woken = (unsigned)fl__wait_queue_wake(&p->sleepers, n);
	fl__add_relaxed(&p->searching, woken); /* relaxed: as in fl__pool_wake_locked() */
	p->idle -= woken;
	fl__pool_recount(p);
}

void fl__pool_wake(struct fl__pool *p)
{
	if (fl__load_seq_cst(&p->searching) > 0) /* seq_cst: see the invariant */
		return;
	FL_LOCKED(&p->base.lock);
	fl__pool_wake_locked(p);
}

/* Called by a worker that has found a task. */
static void stop_searching(struct fl__pool *p)
{
	/* seq_cst, and the next two: see the invariant */
	if (fl__sub_seq_cst(&p->searching, 1) > 1)
		return;
	if (!fl__load_seq_cst(&p->more))
		return;
	if (!fl__load_seq_cst(&p->backlog.overflowing) &&
	    (fl__mpmc_mark_empty(&p->backlog.ring) || fl__mpmc_can_get(&p->backlog.ring) == -EPIPE))
		return;
	fl__pool_wake(p);
}

/* Under the lock: makes a worker look for forks. */
static void wake_for_forks_locked(struct fl__pool *p)
{
	p->forked = true;
	/*
	 * Also while a worker searches: it may find a task. A worker in its initializer looks for
	 * forks afterwards.
	 */
	const bool start = p->initializing == 0 && fl__pool_may_start(p);
	if (!p->more || !(start || p->idle > 0))
		return;
	fl__add_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	/* no worker: a timed-out sleeper is about to look, or the forks run where they are */
	if (!call(p, start))
		fl__sub_relaxed(&p->searching, 1);
}

void fl__pool_wake_for_forks(void *arg)
{
	struct fl__pool *p = arg;
	FL_LOCKED(&p->base.lock);
	wake_for_forks_locked(p);
}

void fl__pool_settle(struct fl__pool *p)
{
	if (!p->more)
		return;
	if (p->forked)
		wake_for_forks_locked(p);
	if (!fl__backlog_mark(&p->backlog))
		fl__pool_wake_locked(p);
}

/* Workers. */

fl_future fl__pool_taking;

#define INLINE static inline __attribute__((always_inline))

struct taken {
	struct fl__task_block *block; /* NULL: none */
	enum fl__claim claim;
	bool crowded; /* no task: the worker must step back */
};

/* For a worker that has just announced its take: see agree() in pool_workers.c. */
INLINE bool is_to_step_back(const struct fl__pool *p)
{
	fl__in_program_order();
	uint32_t seen = fl__load_relaxed(&p->crowded); /* relaxed: agree() orders it */
	if (__builtin_expect(seen == 0, 1))
		return false;
	if (seen & FL__POOL_FENCED) {
		fl__fence_seq_cst();                  /* pairs with the fence in agree() */
		seen = fl__load_relaxed(&p->crowded); /* relaxed: as above */
	}
	return seen & FL__POOL_CROWDED;
}

/*
 * Takes a task and claims it, unless another context has claimed it. Before that the worker stores
 * in `running` that it is about to take one. A thread that closes the backlog, empties it and then
 * reads `running` finds this store, or a later one, for each task that was taken before. relaxed:
 * the claim of the ring's head (or the lock) releases the store, and a thread that finds the ring
 * empty has acquired it. That thread waits, under the lock, for the next store to `running`, so
 * that store must not wait for the lock.
 */
INLINE struct taken take(struct fl__worker *w, struct fl__pool *p,
                         struct fl__task_block *(*from)(struct fl__backlog *b))
{
	fl_future *f = NULL;
	struct taken taken = {.claim = FL__CLAIM_LOST};
	fl__store_relaxed(&w->running, &fl__pool_taking);
	taken.crowded = is_to_step_back(p);
	taken.block = taken.crowded ? NULL : from(&p->backlog);
	if (taken.block) {
		taken.claim = fl__future_claim(&taken.block->future);
		f = taken.claim == FL__CLAIM_LOST ? NULL : &taken.block->future;
		if (__builtin_expect(taken.block->place == FL__PLACE, 0) && f)
			fl__place_give(&p->base, FL__PLACE);
	}
	/* release: `f` is claimed; pairs with list_running() */
	if (f)
		fl__store_release(&w->running, f);
	else
		fl__store_relaxed(&w->running, NULL); /* relaxed: publishes nothing */
	return taken;
}

bool fl__pool_has_task(const void *pool)
{
	return fl__backlog_any(&((struct fl__pool *)pool)->backlog);
}

/* Looks for a task for a while, without the lock. */
static void spin(struct fl__pool *p)
{
	struct fl__ctx *ctx = fl__ctx_get();
	/* the result does not matter: the caller looks again */
	if (ctx->ops == &fl__thread_parker)
		(void)fl__spin(ctx, fl__pool_has_task, p, FL_FOREVER);
}

/*
 * Under the lock, which it releases while it sleeps, counted as idle. True: the worker was woken,
 * and is counted as searching. False: its sleep timed out, and it is counted only as active.
 */
static bool sleep_as_idle(struct fl__pool *p)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	wait.patient = true; /* the worker has spun for a while */
	struct fl__node node = FL__NODE(&wait);
	fl__wait_queue_add_first(&p->sleepers, &node);
	const int64_t bedtime = fl__pool_bedtime(p);
	fl_mutex_unlock(&p->base.lock);
	const bool woken = fl__wait_sleep(&wait, bedtime, FL_SHIELDED) == 0;
	fl_mutex_lock(&p->base.lock);
	if (woken)
		return true;
	fl__wait_queue_remove(&p->sleepers, &node);
	p->idle--;
	fl__pool_recount(p);
	return false;
}

/* Under the lock. */
static bool is_crowded(const struct fl__pool *p)
{
	return p->crowded & FL__POOL_CROWDED;
}

/*
 * Under the lock, which it releases while it sleeps. The worker is counted as searching before and
 * after. True: its sleep timed out. `round` counts the calls since the last sleep.
 */
static bool sleep_until_woken(struct fl__pool *p, unsigned *round)
{
	/* if crowded, enough workers are active, whatever is in the backlog */
	const bool too_many = is_crowded(p);
	p->idle++;
	fl__pool_recount(p);
	fl__sub_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	if (too_many || fl__backlog_mark(&p->backlog) || fl__backlog_is_over(&p->backlog)) {
		*round = 0;
		if (sleep_as_idle(p))
			return false;
		fl__add_relaxed(&p->searching, 1);
		return true;
	}
	fl__add_relaxed(&p->searching, 1);
	p->idle--;
	fl__pool_recount(p);
	fl__back_off((*round)++); /* an accepted put is not yet published */
	return false;
}

/* Runs what a task of another worker has forked. True: there may be more. */
static bool help_forks(struct fl__worker *w)
{
	struct fl__pool *p = w->pool;
	if (!fl__load_relaxed(&p->forks.used)) /* relaxed: as in fl__forks_run_one() */
		return fl__forks_doze(&p->forks, w->forks);
	stop_searching(p);
	const bool more = fl__forks_run_one(&p->forks, w->forks);
	fl__add_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	return more || fl__forks_doze(&p->forks, w->forks);
}

/*
 * Under the lock: whether nothing more comes. `active` is 1 in a worker's call, 0 after its end.
 * Running tasks may fork. So the workers stay until the last one has nothing to do: then all others
 * are asleep, and are woken.
 */
static bool is_over(struct fl__pool *p, unsigned active)
{
	if (!p->over && fl__backlog_is_over(&p->backlog) && p->idle + active == p->alive) {
		p->over = true;
		fl__pool_wake_sleepers(p, FL__ALL);
	}
	return p->over;
}

/* Under the lock: the calling worker, which is not counted as searching, will end. */
static void end(struct fl__pool *p)
{
	p->alive--;
	fl__pool_recount(p);
	if (!is_over(p, 0))
		fl__pool_settle(p);
}

enum found { TASK, FORKS, THE_END };

/* Under the lock, which it releases while it sleeps. */
static enum found search_locked(struct fl__worker *w, struct taken *taken)
{
	struct fl__pool *p = w->pool;
	unsigned round = 0;
	for (bool slept = false;; slept = sleep_until_woken(p, &round)) {
		if (is_crowded(p)) { /* this worker is one too many, and takes no task */
			if (is_over(p, 1) || fl__pool_is_to_end(p, slept))
				return THE_END;
			continue;
		}
		*taken = take(w, p, fl__backlog_take_locked);
		if (taken->block)
			return TASK;
		if (is_over(p, 1))
			return THE_END;
		if (p->forked)
			return FORKS;
		if (fl__pool_is_to_end(p, slept))
			return THE_END;
	}
}

/*
 * For a worker counted as searching: finds a task; or none, when the worker must end. Afterwards
 * the worker is not counted.
 */
static struct taken search(struct fl__worker *w)
{
	struct fl__pool *p = w->pool;
	struct taken taken;
	bool called = false; /* must look for forks, and has not yet */
	do {
		spin(p);
		taken = take(w, p, fl__backlog_take);
		if (taken.block)
			break;
		/*
		 * relaxed: a hint; tasks in the lists come before forks, and are taken under the
		 * lock
		 */
		if (!taken.crowded && !fl__load_relaxed(&p->backlog.overflowing)) {
			called = false;
			if (help_forks(w))
				continue;
		}
		FL_LOCKED(&p->base.lock);
		switch (search_locked(w, &taken)) {
		case TASK:
			called = called || p->forked;
			break;
		case FORKS:
			p->forked = false;
			called = true;
			break;
		case THE_END:
			/* relaxed: the mark that end() sets, or fails to set, comes later */
			fl__sub_relaxed(&p->searching, 1);
			end(p);
			return (struct taken){.claim = FL__CLAIM_LOST};
		}
	} while (!taken.block);
	stop_searching(p);
	if (called)
		fl__pool_wake_for_forks(p);
	return taken;
}

/*
 * For a worker that has just found no task. A worker that keeps up with a submitter meets it at the
 * same cache lines for each task, which then takes several times as long. So the worker pauses,
 * until the submitter is some tasks ahead; but only if it has begun several since it last found
 * none, so that a submitter that waits for each result is not delayed.
 */
static bool falls_behind(struct fl__worker *w)
{
	enum { TURNS = FL__POOL_TURNS, SEVERAL = 2 };
	const bool has_kept_up = w->begun - w->found_none > SEVERAL;
	w->found_none = w->begun;
	if (has_kept_up)
		fl__pause(TURNS);
	return has_kept_up;
}

INLINE struct taken next(struct fl__worker *w, struct fl__pool *p)
{
	struct taken taken;
	do
		taken = take(w, p, fl__backlog_take);
	while (!taken.block && !taken.crowded && falls_behind(w)); /* once: no task began since */
	if (taken.block)
		return taken;
	fl__add_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	return search(w);
}

/* Another context has claimed the task. */
static void let_go(struct fl__pool *p, struct fl__task_block *block)
{
	fl__sub_relaxed(&p->backlog.dead, 1); /* relaxed: approximate */
	fl__task_block_abandon(block);
}

/* Runs the task that a search has returned. */
INLINE void run(struct fl__worker *w, struct fl__pool *p, struct taken taken)
{
	struct fl__task_block *block = taken.block;
	if (__builtin_expect(taken.claim != FL__CLAIM_RUN, 0)) {
		if (taken.claim == FL__CLAIM_LOST) {
			let_go(p, block);
			return;
		}
		fl__store_relaxed(&w->skipped, w->skipped + 1); /* relaxed: for statistics */
	}
	char *message;
	fl__store_relaxed(&w->begun, w->begun + 1); /* relaxed: as above */
	w->run.claim = taken.claim;
	w->run.future = &block->future;
	const int error = fl__run_function(&w->run, &message);
	/*
	 * relaxed, both: a thread that finds this block in the backlog, in its next use, has
	 * acquired the store, and reads `running` after that
	 */
	if (__builtin_expect(block->size < FL__TASK_BLOCK_SIZES, 1)) {
		fl__store_relaxed(&w->running, NULL);
	} else {
		/*
		 * the memory will be no future's, so the lock excludes threads that read `running`
		 */
		FL_LOCKED(&p->base.lock);
		fl__store_relaxed(&w->running, NULL);
	}
	/*
	 * Before the end is published: a submit that follows a wait for this task finds this worker
	 * free.
	 */
	if (__builtin_expect(block->place == FL__WORKER, 0))
		fl__place_give(&p->base, FL__WORKER);
	fl__future_end(&block->future, error, message);
}

void fl__pool_serve(struct fl__worker *w)
{
	struct fl__pool *p = w->pool;
	for (struct taken taken = search(w); taken.block; taken = next(w, p))
		run(w, p, taken);
}
