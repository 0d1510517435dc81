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
#include <pthread.h>

/*
 * The thread executor. Workers take tasks from one backlog without a lock, or sleep. Each file has
 * the table of its words, and the argument why they are right:
 *
 *   backlog.c      the tasks that wait
 *   taking.h, .c   how a worker takes a task, and what a thread that does not take must know of it:
 *                  a resize, a cancel, and a submit that looks for a worker
 *   serve.c        the loop of a worker: it takes a task, runs it, and ends it
 *   search.c       a worker without a task searches, and sleeps; waking a worker
 *   workers.c      how many workers there are: starts and ends, resizes, blocking sections
 *   starved.c      more workers for a pool whose workers all wait
 *   thread_pool.c  the executor interface
 *
 * The life of a worker. It is *alive* from its start until it decides to end. It is *idle* while it
 * sleeps for want of a task, *blocked* in a blocking section (fl_blocking_begin(), or a wait that
 * counts as one: fl__ctx_block()), and else *active*: then it runs a task, searches for one, runs a
 * fork of another worker, or runs the initializer. An active worker *dozes* if it has slept for
 * some time in a wait of its task.
 *
 * The states of a worker. Under the executor's lock the counts `alive`, `idle` and `blocked` say
 * how many workers are where. The states that other threads must know at once are words of their
 * own.
 *
 *   state        word                         entered                   left
 *   starts       `alive`, `searching`         a thread starts it,       its first search, or its
 *                                             under the lock            initializer
 *   initializes  `initializing`; not counted  under the lock, before    under the lock, after the
 *                in `searching` (search.c)    the initializer runs      initializer has run; then
 *                                                                       it searches
 *   searches     `searching`                  it finds no task; it is   it finds a task; it looks
 *                                             woken; another thread     for forks; it begins its
 *                                             calls it (taking.c); it   initializer; it will run
 *                                             has run its initializer,  callbacks after a call; or,
 *                                             or a fork                 under the lock, it sleeps
 *                                                                       or ends
 *   takes        `doing` is FL__POOL_TAKING   before each look at the   it stores the task, or
 *                                             queues                    that it has none
 *   runs         `doing` is the address of    after the claim           the function has returned;
 *                the task's future                                      the callbacks come later
 *   between      `doing` is FL__POOL_BETWEEN  before it publishes the   the next take, a search,
 *                                             end of a task; in a       or a callback
 *                                             callback that runs no
 *                                             more user code; after a
 *                                             take outside of a search
 *                                             that found no task
 *   blocked      `blocked`                    fl_blocking_begin(), or   fl_blocking_end(), or the
 *                                             a wait that may need a    end of the wait
 *                                             task (workers.c), but
 *                                             not a forker's wait for
 *                                             its fork
 *   dozes        `dozing`                     5 ms or more in a wait    it wakes
 *                                             of its task, of a
 *                                             callback, or of a fork,
 *                                             its own or a stolen one
 *   sleeps       `idle`, `sleepers`           under the lock, with all  another thread wakes it,
 *                                             queues marked empty; or,  or its time is over
 *                                             if too many workers are
 *                                             active, without a mark
 *   ends         `alive` lowered; `leaves`    it is one too many, or    never
 *                follows                      idle for too long; or
 *                                             the pool is over; or a
 *                                             task has ended its
 *                                             thread
 *
 * Order of work. A worker looks for forks when there is no task. The end of a future without
 * waiters is one CAS, which also drops the worker's reference. Callbacks, a cancel request and
 * waiters each mark the word, so that the end then does more. A task that only its worker can reach
 * (no user of its future, no callback, a token that is alone) is claimed by a plain store, unless
 * it has a deadline, and is ended by plain stores. There are three exceptions, which end by a CAS:
 * the result has a drop hook; the system has no membarrier(); or a cancel has listed the running
 * tasks. That cancel sets a flag, and has every thread pass a fence before it takes references.
 */

struct fl__thread_pool;

