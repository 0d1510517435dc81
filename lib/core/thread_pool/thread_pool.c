/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor: workers take tasks from one backlog (backlog.c) without a lock, or sleep.
 *
 * A worker runs a task, searches for one, or is idle: then it sleeps in `sleepers`. A worker is
 * *active* unless it is idle or blocks (fl_blocking_begin()). A worker *dozes* if it has slept for
 * some time in a wait of its task. Another worker may stand in for one that blocks, and, while all
 * active workers doze, for one that dozes; up to a limit. `searching` counts the workers that
 * search. A thread that wakes a worker counts it there at once, so one wake is under way at a time.
 *
 *   word            meaning                                  changed
 *   base.workers    the most workers that may be active      under the lock, by a resize; all
 *                                                            threads read it
 *   made            worker structs                           under the lock
 *   starts, leaves  threads ever started; those that have    under the lock
 *                   left
 *   alive           threads that look for tasks: without     under the lock: +1 by a start, -1 by a
 *                   those that will end                      worker that decides to end
 *   blocked         of those alive: in a blocking section    under the lock, by the worker
 *   surplus         of those alive: how many must end after  under the lock: set by a resize, -1 by
 *                   their current task, since a resize       a worker that ends
 *   active          workers that are neither idle nor block  as `more`
 *   dozing          of those active: they doze               +1, -1 by the worker: pool_doze()
 *   stand_ins       how many more than that may be active,   under the lock: set by pool_relieve(),
 *                   since workers doze; at most `dozing`     lowered by the next recount after a
 *                                                            worker has waked
 *   next_stand_in   no worker begins to doze before          under the lock: pool_relieve()
 *   full            the pool is starved, and no more may     under the lock: set by pool_relieve(),
 *                   stand in                                 cleared as `stand_ins` is lowered
 *   agent           NO_AGENT; AGENT_RUNS; AGENT_AGAIN: runs, by a worker that dozes; by the agent,
 *                   and must look once more; AGENT_ENDED:    from AGAIN to RUNS, and from RUNS to
 *                   to be joined                             ENDED
 *   cpus            CPUs that workers may run on; 0: not     by the first worker that asks
 *                   yet known
 *   more            bool: one more worker may be active      under the lock, after a change of its
 *                                                            inputs: fl__thread_pool_recount()
 *   crowded         flags                                    as `more`
 *     CROWDED (1)   some workers must step back: more are
 *                   active than may be, or `surplus`
 *     FENCED (2)    the system has no membarrier(): each     at creation
 *                   take has a fence of its own
 *     AWAKE (4)     a worker that dozed has waked: the next  by that worker; cleared by the recount
 *                   take recounts
 *     LISTED (8)    the closed pool's running tasks have     under the lock
 *                   been listed, and may have references
 *   started         POOL_NO_WORKER: there never was one.     under the lock, after a start;
 *                   POOL_START_FAILED: the last start        START_FAILED becomes STARTED when
 *                   failed, so the next submit tries again.  pool_wake_locked() looks again
 *                   POOL_STARTED
 *   initializing    workers in their initializer             under the lock
 *   searching       workers that search, or were woken or    +1 by a worker that has nothing to do,
 *                   started and have found no task yet       or under the lock for a worker that is
 *                                                            woken or started; -1 by a worker that
 *                                                            has found a task
 *                                                            (pool_stop_searching()), and under the
 *                                                            lock when it sleeps or ends
 *   idle            workers that sleep, in `sleepers`        under the lock; -1 by the waking
 *                                                            thread, or by a worker after its
 *                                                            sleep timed out
 *   has_forks       a worker must look for forks before it   under the lock: set for
 *                   sleeps                                   fl_parallel_invoke(), cleared by a
 *                                                            worker that goes to look; a worker
 *                                                            that finds a task instead wakes
 *                                                            another
 *   ended           the thread that left last; it joins the  under the lock, by the thread that
 *                   thread that left before it               leaves; by the join, after the last
 *   vacant          workers without a thread                 under the lock
 *   ended, skipped, of a worker: tasks that it claimed and   by the worker; read for statistics
 *   failed          that have ended; those that it did not
 *                   run; those that have failed
 *   workers         all workers, the last made first; none   under the lock; read without
 *                   is removed
 *   running         of a worker                              by the worker
 *     a future          it runs this task
 *     &pool_taking      it takes a task: pool_take()
 *     &pool_between     it will take a task, and runs no
 *                       user code before
 *     NULL              anything else
 *   called          of a worker: bool: a thread has counted  set under the lock by
 *                   it in `searching`                        pool_call_worker(), in place of a
 *                                                            start; cleared by the worker, or by
 *                                                            that thread: swap
 *
 * Invariant of the search: while the backlog has a task and one more worker may be active (`more`),
 * a worker searches, or a thread is about to check whether to wake one, or a worker is about to
 * look after its sleep timed out. These keep it:
 *   - A worker that goes to sleep marks the empty backlog (fl__backlog_mark()) under the lock, or
 *     goes on searching. Or more workers are active than may be: then enough are left without it.
 *   - A thread that makes `more` true otherwise (an end, a resize, a blocking section) marks the
 *     backlog, or wakes a worker: pool_settle().
 *   - A submit that finds such a mark wakes a worker, unless one searches.
 *   - A worker that has found a task, and was the last to search, looks once more if one more may
 *     be active (pool_stop_searching()).
 *   - A wake counts as a search, also if no worker is needed: it ends as a search ends.
 *   - A thread that is about to start a worker first calls one that has ended its task and has not
 *     yet looked for the next (&pool_between). The call counts that worker as searching. The worker
 *     ends this search as any other: when it has found a task, or else before it runs user code.
 *   - If a needed start fails, no worker searches, and the tasks wait for the present workers.
 *
 * A submit may wake no worker because a worker S searches. The submit first claims its slot at the
 * tail of the ring, then sees S counted. S first uncounts itself, then does one of these:
 *   - S marks the tail. The mark comes after the submit's claim, since the submit saw S counted.
 *     S can set it only if the ring is empty: the task was taken.
 *   - S sees that the tail has changed, and searches on.
 *   - S sees `more` false, and leaves the task: no further worker may be active. The thread that
 *     makes `more` true sets a mark or wakes a worker (pool_settle()). If it does so before the
 *     submit, the submit finds the mark; if after S's load, that thread finds the task.
 * So these are in the total order of seq_cst: the claim, or the store to `overflowing` for a task
 * that goes into the backlog's list; the submit's load of `searching`; the end of S's search; S's
 * load of `more`.
 *
 * Harmless: a wake for a task that another worker takes first; a mark while no worker sleeps.
 *
 * After a timeout a sleeper removes itself under the lock, and looks at the backlog before it ends.
 * Until it has the lock it counts as idle, though a wake passes over it.
 *
 * A worker in its initializer, or one that looks for forks (fork_join.c), is not counted as
 * searching: either may take long. During an initializer each submit may start another worker.
 *
 * The first submit starts a worker before it adds its task: no submit fails with its task in the
 * backlog.
 *
 * The end of a worker. A worker decides to end in a section under the lock. From then on only
 * `starts` less `leaves` counts it. In a later section it leaves: it stores its thread in `ended`,
 * and its struct in `vacant`. Workers, and the fork stacks that thieves read, last as long as the
 * executor.
 *
 * After a blocking section one worker may be too many. The next that ends a task steps back: it
 * sleeps, is woken first when a worker blocks again, and ends after a while.
 *
 * A pool is *starved* if tasks are pending and all active workers doze. These look for it: a worker
 * that begins to doze, through the agent; a submit that finds the mark; a worker that steps back or
 * ends; a resize. Section 4 of docs/design.md says why. If a task ends the thread of the last
 * worker, `started` is NO_WORKER again, and the thread stays until no task is pending or another
 * worker was started.
 */
