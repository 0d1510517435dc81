/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/exec/executor.h"
#include <string.h>

/*
 * The statistics of an executor say how long tasks wait in the queue and how long they run. While
 * there are few submits, all tasks are measured, otherwise only some. The fast path of a submit,
 * which is called the short way (submit.c), executes no instruction for this, because it is closed
 * while the next submit is to stamp its task. The context that runs a stamped task measures it.
 * stats.c describes the words.
 */

/* While there are many tasks, about one in EVERY is measured. */
enum { FL__STATS_EVERY = 64 };

enum { FL__STATS_BUCKETS = 134, FL__STATS_EPOCH = 36 /* log2 of ns */, FL__STATS_LEAST = 8 };

struct fl__stats_times {
	FL__WORD64 uint64_t n, sum;
	struct fl__stats_set {
		uint32_t epoch; /* 0 while it was never used */
		uint32_t counts[FL__STATS_BUCKETS];
		FL__WORD64 int64_t max;
	} sets[2]; /* for even and for odd epochs */
};

struct fl__stats_type {
	char name[48]; /* a copy, because the type may be gone */
	struct fl__stats_times queued, ran;
};

/* Stores the times of e->stats.types[i]. Returns false if that entry is not used. */
bool fl__stats_read_type(const fl_executor *e, unsigned i, fl_stats_type *to);

/* Returns the time modulo about 36 minutes. Bit 1 stands for 1,024 ns, and bit 0 is unused. */
enum { FL__STATS_UNIT = 10 };
static inline uint32_t fl__stats_time(int64_t now)
{
	return (uint32_t)(now >> FL__STATS_UNIT << 1);
}

/* Returns the time since the stamp of `f`. */
static inline int64_t fl__stats_waited(const fl_future *f, int64_t now)
{
	return (int64_t)((fl__stats_time(now) - ((uint32_t)f->error & ~1u)) / 2) << FL__STATS_UNIT;
}

/* Returns a task's name as it is shown, without the file name of a static task. */
static inline const char *fl__stats_name(const char *name)
{
	const char *colon = name ? strrchr(name, ':') : NULL;
	return colon ? colon + 1 : name ? name : "task";
}

/* Returns the time in units of about a minute; never 0. */
static inline uint32_t fl__stats_epoch(int64_t now)
{
	return (uint32_t)(now >> FL__STATS_EPOCH) + 1;
}
