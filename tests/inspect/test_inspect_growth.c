/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the start of a thread, or an event, costs beside many other threads. The cases count calls
 * and steps, and no time.
 */
#include "fl_debugging.h"

#include "fl_faults.h"
#include "inspect/trace.h"

/* Threads under the recorder. */

static uint32_t growth_looks, growth_maps;

static bool growth_thread_exists(uint32_t thread)
{
	fl__add_relaxed(&growth_looks, 1);
	return true;
}

static void *growth_map(size_t size)
{
	fl__add_relaxed(&growth_maps, 1);
	return fl_test_real_sys.map(size);
}

static int growth_record(void *unused)
{
	fl__hook_event(FL__TRACE_INDEX, 0, 0, NULL, 0);
	return 0;
}

/* All of them seem to be alive. */
FL_TEST(trace_of_many_threads_costs_each_thread_the_same)
{
	enum { LOOKS = 16 };
	FL_FAULTS();
	FL_OK(fl_trace_enable("ring,events=64,signal=0"));
	fl__sys.thread_exists = growth_thread_exists;
	fl__sys.map = growth_map;
	for (unsigned n = 0, most = 1000; most <= 4000; most *= 2) {
		growth_looks = 0;
		const unsigned before = n;
		for (; n < most; n++)
			fl_test_on_thread(growth_record, NULL);
		FL_IN_RANGE(growth_looks, 0, (most - before) * LOOKS);
	}
	FL_IN_RANGE(growth_maps, 1000, FL__TRACE_RINGS);
	FL_OK(fl_trace_enable(NULL));
}
