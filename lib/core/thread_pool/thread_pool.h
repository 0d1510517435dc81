/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_THREAD_POOL_THREAD_POOL_H
#define FL_THREAD_POOL_THREAD_POOL_H

#include "../base/atomic.h"
#include "../exec/executor.h"
#include "../fork_join/fork_join.h"
#include "../wait/lot.h"
#include "../wait/wait_queue.h"
#include "backlog.h"
#include <fairlead/blocking.h>
#include <fairlead/thread.h>

/*
 * The thread executor. Its workers take tasks from the backlog, run them, and sleep when there are
 * none.
 *
 *   backlog.h, .c  the pending tasks
 *   workers.c      how many workers there are: starts, wakes and ends, resizes, blocking sections
 *   serve.c        the loop of a worker: it takes and runs a task, or searches, and sleeps
 *   sleep.c        how a worker sleeps, and how long
 *   help.c         what a worker runs in the join of a group
 *   guest.c        how a thread becomes a worker for a parallel loop
 *   thread_pool.c  the executor interface
 *
 * The states of a worker. It is *alive* from its start until it decides to end. Meanwhile it is
 *
 *   asleep    in `sleepers`, because there is no task, or too many workers are active
 *   blocked   in a blocking section (fl_blocking_begin(), or a wait that counts as one)
 *   active    otherwise. An active worker that has found no task *searches* until it has one, looks
 *             for forks of other workers, or sleeps. A worker that is woken, or started without an
 *             initializer, also begins with a search.
 *
 * Six words count workers; the lock is the executor's:
 *
 *   word      counts                             changed
 *   state     searching workers; also contains   see below
 *             flags
 *   active    active workers                     under the lock
 *   depending active workers that wait for a     under the lock, by the worker
 *             task or a fork of this executor,
 *             which another context runs
 *   blocked   blocked workers                    under the lock
 *   alive     workers that are alive, without    under the lock
 *             guests
 *   guests    active or blocked workers that     under the lock
 *             are threads of callers (below)
 *
 * `state` has these bits (each with the prefix FL__POOL_):
 *
 *   MORE       fewer workers are active than     by fl__pool_count(), under the lock
 *              may be (below)
 *   CROWDED    too many workers are active, or   by fl__pool_count(), under the lock
 *              more than FL_WORKERS_MAX active
 *              or blocked, so the next worker
 *              that looks for a task sleeps
 *   COLD       no worker was started yet         at creation; cleared under the lock, after the
 *                                                first worker was started
 *   CLOSED     the executor is closed            under the lock; never cleared
 *   HALTED     no task of the closed executor    under the lock; never cleared
 *              begins any more
 *   FORKS      a fork waits for a worker         fl__pool_wake_for_forks(); cleared by a worker
 *                                                that then looks for forks
 *   the rest   the number of searching workers,  +1 by a worker without a task; under the lock, for
 *              in units of SEARCHES              a woken or started worker. -1 by that worker when
 *                                                it has a task, and under the lock before it sleeps
 *                                                or ends
 *
 * How many may be active. Usually as many as the limit says. However, all active workers might
 * depend on a task that runs elsewhere, and this task might wait for a pending one, which nobody
 * would take. Therefore, while a task may run elsewhere, `depending` + 1 workers may be active if
 * that is more. A task may run elsewhere while a worker is blocked, or while a context runs a task
 * that no worker has taken from a queue (`foreign`, and `running_now` without the loops of guests).
 * In all other cases, the last task in a chain of waits runs on an active worker that does not
 * depend. (For a moment all active workers may count as depending even then, because a woken worker
 * counts as depending until it has the lock.)
 *
 * Places. A worker that runs tasks has a place, whose number fl_executor_current_worker() returns.
 * It takes the free place with the lowest number when it is counted as active and CROWDED is not
 * set, and gives the place back when it goes to sleep or ends. A blocked worker keeps its place. So
 * there are never more places in use than workers that are active or blocked. As long as these are
 * no more than the limit, each number is less than the limit. A worker without a place goes to
 * sleep.
 *
 * Guests. If a thread that runs no task calls a parallel loop, and fewer workers are active than
 * the limit says, the thread becomes a worker until the loop ends: fl__pool_enter(). A guest is
 * counted as active or blocked like any worker, but not as alive, because its thread does not
 * belong to the pool. It never searches, and leaves instead of going to sleep. Its loop runs like a
 * task that a submit runs itself.
 *
 * No task is overlooked. While MORE is set and a queue is not empty, a worker searches, or a
 * context is about to call fl__pool_notify(), which wakes or starts a worker that searches. Four
 * steps could break this rule, so each is followed by a check:
 *
 *   1. A task is enqueued. The context then loads `state`. If MORE is set and no worker searches,
 *      it notifies.
 *   2. The last search ends. If MORE was set, its worker then checks all queues, and notifies if
 *      one has a task. If the search ends with a sleep, the check is under the lock.
 *   3. MORE is set, because a worker blocks, sleeps or ends, or after a resize. The context then
 *      checks all queues under the lock.
 *   4. A notify wakes nobody, because every sleeper's timeout has expired and none of them has the
 *      lock yet. Each of them then checks all queues under the lock before it ends.
 *
 * FORKS counts as a task in a queue.
 *
 * Either a check finds the task that another context enqueues in step 1, or that context's load
 * finds the change that preceded the check. For an injector, its lock ensures this: the load is in
 * the critical section that adds the task, and the check locks each injector after `state` has
 * changed. For a local queue all four accesses are seq_cst: put, load, change of `state`, and
 * check.
 *
 * A worker that has found no task also looks for forks (fork_join.h). Meanwhile it is not counted
 * as searching, because a fork may take long. For the same reason, an initializing worker is not.
 *
 * Ends. When the executor is closed, no worker is active or blocked, and no queue has a task, no
 * more task can come. Therefore the pool is `over`, and its workers end. A worker that has decided
 * to end leaves in a later critical section. The worker that leaves next joins its thread; the join
 * of the executor joins the last thread. The memory of workers lasts as long as the executor,
 * because thieves read it.
 *
 * A cancel. HALTED is set under the lock. The canceller then empties the queues, and reads `doing`
 * of each worker. A worker claims a task, stores it in `doing`, and then loads `state`; if HALTED
 * is set, it ends the task without running it. All four accesses are seq_cst, so either the worker
 * sees HALTED, or the canceller sees the task in `doing`. A task that runs within another task, in
 * the join of a group, is not stored in `doing`: it is reached because the outer task's token is
 * cancelled (help.c). The canceller takes a reference by fl__future_try_ref(), because the worker
 * may end the task at the same time. The memory behind `doing` remains a task block until the
 * executor is freed.
 */

