/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "../future/future.h"
#include <fairlead/executor.h>

/*
 * How long tasks wait in the queue, and run: measured for some tasks, or for all. A submit has no
 * instruction for it: its short way (fl_submit()) is closed while the next submit is to stamp its
 * task. The context that runs a stamped task measures it. stats.c has the words.
 *
 *     struct fl__stats_task measured;
 *     fl__stats_begin(&measured, run, &since, begun);
 *     run the task
 *     fl__stats_end(&measured);
 */

/* While tasks are many, one of EVERY is measured. */
enum { FL__STATS_EVERY = 64 };

enum { FL__STATS_BUCKETS = 134, FL__STATS_EPOCH = 36 /* log2 of ns */, FL__STATS_LEAST = 8 };

struct fl__stats_times {
	uint64_t n, sum;
	struct fl__stats_set {
		uint32_t epoch; /* 0: not yet used */
		uint32_t counts[FL__STATS_BUCKETS];
		int64_t max;
	} sets[2]; /* of an even and an odd epoch */
};

struct fl__stats_type {
	char name[48]; /* a copy: the type may be gone */
	struct fl__stats_times queued, ran;
};

enum { FL__STATS_NONE, FL__STATS_ONE, FL__STATS_ALL };

/* Of an executor. */
struct fl__stats {
	uint32_t sampling;
	size_t begun;  /* by fl__run_task(), as `since` */
	int64_t since; /* when the last EVERY-th task began */
	int64_t stamped;
	struct fl__stats_type *types[FL_STATS_TYPES]; /* NULL: not yet used */
};

struct fl__stats_task {
	struct fl__stats_type *type; /* NULL: the task is not measured */
	int64_t began;
	uint32_t weight;
};

/* Weak: a program without fl_executor_get_stats() does not link their code, and measures nothing. */
#define FL__STATS_FN __attribute__((weak, visibility("hidden")))

/* Before the submit of a task publishes it. Only while `sampling` is not NONE. */
FL__STATS_FN void fl__stats_stamp(fl_executor *e, fl_future *f);

/* Called for one task of EVERY: the next submit stamps its task, or each does. */
FL__STATS_FN void fl__stats_arm(fl_executor *e, int64_t *since);

FL__STATS_FN void fl__stats_measure(struct fl__stats_task *measured, fl_executor *e, const fl_future *f);
FL__STATS_FN void fl__stats_measured(const struct fl__stats_task *measured);

static inline bool fl__stats_are_linked(void)
{
#ifdef FL__LABORATORY
	return false; /* fewer steps for a search */
#else
	return fl__stats_arm != NULL;
#endif
}

static inline void fl__stats_end(const struct fl__stats_task *measured)
{
	if (fl__unlikely(measured->type != NULL))
		fl__stats_measured(measured);
}

/* In units of about a minute; never 0. */
static inline uint32_t fl__stats_epoch(int64_t now)
{
	return (uint32_t)(now >> FL__STATS_EPOCH) + 1;
}