#include "thread_pool.h"
#include "../base/atomic.h"
#include "../base/awaited.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../exec/map.h"
#include "../sync/cpu.h"
#include "../sync/local.h"
#include "../sync/thread.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>
#include <stdio.h>

/* The turns of a pause, some 40 ns each. In the model checker each turn is a step. */
#ifndef FL__POOL_TURNS
#define FL__POOL_TURNS 128
#endif

#define POOL_INLINE static inline __attribute__((always_inline))

enum { POOL_STARTED, POOL_NO_WORKER, POOL_START_FAILED };

static const int64_t pool_surplus_timeout = FL_S(1); /* how long a surplus worker sleeps before it ends */

/* Markers in `running`: see the table. */
static fl_future pool_taking, pool_between;

static int pool_start_worker(struct fl__thread_pool *p);
static void pool_block(struct fl__run *run, bool begins);
static int64_t pool_doze(const struct fl__wait *wait, bool begins);

static const struct fl__worker_ops pool_worker_ops = {fl__run_block, pool_doze};

static struct fl__thread_pool *pool_of(fl_executor *e)
{
	return (struct fl__thread_pool *)(void *)e; /* base is its first member */
}

/*
 * The lock. A woken worker needs it, and may preempt the waking thread. So a wake only takes the
 * worker off `sleepers`; each unlock unparks it.
 */

static void pool_unlock(struct fl__thread_pool *p)
{
	struct fl__lot taken = fl__wait_queue_taken(&p->sleepers);
	fl_mutex_unlock(&p->base.lock);
	fl__lot_unpark(&taken);
}

/* For an operation that the executor calls under the lock. */
static void pool_unpark(struct fl__thread_pool *p)
{
	struct fl__lot taken = fl__wait_queue_taken(&p->sleepers);
	fl__lot_unpark(&taken);
}

static struct fl__thread_pool *pool_lock(struct fl__thread_pool *p)
{
	fl__mutex_hold(&p->base.lock);
	return p;
}

static void pool_locked_end(struct fl__thread_pool **p)
{
	pool_unlock(*p);
}

/* A declaration: locks until the end of the block. */
#define POOL_LOCKED(p)                                                                                                 \
	__attribute__((cleanup(pool_locked_end), unused)) struct fl__thread_pool *FL__UNIQUE(pool_locked_) =           \
	    pool_lock(p)

/* The number of workers. All under the lock. */

static unsigned pool_limit_with(const struct fl__thread_pool *p, unsigned stand_ins)
{
	const unsigned workers = p->base.workers, more = p->blocked + stand_ins;
	return more < FL_WORKERS_MAX - workers ? workers + more : FL_WORKERS_MAX;
}

/* The most workers that may be alive. */
static unsigned pool_worker_limit(const struct fl__thread_pool *p)
{
	return pool_limit_with(p, p->stand_ins);
}

static uint32_t pool_flags(const struct fl__thread_pool *p)
{
	return fl__load_relaxed(&p->crowded); /* workers that wake change AWAKE alone */
}

void fl__thread_pool_recount(struct fl__thread_pool *p)
{
	uint32_t flags, counted, stand_ins;
	do {
		flags = fl__load_acquire(&p->crowded); /* `dozing` before AWAKE; pairs with pool_doze() */
		/* see pool_doze() */
		const uint32_t dozing = fl__load_seq_cst(&p->dozing);
		stand_ins = FL__MIN(p->stand_ins, dozing);
		/* both include blocked workers */
		const unsigned awake = p->alive - p->idle, may_be = pool_limit_with(p, stand_ins);
		const bool more = awake < may_be;
		if (p->active != awake - p->blocked)
			fl__store_seq_cst(&p->active, awake - p->blocked); /* see pool_doze() */
		if (more != p->more)
			fl__store_seq_cst(&p->more, more); /* see the invariant */
		counted = (flags & (FL__POOL_FENCED | FL__POOL_LISTED)) |
		          (awake > may_be || p->surplus > 0 ? FL__POOL_CROWDED : 0);
		/*
		 * one step: the worker that waked sees AWAKE or CROWDED; pool_fence_takes() orders
		 * it
		 */
	} while (counted != flags && !fl__cas_relaxed(&p->crowded, &flags, counted));
	if (p->stand_ins != stand_ins) {
		fl__store_seq_cst(&p->stand_ins, stand_ins); /* after CROWDED: see pool_doze() */
		fl__store_relaxed(&p->full, false);          /* see pool_doze() */
	}
	if (p->alive == p->idle && p->base.waiters > 0)
		fl_cond_broadcast(&p->base.gone); /* see pool_is_busy() */
}

static bool pool_may_start(const struct fl__thread_pool *p)
{
	return p->more && p->alive < pool_worker_limit(p) && !p->base.broken;
}

static fl_time pool_sleep_deadline(const struct fl__thread_pool *p)
{
	if (p->alive == 1 || p->base.closed)
		return FL_FOREVER;
	const fl_duration time = p->idle_timeout > 0 ? p->idle_timeout : FL_DURATION_MAX;
	if (p->alive > pool_worker_limit(p))
		return fl_after(FL__MIN(time, pool_surplus_timeout));
	return fl_after(time);
}

static bool pool_must_end(struct fl__thread_pool *p, bool slept)
{
	if (p->surplus > 0) {
		p->surplus--;
		fl__thread_pool_recount(p);
		return true;
	}
	return slept && p->alive > 1 && (p->idle_timeout > 0 || p->alive > pool_worker_limit(p));
}

/* Stand-ins. Under the lock. */

enum { POOL_STAND_INS_MOST = 64 };

static const int64_t pool_stand_in_pause = FL_MS(50); /* between one stand-in and the next */

