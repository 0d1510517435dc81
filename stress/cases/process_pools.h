/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_CREWS_H
#define STRESS_CASES_CREWS_H

/*
 * The process executor without processes: its workers are threads that serve a lane as a worker does, and die where they are
 * told to, or when they are killed; its descriptors are numbers. All else is the executor's own.
 *
 *     FL_STRESS_SETUP(...)    { crew_begin(&s->crew, &(fl_executor_config){.workers = 1}); }
 *     FL_STRESS_ACTOR(...)    { s->rc = crew_submit(&s->crew, 1, &f); ... }
 *     FL_STRESS(...)          { crew_end(&s->crew); ... }
 */
#include "cases.h"
#include "process_pool/rings.h"
#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <fairlead/thread.h>

/* The argument says what a task does. The result of all others is this much more. */
enum { UNTIL_ASKED = 6, HANGS = 7, LIES = 8, TASKS, MORE = 10 };

/* Once more, if its worker dies with it. */
FL_TASK_DECLARE(crew_task, int, int);
FL_TASK_DECLARE(crew_task_again, int, int);

/* Where the first worker dies: before it is ready, or in the order that it has as its `dies_in`th, from 0. */
enum crew_death {
	LIVES,
	DIES_UNREADY,
	DIES_BEFORE,
	DIES_DURING,
	DIES_UNHEARD /* ended, and did not ring */,
	DIES_AFTER,
	DEATHS
};

enum { CREW_WORKERS = 6, CREW_STARTS = 8, CREW_FDS = 4 + CREW_STARTS + CREW_WORKERS };

struct crew;

struct crew_worker {
	struct crew *crew;
	unsigned number, taken; /* orders */
	struct fl__orders *orders;
	struct fl__replies *replies;
	struct fl__lane_worker lane;
	fl_thread thread;
	int bell, channel; /* its ends */
	bool says_ready;
	atomic_int life; /* enum life in crew_fake.c */
	atomic_int buried;
};

struct crew {
	fl_executor *e;
	unsigned index;
	char name[12];
	struct crew_worker workers[CREW_WORKERS];
	unsigned n_workers; /* that were started */
	atomic_uint events; /* changes when the keeper has something to see */
	bool watched[CREW_FDS];
	atomic_int readable[CREW_FDS];
	atomic_int ran[TASKS]; /* how often a task with that argument began */
	/* For the setup. */
	enum crew_death death;
	unsigned dies_in, dies_at; /* at: the element of DIES_DURING */
	int init_error;            /* of the initializer */
	unsigned start_fails;      /* so many times */
};

/* Makes the executor; for the setup. */
void crew_begin(struct crew *c, const fl_executor_config *config);

/* Joins and frees it; for the outcome. */
void crew_end(struct crew *c);

/* The initializer of a config; its error is the crew's. */
extern const fl_task_type crew_prepare;

/* As crew_task_submit() and crew_task_submit_with(). */
int crew_submit(struct crew *c, int task, fl_future **f);
int crew_submit_with(struct crew *c, const fl_task_type *type, int task, fl_future **f, const fl_submit_config *config);

/* As crew_task_map(). */
int crew_map(struct crew *c, const int *tasks, size_t n, int *results, const fl_map_config *config);

/* Waits for a task, and checks its result. */
void crew_get(fl_future *f, int task);

/* Both. */
void crew_submit_get(struct crew *c, int task);

static inline int crew_ran(struct crew *c, int task)
{
	return LOOK(&c->ran[task]);
}

#endif