/* The values of `started`: workers.c has their meaning. */
enum { FL__POOL_STARTED, FL__POOL_NO_WORKER, FL__POOL_START_FAILED };

/* The bits of `flags`: taking.c has their meaning. */
enum { FL__POOL_CROWDED = 1, FL__POOL_FENCED = 2, FL__POOL_AWAKE = 4, FL__POOL_LISTED = 8, FL__POOL_HELD = 16 };

/* The values of `agent`: starved.c has their meaning. */
enum { FL__POOL_NO_AGENT, FL__POOL_AGENT_RUNS, FL__POOL_AGENT_AGAIN, FL__POOL_AGENT_ENDED };

struct fl__thread_worker {
	struct fl__run run; /* the outermost; must be the first member: fl__pool_block() */
	struct fl__thread_pool *pool;
	fl_thread *thread;
	uintptr_t doing; /* taking.c */
	uint32_t called; /* bool: taking.c */
	struct fl__task_queue local;
	struct fl__fork_stack *forks;
	/*
	 * its tasks that have ended; those of them that were cancelled before they ran; those that
	 * failed
	 */
	size_t ended, skipped, failed;
	struct fl__stats_context stats;
	struct fl__task_block_batch freed;
	size_t found_none; /* `ended` when it last found no task */
	unsigned number;   /* from 0; in the thread's name */
	unsigned blocking; /* depth of blocking sections; only the worker uses it */
	/* 0, or, while it dozes, 1 + what it waits for (base/awaited.h) */
	uint32_t dozing;
	struct fl__thread_worker *next, *next_vacant;
};

struct fl__thread_pool {
	fl_executor base;
	uint32_t flags, cpus;
	struct fl__backlog backlog;
	uint32_t searching;
	unsigned char apart[FL__MPMC_APART]; /* keeps the words above off the next ones */
	uint32_t more, active;
	size_t starts, leaves;
	unsigned made, alive, idle, blocked, surplus, started, initializing;
	uint32_t dozing, stand_ins, agent;
	FL__WORD64 int64_t next_stand_in; /* no worker begins to doze before this time */
	pthread_t agent_thread;           /* must be joined, unless `agent` is FL__POOL_NO_AGENT */
	struct fl__wait_queue sleepers;
	bool has_forks, over, full, reported;
	int64_t idle_timeout; /* 0 if none was configured */
	struct fl__forks forks;
	struct fl__thread_worker *workers, *vacant;
	fl_thread *ended; /* the last thread that has ended, not yet joined */
};

/*
 * The lock. A woken worker needs it, and may preempt the waking thread. So a wake only takes the
 * worker off `sleepers`, and fl__pool_unlock() unparks it. An operation that the executor calls
 * with the lock held calls fl__pool_unpark() instead, since the executor unlocks by itself. "Under
 * the lock" means this lock, base.lock.
 */

static inline struct fl__thread_pool *fl__pool_lock(struct fl__thread_pool *p)
{
	fl__mutex_hold(&p->base.lock);
	return p;
}

static inline void fl__pool_unlock(struct fl__thread_pool *p)
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

static inline void fl__pool_locked_end(struct fl__thread_pool **p)
{
	fl__pool_unlock(*p);
}

/* This declaration holds the lock until the end of the block. */
#define FL__POOL_LOCKED(p)                                                                                             \
	__attribute__((cleanup(fl__pool_locked_end), unused)) struct fl__thread_pool *FL__UNIQUE(pool_locked_) =       \
	    fl__pool_lock(p)

static inline struct fl__thread_pool *fl__pool_of(const fl_executor *e)
{
	return (struct fl__thread_pool *)(uintptr_t)e; /* base is its first member */
}

/* The functions of workers.c are called under the lock, except where a comment says otherwise. */

static inline void fl__pool_set_started(struct fl__thread_pool *p, unsigned started)
{
	p->started = started;
	fl__backlog_set_startup(&p->backlog, started != FL__POOL_STARTED);
}