/* Whether the pool is starved, and no worker was woken. Marks the backlog if no task is pending. */
static bool pool_is_starved(struct fl__thread_pool *p)
{
	/* see pool_doze() */
	if (fl__load_seq_cst(&p->dozing) < p->active || p->base.broken || (p->more && p->started != POOL_START_FAILED))
		return false;
	return !fl__backlog_mark(&p->backlog) && !fl__backlog_is_over(&p->backlog);
}

/* Lets one more worker be active if the pool is starved. */
static void pool_relieve(struct fl__thread_pool *p)
{
	if (p->more || !pool_is_starved(p))
		return;
	const unsigned awake = p->alive - p->idle, stand_ins = awake + 1 - p->base.workers - p->blocked;
	fl__store_relaxed(&p->full, stand_ins > POOL_STAND_INS_MOST || awake == FL_WORKERS_MAX);
	if (p->full)
		return;
	fl__store_seq_cst(&p->stand_ins, stand_ins);                               /* see pool_doze() */
	fl__store_relaxed(&p->next_stand_in, fl__sys.now() + pool_stand_in_pause); /* a single number */
	const unsigned limit = pool_worker_limit(p);
	if (p->alive < limit + p->surplus)
		p->surplus = p->alive > limit ? p->alive - limit : 0;
	fl__thread_pool_recount(p);
}

