/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_map: order, chunks, the first failure, what ends it early, and maps inside of tasks. */
#include "fl_pool.h"

enum { N = 500 };

static int inputs[N], outputs[N];
static unsigned runs;

/* Fails where the argument is negative. */
FL_TASK(map_check, int, int)
{
	COUNT(&runs);
	*result = *arg;
	return *arg < 0 ? fl_task_fail(ctx, *arg, "element %d", *arg) : 0;
}

static void begin_map(void)
{
	SET(&runs, 0);
	for (int i = 0; i < N; i++) {
		inputs[i] = i;
		outputs[i] = -77;
	}
}

/* Elements that wait for each other: they run at the same time, or never end. */
static fl_latch together;

FL_TASK(map_meet, int, int)
{
	fl_latch_count_down(&together, 1);
	return fl_latch_wait(&together);
}

POOL_TEST(map_uses_all_workers_at_once, 4)
{
	begin_map();
	FL_OK(fl_latch_init(&together, 4));
	FL_OK(map_meet_map(e, inputs, 4, outputs, NULL));
	FL_OK(fl_latch_init(&together, 4));
	FL_OK(map_meet_map(e, inputs, 4, outputs, &(fl_map_config){.chunk = 1}));
}

FL_TEST(map_begins_nothing_after_a_failure)
{
	FL_SCOPED(fl_executor) *s = sequential();
	begin_map();
	inputs[10] = -EIO;
	/* Also without a place for the error. */
	FL_RC(map_check_map(s, inputs, N, outputs, NULL), FL_ETASK);
	assert_int_equal(LOOK(&runs), 11);
	assert_int_equal(outputs[11], -77);
	FL_SCOPED(fl_executor) *e = pool_with(1);
	begin_map();
	inputs[10] = -EIO;
	FL_RC(map_check_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 3}), FL_ETASK);
	assert_int_equal(LOOK(&runs), 11);
	/* And no task is left. */
	FL_OK(fl_executor_try_join(e) == -EBUSY ? fl_executor_join(e) : 0);
}
