/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CLOCK_H
#define STRESS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { LAB_THREADS = 16 };

/* A vector clock: of each thread, how many of its steps are known. Thread 0 is main. */
struct lab_clock {
	uint32_t at[LAB_THREADS];
};

static inline void lab_clock_join(struct lab_clock *to, const struct lab_clock *from, unsigned threads)
{
	for (unsigned i = 0; i < threads; i++)
		if (to->at[i] < from->at[i])
			to->at[i] = from->at[i];
}

/*
 * What a thread knows, and what a message carries. `hb` is happens-before. `seen` limits what a load may still read: the
 * same, and what SC fences add to it, which order nothing but reads (RC11's psc). `fence` is the step of the latest SC
 * fence that happens before: no load after it reads behind an SC store that came earlier.
 */
struct lab_view {
	struct lab_clock hb, seen;
	uint32_t fence;
};

static inline void lab_view_join(struct lab_view *to, const struct lab_view *from, unsigned threads)
{
	lab_clock_join(&to->hb, &from->hb, threads);
	lab_clock_join(&to->seen, &from->seen, threads);
	if (to->fence < from->fence)
		to->fence = from->fence;
}

#endif