/* " (2 for queue (to get), 1 for mutex)", or "". May read without the lock: see pool_count(). */
__attribute__((cold, no_sanitize("thread"))) static void pool_describe_waits(const fl_executor *e, char *text,
                                                                             size_t size)
{
	unsigned counts[FL__DEBUG_KINDS] = {0};
	size_t at = 0;
	FL__EACH (const struct fl__thread_worker, w, pool_of((fl_executor *)(uintptr_t)e)->workers) {
		const uint32_t dozing = fl__load_relaxed(&w->dozing); /* a single number */
		if (dozing > 0)
			counts[dozing - 1]++;
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

/* Says once that a starved pool gets no stand-in. Returns whether the pool needs another look. */
static bool pool_report_starved(struct fl__thread_pool *p)
{
	bool reports, full;
	char waits[160];
	size_t pending;
	{
		POOL_LOCKED(p);
		if (!pool_is_starved(p))
			return false;
		full = p->full;
		/* `more`: a start has failed; neither: all began to doze since the last look */
		reports = (full || p->more) && !p->reported;
		p->reported = p->reported || reports;
		pending = fl__backlog_length(&p->backlog);
		pool_describe_waits(&p->base, waits, sizeof waits);
	}
	if (reports)
		fl__log(FL_LOG_WARNING, "executor %s: all workers wait%s, %zu tasks are pending, and %s", p->base.name,
		        waits, pending, full ? "no more workers stand in" : "no thread can be started");
	return !full;
}

/* Waking. */

/* Under the lock: wakes a worker, counted as searching. False: none sleeps. */
static bool pool_wake_sleeper(struct fl__thread_pool *p)
{
	if (fl__wait_queue_take(&p->sleepers, 1) == 0)
		return false;
	p->idle--;
	fl__thread_pool_recount(p);
	return true;
}

/* Makes every worker pass a fence: it and the caller then see what the other stored before. */
static void pool_fence_workers(const struct fl__thread_pool *p)
{
	if (pool_flags(p) & FL__POOL_FENCED)
		fl__fence_seq_cst(); /* pairs with pool_read_crowded() and pool_is_called() */
	else if (fl__sys.membarrier() != 0)
		fl__panic("fl_executor", p, "membarrier() works no more: has it been forbidden since?");
}

static bool pool_looks_next(const struct fl__thread_worker *w)
{
	/*
	 * a worker that went on has a task, or was counted; pairs with pool_take() and pool_next()
	 */
	const fl_future *const running = fl__load_acquire(&w->running);
	return running == &pool_between || running == &pool_taking;
}

/*
 * Under the lock, for a search that is already counted: finds a worker between two tasks, and calls
 * it. A worker stores &pool_between before it publishes the end of its task. So a thread that has
 * seen the end finds the worker here, unless it searches by now.
 *
 * Dekker's algorithm, as in pool_fence_takes(): the worker stores in `running` that it goes on, and
 * then reads `called`. This call stores `called`, makes every thread pass a fence, and reads
 * `running` again. So the worker sees `called`, or this call sees that the worker has gone on, and
 * takes the call back.
 */
static bool pool_call_worker(struct fl__thread_pool *p)
{
	FL__EACH (struct fl__thread_worker, w, p->workers) {
		if (!pool_looks_next(w))
			continue;
		fl__store_release(&w->called, true); /* the count; pairs with pool_is_called() */
		pool_fence_workers(p);
		/* if the worker has seen the call, the count is the worker's */
		if (pool_looks_next(w) || !fl__swap_relaxed(&w->called, false))
			return true;
	}
	return false;
}

/*
 * For a worker that has just stored in `running` what it does next: whether a call has counted it
 * as searching. `flags`: `crowded`, as read at any time.
 */
POOL_INLINE bool pool_is_called(struct fl__thread_worker *w, uint32_t flags)
{
	fl__in_program_order();
	if (fl__unlikely(flags & FL__POOL_FENCED))
		fl__fence_seq_cst(); /* pairs with pool_fence_workers() */
	/*
	 * relaxed: pool_fence_workers() orders it. acquire: the count; pairs with
	 * pool_call_worker()
	 */
	return fl__unlikely(fl__load_relaxed(&w->called)) && fl__swap_acquire(&w->called, false);
}

static bool pool_needs_worker(struct fl__thread_pool *p)
{
	return pool_may_start(p) && fl__backlog_length(&p->backlog) > p->initializing;
}

static void pool_wake_locked(struct fl__thread_pool *p)
{
	if (p->started == POOL_START_FAILED)
		fl__store_relaxed(&p->started, POOL_STARTED); /* as in pool_submit() */
	pool_relieve(p);
	while (p->more && fl__load_seq_cst(&p->searching) == 0) { /* see the invariant */
		/* a thread that sees the count leaves its task to this search */
		fl__add_relaxed(&p->searching, 1);
		if (pool_wake_sleeper(p) || (pool_needs_worker(p) && pool_call_worker(p)))
			return;
		/*
		 * a worker may have taken the task, or gone on to search: pool_looks_next() has
		 * acquired both
		 */
		const bool starts = fl__load_relaxed(&p->searching) == 1 && pool_needs_worker(p);
		if (starts && pool_start_worker(p) == 0)
			return;
		/* the counted search ends; the mark comes later */
		if (fl__sub_relaxed(&p->searching, 1) > 1 || starts)
			return;
		if (pool_needs_worker(p))
			continue; /* the other search has ended since */
		if (!pool_may_start(p) || p->initializing > 0 || p->base.closed)
			return;
		if (fl__backlog_mark(&p->backlog))
			return;
	}
}

static void pool_wake_sleepers(struct fl__thread_pool *p, size_t n)
{
	const unsigned woken = (unsigned)fl__wait_queue_take(&p->sleepers, n);
	fl__add_relaxed(&p->searching, woken); /* as in pool_wake_locked() */
	p->idle -= woken;
	fl__thread_pool_recount(p);
}

static FL__NOINLINE void pool_wake(struct fl__thread_pool *p)
{
	if (fl__load_seq_cst(&p->searching) > 0) /* see the invariant */
		return;
	{
		POOL_LOCKED(p);
		pool_wake_locked(p);
	}
	if (fl__unlikely(fl__load_relaxed(&p->full))) /* the report looks under the lock */
		(void)pool_report_starved(p);
}

/* Without the lock: marks the empty backlog. False: there is a task. */
static bool pool_marks_empty(struct fl__thread_pool *p)
{
	/* see the invariant */
	return !fl__load_seq_cst(&p->backlog.overflowing) &&
	       (fl__mpmc_mark_empty(&p->backlog.ring) || fl__mpmc_can_get(&p->backlog.ring) == -EPIPE);
}

/* Called by a worker that has found a task. */
static void pool_stop_searching(struct fl__thread_pool *p)
{
	/* this and the next: see the invariant */
	if (fl__sub_seq_cst(&p->searching, 1) > 1)
		return;
	if (!fl__load_seq_cst(&p->more))
		return;
	if (!pool_marks_empty(p))
		pool_wake(p);
}

static void pool_wake_for_forks_locked(struct fl__thread_pool *p)
{
	p->has_forks = true;
	/* even if a worker searches: it may find a task. A starting one looks for forks later. */
	const bool start = p->initializing == 0 && pool_may_start(p);
	if (!p->more || !(start || p->idle > 0))
		return;
	fl__add_relaxed(&p->searching, 1); /* as in pool_wake_locked() */
	/* no worker: a timed-out sleeper is about to look, or the forkers run their forks */
	if (!pool_wake_sleeper(p) && !(start && pool_start_worker(p) == 0))
		fl__sub_relaxed(&p->searching, 1);
}

static void pool_wake_for_forks(void *arg)
{
	struct fl__thread_pool *p = arg;
	POOL_LOCKED(p);
	pool_wake_for_forks_locked(p);
}

static void pool_settle(struct fl__thread_pool *p)
{
	if (p->more && p->has_forks)
		pool_wake_for_forks_locked(p);
	if (!p->more || !fl__backlog_mark(&p->backlog))
		pool_wake_locked(p);
}

/* Taking. */

struct pool_taken {
	struct fl__task_block *block; /* NULL: none */
	enum fl__claim claim;
	bool crowded; /* no task: the worker must step back */
};

/* Read by a worker that has just announced its take, as pool_fence_takes() needs. */
POOL_INLINE uint32_t pool_read_crowded(const struct fl__thread_pool *p)
{
	fl__in_program_order();
	const uint32_t seen = fl__load_relaxed(&p->crowded); /* pool_fence_takes() orders it */
	if (fl__likely(!(seen & FL__POOL_FENCED)))
		return seen;
	fl__fence_seq_cst();                  /* pairs with pool_fence_workers() */
	return fl__load_relaxed(&p->crowded); /* as above */
}

/*
 * Takes a task and claims it, unless another context has claimed it. Before that the worker stores
 * in `running` that it is about to take one. A thread that finds the closed backlog empty, and then
 * reads `running`, sees this store, or a later one, of each worker that took a task before. The
 * claim of the ring's head (or the lock) releases the store, and a thread that finds the ring empty
 * has acquired it. That thread waits, under the lock, for the next store to `running`.
 *
 * `searching`: the worker is counted there. Other workers call this between two tasks.
 */
POOL_INLINE struct pool_taken pool_take(struct fl__thread_worker *w, struct fl__thread_pool *p,
                                        struct fl__task_block *(*from)(struct fl__backlog *b), bool searching)
{
	fl_future *f = NULL;
	struct pool_taken taken = {.claim = FL__CLAIM_LOST};
	fl__store_relaxed(&w->running, &pool_taking);
	const uint32_t flags = pool_read_crowded(p);
	taken.crowded = flags & (FL__POOL_CROWDED | FL__POOL_AWAKE);
	taken.block = taken.crowded ? NULL : from(&p->backlog);
	if (taken.block) {
		taken.claim = fl__future_claim_taken(&taken.block->future);
		f = taken.claim == FL__CLAIM_LOST ? NULL : &taken.block->future;
		if (fl__unlikely(taken.block->permit == FL__PERMIT_PENDING) && f)
			fl__permit_release(&p->base, FL__PERMIT_PENDING);
	}
	/* `f` is claimed; pairs with pool_list_running() */
	if (f)
		fl__store_release(&w->running, f);
	else /* publishes nothing */
		fl__store_relaxed(&w->running, searching || taken.block ? NULL : &pool_between);
	/* this worker and its caller both counted the search */
	if (searching && pool_is_called(w, flags))
		fl__sub_relaxed(&p->searching, 1);
	else if (!searching && taken.block && pool_is_called(w, flags))
		pool_stop_searching(p);
	return taken;
}

/* Searching and sleeping. */

static bool pool_has_task(const void *pool)
{
	return fl__backlog_any(&((struct fl__thread_pool *)pool)->backlog);
}

/* Whether the active workers, the caller among them, are as many as the CPUs: a hint. */
static bool pool_uses_all_cpus(struct fl__thread_pool *p)
{
	unsigned cpus = fl__load_relaxed(&p->cpus); /* each worker stores the same number */
	if (cpus == 0) {
		cpus = fl__cpu_affinity_count();
		fl__store_relaxed(&p->cpus, cpus); /* as above */
	}
	return fl__load_relaxed(&p->active) >= cpus; /* a hint */
}

/*
 * Looks for a task for a while. Where yields are barred (base/yield.c) fl__spin() pauses. If the
 * pool uses all CPUs, pauses would take one from workers with tasks: then the worker polls a few
 * times.
 */
static void pool_spin(struct fl__thread_pool *p)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const bool brief = fl__yields_are_barred(fl__sys.now()) && pool_uses_all_cpus(p);
	/* the result does not matter: the caller looks again */
	if (ctx->ops == &fl__thread_parker)
		(void)fl__spin(ctx, pool_has_task, p, brief ? FL_NO_WAIT : FL_FOREVER);
}

/*
 * Under the lock, released while it sleeps, counted as idle. True: the worker was woken, and is
 * counted as searching. False: its sleep timed out, and it is counted only as active.
 */
static bool pool_sleep_as_idle(struct fl__thread_pool *p)
{
	FL__WAIT(wait, node, FL__DEBUG_TASK, p);
	wait.no_spin = true; /* the worker has spun for a while */
	fl__wait_queue_add_first(&p->sleepers, &node);
	const fl_time wake_at = pool_sleep_deadline(p);
	fl__hook_idle(&p->base);
	pool_unlock(p);
	const struct fl__worker_ops *const worker_ops = wait.ctx->worker_ops;
	wait.ctx->worker_ops = NULL; /* an idle worker does not doze */
	const bool woken = fl__wait_sleep(&wait, wake_at, FL_SHIELDED) == 0;
	wait.ctx->worker_ops = worker_ops;
	fl__mutex_hold(&p->base.lock);
	if (woken)
		return true;
	fl__wait_queue_remove(&p->sleepers, &node);
	p->idle--;
	fl__thread_pool_recount(p);
	return false;
}

static bool pool_is_crowded(struct fl__thread_pool *p)
{
	if (pool_flags(p) & FL__POOL_AWAKE)
		fl__thread_pool_recount(p);
	return pool_flags(p) & FL__POOL_CROWDED;
}

/*
 * Under the lock, released while it sleeps. The worker is counted as searching before and after.
 * True: its sleep timed out. `round` counts the calls since the last sleep.
 */
static bool pool_sleep_until_woken(struct fl__thread_pool *p, unsigned *round)
{
	/* if crowded, enough workers are active, even if the backlog has tasks */
	const bool too_many = pool_is_crowded(p);
	p->idle++;
	fl__thread_pool_recount(p);
	fl__sub_relaxed(&p->searching, 1); /* as in pool_wake_locked() */
	if (too_many)
		pool_relieve(p); /* all others may doze: then this worker goes on */
	if ((too_many && !p->more) || fl__backlog_mark(&p->backlog) || fl__backlog_is_over(&p->backlog)) {
		*round = 0;
		if (pool_sleep_as_idle(p))
			return false;
		fl__add_relaxed(&p->searching, 1);
		return true;
	}
	fl__add_relaxed(&p->searching, 1);
	p->idle--;
	fl__thread_pool_recount(p);
	fl__back_off((*round)++); /* an accepted put is not yet published */
	return false;
}

/* Runs a fork of another worker. True: there may be more. */
static bool pool_help_forks(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	if (!w->forks)
		return false;
	if (!fl__load_relaxed(&p->forks.used)) /* as in fl__forks_run_one() */
		return fl__forks_prepare_sleep(&p->forks, w->forks);
	pool_stop_searching(p);
	w->run.future = NULL; /* a fork's tasks are not the worker's own: fl__run_ends() */
	const bool more = fl__forks_run_one(&p->forks, w->forks) || fl__forks_prepare_sleep(&p->forks, w->forks);
	fl__add_relaxed(&p->searching, 1); /* as in pool_wake_locked() */
	return more;
}

/*
 * Under the lock: whether nothing more comes. `active` is 1 in a worker's call, 0 after its end.
 * Running tasks may fork, so the workers stay until the last one has nothing to do.
 */
static bool pool_is_over(struct fl__thread_pool *p, unsigned active)
{
	if (!p->over && fl__backlog_is_over(&p->backlog) && p->idle + active == p->alive) {
		p->over = true;
		pool_wake_sleepers(p, FL__ALL);
	}
	return p->over;
}

/* Under the lock: the calling worker, which is not counted as searching, will end. */
static void pool_end_worker(struct fl__thread_pool *p)
{
	p->alive--;
	fl__thread_pool_recount(p);
	if (!pool_is_over(p, 0))
		pool_settle(p);
}

enum pool_found { POOL_FOUND_TASK, POOL_FOUND_FORKS, POOL_FOUND_END };

/* Under the lock, which it releases while it sleeps. */
static enum pool_found pool_search_locked(struct fl__thread_worker *w, struct pool_taken *taken)
{
	struct fl__thread_pool *p = w->pool;
	unsigned round = 0;
	for (bool slept = false;; slept = pool_sleep_until_woken(p, &round)) {
		if (pool_is_crowded(p)) { /* this worker is a surplus one, and takes no task */
			if (pool_is_over(p, 1) || pool_must_end(p, slept))
				return POOL_FOUND_END;
			continue;
		}
		*taken = pool_take(w, p, fl__backlog_take_locked, true);
		if (taken->block)
			return POOL_FOUND_TASK;
		if (pool_is_over(p, 1))
			return POOL_FOUND_END;
		if (p->has_forks)
			return POOL_FOUND_FORKS;
		if (pool_must_end(p, slept))
			return POOL_FOUND_END;
	}
}

/* For a worker counted as searching, not counted afterwards. No task: the worker must end. */
static struct pool_taken pool_search(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	struct pool_taken taken;
	bool called = false; /* was woken for forks, and has not looked for them yet */
	do {
		pool_spin(p);
		taken = pool_take(w, p, fl__backlog_take, true);
		if (taken.block)
			break;
		/* a hint; tasks of the backlog's list come before forks, and are taken under the lock */
		if (!taken.crowded && !fl__load_relaxed(&p->backlog.overflowing)) {
			called = false;
			if (pool_help_forks(w))
				continue;
		}
		POOL_LOCKED(p);
		switch (pool_search_locked(w, &taken)) {
		case POOL_FOUND_TASK:
			called = called || p->has_forks;
			break;
		case POOL_FOUND_FORKS:
			p->has_forks = false;
			called = true;
			break;
		case POOL_FOUND_END:
			/* the mark that pool_end_worker() sets, or fails to set, comes later */
			fl__sub_relaxed(&p->searching, 1);
			pool_end_worker(p);
			return (struct pool_taken){.claim = FL__CLAIM_LOST};
		}
	} while (!taken.block);
	pool_stop_searching(p);
	if (called)
		pool_wake_for_forks(p);
	return taken;
}

/*
 * For a worker that has just found no task. Pauses, if the worker has ended several tasks since it
 * last found none, until the submitter is some tasks ahead: else both use the same cache lines for
 * each task.
 */
static bool pool_pause_if_caught_up(struct fl__thread_worker *w)
{
	enum { TURNS = FL__POOL_TURNS, SEVERAL = 2 };
	const bool has_kept_up = w->ended - w->found_none > SEVERAL;
	w->found_none = w->ended;
	if (has_kept_up)
		fl__pause(TURNS);
	return has_kept_up;
}

POOL_INLINE struct pool_taken pool_next(struct fl__thread_worker *w, struct fl__thread_pool *p)
{
	struct pool_taken taken;
	do
		taken = pool_take(w, p, fl__backlog_take, false);
	while (!taken.block && !taken.crowded && pool_pause_if_caught_up(w)); /* once: no task began since */
	if (taken.block)
		return taken;
	fl__add_relaxed(&p->searching, 1); /* as in pool_wake_locked() */
	/* the count; pairs with pool_looks_next() */
	fl__store_release(&w->running, NULL);
	/* FENCED never changes; the worker was counted twice */
	if (pool_is_called(w, fl__load_relaxed(&p->crowded)))
		fl__sub_relaxed(&p->searching, 1);
	return pool_search(w);
}

/* Running. */

POOL_INLINE void pool_forget(struct fl__thread_worker *w, const struct fl__task_block *block)
{
	/* a thread that finds this block again has acquired the store, then reads `running` */
	if (fl__likely(block->size < FL__TASK_BLOCK_SIZES)) {
		fl__store_relaxed(&w->running, NULL);
	} else {
		/* the memory will be no future's: the lock excludes threads that read `running` */
		POOL_LOCKED(w->pool);
		fl__store_relaxed(&w->running, NULL);
	}
}

/*
 * Ends an unshared task by plain stores. Else returns false. Dekker's algorithm: the worker has
 * stored in `running` that it left the task, and then reads LISTED. pool_list_running() stores
 * LISTED, makes every thread pass a fence, and reads `running`.
 */
POOL_INLINE bool pool_end_unshared(struct fl__thread_worker *w, const struct fl__thread_pool *p, fl_future *f)
{
	fl__in_program_order();
	/* pool_fence_workers() orders it */
	if (fl__unlikely(fl__load_relaxed(&p->crowded) & (FL__POOL_FENCED | FL__POOL_LISTED)) ||
	    !fl__future_is_unshared(f, FL__FUTURE_CLAIMED) || f->type->drop_result)
		return false;
	fl__store_relaxed(&f->state, FL__FUTURE_CLAIMED | FL__FUTURE_ENDED); /* unshared */
	fl__message_free(f->message);
	fl__task_block_free_to(&w->freed, fl__task_block_of(f));
	return true;
}

POOL_INLINE void pool_run(struct fl__thread_worker *w, struct fl__thread_pool *p, struct pool_taken taken)
{
	struct fl__task_block *block = taken.block;
	if (fl__unlikely(taken.claim != FL__CLAIM_RUN)) {
		if (taken.claim == FL__CLAIM_LOST) {               /* by a foreign context */
			fl__sub_relaxed(&p->backlog.n_claimed, 1); /* approximate */
			fl_future_free(&block->future);            /* the producer's reference */
			return;
		}
		fl__store_relaxed(&w->skipped, w->skipped + 1); /* for statistics */
		/* counted as begun: measured tasks do not stand for it */
		w->stats.next++;
		w->stats.queued.begun++;
		w->stats.ran.begun++;
	}
	char *message;
	w->run.claim = taken.claim;
	w->run.future = &block->future;
	const int error = fl__run_measured(&w->run, &w->stats, w->ended, &message);
	if (fl__unlikely(error != 0) && taken.claim == FL__CLAIM_RUN)
		fl__store_relaxed(&w->failed, w->failed + 1);
	fl__store_relaxed(&w->ended, w->ended + 1); /* as above */
	pool_forget(w, block);
	fl__future_set_end(&block->future, error, message);
	/* before the end, which publishes it: a submit after a wait finds the worker free */
	fl__store_relaxed(&w->running, &pool_between);
	if (fl__likely(pool_end_unshared(w, p, &block->future)))
		return;
	struct fl__callback *callbacks;
	if (fl__unlikely(!fl__future_end_promptly(&block->future, &callbacks))) {
		/* publishes nothing; FENCED never changes */
		fl__store_relaxed(&w->running, NULL);
		if (pool_is_called(w, fl__load_relaxed(&p->crowded)))
			pool_stop_searching(p);
		fl__future_end_rest(&block->future, callbacks);
	}
}

void fl__thread_pool_serve(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	for (struct pool_taken taken = pool_search(w); taken.block; taken = pool_next(w, p))
		pool_run(w, p, taken);
	fl__task_block_free_batch(&w->freed);
}

/* Workers that doze: they sleep in a wait of a task. */

/* The agent lets a worker stand in, since a worker that dozes takes no lock (pool_doze()). */
static void *pool_run_agent(void *pool)
{
	struct fl__thread_pool *p = pool;
	struct fl__thread_data self = {0};
	fl__ctx_init_thread(&self.ctx, "agent");
	fl__ctx_current = &self.ctx;
	for (;;) {
		{
			POOL_LOCKED(p);
			pool_wake_locked(p);
		}
		if (pool_report_starved(p)) {
			FL_IGNORE(fl_sleep_until(fl_after(pool_stand_in_pause), FL_SHIELDED));
			continue;
		}
		uint32_t runs = FL__POOL_AGENT_RUNS;
		/* pairs with pool_call_agent(); the last access to the pool */
		if (fl__cas_acq_rel(&p->agent, &runs, FL__POOL_AGENT_ENDED))
			break;
		fl__store_relaxed(&p->agent, FL__POOL_AGENT_RUNS); /* the CAS acquired the call */
	}
	fl__locals_end(&self.ctx);
	fl__ctx_current = NULL; /* for a later destructor of this thread that calls the library */
	return NULL;
}

/* For a worker that dozes. False: the agent cannot be started. */
static bool pool_call_agent(struct fl__thread_pool *p)
{
	uint32_t agent = fl__load_relaxed(&p->agent); /* the CAS confirms it */
	for (;;) {
		const bool runs = agent == FL__POOL_AGENT_RUNS || agent == FL__POOL_AGENT_AGAIN;
		/* what this worker has counted; pairs with pool_run_agent() */
		if (fl__cas_acq_rel(&p->agent, &agent, runs ? FL__POOL_AGENT_AGAIN : FL__POOL_AGENT_RUNS)) {
			if (runs)
				return true;
			break;
		}
	}
	if (agent == FL__POOL_AGENT_ENDED)
		(void)fl__sys.thread_join(p->agent_thread);
	const int rc = fl__thread_create_blocked(&p->agent_thread, NULL, pool_run_agent, p);
	if (rc != 0)
		fl__store_release(&p->agent, FL__POOL_NO_AGENT); /* pairs with the CAS above */
	return rc == 0;
}

/*
 * Counts the worker as dozing, and has the agent look if that makes the pool starved. Takes no lock
 * (context.h). Lemmas:
 *
 *   - `dozing` and `active`: this call adds to the first and then loads the second; a thread that
 *     lowers `active` stores it, and then loads `dozing` in pool_is_starved(). All are seq_cst, so
 *     one of the two sees that all active workers doze.
 *   - `dozing` and the mark: this call adds to `dozing`, and then marks the empty ring. A submit
 *     that claims its slot later finds the mark, and loads `dozing` under the lock. One that claims
 *     its slot earlier makes the mark fail.
 *   - `full`, the limit of stand-ins: once one of the dozing workers has waked and taken a task,
 *     the recount has cleared it.
 */
static int64_t pool_doze(const struct fl__wait *wait, bool begins)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)wait->ctx->worker;
	struct fl__thread_pool *p = w->pool;
	if (!begins) {
		if (!w->dozing)
			return FL__NEVER;
		fl__store_relaxed(&w->dozing, 0); /* only for the report */
		/*
		 * a thread that lets a worker stand in stores `stand_ins`, and then loads
		 * `dozing`. One of the two sees the other's store. A recount that has seen this
		 * store first says CROWDED, and then lowers `stand_ins`.
		 */
		fl__sub_seq_cst(&p->dozing, 1);
		if (fl__load_seq_cst(&p->stand_ins) > 0)
			fl__or_release(&p->crowded, FL__POOL_AWAKE); /* pairs with fl__thread_pool_recount() */
		return FL__NEVER;
	}
	if (!w->run.active || w->blocking > 0 || fl__executor_is_forked(&p->base))
		return FL__NEVER;
	const int64_t now = fl__sys.now();
	const int64_t next = fl__load_relaxed(&p->next_stand_in); /* a single number */
	const bool counted = w->dozing;
	if (!counted && now < next)
		return next;
	/* before the count: a report names the waits of all workers that are counted */
	fl__store_relaxed(&w->dozing, 1u + wait->kind);
	if (!counted)
		fl__add_seq_cst(&p->dozing, 1);
	if (fl__load_seq_cst(&p->dozing) < fl__load_seq_cst(&p->active) || fl__load_relaxed(&p->full))
		return FL__NEVER;
	if (pool_marks_empty(p))
		return FL__NEVER;
	return pool_call_agent(p) ? FL__NEVER : now + pool_stand_in_pause;
}

