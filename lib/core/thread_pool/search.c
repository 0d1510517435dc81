/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker that has no task searches for one, and then sleeps until another thread wakes it.
 *
 *   word            meaning                                  changed
 *   searching       workers that search, or were woken or    +1 by a worker that has nothing to do,
 *                   started and have found no task yet       or whose sleep timed out; or under the
 *                                                            lock for a worker that is woken or
 *                                                            started; -1 by a worker that has found
 *                                                            a task (fl__pool_stop_searching()),
 *                                                            and under the lock when it sleeps or
 *                                                            ends, or when no worker could be
 *                                                            started. -1 and later +1 around an
 *                                                            initializer, a fork, and an attempt to
 *                                                            sleep that fails. taking.c describes
 *                                                            how a call of a worker changes it
 *   idle            workers that sleep, in `sleepers`, or    under the lock; -1 by the waking
 *                   are about to                             thread, or by a worker whose sleep
 *                                                            timed out, or that could not mark
 *                                                            the backlog and does not sleep
 *   more            bool: one more worker may be active      under the lock, after a change of its
 *                                                            inputs: fl__pool_recount()
 *   active          workers that are neither idle nor        together with `more`
 *                   blocked
 *   has_forks       a worker must look for forks before it   under the lock: set for
 *                   sleeps                                   fl_parallel_invoke(), cleared by a
 *                                                            worker that goes to look; a worker
 *                                                            that finds a task instead wakes
 *                                                            another
 *   cpus            CPUs that workers may run on; 0: not     by each worker that finds 0; all of
 *                   yet known                                them store the same number
 *
 * A thread that wakes a worker counts it in `searching` at once, so one wake for tasks is under way
 * at a time. A wake for forks does not wait for the end of a wake for tasks, and a resize and the
 * end of the pool wake several workers at once.
 *
 * Rule 1, the invariant of the search. While the backlog has a task and one more worker may be
 * active (`more`), a worker searches, or a thread is about to check whether to wake one, or a
 * worker is about to look after its sleep timed out. The following keep the invariant:
 *   - A worker that goes to sleep may make `more` true, since it is no longer active. It marks the
 *     empty backlog (fl__backlog_mark()) under the lock, or goes on searching. If more workers are
 *     active than may be, it sleeps without a mark, since enough workers are left.
 *   - The end of a worker, a resize and a blocking section may make `more` true, too. The thread
 *     that makes the change calls fl__pool_settle(), which marks the backlog or wakes a worker.
 *   - A submit that finds such a mark wakes a worker, unless one searches.
 *   - A worker that has found a task, and was the last to search, looks at the backlog once more if
 *     one more may be active (fl__pool_stop_searching()): it marks the backlog or wakes a worker.
 *   - A woken worker counts as searching even if it is not needed. Its search ends like any other.
 *   - A thread that is about to start a further worker for a task first looks for a worker that is
 *     between two tasks or takes one (FL__POOL_BETWEEN, FL__POOL_TAKING), and *calls* it: it counts
 *     that worker as searching. The worker ends this search like any other: when it has found a
 *     task, or else before it runs user code.
 * There is one exception to rule 1: after a needed start has failed, perhaps no worker searches,
 * and the tasks wait for the present workers.
 *
 * Rule 2. A submit wakes no worker while a worker S searches. The submit first claims its slot at
 * the tail of the ring, then sees S counted. S first ends its count, and then takes one of three
 * ways:
 *   - S marks the tail. The mark comes after the submit's claim, since the submit saw S counted. S
 *     can set the mark only if the ring is empty, so the task was taken.
 *   - S sees that the tail has changed, and searches on, or wakes another worker if it has a task.
 *   - S sees `more` false, and leaves the task: no further worker may be active. The thread that
 *     makes `more` true sets a mark or wakes a worker (fl__pool_settle()). If that thread makes
 *     `more` true before the submit, the submit finds its mark or a searching worker. If that
 *     thread makes `more` true after S's load, it finds the task.
 * A local queue that is not listed counts as marked (invariant 6 of backlog.c). The local queue of
 * a new worker is created with its mark set.
 *
 * The argument needs the total order of seq_cst for five kinds of accesses:
 *   1. the claim, or the store to `slow` if the task goes into an overflow list
 *   2. the submit's load of `searching`
 *   3. the subtraction from `searching` that ends S's search
 *   4. S's load of `more`, and all stores to `more`
 *   5. S's loads of the tails and of `slow` when it marks the backlog (fl__backlog_mark())
 *
 * Rule 3. The addition to `searching` that begins a search may be relaxed. A thread that reads the
 * new count leaves its task to the search, and the end of the search is seq_cst (rule 2). A thread
 * that reads the old count wakes one more worker.
 *
 * A wake for a task that another worker takes first is harmless. A mark while no worker sleeps is
 * harmless, too.
 *
 * After a timeout a sleeper removes itself under the lock, and looks at the backlog before it ends.
 * If too many workers are active, it ends without that look, since enough are left. Until the
 * sleeper has the lock it counts as idle, though a wake passes over it.
 *
 * How a worker leaves a search, and who keeps the invariant from then on (taking.c has the same for
 * a search that a call has counted):
 *
 *   it leaves                      who keeps the invariant
 *   with a task                    if it was the last to search, it marks the backlog, or wakes
 *                                  another worker (fl__pool_stop_searching())
 *   for a fork                     the same; afterwards it counts itself as searching again
 *   for its initializer            fl__pool_wake_locked(), in the same section of the lock
 *   asleep, the backlog marked     the submit that finds the mark
 *   asleep, with CROWDED           the workers that are active, who are as many as may be. If all
 *                                  of them doze, fl__pool_relieve() lets this worker go on
 *   its end, the pool over         nobody: nothing more comes
 *   its end, one too many, or      fl__pool_settle(), in the same section of the lock
 *   idle for too long
 *
 * A worker that has cleared `has_forks` must look for forks. If it sleeps or ends before it has
 * looked, it sets `has_forks` again. If it finds a task before, it wakes another worker for the
 * forks.
 *
 * A worker in its initializer, or one that looks for forks (fork_join.c), is not counted as
 * searching, because both may take long. After its initializer a worker takes a task, so another
 * worker is needed only when more tasks wait than there are workers in their initializers. The pool
 * must learn of that moment. So until then all queues are marked, not only the empty ones
 * (fl__backlog_watch()), and each submit looks under the lock whether to start another worker.
 *
 * Costs. A submit pays only if it finds a mark and no worker searches; then it wakes, calls or
 * starts a worker. Before the pool starts a further worker for a task, it looks for one that is
 * between two tasks, looks for a task at this moment, or has just found none. If there is one, it
 * is called in place of the start. So a submitter that waits for each task before the next submit
 * causes the start of only one worker, even if threads wait for a CPU. A worker that keeps up with
 * a stream of tasks pauses for some microseconds, so that it does not meet the submitter at the
 * same cache lines for each task. A thread that takes a task or a free task block prefetches the
 * lines of a later one.
 *
 * Sleepers are woken last in, first out, so that the idle time of the others runs out. But among
 * the last five, a sleeper that slept on a CPU other than the waking thread's is preferred. A
 * worker unparked under the lock could preempt the waking thread, and would then sleep for the lock
 * (46 to 222 more wakes in a burst of 1,000 tasks). So the wake takes the sleeper off its queue
 * under the lock, and the unlock unparks it. If the lock has waiters, the unlock wakes one of them.
 * That waiter may preempt the waking thread before the unpark; the worker is then late by a time
 * slice.
 */
