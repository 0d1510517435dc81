/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "../future/future.h"
#include <fairlead/executor.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How long tasks wait in the queue, and run: measured for some tasks, or all. stats.c has the words.
 *
 * A submit has no instruction for it. Its short way (fl_submit()) is closed while the next submit is
 * to stamp its task: then fl__submit_waiting() calls fl__stats_stamp(). The context that runs a
 * stamped task measures it:
 *
 *     struct fl__stats_task measured;
 *     fl__stats_begin(&measured, run, &pace, begun);
 *     run
 *     fl__stats_end(&measured);
 */

/* One of so many tasks is measured while tasks are many. 0: none ever (in the model). */
#ifndef FL__STATS_EVERY
#define FL__STATS_EVERY 64
#endif

enum { FL__STATS_BUCKETS = 134 };

struct fl__stats_set {
	uint32_t epoch; /* 0: not yet used */
	uint32_t counts[FL__STATS_BUCKETS];
	int64_t max;
};

struct fl__stats_histogram {
	uint64_t n, sum;
	struct fl__stats_set sets[2]; /* of an even and an odd epoch */
};

struct fl__stats_type {
	const char *key; /* the type's name, compared as a pointer: the type may be gone */
	char name[48];
	struct fl__stats_histogram queued, ran;
};

enum fl__stats_sampling { FL__STATS_NONE, FL__STATS_ONE, FL__STATS_ALL };

/* How fast tasks begin: of a worker, or of the contexts that run tasks by fl__run_task(). */
struct fl__stats_pace {
	int64_t at;   /* when the last measured task began */
	size_t begun; /* tasks until then */
};

/* Of one executor. */
struct fl__stats {
	uint32_t sampling; /* enum fl__stats_sampling */
	size_t begun;      /* by fl__run_task() */
	struct fl__stats_pace pace;
	struct fl__stats_type *types[FL_STATS_TYPES];
};

struct fl__stats_task {
	struct fl__stats_type *type; /* NULL: the task is not measured */
	int64_t began;
	uint32_t weight;
};

void fl__stats_init(fl_executor *e);

/* Before the submit of a task publishes it. */
void fl__stats_stamp(fl_executor *e, fl_future *f);

/* The next submit stamps its task. */
void fl__stats_arm(fl_executor *e);

struct fl__run;
void fl__stats_measure(struct fl__stats_task *measured, const struct fl__run *run, struct fl__stats_pace *pace,
                       size_t begun);
void fl__stats_measured(const struct fl__stats_task *measured);

static inline void fl__stats_end(const struct fl__stats_task *measured)
{
	if (fl__unlikely(measured->type != NULL))
		fl__stats_measured(measured);
}

/* Fills in the times of all types. */
void fl__stats_read(const struct fl__stats *s, fl_executor_stats *to);

void fl__stats_fini(fl_executor *e);