/* The life of a worker. */

static void pool_initialize_worker(struct fl__thread_pool *p)
{
	if (!p->base.initialize)
		return;
	{
		POOL_LOCKED(p);
		/* a submit that sees it looks under the lock */
		fl__store_relaxed(&p->initializing, p->initializing + 1);
		/* as in pool_stop_searching() */
		fl__sub_seq_cst(&p->searching, 1);
		pool_wake_locked(p);
	}
	(void)fl__executor_initialize(&p->base); /* an error breaks the executor */
	POOL_LOCKED(p);
	fl__store_relaxed(&p->initializing, p->initializing - 1);
	fl__add_relaxed(&p->searching, 1);
}

/* The worker's last use of the pool. Returns the thread that left before it. */
static fl_thread *pool_leave(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	POOL_LOCKED(p);
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
	ctx->worker_ops = NULL;
	ctx->worker = NULL;
	fl__run_leave(&w->run);
	fl_thread *before = pool_leave(w);
	fl__thread_join(&before); /* NULL: this thread is the first that leaves */
}

/* A task has ended its thread. */

FL__COLD static void pool_fail_running(struct fl__thread_worker *w)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__task_block *block = fl__task_block_of(w->run.future);
	const fl_task_type *type = fl__chunk_type_of(block->future.type);
	w->run.active = false;
	w->run.future = NULL;                         /* so that fl__run_ends() does not announce a next task */
	fl__store_relaxed(&w->failed, w->failed + 1); /* as in pool_run() */
	fl__store_relaxed(&w->ended, w->ended + 1);
	ctx->front.scope = NULL;
	while (w->blocking > 0)
		pool_block(&w->run, false);
	fl__task_block_free_batch(&w->freed);
	pool_forget(w, block);
	if (fl__bytes_declares(type->drop_result)) /* in a chunk, the bytes of the element that ran */
		fl_bytes_free(fl__element(block->future.result, block->done, type->result_size));
	fl__future_finish(&block->future, -EOWNERDEAD, fl__message_format("the task's function " FL__ENDS_THREAD));
	fl_future_free(&block->future); /* the producer's reference */
}