#include "../base/atomic.h"
#include "../base/awaited.h"
#include "../wait/lot.h"
#include "taking.h"
#include <fairlead/time.h>

static const int64_t pool_surplus_timeout = FL_S(1); /* how long a worker above the limit sleeps before it ends */

/*
 * Called under the lock, by a thread that has counted the worker in `searching`. Wakes a worker.
 * Returns false if none sleeps.
 */
static bool pool_wake_sleeper(struct fl__thread_pool *p)
{
	if (fl__wait_queue_take(&p->sleepers, 1) == 0)
		return false;
	p->idle--;
	fl__pool_recount(p);
	return true;
}

static bool pool_needs_worker(struct fl__thread_pool *p)
{
	return fl__pool_may_start(p) && fl__backlog_length(&p->backlog) > p->initializing;
}

void fl__pool_wake_locked(struct fl__thread_pool *p)
{
	if (p->started == FL__POOL_START_FAILED)
		fl__pool_set_started(p, FL__POOL_STARTED);
	fl__pool_relieve(p);
	while (p->more && fl__load_seq_cst(&p->searching) == 0) { /* seq_cst: rule 2 */
		/* relaxed: rule 3 */
		fl__add_relaxed(&p->searching, 1);
		if (pool_wake_sleeper(p) || (pool_needs_worker(p) && fl__pool_call_worker(p)))
			return;
		/*
		 * A worker may have taken the task, or begun another search. acquire: pairs with
		 * the seq_cst subtraction of a worker that ended its search, so that this thread
		 * sees its take.
		 */
		const bool starts = fl__load_acquire(&p->searching) == 1 && pool_needs_worker(p);
		if (starts && fl__pool_start_worker(p) == 0)
			return;
		/* seq_cst: the counted search ends before the mark (rule 2) */
		if (fl__sub_seq_cst(&p->searching, 1) > 1 || starts)
			return;
		if (p->initializing > 0)
			fl__backlog_watch(&p->backlog);
		if (pool_needs_worker(p))
			continue; /* the other search has ended since, or a task has come */
		if (!fl__pool_may_start(p) || p->initializing > 0 || p->base.closed || fl__backlog_mark(&p->backlog))
			return;
	}
}