/*
 * Computes `more`, `active` and `flags` after a change of the values from which they follow. Lowers
 * `stand_ins` to `dozing`, and clears `full`. If the pool is idle, wakes those who wait for that.
 */
void fl__pool_recount(struct fl__thread_pool *p);

/* The most workers that may be alive, with so many stand-ins. */
unsigned fl__pool_limit_with(const struct fl__thread_pool *p, unsigned stand_ins);

static inline unsigned fl__pool_worker_limit(const struct fl__thread_pool *p)
{
	return fl__pool_limit_with(p, p->stand_ins);
}

bool fl__pool_may_start(const struct fl__thread_pool *p);

/* Makes a worker without a thread. Returns NULL if there is no memory. */
struct fl__thread_worker *fl__pool_make_worker(struct fl__thread_pool *p);

/* Starts a worker, which the caller has counted as searching. Returns 0, -EAGAIN or -ENOMEM. */
int fl__pool_start_worker(struct fl__thread_pool *p);

/* Ends the calling worker, which is not counted as searching, for the counts of the pool. */
void fl__pool_end_worker(struct fl__thread_pool *p);

/*
 * Returns whether no task and no fork can come any more. `awake` is 1 in a worker's call, 0 after
 * its end. Running tasks may fork, so the workers stay until the last one has nothing to do.
 */
bool fl__pool_is_over(struct fl__thread_pool *p, unsigned awake);

int fl__pool_resize(fl_executor *e, unsigned workers);

/* Called without the lock. The operation fl__executor_ops.block. */
void fl__pool_block(struct fl__run *run, bool begins);

/* search.c. */

/*
 * Called under the lock. If one more worker may be active and none searches, wakes a worker that
 * sleeps, whether or not there is a task for it. If none sleeps, and there is a task, calls or
 * starts a worker.
 */
void fl__pool_wake_locked(struct fl__thread_pool *p);

/* Called under the lock. Wakes up to `n` sleeping workers, each counted as searching. */
void fl__pool_wake_sleepers(struct fl__thread_pool *p, size_t n);

/*
 * Called under the lock, when `more` may have become true. Marks the backlog, or wakes a worker. If
 * `has_forks` is set, also wakes a worker for forks.
 */
void fl__pool_settle(struct fl__thread_pool *p);

/* Wakes a worker after a put that found the mark. Called without the lock. */
void fl__pool_wake(struct fl__thread_pool *p);

/*
 * Called without the lock. Does what a take owes (backlog.h). `searching`: the caller is counted
 * there.
 */
void fl__pool_pay(struct fl__thread_pool *p, unsigned owes, bool searching);

/* Wakes a worker for forks. Called without the lock; it is the operation fl__forks.wake. */
void fl__pool_wake_for_forks(void *pool);

/* Ends the search of the calling worker: it has found a task, or will run forks or callbacks. */
void fl__pool_stop_searching(struct fl__thread_pool *p);

/* Returns whether the backlog may have a task. It is the operation fl__forks.has_task. */
bool fl__pool_has_task(const void *pool);

/*
 * serve.c. Runs the calling worker until it must end. The worker is counted as searching at the
 * call. At the return it is counted neither as searching nor as alive.
 */
void fl__pool_serve(struct fl__thread_worker *w);

/* starved.c. */

/* Called under the lock. Lets one more worker be active if the pool is starved. */
void fl__pool_relieve(struct fl__thread_pool *p);

/*
 * Called without the lock. Says once that a starved pool gets no stand-in. Returns whether the pool
 * needs another look.
 */
bool fl__pool_report_starved(struct fl__thread_pool *p);

/* The operation fl__executor_ops.describe_waits. */
void fl__pool_describe_waits(const fl_executor *e, char *text, size_t size);

/* The operation fl__worker_ops.doze. */
int64_t fl__pool_doze(const struct fl__wait *wait, bool begins);

/* How long the pool waits between one stand-in and the next. */
#define FL__POOL_STAND_IN_PAUSE FL_MS(50)

#endif