/* Whether tasks are pending, no worker is left, and none can be started. */
FL__COLD static bool pool_is_deserted(struct fl__thread_pool *p)
{
	POOL_LOCKED(p);
	if (p->alive == 0 && fl__backlog_length(&p->backlog) > 0)
		pool_wake_locked(p);
	return p->alive == 0 && fl__backlog_length(&p->backlog) > 0;
}

/* The worker counts as active until here. */
FL__COLD static void pool_replace_worker(struct fl__thread_pool *p)
{
	{
		POOL_LOCKED(p);
		if (p->surplus > 0)
			p->surplus--;
		/* as in pool_start_worker() */
		if (p->alive == 1)
			fl__store_relaxed(&p->started, POOL_NO_WORKER);
		pool_end_worker(p);
	}
	while (pool_is_deserted(p))
		FL_IGNORE(fl_sleep_until(fl_after(pool_stand_in_pause), FL_SHIELDED));
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

static int pool_work(void *arg)
{
	struct fl__thread_worker *w = arg;
	struct fl__thread_pool *p = w->pool;
	fl__run_enter(&w->run, &p->base);
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->worker = &w->run;
	ctx->worker_ops = &pool_worker_ops;
	pthread_cleanup_push(pool_worker_exits, w);
	pool_initialize_worker(p);
	w->forks = fl__forks_are_linked() ? fl__forks_enter(&p->forks, w->number) : NULL;
	fl__thread_pool_serve(w);
	pthread_cleanup_pop(0);
	pool_end_thread(w);
	return 0;
}

struct fl__thread_worker *fl__thread_pool_make_worker(struct fl__thread_pool *p)
{
	struct fl__thread_worker *w = fl__alloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->pool = p;
	w->stats.next = fl__stats_are_linked() ? 0 : SIZE_MAX;
	w->number = p->made++;
	w->next = p->workers;
	fl__store_release(&p->workers, w); /* pairs with pool_count() */
	return w;
}

static int pool_start_thread(struct fl__thread_pool *p)
{
	char name[40];
	struct fl__thread_worker *w = p->vacant ? p->vacant : fl__thread_pool_make_worker(p);
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
	fl__thread_pool_recount(p);
	return 0;
}

static int pool_start_worker(struct fl__thread_pool *p)
{
	const int rc = pool_start_thread(p);
	/* as in pool_submit(); other readers hold the lock */
	if (rc == 0)
		fl__store_relaxed(&p->started, POOL_STARTED);
	else if (p->started != POOL_NO_WORKER)
		fl__store_relaxed(&p->started, POOL_START_FAILED);
	return rc;
}

/* Resize and blocking sections. */

/*
 * Dekker's algorithm. A worker stores in `running` that it is about to take a task, then reads
 * `crowded`. This call makes every thread pass a fence after the store to `crowded`, and before it
 * reads `running`. So a worker that takes a task later sees CROWDED, if it is set; this call waits
 * until any other worker has its task.
 */
static void pool_fence_takes(struct fl__thread_pool *p)
{
	pool_fence_workers(p);
	/* nothing behind the pointer is read */
	FL__EACH (const struct fl__thread_worker, w, p->workers)
		FL__BACK_OFF_UNTIL(fl__load_relaxed(&w->running) != &pool_taking);
}

FL__COLD static int pool_resize(fl_executor *e, unsigned workers)
{
	struct fl__thread_pool *p = pool_of(e);
	fl__store_relaxed(&e->workers, workers); /* a single number */
	if (fl__forks_are_linked())
		fl__forks_resize(&p->forks, workers);
	p->surplus = p->alive > pool_worker_limit(p) ? p->alive - pool_worker_limit(p) : 0;
	pool_wake_sleepers(p, p->surplus);
	pool_settle(p);
	pool_unpark(p);
	if (pool_flags(p) & FL__POOL_CROWDED)
		pool_fence_takes(p);
	return 0;
}

static void pool_ends(struct fl__run *run)
{
	/* the wake that follows publishes the store */
	fl__store_relaxed(&((struct fl__thread_worker *)(void *)run)->running, &pool_between);
}

static void pool_block(struct fl__run *run, bool begins)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)run;
	struct fl__thread_pool *p = w->pool;
	if (!begins && w->blocking == 0)
		fl__panic("fl_blocking_end", w, "without a begin");
	w->blocking += begins ? 1 : UINT_MAX; /* wraps: -1 */
	if (w->blocking != begins || fl__executor_is_forked(&p->base))
		return;
	POOL_LOCKED(p);
	p->blocked += begins ? 1 : UINT_MAX;
	fl__thread_pool_recount(p);
	pool_settle(p);
}

