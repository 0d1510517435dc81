/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "../future/future.h"
#include "../hooks.h"
#include <fairlead/executor.h>
#include <string.h>

/*
 * How long tasks wait in the queue, and run: measured for some tasks, or for all. A submit has no
 * instruction for it: its short way (fl_submit()) is closed while the next submit is to stamp its
 * task. The context that runs a stamped task measures it. stats.c has the words.
 *
 *     error = fl__stats_wants(run, &context, begun) ? fl__stats_run(run, &context, begun, &message)
 *                                                   : fl__run_function(run, &message);
 */

/* While tasks are many, about one of EVERY is measured. */
enum { FL__STATS_EVERY = 64, FL__STATS_OFF = INT32_MAX };

/* How many submits a refill of a free list stands for: CHAIN blocks, but half as often. */
enum { FL__STATS_REFILL = 16 };

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

/* A time within 36 minutes, in units of 1,024 ns; bit 0 is free. */
enum { FL__STATS_UNIT = 10 };
static inline uint32_t fl__stats_time(int64_t now)
{
	return (uint32_t)(now >> FL__STATS_UNIT << 1);
}

/* Since the stamp of `f`. */
static inline int64_t fl__stats_waited(const fl_future *f, int64_t now)
{
	return (int64_t)((fl__stats_time(now) - ((uint32_t)f->error & ~1u)) / 2) << FL__STATS_UNIT;
}

/* The last measurement of a context that runs tasks. */
struct fl__stats_last {
	struct fl__stats_times *times; /* NULL: none yet */
	int64_t ns;
	size_t begun; /* tasks, it among them */
};

struct fl__stats_context {
	size_t next; /* it asks for a stamp when it has begun so many */
	struct fl__stats_last queued, ran;
};

/* For a task that does not run, and is counted as begun: measured tasks do not stand for it. */
static inline void fl__stats_begin_none(struct fl__stats_context *context)
{
	context->next++;
	context->queued.begun++;
	context->ran.begun++;
}

/* Of an executor. */
struct fl__stats {
	int32_t skip;                                 /* submits of the long way until one stamps */
	int64_t calm;                                 /* submits before are paid for: stats_is_calm() */
	struct fl__stats_context frame;               /* of all contexts in fl__run_task() */
	struct fl__stats_type *types[FL_STATS_TYPES]; /* NULL: not yet used */
};

struct fl__run;

/* A task's name as it is shown: without the file of a static task. */
static inline const char *fl__stats_name(const char *name)
{
	const char *colon = name ? strrchr(name, ':') : NULL;
	return colon ? colon + 1 : name ? name : "task";
}

/* A program without fl_executor_get_stats() lacks these functions, and does not measure. */

/* Before the submit of a task publishes it. Only while `skip` is not above 0. */
FL__IF_LINKED void fl__stats_stamp(fl_executor *e, fl_future *f);

/* Asks that the next submit stamps its task. */
FL__IF_LINKED void fl__stats_arm(fl_executor *e);

/* As fl__run_function(). Called for a stamped task, and when `begun` is `next`. */
FL__IF_LINKED int fl__stats_run(struct fl__run *run, struct fl__stats_context *context, size_t begun, char **message);

/* Of a task that has run in another process; not if its times are impossible. */
FL__IF_LINKED void fl__stats_add_remote(fl_executor *e, const fl_future *f, int64_t began, int64_t ran);

static inline bool fl__stats_are_linked(void)
{
#ifdef FL__LABORATORY
	return false; /* fewer steps for a search */
#else
	return fl__stats_arm != NULL;
#endif
}

/* In units of about a minute; never 0. */
static inline uint32_t fl__stats_epoch(int64_t now)
{
	return (uint32_t)(now >> FL__STATS_EPOCH) + 1;
}