enum {
	FL__POOL_MORE = 1,
	FL__POOL_CROWDED = 2,
	FL__POOL_COLD = 4,
	FL__POOL_CLOSED = 8,
	FL__POOL_HALTED = 16,
	FL__POOL_FORKS = 32,
	FL__POOL_SEARCHES = 64,
};

struct fl__thread_pool;

struct fl__thread_worker {
	struct fl__run run; /* the outermost; the first member, because fl__pool_block() casts */
	struct fl__thread_pool *pool;
	fl_thread *thread;
	fl_future *doing; /* the task that it runs, or NULL */
	struct fl__local local;
	struct fl__thread_worker *visited; /* whose queue pool_take_in_turn() has looked at last */
	unsigned takes;                    /* how often it has looked for a task */
	unsigned turns;                    /* how often it has tried the injectors */
	struct fl__fork_stack *forks;      /* kept for the next thread of this worker */
	/* how many of its tasks have ended; and of these, did not run; failed */
	size_t ended, skipped, failed;
	struct fl__stats_context stats;
	unsigned number;   /* from 0; unique; in the name of its threads */
	unsigned place;    /* 1 + the number of its place, or 0; written under the lock, by the worker */
	unsigned blocking; /* depth of blocking sections; only the worker uses it */
	bool sits;         /* counted as blocked because of a wait: fl__pool_wait() */
	bool depends;      /* counted in `depending` */
	/* 0, or, while it has slept for some time in a wait, 1 + what it waits for (base/awaited.h) */
	uint32_t waits;
	int64_t waits_since;
	struct fl__thread_worker *next, *next_vacant;
};

struct fl__thread_pool {
	fl_executor base;
	struct fl__backlog backlog;
	unsigned char apart[FL__LINE]; /* from the words that each submit writes */
	uint32_t state;
	unsigned char apart_too[FL__LINE];
	unsigned active, blocked, alive, depending;
	unsigned guests;       /* active or blocked workers that are threads of callers */
	unsigned most;         /* how many workers may be alive if waits of tasks count as blocked, or 0 */
	uint32_t waiting;      /* active workers whose `waits` is not 0; for reports */
	size_t starts, leaves; /* threads ever started; those that have left */
	bool over, reported;
	int64_t idle_timeout; /* 0 if none was configured */
	size_t stack_size;    /* of a worker; 0: the default */
	struct fl__wait_queue sleepers;
	struct fl__forks forks;
	struct fl__thread_worker *workers, *vacant;
	fl_thread *ended;          /* the last thread that has left, not yet joined */
	struct fl__numbers places; /* which numbers workers have */
};

/*
 * The lock. A woken worker needs it, and may preempt the waking thread. So a wake only dequeues the
 * worker from `sleepers`, and fl__pool_unlock() unparks it. An operation that the executor calls
 * with the lock held calls fl__pool_unpark() instead, because the executor unlocks later. "Under
 * the lock" refers to this lock, base.lock.
 */

static inline void fl__pool_lock(struct fl__thread_pool *p) FL_ACQUIRE(p->base.lock)
{
	fl__mutex_hold(&p->base.lock);
}

static inline void fl__pool_unlock(struct fl__thread_pool *p) FL_RELEASE(p->base.lock)
{
	struct fl__lot taken = fl__wait_queue_taken(&p->sleepers);
	fl_mutex_unlock(&p->base.lock);
	fl__lot_unpark(&taken);
}

