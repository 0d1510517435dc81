/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_executor_stats(), for every kind of executor. */
#include "conformance.h"

static fl_stats_executor stats_of(fl_executor *e)
{
	fl_stats_executor stats;
	memset(&stats, 0xff, sizeof stats);
	FL_OK(fl_executor_stats(e, &stats));
	return stats;
}

static void have_ended(fl_executor *e, size_t ended, size_t failed, size_t cancelled)
{
	fl_stats_executor s; /* whose counts are of different moments */
	FL_WAIT_FOR((s = stats_of(e), s.ended == ended && s.failed == failed && s.cancelled == cancelled &&
	                                  s.pending == 0 && s.running == 0));
}

CONFORMANCE_ON(stats_of_a_new_executor_are_zero, 3)
{
	const fl_stats_executor stats = stats_of(e);
	const fl_stats_executor none = {.workers = fl_executor_workers(e)};
	/* without the gap in front of `pending` */
	assert_memory_equal(&stats, &none, offsetof(fl_stats_executor, waiting) + sizeof none.waiting);
	assert_memory_equal(&stats.pending, &none.pending, sizeof none - offsetof(fl_stats_executor, pending));
}

CONFORMANCE_ABLE(stats_tell_what_waits_and_runs, 2, FL_CAP_CONCURRENT)
{
	enum { N = 5 };
	const int held_n = (int)at_once(kind, 2);
	struct held held[2] = {hold_worker(e)};
	fl_future *f[N];
	if (held_n > 1)
		held[1] = hold_worker(e);
	FL_EACH (i, f)
		FL_OK(tick_submit(e, &f[i]));
	fl_stats_executor stats = stats_of(e);
	assert_int_equal(stats.pending + stats.running, N + held_n);
	if (kind->over_ranks) { /* a rank may have more workers and tasks */
		assert_in_range(stats.workers_started, 1, 2);
	} else {
		assert_int_equal(stats.running, held_n);
		assert_int_equal(stats.workers_started, kind->one_thread ? 0 : 2);
	}
	assert_int_equal(stats.idle, 0);
	assert_int_equal(stats.ended, 0);
	FL_OK(fl_future_cancel(f[1]));
	FL_OK(fl_future_cancel(f[3]));
	FL_OK(fl_future_wait(f[3]));
	FL_WAIT_FOR(stats_of(e).ended == 2);
	assert_int_equal(stats_of(e).cancelled, 2);
	let_go(&held[0]);
	let_go(&held[1]);
	fl_test_futures_end(f, N);
	have_ended(e, N + held_n, 0, 2);
	FL_WAIT_FOR(stats_of(e).idle == stats_of(e).threads);
	FL_OK(fl_executor_join(e));
	stats = stats_of(e);
	assert_int_equal(stats.threads, 0);
	assert_int_equal(stats.workers_ended, stats.workers_started);
	assert_int_equal(stats.workers_killed, 0);
	have_ended(e, N + held_n, 0, 2);
}

CONFORMANCE_ON(stats_count_each_end, 1)
{
	FL_OK(fl_test_run_task(e, &tick, NULL, NULL));
	have_ended(e, 1, 0, 0);
	FL_RC(fl_test_run_task(e, &fail_with, &(int){-EIO}, NULL), -EIO);
	have_ended(e, 2, 1, 0);
	FL_OK(tick_submit_with(e, NULL, &(fl_submit_config){.deadline = FL_NO_WAIT}));
	have_ended(e, 3, 1, 1);
	if (!is_concurrent(e))
		return;
	struct held held = hold_worker(e);
	for (int i = 0; i < 3; i++)
		FL_OK(tick_submit(e, NULL));
	assert_int_equal(fl_executor_cancel_pending(e), 3);
	let_go(&held);
	have_ended(e, 7, 1, 4);
}

/* Its times lie within those that this process sees. */
CONFORMANCE_ABLE(stats_measure_the_queue_and_the_run, 1, FL_CAP_CONCURRENT)
{
	const fl_time submitted = fl_now();
	const struct held held = hold_worker(e);
	const fl_time entered = fl_now();
	FL_WAIT_FOR(fl_time_is_past(fl_time_add(entered, FL_MS(3))));
	const fl_time opened = fl_now();
	let_go(&held);
	const fl_time ended = fl_now();
	const fl_stats_type type = fl_test_type_of(e, 0);
	assert_true(fl_test_has_types(e, 1));
	assert_string_equal(type.name, "hold");
	assert_int_equal(type.queued.n, 1);
	assert_int_equal(type.ran.n, 1);
	assert_true(type.queued.max <= fl_time_diff(entered, submitted) + 1024);
	assert_true(type.ran.max >= fl_time_diff(opened, entered) - 1024);
	assert_true(type.ran.max <= fl_time_diff(ended, submitted));
	assert_int_equal(type.ran.sum, type.ran.max);
	/* The quantile of one is its maximum, or the bound of the same bucket. */
	assert_int_equal(type.ran.p99, type.ran.max);
}

CONFORMANCE_ON(stats_count_a_chunk_as_one_task, 1)
{
	int squares[4];
	const int args[4] = {0, 1, 2, 3};
	FL_OK(fl_executor_map(e, &square, args, 4, squares, &(fl_map_config){.chunk = 4}));
	expect_squares(squares, 4);
	have_ended(e, 1, 0, 0);
}