void fl__pool_wake_sleepers(struct fl__thread_pool *p, size_t n)
{
	const unsigned woken = (unsigned)fl__wait_queue_take(&p->sleepers, n);
	fl__add_relaxed(&p->searching, woken); /* relaxed: rule 3 */
	p->idle -= woken;
	fl__pool_recount(p);
}

FL__NOINLINE void fl__pool_wake(struct fl__thread_pool *p)
{
	if (fl__load_seq_cst(&p->searching) > 0) /* seq_cst: rule 2 */
		return;
	{
		FL__POOL_LOCKED(p);
		fl__pool_wake_locked(p);
	}
	if (fl__unlikely(fl__load_relaxed(&p->full))) /* relaxed: the report looks again under the lock */
		(void)fl__pool_report_starved(p);
}

void fl__pool_pay(struct fl__thread_pool *p, unsigned owes, bool searching)
{
	if (owes & FL__OWES_REFILL) {
		FL__POOL_LOCKED(p);
		fl__backlog_refill(&p->backlog);
	}
	/* a search that ends looks once more in any case */
	if ((owes & FL__OWES_WAKE) && !searching)
		fl__pool_wake(p);
}

void fl__pool_stop_searching(struct fl__thread_pool *p)
{
	/* seq_cst, here and in the load of `more`: rule 2 */
	if (fl__sub_seq_cst(&p->searching, 1) > 1)
		return;
	if (!fl__load_seq_cst(&p->more))
		return;
	if (!fl__backlog_mark(&p->backlog))
		fl__pool_wake(p);
}

static void pool_wake_for_forks_locked(struct fl__thread_pool *p)
{
	p->has_forks = true;
	/*
	 * A worker is woken even if another one searches, because that one may find a task. While a
	 * worker is in its initializer, none is started: that worker looks for forks later.
	 */
	const bool start = p->initializing == 0 && fl__pool_may_start(p);
	if (!p->more || !(start || p->idle > 0))
		return;
	fl__add_relaxed(&p->searching, 1); /* relaxed: rule 3 */
	/*
	 * If no worker was woken or started, a sleeper whose sleep timed out is about to look, or
	 * the forkers run their forks themselves.
	 */
	if (!pool_wake_sleeper(p) && !(start && fl__pool_start_worker(p) == 0))
		fl__sub_seq_cst(&p->searching, 1); /* seq_cst: before the mark of fl__pool_settle() */
}

void fl__pool_wake_for_forks(void *arg)
{
	struct fl__thread_pool *p = arg;
	FL__POOL_LOCKED(p);
	pool_wake_for_forks_locked(p);
}

