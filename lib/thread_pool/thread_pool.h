/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_POOL_H
#define FL_EXEC_POOL_H

#include "../exec/executor.h"
#include "../fork_join/fork_join.h"
#include "../wait/wait_queue.h"
#include "backlog.h"
#include <fairlead/blocking.h>
#include <fairlead/thread.h>

/*
 * The thread executor: workers take tasks from one backlog (backlog.c) without a lock, and sleep
 * when there are none.
 *
 *   pool_search.c   how a worker finds and runs tasks, sleeps, and is woken; words of the search
 *   pool_workers.c  the life of a worker: start, initializer, end; how many workers there are
 *   thread_pool.c   the interface: submit, cancel, join
 *
 * A worker is *active* unless it sleeps or blocks (fl_blocking_begin()). Another worker may stand
 * in for one that blocks, up to a limit.
 *
 *   word            meaning                                  changed
 *   base.workers    the most workers that may be active      under the lock, by a resize; all
 *                                                            threads read it
 *   made            worker structs                           under the lock
 *   threads         threads that have not left               under the lock
 *   starts          threads ever started                     under the lock
 *   alive           threads that look for tasks: without     under the lock: +1 by a start, -1 by a
 *                   those that will end                      worker that decides to end
 *   blocked         of those alive: in a blocking section    under the lock, by the worker
 *   surplus         of those alive: how many must end after  under the lock: set by a resize, -1 by
 *                   their current task, since a resize       a worker that ends
 *   more            bool: one more worker may be active      under the lock, after a change of its
 *                                                            inputs: fl__pool_recount()
 *   crowded         flags                                    as `more`
 *     CROWDED (1)   some workers must step back: more are
 *                   active than may be, or `surplus`
 *     FENCED (2)    the system has no membarrier(): each     at creation
 *                   take has a fence of its own
 *   started         bool: there was a worker                 under the lock; never cleared
 *   initializing    workers in their initializer             under the lock
 *   ended           the thread that left last; it joins the  under the lock, by the thread that
 *                   thread that left before it               leaves; by the join, after the last
 *   vacant          workers without a thread                 under the lock
 *   begun, skipped  of a worker: tasks that it claimed, and  by the worker; read for statistics
 *                   those of them that it did not run
 *   running         of a worker: how to find the future      by the worker: see take() in
 *                   that it runs                             pool_search.c
 *
 * The first submit starts a worker before it adds its task, and returns an error if that fails. So
 * no submit fails once its task is in the backlog. One worker stays, however long it is idle. A
 * worker that waits for a task of this executor runs the task itself (run.c).
 */
struct fl__pool;

enum { FL__POOL_CROWDED = 1, FL__POOL_FENCED = 2 };

struct fl__worker {
	struct fl__run run; /* its first frame; first member: fl__pool_block() converts it */
	struct fl__pool *pool;
	fl_thread thread;
	fl_future *running; /* &fl__pool_taking: not yet known */
	struct fl__fork_stack *forks;
	/* tasks that it claimed; those of them that were cancelled before; written by the worker */
	size_t begun, skipped;
	size_t found_none; /* `begun` when it last found no task */
	unsigned place;    /* its number, from 0, in its name */
	unsigned blocking; /* blocking sections that it is in; only the worker uses it */
	struct fl__worker *next, *next_vacant;
};

struct fl__pool {
	fl_executor base;
	struct fl__backlog backlog;
	uint32_t started, crowded, initializing; /* rarely written */
	uint32_t searching;
	unsigned char apart[FL__MPMC_APART]; /* away from what the lock guards */
	/* Written under the lock. */
	uint32_t more;
	size_t starts;
	unsigned made, threads, alive, idle, blocked, surplus;
	struct fl__wait_queue sleepers;
	bool forked, over, joining, joined;
	char name[24];
	int64_t idle_timeout; /* 0: none */
	struct fl__forks forks;
	struct fl__worker *workers, *vacant;
	fl_thread ended;
};

/* a marker: the worker is taking a task, and will have claimed it in a few instructions */
extern fl_future fl__pool_taking;

/* Under the lock: lets one more worker search, if none does, and one more may be active. */
void fl__pool_wake_locked(struct fl__pool *p);

/* The same, without the lock. */
void fl__pool_wake(struct fl__pool *p);

/* Under the lock: wakes up to `n` sleeping workers, which then search. */
void fl__pool_wake_sleepers(struct fl__pool *p, size_t n);

/* For fl_parallel_invoke(): makes a worker of the pool `p` look for forks. */
void fl__pool_wake_for_forks(void *p);

/* Whether the pool's backlog seems to have a task. */
bool fl__pool_has_task(const void *pool);

/* Under the lock: `more` may have become true, though no worker went to sleep. */
void fl__pool_settle(struct fl__pool *p);

/*
 * Runs a worker, which is counted as searching, until it must end. It is then counted neither as
 * searching nor as alive.
 */
void fl__pool_serve(struct fl__worker *w);

/* The workers. All functions up to fl__pool_resize(): under the lock. */

/* Computes `more` and `crowded` after a change of their inputs. */
void fl__pool_recount(struct fl__pool *p);

/* Whether one more worker may be started. */
bool fl__pool_may_start(const struct fl__pool *p);

/* Starts a worker, which is counted as searching. Returns 0, -ENOMEM, -EAGAIN. */
int fl__pool_start_worker(struct fl__pool *p);

/* When a worker's sleep ends if no thread wakes it. */
int64_t fl__pool_bedtime(const struct fl__pool *p);

/* Whether the calling worker, counted as active, must end now. `slept`: its sleep has timed out. */
bool fl__pool_is_to_end(struct fl__pool *p, bool slept);

/* fl_executor_resize(). */
int fl__pool_resize(fl_executor *e, unsigned workers);

/* Without the lock: the calling worker, with first frame `run`, begins or ends to block. */
void fl__pool_block(struct fl__run *run, bool begins);

/* Under the lock: makes a worker without a thread. NULL: out of memory. */
struct fl__worker *fl__pool_make_worker(struct fl__pool *p);

#endif