/* Unparks the woken workers in an operation that the executor calls under the lock. */
static inline void fl__pool_unpark(struct fl__thread_pool *p)
{
	struct fl__lot taken = fl__wait_queue_taken(&p->sleepers);
	fl__lot_unpark(&taken);
}

/* Holds the lock until the end of the block. */
#define FL__POOL_LOCKED(p) FL__LOCK_SCOPE(fl__pool_locked, p)
FL__SCOPED_LOCK(fl__pool_locked, struct fl__thread_pool, fl__pool_lock, fl__pool_unlock, FL_ACQUIRE(_lock->base.lock))

static inline struct fl__thread_pool *fl__pool_of(const fl_executor *e)
{
	return (struct fl__thread_pool *)(uintptr_t)e; /* base is its first member */
}

/* Returns whether a context with this `state` must notify after it has put a task into a queue. */
static inline bool fl__pool_needs_notify(uint32_t state)
{
	return (state & FL__POOL_MORE) && state < FL__POOL_SEARCHES;
}

/* workers.c. These functions are called under the lock unless they say otherwise. */

/* Adds to `active` and to the number of searching workers, and computes MORE and CROWDED. */
void fl__pool_count(struct fl__thread_pool *p, int active, int searching);

/* Wakes or starts a worker if one more may be active and none searches. */
void fl__pool_notify_locked(struct fl__thread_pool *p);

/* Called without the lock. */
void fl__pool_notify(struct fl__thread_pool *p);

/* Called without the lock. Returns whether a queue has a task. */
bool fl__pool_has_task(struct fl__thread_pool *p);

/* Returns whether one more worker may be active, none searches, and there is a task or a fork. */
bool fl__pool_needs_search(struct fl__thread_pool *p);

/* Notifies if a search is needed. */
void fl__pool_settle(struct fl__thread_pool *p);

/* Wakes up to `n` workers that are asleep. */
void fl__pool_wake(struct fl__thread_pool *p, size_t n);

/* Starts a worker. Returns 0, -EAGAIN or -ENOMEM. */
int fl__pool_start_worker(struct fl__thread_pool *p);

/* Makes a worker without a thread. Returns NULL if there is no memory. */
struct fl__thread_worker *fl__pool_make_worker(struct fl__thread_pool *p);

/* If a wait has counted the worker as blocked (`sits`), counts it as active again. */
void fl__pool_rise(struct fl__thread_worker *w);

/* If none sleeps, starts a worker that sleeps until a wait counts another worker as blocked. */
void fl__pool_keep_spare(struct fl__thread_pool *p);

int fl__pool_resize(fl_executor *e, unsigned workers);

/* Called without the lock. The operation fl__executor_ops.block. */
void fl__pool_block(struct fl__run *run, bool begins);

/* The first takes a place if the worker may have one, and the second gives it back. */
void fl__pool_take_place(struct fl__thread_worker *w);
void fl__pool_give_place(struct fl__thread_worker *w);

/* Called without the lock. Makes the caller worker `w`, or no longer a worker if `w` is NULL. */
void fl__pool_become(struct fl__thread_worker *w);

/* Called without the lock. The operation fl__executor_ops.depend. */
void fl__pool_depend(struct fl__run *run, bool begins);

/* Called without the lock. The operation fl__worker_ops.doze. */
int64_t fl__pool_wait(const struct fl__wait *wait, bool begins);

/* Wakes a worker for forks. Called without the lock; it is the operation fl__forks.wake. */
void fl__pool_wake_for_forks(void *pool);

/* The operation fl__executor_ops.describe_waits. */
void fl__pool_describe_waits(const fl_executor *e, char *text, size_t size);

/* Returns how many tasks are pending or claimed. Reports call it without locks. */
__attribute__((no_sanitize("thread"))) size_t fl__pool_length(const struct fl__thread_pool *p);

/*
 * serve.c. Runs the calling worker, which is counted as searching, until it must end. It is then no
 * longer counted.
 */
void fl__pool_serve(struct fl__thread_worker *w);

/*
 * Runs a member of a group within the worker's current task. The current task's token is above the
 * group's.
 */
void fl__pool_run_within(struct fl__thread_worker *w, struct fl__task_block *block);

/* Takes a task from any queue, or returns NULL. */
struct fl__task_block *fl__pool_take_any(struct fl__thread_worker *w);

/*
 * sleep.c. Sleeps, and releases the lock meanwhile. Before the call, the worker is counted neither
 * as active nor as searching. If it goes on, the function returns true, and the worker is counted
 * as both.
 */
bool fl__pool_sleep(struct fl__thread_pool *p) FL_REQUIRES(p->base.lock);

/* help.c. The operation fl__executor_ops.run_newest. */
bool fl__pool_run_newest(fl_executor *e, const struct fl_group *g, bool any);

/* help.c. The operation fl__executor_ops.is_stuck. Called without the lock. */
bool fl__pool_is_stuck(fl_executor *e);

/* Guesses whether there is a task. It is the operation fl__forks.has_task. */
bool fl__pool_seems_to_have_task(const void *pool);

#endif