void fl__pool_settle(struct fl__thread_pool *p)
{
	if (p->more && p->has_forks)
		pool_wake_for_forks_locked(p);
	if (!p->more || !fl__backlog_mark(&p->backlog))
		fl__pool_wake_locked(p);
}

bool fl__pool_has_task(const void *pool)
{
	return fl__backlog_any(&((struct fl__thread_pool *)pool)->backlog);
}

/*
 * Returns whether the active workers, the caller among them, are as many as the CPUs. The answer is
 * a hint.
 */
static bool pool_uses_all_cpus(struct fl__thread_pool *p)
{
	unsigned cpus = fl__load_relaxed(&p->cpus); /* relaxed: each worker stores the same number */
	if (cpus == 0) {
		cpus = fl__cpu_affinity_count();
		fl__store_relaxed(&p->cpus, cpus); /* relaxed: each worker stores the same number */
	}
	return fl__load_relaxed(&p->active) >= cpus; /* relaxed: a hint */
}

/*
 * Looks for a task for a while. Where yields are barred (base/yield.c) fl__spin() pauses. If yields
 * are barred and the pool uses all CPUs, pauses would keep a CPU from a worker with a task. So this
 * worker polls only a few times.
 */
static void pool_spin(struct fl__thread_pool *p)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const bool brief = fl__yields_are_barred(fl__sys.now()) && pool_uses_all_cpus(p);
	/* the result does not matter: the caller looks again */
	if (ctx->ops == &fl__thread_parker)
		(void)fl__spin(ctx, fl__pool_has_task, p, brief ? FL_NO_WAIT : FL_FOREVER);
}

static fl_time pool_sleep_deadline(const struct fl__thread_pool *p)
{
	if (p->alive == 1 || p->base.closed)
		return FL_FOREVER;
	const fl_duration time = p->idle_timeout > 0 ? p->idle_timeout : FL_DURATION_MAX;
	if (p->alive > fl__pool_worker_limit(p))
		return fl_after(FL__MIN(time, pool_surplus_timeout));
	return fl_after(time);
}

static bool pool_must_end(struct fl__thread_pool *p, bool slept)
{
	if (p->surplus > 0) {
		p->surplus--;
		fl__pool_recount(p);
		return true;
	}
	return slept && p->alive > 1 && (p->idle_timeout > 0 || p->alive > fl__pool_worker_limit(p));
}

/*
 * Sleeps. Called under the lock, which it releases meanwhile, by a worker that is counted as idle.
 * Returns true if the worker was woken; it is then counted as searching. Returns false if its sleep
 * timed out; it is then counted only as active.
 */
static bool pool_sleep_as_idle(struct fl__thread_pool *p)
{
	FL__WAIT(wait, node, FL__DEBUG_TASK, p);
	wait.no_spin = true; /* the worker has spun for a while */
	fl__wait_queue_add_first(&p->sleepers, &node);
	const fl_time wake_at = pool_sleep_deadline(p);
	fl__hook_idle(&p->base);
	fl__pool_unlock(p);
	const struct fl__worker_ops *const worker_ops = wait.ctx->worker_ops;
	wait.ctx->worker_ops = NULL; /* an idle worker does not doze */
	const bool woken = fl__wait_sleep(&wait, wake_at, FL_SHIELDED) == 0;
	wait.ctx->worker_ops = worker_ops;
	fl__mutex_hold(&p->base.lock);
	if (woken)
		return true;
	fl__wait_queue_remove(&p->sleepers, &node);
	p->idle--;
	fl__pool_recount(p);
	return false;
}

static bool pool_is_crowded(struct fl__thread_pool *p)
{
	if (fl__pool_flags(p) & FL__POOL_AWAKE)
		fl__pool_recount(p);
	return fl__pool_flags(p) & FL__POOL_CROWDED;
}

/*
 * Sleeps if there is no task, or if too many workers are active. Called under the lock, which it
 * releases while the worker sleeps. The worker is counted as searching before and after. Returns
 * whether its sleep timed out. `round` counts the calls since the last sleep.
 */
