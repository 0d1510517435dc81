/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_THREAD_POOL_THREAD_POOL_H
#define FL_THREAD_POOL_THREAD_POOL_H

#include "../exec/executor.h"
#include "../fork_join/fork_join.h"
#include "../wait/wait_queue.h"
#include "backlog.h"
#include <fairlead/blocking.h>
#include <fairlead/thread.h>
#include <pthread.h>

/* The thread executor's structs, and what scenarios call. thread_pool.c has the tables. */

struct fl__thread_pool;

enum { FL__POOL_CROWDED = 1, FL__POOL_FENCED = 2, FL__POOL_AWAKE = 4, FL__POOL_LISTED = 8 };

enum { FL__POOL_NO_AGENT, FL__POOL_AGENT_RUNS, FL__POOL_AGENT_AGAIN, FL__POOL_AGENT_ENDED };

struct fl__thread_worker {
	struct fl__run run; /* the outermost; must be the first member: pool_block() */
	struct fl__thread_pool *pool;
	fl_thread *thread;
	fl_future *running; /* or what the worker does instead: see pool_take() and pool_call_worker() */
	uint32_t called;    /* bool: counted as searching by pool_call_worker() */
	struct fl__fork_stack *forks;
	/* its tasks that have ended; those cancelled before; those that ran and failed */
	size_t ended, skipped, failed;
	struct fl__stats_context stats;
	struct fl__task_block_batch freed;
	size_t found_none; /* `ended` when it last found no task */
	unsigned number;   /* from 0; in the thread's name */
	unsigned blocking; /* depth of blocking sections; only the worker uses it */
	/* 0, or, while it dozes, 1 + what it waits for (debug/awaited.h) */
	uint32_t dozing;
	struct fl__thread_worker *next, *next_vacant;
};

struct fl__thread_pool {
	fl_executor base;
	struct fl__backlog backlog;
	uint32_t started, crowded, initializing, cpus; /* rarely written */
	uint32_t searching;
	unsigned char apart[FL__MPMC_APART]; /* keeps the words above, read without the lock, off these */
	uint32_t more, active;
	size_t starts, leaves;
	unsigned made, alive, idle, blocked, surplus;
	uint32_t dozing, stand_ins, agent;
	int64_t next_stand_in;  /* no worker begins to doze before this time */
	pthread_t agent_thread; /* not joined, unless `agent` is FL__POOL_NO_AGENT */
	struct fl__wait_queue sleepers;
	bool has_forks, over, full, reported;
	int64_t idle_timeout; /* 0: none */
	struct fl__forks forks;
	struct fl__thread_worker *workers, *vacant;
	fl_thread *ended; /* the last thread that has ended, not yet joined */
};

/* Under the lock: computes `more` and `crowded` after a change of their inputs. */
void fl__thread_pool_recount(struct fl__thread_pool *p);

/* Under the lock: makes a worker without a thread. NULL: out of memory. */
struct fl__thread_worker *fl__thread_pool_make_worker(struct fl__thread_pool *p);

/*
 * Runs a worker, counted as searching, until it must end, counted as neither searching nor alive.
 */
void fl__thread_pool_serve(struct fl__thread_worker *w);

#endif
