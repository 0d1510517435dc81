/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_POOL_H
#define FL_EXEC_POOL_H

#include "../wait/line.h"
#include "backlog.h"
#include "executor.h"
#include "fork.h"
#include <fairlead/blocking.h>
#include <fairlead/thread.h>

/*
 * The thread executor: workers that take tasks from one backlog (backlog.c) without a lock, and sleep when there are none.
 *
 *   pool_search.c   how a worker finds tasks and runs them, sleeps, and is woken; the words of the search are explained there
 *   pool_workers.c  the life of a worker: its start, its initializer, its end; how many there are
 *   thread_pool.c   the interface: submit, cancel, join
 *
 * A worker is *active* unless it sleeps, or blocks (fl_blocking_begin()): then another may stand in for it, up to a number of them.
 *
 *   word            meaning                                        changed
 *   base.workers    the most that may be active                    under the lock, by a resize; read by anybody
 *   made            workers there ever were at a time: structs     under the lock
 *   threads         threads that have not left                     under the lock
 *   starts          threads there ever were                        under the lock
 *   alive           of them, those that look for tasks: who is     under the lock: +1 by a start, -1 by a worker that decides to end
 *                   to end is no longer counted
 *   blocked         of those alive, who block                      under the lock, by themselves
 *   surplus         of those alive, how many are to end when they  under the lock: set by a resize, -1 by who ends
 *                   have ended their task, since a resize
 *   more            one more may be active: bool                   under the lock, with what it follows from: fl__pool_recount()
 *   crowded         flags                                          likewise
 *     CROWDED (1)   some are to step back: more are active than
 *                   may be, or `surplus`
 *     FENCED (2)    the system has no membarrier(): a take has a   at birth
 *                   fence of its own
 *   started         there was a worker: bool                       under the lock; stays
 *   initializing    workers in their initializer                   under the lock
 *   ended           the thread that left last; it joins the one    under the lock, by who leaves; by the join, when all have left
 *                   that left before it
 *   vacant          workers without a thread                       under the lock
 *   begun, skipped  of a worker: how many tasks it has claimed,    by the worker alone; read for statistics
 *                   and, of them, not run
 *   running         of a worker: where to find the future that     by the worker alone: see take() in pool_search.c
 *                   it runs
 *
 * There is a worker before there is a task: the first submit starts it, and says so if that fails. So no submit fails after its task
 * is in the backlog; and one worker stays, however long it has nothing to do. A worker that waits for a task of this executor
 * runs it itself (run.c).
 */
struct fl__pool;

enum { FL__POOL_CROWDED = 1, FL__POOL_FENCED = 2 };

struct fl__worker {
	struct fl__run run; /* its first frame; first: fl__pool_block() finds the rest by it */
	struct fl__pool *pool;
	fl_thread thread;
	fl_future *running; /* &fl__pool_taking: about to be known */
	struct fl__fork_stack *forks;
	size_t begun,
	    skipped;       /* tasks that it has claimed; those of them that were requested before; written by itself */
	size_t found_none; /* how many it had begun when it last found none */
	unsigned place;    /* its number, from 0: that of its name */
	unsigned blocking; /* sections that it is in; its own */
	struct fl__worker *next, *next_vacant;
};

struct fl__pool {
	fl_executor base;
	struct fl__backlog backlog;
	uint32_t started, crowded, initializing; /* seldom written */
	uint32_t searching;
	unsigned char apart[FL__MPMC_APART]; /* from what the lock guards */
	/* Written under the lock. */
	uint32_t more;
	size_t starts;
	unsigned made, threads, alive, idle, blocked, surplus;
	struct fl__line sleepers;
	bool forked, over, joining, joined;
	char name[24];
	int64_t idle_timeout; /* 0: none */
	struct fl__forks forks;
	struct fl__worker *workers, *vacant;
	fl_thread ended;
};

extern fl_future
    fl__pool_taking; /* its address alone: a worker takes a task, and will have claimed it in a few instructions */

/* Searching. Under the lock: one more worker searches, if nobody does, and one more may be active. */
void fl__pool_wake_locked(struct fl__pool *p);

/* The same without it. */
void fl__pool_wake(struct fl__pool *p);

/* Under the lock: up to `n` who sleep search. */
void fl__pool_wake_sleepers(struct fl__pool *p, size_t n);

/* For fl_join(): a worker of the pool `p` is to look for forks. */
void fl__pool_wake_for_forks(void *p);

/* Whether there seems to be a task in the backlog of the pool. */
bool fl__pool_has_task(const void *pool);

/* Under the lock: `more` may have become true for another reason than that a worker sleeps. */
void fl__pool_settle(struct fl__pool *p);

/* What a worker does, who is counted as searching, until it is to end. Then it is no longer counted, nor alive. */
void fl__pool_serve(struct fl__worker *w);

/* The workers. All under the lock. */

/* `more` and `crowded`, after a change of what they follow from. */
void fl__pool_recount(struct fl__pool *p);

/* Whether there may be one more. */
bool fl__pool_may_start(const struct fl__pool *p);

/* Starts a worker, which is counted as searching. Returns 0, -ENOMEM, -EAGAIN. */
int fl__pool_start_worker(struct fl__pool *p);

/* When the sleep of a worker ends that is not woken. */
int64_t fl__pool_bedtime(const struct fl__pool *p);

/* Whether the calling worker, counted as active, is to end now: after a sleep that nobody ended, or not. */
bool fl__pool_is_to_end(struct fl__pool *p, bool slept);

/* fl_executor_resize(). */
int fl__pool_resize(fl_executor *e, unsigned workers);

/* Without the lock: the calling worker, whose first frame `run` is, begins to block, or has ended. */
void fl__pool_block(struct fl__run *run, bool begins);

/* Under the lock: one more, without a thread. NULL: out of memory. */
struct fl__worker *fl__pool_make_worker(struct fl__pool *p);

#endif
