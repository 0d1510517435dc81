/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_PROCESS_POOLS_H
#define STRESS_CASES_PROCESS_POOLS_H

/*
 * The process executor without processes. Its workers are threads that serve a pair of rings as a
 * worker process does, and die at a given point, or when they are killed. Its descriptors are
 * numbers. Everything else is the executor's own code.
 *
 *   FL_STRESS_SETUP(...)    { process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1}); }
 *   FL_STRESS_ACTOR(...)    { s->rc = process_pool_submit(&s->pool, 1, &f); ... }
 *   FL_STRESS(...)          { process_pool_end(&s->pool); ... }
 */
#include "../cases.h"
#include "process/pool/rings.h"
#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <fairlead/thread.h>

/*
 * A task with the argument UNTIL_ASKED runs until it is asked to stop or its worker is killed, and
 * one with HANGS until its worker is killed. Every other task returns its argument plus MORE. For a
 * task with LIES, the worker reports two elements.
 */
enum { UNTIL_ASKED = 6, HANGS = 7, LIES = 8, TASKS, MORE = 10 };

/* process_pool_task_again runs once more if its worker dies. */
FL_TASK_DECLARE(process_pool_task, int, int);
FL_TASK_DECLARE(process_pool_task_again, int, int);

/*
 * Where the first worker dies: before it is ready, or in its submission number `dies_in`, counted
 * from 0.
 */
enum process_pool_death {
	LIVES,
	DIES_UNREADY,
	DIES_BEFORE,
	DIES_DURING,
	DIES_UNHEARD /* it has ended the submission, and does not ring */,
	DIES_AFTER,
	DEATHS
};

enum {
	PROCESS_POOL_WORKERS = 6,
	PROCESS_POOL_STARTS = 12,
	PROCESS_POOL_FDS = 4 + PROCESS_POOL_STARTS + PROCESS_POOL_WORKERS
};

struct process_pool;

struct process_pool_worker {
	struct process_pool *pool;
	unsigned number, taken; /* `taken`: how many submissions */
	struct fl__submission_ring *submissions;
	struct fl__completion_ring *completions;
	struct fl__worker_rings rings;
	fl_thread *thread;
	int doorbell; /* the descriptor of its doorbell */
	bool says_ready;
	atomic_int life; /* enum life in process_pool_fake.c */
	atomic_int reaped;
};

struct process_pool {
	fl_executor *e;
	unsigned index;
	char name[12];
	struct process_pool_worker workers[PROCESS_POOL_WORKERS];
	unsigned n_workers;                                  /* how many workers were started */
	struct process_pool_worker *at[PROCESS_POOL_STARTS]; /* the other ends of the channels */
	/* It changes when the manager thread has a new event. */
	atomic_uint events;
	atomic_uint watched; /* has a bit for each descriptor */
	atomic_int readable[PROCESS_POOL_FDS];
	atomic_int ran[TASKS]; /* how often a task with that argument began */
	/* The setup sets these. */
	enum process_pool_death death;
	unsigned dies_in, dies_at; /* `dies_at`: the element in which it dies, with DIES_DURING */
	int init_error;            /* the result of the initializer */
	unsigned start_fails;      /* how many starts fail */
};

/* A setup calls it: makes the executor. */
void process_pool_begin(struct process_pool *c, const fl_executor_config *config);

/* Defines a setup that makes an executor with `n` workers, and nothing else. */
#define PROCESS_POOL(test, n)                                                                                          \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		process_pool_begin(&s->pool, &(fl_executor_config){.workers = (n)});                                   \
	}

/* The outcome calls it: joins and frees the executor. */
void process_pool_end(struct process_pool *c);

/* The initializer of a config. Its result is the pool's init_error. */
FL_TASK_DECLARE(process_pool_prepare, void, void)

/* Do what process_pool_task_submit() and process_pool_task_submit_with() do. */
int process_pool_submit(struct process_pool *c, int task, fl_future **f);
int process_pool_submit_with(struct process_pool *c, const fl_task_type *type, int task, fl_future **f,
                             const fl_submit_config *config);

/* Does what process_pool_task_map() does. */
int process_pool_map(struct process_pool *c, const int *tasks, size_t n, int *results, const fl_map_config *config);

/* Waits for a task, and checks its result. */
void process_pool_get(fl_future *f, int task);

/* Submits a task, waits for it, and checks its result. */
void process_pool_submit_get(struct process_pool *c, int task);

static inline int process_pool_ran(struct process_pool *c, int task)
{
	return LOOK(&c->ran[task]);
}

#endif
