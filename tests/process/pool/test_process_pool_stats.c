/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fl_executor_stats() where workers die, or tell wrong times. test_executor_stats.c has the
 * rest.
 */
#include "fl_process_pool.h"

#include "core/exec/executor.h"

static fl_stats_executor stats_of(fl_executor *e)
{
	fl_stats_executor stats;
	FL_OK(fl_executor_stats(e, &stats));
	return stats;
}

static void workers_were(fl_executor *e, size_t started, size_t ended, size_t killed)
{
	const fl_stats_executor stats = stats_of(e);
	assert_int_equal(stats.workers_started, started);
	assert_int_equal(stats.workers_ended, ended);
	assert_int_equal(stats.workers_killed, killed);
	assert_int_equal(stats.threads, started - ended);
}

/* Dies in its first `deaths` runs. */
struct process_pool_mortal {
	int *runs, deaths;
};

FL_TASK(process_pool_dies, struct process_pool_mortal, void, .max_attempts = 3)
{
	process_pool_count(arg->runs);
	if (process_pool_counted(arg->runs) <= arg->deaths)
		(void)raise(SIGKILL);
	return 0;
}

/* Tasks behind it go to the next worker. Each counts once. */
PROCESS_POOL_TEST(process_pool_stats_of_killed_workers, 1)
{
	fl_future *f[4];
	workers_were(e, 0, 0, 0);
	for (int deaths = 2; deaths <= 3; deaths++) {
		int *runs = process_pool_counters(1);
		FL_OK(process_pool_dies_submit(e, (struct process_pool_mortal){runs, deaths}, &f[0]));
		for (int i = 1; i < 4; i++)
			FL_OK(process_pool_square_submit(e, i, &f[i]));
		fl_test_futures_end(f, 4);
		assert_int_equal(process_pool_counted(runs), 3);
	}
	const fl_stats_executor stats = stats_of(e);
	assert_int_equal(stats.ended, 8);
	assert_int_equal(stats.failed, 1);
	assert_int_equal(stats.cancelled, 0);
	assert_int_equal(stats.pending + stats.running, 0);
	workers_were(e, 6, 5, 5);
	assert_null(e->why_killed); /* not by this process */
	FL_OK(fl_executor_join(e));
	workers_were(e, 6, 6, 5);
}

PROCESS_POOL_TEST(process_pool_stats_of_a_terminated_pool, 1)
{
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *f = process_pool_hold(e, gate);
	FL_OK(process_pool_square_submit(e, 1, NULL));
	assert_int_equal(fl_executor_terminate(e), 1);
	FL_OK(fl_executor_join(e));
	fl_future_free(f);
	assert_int_equal(stats_of(e).ended, 2);
	assert_int_equal(stats_of(e).failed, 1);
	assert_int_equal(stats_of(e).cancelled, 1);
	workers_were(e, 1, 1, 1);
	assert_string_equal(e->why_killed, "its executor was terminated");
}

FL_TASK(process_pool_fails_to_start, void, void)
{
	return -ENOENT;
}

FL_TEST(process_pool_stats_of_a_broken_pool)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .initialize = &process_pool_fails_to_start);
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(process_pool_square, e, 1);
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_error(f), -ENOTRECOVERABLE);
	FL_OK(fl_executor_join(e));
	assert_int_equal(stats_of(e).ended, 1);
	assert_int_equal(stats_of(e).cancelled, 1);
	workers_were(e, 1, 1, 0);
}

/* Sets when it began. How long it ran its worker tells afterwards. */
FL_TASK(process_pool_lies, int64_t, void)
{
	struct fl__completion *reply;
	FL_CHECK(order_under_way(&reply) != 0);
	fl__store_relaxed(&reply->began, *arg);
	return 0;
}

FL_TEST(process_pool_stats_of_wrong_times)
{
	const int64_t before = fl_now().ns, wrong[] = {0, -1, 1, before, INT64_MAX, INT64_MIN, before + FL_S(100000)};
	FL_EACH (i, wrong) {
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		process_pool_call(e, &process_pool_lies, &wrong[i], NULL);
		assert_int_equal(stats_of(e).ended, 1);
		assert_true(fl_test_has_types(e, 0));
	}
}

/* Those that are not measured, while tasks are many, others stand for. */
PROCESS_POOL_TEST(process_pool_stats_stand_for_no_more_than_all, 1)
{
	enum { N = 500 };
	for (int i = 0; i < N; i++)
		process_pool_works(e);
	assert_int_equal(stats_of(e).ended, N);
	assert_in_range(fl_test_type_of(e, 0).queued.n, 1, N);
	assert_in_range(fl_test_type_of(e, 0).ran.n, 1, N);
}
