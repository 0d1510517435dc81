/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_executor_map on executors that copy: an early end, maps in tasks, and failures of memory or threads. */
#include "fl_copying.h"

/* Element 5 does something to its executor. */
static void (*fifth_act)(fl_executor *e);

FL_TASK(copy_acts, int, int)
{
	COUNT(&runs);
	*result = *arg;
	if (*arg == 5)
		fifth_act(fl_executor_current());
	return 0;
}

/* What was under way runs, as on any closed executor; what comes after it is refused. */
FL_TEST(map_copy_ends_early_when_its_executor_is_closed)
{
	fifth_act = fl_executor_close;
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind, &copy_acts);
		begin_map();
		FL_RC(copy_acts_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 1}), -EPIPE);
		const int ran = (int)LOOK(&runs);
		assert_true(ran >= 6 && ran < N);
		for (int i = 0; i < N; i++)
			assert_int_equal(outputs[i], i < ran ? i : -77);
	}
}

/* Without memory. */

/* From the first to the last that were run; nothing else was touched. */
static int count_prefix(void)
{
	int n = 0;
	while (n < N && outputs[n] == n * n)
		n++;
	for (int i = n; i < N; i++)
		assert_int_equal(outputs[i], -77);
	return n;
}

/*
 * Elements run while the map sleeps: with one worker no chunk ends before the map has submitted all
 * that fits. So a chunk is under way whenever a submit other than the first fails.
 */
FL_TASK_STATIC(copy_while_it_sleeps, int, int)
{
	FL_WAIT_FOR(seam_sleepers() == 1);
	*result = *arg * *arg;
	return 0;
}

/* Chunks of more than a block's room have memory of their own: each submit asks for some. */
FL_TEST(map_copy_without_memory_goes_on_with_less)
{
	enum { CHUNK = 600 };
	for (unsigned step = 0; step < 20; step++) {
		FL_SCOPED(fl_executor) *e = executor_of(1, &copy_while_it_sleeps);
		const fl_map_config config = {.chunk = CHUNK};
		long before = seam_live_allocs();
		begin_map();
		seam_fail_allocs(step, 1);
		int rc = copy_while_it_sleeps_map(e, inputs, N, outputs, &config);
		bool struck = seam_heal() == 0;
		FL_OK_OR(rc, -ENOMEM);
		assert_int_equal(count_prefix(), rc == 0 ? N : 0); /* only the first can do that */
		if (!struck) {
			assert_int_equal(rc, 0);
			assert_true(seam_live_allocs() >= before);
			return;
		}
	}
	fail_msg("more allocations than chunks");
}

FL_TEST(map_copy_without_memory_for_the_rest)
{
	enum { CHUNK = 600 };
	unsigned partial = 0;
	for (unsigned step = 0; step < 20; step++) {
		FL_SCOPED(fl_executor) *e = executor_of(2, &copy_square);
		begin_map();
		seam_fail_allocs(step, 1000);
		int rc = copy_square_map(e, inputs, N, outputs, &(fl_map_config){.chunk = CHUNK});
		bool struck = seam_heal() < 1000;
		const int done = count_prefix();
		assert_int_equal(done, LOOK(&runs));
		FL_RC(rc, done < N ? -ENOMEM : 0);
		/* Both: it was for a second worker, and one can do all. */
		assert_true(struck || done == N);
		partial += struck && done > 0;
		if (!struck)
			break;
	}
	assert_true(partial > 3);
}

FL_TEST(map_copy_without_threads)
{
	FL_SCOPED(fl_executor) *e = executor_of(3, &copy_square);
	begin_map();
	seam_fail_threads(0, 1000);
	FL_RC(copy_square_map(e, inputs, N, outputs, NULL), -EAGAIN);
	assert_int_equal(LOOK(&runs), 0);
	seam_heal();
	FL_OK(copy_square_map(e, inputs, N, outputs, NULL));
	assert_int_equal(count_prefix(), N);
}