/* The executor interface. */

/*
 * For a task that the ring refuses (it is full or closed, or `late` has tasks), for the first task,
 * and for a task after a start that failed.
 */
static FL__NOINLINE int pool_submit_slow(struct fl__thread_pool *p, struct fl__task_block *block)
{
	struct fl__task_block *claimed = NULL;
	int rc;
	{
		POOL_LOCKED(p);
		rc = fl__executor_refuses(&p->base);
		if (rc == 0 && p->started == POOL_NO_WORKER) {
			fl__add_relaxed(&p->searching, 1);
			rc = pool_start_worker(p);
			if (rc != 0)
				fl__sub_relaxed(&p->searching, 1);
		}
		if (rc == 0)
			rc = fl__backlog_add_locked(&p->backlog, block);
		if (rc == 0) {
			pool_wake_locked(p);
			claimed = fl__backlog_take_claimed(&p->backlog);
		}
	}
	FL__EACH_SAFE (struct fl__task_block, taken, claimed)
		fl_future_free(&taken->future); /* the producer's reference */
	return rc;
}

static int pool_submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__thread_pool *p = pool_of(e);
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
		pool_wake(p);
	return 0;
}

static struct fl__task_block *pool_take_left(fl_executor *e)
{
	struct fl__thread_pool *p = pool_of(e);
	struct fl__task_block *block;
	/* an accepted put may not be published yet */
	FL__BACK_OFF_UNTIL((block = fl__backlog_take_locked(&p->backlog)) || fl__backlog_is_over(&p->backlog));
	return block;
}

