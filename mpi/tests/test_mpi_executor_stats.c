/* SPDX-License-Identifier: BSD-2-Clause */
#define CASES "core/exec/test_executor_stats.c"
#include "fl_over_mpi.h"

#ifdef FL_TEST_MPI
static void expect_time_in_rank(bool processes)
{
	FL_SCOPED(fl_executor) *e =
	    make_over_mpi(&(fl_executor_config){.workers = 1}, &(fl_mpi_config){.prefetch = 2, .processes = processes});
	FL_SCOPED(fl_future) *waits = NULL, *last = NULL;
	struct held held = hold_worker(e);
	FL_OK(square_submit(e, 2, &waits));
	FL_OK(tick_submit(e, &last));
	FL_WAIT_FOR(stats_of(e).running == 3);
	assert_int_equal(stats_of(e).threads, 1);
	assert_int_equal(stats_of(e).idle, 0);
	/*
	 * No message overtakes another one, so when the rank has cancelled the last task, it has
	 * both tasks.
	 */
	FL_RC(fl_future_cancel(last), -EINPROGRESS);
	FL_OK(fl_future_wait(last));
	const fl_time begin = fl_now();
	FL_WAIT_FOR(fl_time_diff(fl_now(), begin) > FL_MS(5));
	let_go(&held);
	FL_OK(fl_future_wait(waits));
	assert_true(fl_test_has_types(e, 2));
	assert_string_equal(fl_test_type_of(e, 1).name, "square");
	assert_true(fl_test_type_of(e, 1).queued.max >= FL_MS(5));
	assert_int_equal(stats_of(e).idle, 1);
	have_ended(e, 3, 0, 1);
}

FL_TEST(mpi_stats_have_the_time_in_a_rank)
{
	expect_time_in_rank(false);
}

FL_TEST(mpi_stats_have_the_time_in_a_rank_with_processes)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	expect_time_in_rank(true);
}
#endif
