/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_PROCESS_POOLS_H
#define STRESS_CASES_PROCESS_POOLS_H

/*
 * The process executor without processes: its workers are threads that serve a pair of rings as a
 * worker does, and die at a given point, or when they are killed; its descriptors are numbers. All
 * else is the executor's own.
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

/* The argument selects the task's action. All other arguments return the argument plus this. */
enum { UNTIL_ASKED = 6, HANGS = 7, LIES = 8, TASKS, MORE = 10 };

/* Runs once more if its worker dies. */
FL_TASK_DECLARE(process_pool_task, int, int);
FL_TASK_DECLARE(process_pool_task_again, int, int);

/*
 * Where the first worker dies: before it is ready, or in its submission number `dies_in`, from 0.
 */
enum process_pool_death {
	LIVES,
	DIES_UNREADY,
	DIES_BEFORE,
	DIES_DURING,
	DIES_UNHEARD /* ended, and did not ring */,
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
	unsigned number, taken; /* submissions */
	struct fl__submission_ring *submissions;
	struct fl__completion_ring *completions;
	struct fl__worker_rings rings;
	fl_thread *thread;
	int doorbell; /* its end of the pair */
	bool says_ready;
	atomic_int life; /* enum life in process_pool_fake.c */
	atomic_int reaped;
};

struct process_pool {
	fl_executor *e;
	unsigned index;
	char name[12];
	struct process_pool_worker workers[PROCESS_POOL_WORKERS];
	unsigned n_workers;                                  /* number of started workers */
	struct process_pool_worker *at[PROCESS_POOL_STARTS]; /* the other ends of the channels */
	atomic_uint events;                                  /* changes when the manager has a new event */
	atomic_uint watched;                                 /* a bit for each descriptor */
	atomic_int readable[PROCESS_POOL_FDS];
	atomic_int ran[TASKS]; /* how often a task with that argument began */
	/* For the setup. */
	enum process_pool_death death;
	unsigned dies_in, dies_at; /* at: the element of DIES_DURING */
	int init_error;            /* of the initializer */
	unsigned start_fails;      /* number of failed starts */
};

/* Makes the executor; for the setup. */
void process_pool_begin(struct process_pool *c, const fl_executor_config *config);

/* The setup where one with `n` workers is all. */
#define PROCESS_POOL(test, n)                                                                                          \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		process_pool_begin(&s->pool, &(fl_executor_config){.workers = (n)});                                   \
	}

/* Joins and frees the executor; for the outcome. */
void process_pool_end(struct process_pool *c);

/* The initializer of a config; its error is the pool's init_error. */
extern const fl_task_type process_pool_prepare;

/* As process_pool_task_submit() and process_pool_task_submit_with(). */
int process_pool_submit(struct process_pool *c, int task, fl_future **f);
int process_pool_submit_with(struct process_pool *c, const fl_task_type *type, int task, fl_future **f,
                             const fl_submit_config *config);

/* As process_pool_task_map(). */
int process_pool_map(struct process_pool *c, const int *tasks, size_t n, int *results, const fl_map_config *config);

/* Waits for a task, and checks its result. */
void process_pool_get(fl_future *f, int task);

/* Both. */
void process_pool_submit_get(struct process_pool *c, int task);

static inline int process_pool_ran(struct process_pool *c, int task)
{
	return LOOK(&c->ran[task]);
}

#endif