FL__COLD static void pool_list_running(fl_executor *e, struct fl__task_list *running)
{
	struct fl__thread_pool *p = pool_of(e);
	fl__or_relaxed(&p->crowded, FL__POOL_LISTED); /* see pool_end_unshared() */
	pool_fence_workers(p);
	FL__EACH (struct fl__thread_worker, w, p->workers) {
		fl_future *f;
		/* the load pairs with pool_take() */
		FL__BACK_OFF_UNTIL((f = fl__load_acquire(&w->running)) != &pool_taking);
		if (!f || !fl__future_ref_running(f)) /* false of &pool_between: it is not claimed */
			continue;
		struct fl__task_block *block = fl__task_block_of(f);
		/*
		 * a `queued` task is in a list, with a reference: its stop is or will be requested
		 */
		if (!block->queued || !fl__future_free_shared(f))
			fl__task_list_add(running, block);
	}
}

static void pool_claimed(fl_executor *e, struct fl__task_block *block)
{
	struct fl__thread_pool *p = pool_of(e);
	fl__permit_release(e, block->permit);
	fl__add_relaxed(&p->backlog.n_claimed, 1); /* relaxed: approximate */
}

/* Closed: wakes a worker, which checks whether all tasks have ended. The last wakes the others. */
static void pool_wake_all(fl_executor *e)
{
	struct fl__thread_pool *p = pool_of(e);
	fl__backlog_close(&p->backlog);
	fl__permits_close(e);
	if (p->more)
		pool_wake_sleepers(p, 1);
	pool_unpark(p);
}

/*
 * A worker that is awake may have a task. The last worker that goes to sleep, or ends, broadcasts
 * `gone`. When all are asleep, a task in the backlog has a wake under way.
 */
static bool pool_is_busy(const fl_executor *e)
{
	struct fl__thread_pool *p = pool_of((fl_executor *)e);
	return p->alive > p->idle || fl__backlog_any(&p->backlog);
}

static bool pool_has_ended(fl_executor *e)
{
	return pool_of(e)->leaves == pool_of(e)->starts && fl__executor_is_idle(e);
}

/* The thread that left last has joined the others. */
static int fl__thread_pool_join(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__executor_join_thread(e, &pool_of(e)->ended, pool_has_ended, deadline, cancel);
}

FL__COLD static void pool_destroy(fl_executor *e)
{
	struct fl__thread_pool *p = pool_of(e);
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
	struct fl__thread_pool *p = pool_of((fl_executor *)(uintptr_t)e);
	const struct fl__backlog *b = &p->backlog;
	stats->threads = p->alive;
	stats->idle = p->idle;
	stats->blocked = p->blocked;
	stats->waiting = p->dozing;
	stats->pending = pool_pending(p, fl_mpmc_length(&p->backlog.ring) + b->late.length);
	stats->workers_started = p->starts;
	stats->workers_ended = p->leaves;
	stats->stolen = fl__forks_are_linked() ? fl__forks_stolen(&p->forks) : 0;
	/* pairs with fl__thread_pool_make_worker() */
	FL__EACH (const struct fl__thread_worker, w, fl__load_acquire(&p->workers)) {
		/* single numbers; nothing behind the pointer is read */
		const fl_future *const running = fl__load_relaxed(&w->running);
		stats->running += running && running != &pool_taking && running != &pool_between;
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
    .list_running = pool_list_running,
    .claimed = pool_claimed,
    .resize = pool_resize,
    .block = pool_block,
    .ends = pool_ends,
    .count = pool_count,
    .describe_waits = pool_describe_waits,
};

static int pool_init(struct fl__thread_pool *p, const fl_executor_config *config)
{
	const unsigned workers = fl__executor_worker_count(config);
	int rc = fl__backlog_init(&p->backlog);
	if (rc != 0)
		return rc;
	p->started = POOL_NO_WORKER;
	if (fl__forks_are_linked())
		fl__forks_init(&p->forks, workers, pool_wake_for_forks, p);
	p->forks.has_task = pool_has_task;
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
	fl__thread_pool_recount(p);
	*made = &p->base;
	return 0;
}
