/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The times of single operations. Each time is counted in a class according to its size. There are
 * 32 classes for each power of two, so that percentiles are accurate to 3 %.
 */
#include "shim.h"

enum { CLASSES = 32, CLASSES_LOG2 = 5 };

/* Each time below CLASSES has its own class. */
static unsigned class_of(uint64_t ns)
{
	if (ns < CLASSES)
		return (unsigned)ns;
	const unsigned power = 63u - (unsigned)__builtin_clzll(ns);
	return (power - CLASSES_LOG2 + 1) * CLASSES + (unsigned)(ns >> (power - CLASSES_LOG2)) % CLASSES;
}

/* Returns the least time of a class. */
static int64_t least_of(unsigned class)
{
	if (class < CLASSES)
		return class;
	return (int64_t)(CLASSES + class % CLASSES) << (class / CLASSES - 1);
}

void bench_lap_begin(bench_laps *laps)
{
	laps->last = bench_now();
}

void bench_lap_end(bench_laps *laps)
{
	const int64_t now = bench_now();
	laps->counts[class_of((uint64_t)(now - laps->last))]++;
	laps->total++;
	laps->last = now;
}

static int64_t percentile(const bench_laps *laps, unsigned percent)
{
	uint64_t below = 0;
	for (unsigned class = 0; class < BENCH_LAP_CLASSES; class ++) {
		below += laps->counts[class];
		if (below * 100 >= laps->total * percent)
			return least_of(class);
	}
	return 0;
}

void bench_run(const bench_row *row, bench_thread *t)
{
	if (t->laps)
		bench_lap_begin(t->laps);
	row->run(t);
	if (t->laps && t->laps->total > 0) {
		t->p50 = percentile(t->laps, 50);
		t->p99 = percentile(t->laps, 99);
	}
}