static bool pool_sleep_until_woken(struct fl__thread_pool *p, unsigned *round)
{
	/* with CROWDED, enough workers are active, even if the backlog has tasks */
	const bool too_many = pool_is_crowded(p);
	p->idle++;
	fl__pool_recount(p);
	fl__sub_seq_cst(&p->searching, 1); /* seq_cst: rule 2 */
	if (too_many)
		fl__pool_relieve(p); /* if all others doze, this worker goes on */
	if ((too_many && !p->more) || fl__backlog_mark(&p->backlog)) {
		*round = 0;
		if (pool_sleep_as_idle(p))
			return false;
		fl__add_relaxed(&p->searching, 1);
		return true;
	}
	fl__add_relaxed(&p->searching, 1);
	p->idle--;
	fl__pool_recount(p);
	/*
	 * The backlog could not be marked: typically a put has claimed a slot and not published its
	 * task yet. The pause gives it time.
	 */
	fl__back_off((*round)++);
	return false;
}

/* Runs a fork of another worker. Returns whether there may be more forks. */
static bool pool_help_forks(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	if (!w->forks)
		return false;
	if (!fl__load_relaxed(&p->forks.used)) /* relaxed: the thread that woke this worker for forks has set `used` */
		return fl__forks_prepare_sleep(&p->forks, w->forks);
	fl__pool_stop_searching(p);
	/*
	 * A future that ends in the fork may have the address of the future that this worker ended
	 * last. fl__run_ends() must not take it for the future of the worker's own task.
	 */
	w->run.future = NULL;
	const bool more = fl__forks_run_one(&p->forks, w->forks) || fl__forks_prepare_sleep(&p->forks, w->forks);
	fl__add_relaxed(&p->searching, 1); /* relaxed: rule 3 */
	return more;
}

enum pool_found { POOL_FOUND_TASK, POOL_FOUND_FORKS, POOL_FOUND_END };

/* Searches and sleeps in turn. Called under the lock, which it releases while it sleeps. */
static enum pool_found pool_search_locked(struct fl__thread_worker *w, struct fl__pool_taken *taken)
{
	struct fl__thread_pool *p = w->pool;
	unsigned round = 0;
	for (bool slept = false;; slept = pool_sleep_until_woken(p, &round)) {
		if (pool_is_crowded(p)) { /* with CROWDED this worker takes no task */
			if (fl__pool_is_over(p, 1) || pool_must_end(p, slept))
				return POOL_FOUND_END;
			continue;
		}
		*taken = fl__pool_take(w, p, true, true);
		if (taken->block)
			return POOL_FOUND_TASK;
		if (fl__pool_is_over(p, 1))
			return POOL_FOUND_END;
		if (p->has_forks)
			return POOL_FOUND_FORKS;
		if (pool_must_end(p, slept))
			return POOL_FOUND_END;
	}
}

struct fl__pool_taken fl__pool_search(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	struct fl__pool_taken taken;
	bool called = false; /* was woken for forks, and has not looked for them yet */
	do {
		pool_spin(p);
		taken = fl__pool_take(w, p, true, false);
		if (taken.block)
			break;
		/*
		 * This is a hint. Tasks of an injector's list come before forks, and are taken
		 * under the lock.
		 */
		if (!taken.must_lock && !fl__backlog_any(&p->backlog)) {
			called = false;
			if (pool_help_forks(w))
				continue;
		}
		FL__POOL_LOCKED(p);
		p->has_forks = p->has_forks || called; /* this worker may sleep or end now */
		switch (pool_search_locked(w, &taken)) {
		case POOL_FOUND_TASK:
			called = p->has_forks;
			break;
		case POOL_FOUND_FORKS:
			p->has_forks = false;
			called = true;
			break;
		case POOL_FOUND_END:
			/*
			 * seq_cst: before the mark that fl__pool_end_worker() sets, or fails to set
			 */
			fl__sub_seq_cst(&p->searching, 1);
			fl__pool_end_worker(p);
			return (struct fl__pool_taken){.claim = FL__CLAIM_LOST};
		}
	} while (!taken.block);
	fl__pool_stop_searching(p);
	if (called)
		fl__pool_wake_for_forks(p);
	return taken;
}
