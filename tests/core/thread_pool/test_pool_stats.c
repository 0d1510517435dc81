/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of executors. */
#include "fl_pool.h"

FL_TASK_STATIC(stats_fail, void, void)
{
	return -EIO;
}

FL_TASK_STATIC(stats_nest, void, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = pool_nothing_submit(fl_executor_current(), &f);
	return rc == 0 ? fl_future_wait(f) : rc;
}

/*
 * Threads that run tasks of a sequential executor share its last measurement. A thread counts a
 * measurement of another one again, by histograms that the other one has just made. The words are
 * relaxed, so ThreadSanitizer sees whether the histograms were published.
 */
static uint32_t stats_begun, stats_others, stats_ended;

FL_TASK_STATIC(stats_known, void, void)
{
	fl__add_relaxed(&stats_others, 1);
	FL_WAIT_FOR(fl__load_relaxed(&stats_ended));
	return 0;
}

FL_TASK_STATIC(stats_new, void, void)
{
	fl__store_relaxed(&stats_begun, 1);
	FL_WAIT_FOR(fl__load_relaxed(&stats_others) == 3);
	return 0;
}

static int stats_run_known(void *e)
{
	FL_WAIT_FOR(fl__load_relaxed(&stats_begun));
	return stats_known_submit(e, NULL);
}

FL_TEST(stats_of_threads_that_run_their_tasks_themselves)
{
	enum { THREADS = 2 };
	FL_SCOPED(fl_executor) *e = sequential();
	fl_thread *t[THREADS];
	fl__store_relaxed(&stats_ended, 1);
	FL_OK(stats_known_submit(e, NULL));
	fl__store_relaxed(&stats_ended, 0);
	FL_EACH (i, t)
		FL_OK(fl_thread_start(&t[i], stats_run_known, e, NULL));
	FL_OK(stats_new_submit(e, NULL));
	fl__store_relaxed(&stats_ended, 1);
	FL_EACH (i, t)
		fl_test_end(t[i]);
	assert_int_equal(stats_of(e).ended, 4);
}

/* Tasks that others than workers run, or end. */
POOL_TEST(stats_count_tasks_of_all_ways, 1)
{
	FL_OK(fl_test_run_task(e, &stats_nest, NULL, NULL)); /* helped with */
	FL_RC(fl_test_run_task(e, &stats_fail, NULL, NULL), -EIO);
	assert_int_equal(stats_of(e).ended, 3);
	assert_int_equal(stats_of(e).failed, 1);
	/* Expired before it began. */
	FL_OK(pool_nothing_submit_with(e, NULL, &(fl_submit_config){.deadline = FL_NO_WAIT}));
	struct held held = hold_worker(e);
	assert_int_equal(stats_of(e).cancelled, 1);
	assert_int_equal(stats_of(e).failed, 1);
	for (int i = 0; i < 3; i++)
		FL_OK(pool_nothing_submit(e, NULL));
	assert_int_equal(fl_executor_cancel(e), 3);
	assert_int_equal(stats_of(e).cancelled, 4);
	let_go(&held);
	FL_SCOPED(fl_executor) *here = sequential();
	FL_OK(pool_nothing_submit(here, NULL));
	FL_OK(pool_nothing_submit_with(here, NULL, &(fl_submit_config){.deadline = FL_NO_WAIT}));
	FL_OK(stats_fail_submit(here, NULL));
	assert_int_equal(stats_of(here).ended, 3);
	assert_int_equal(stats_of(here).cancelled, 1);
	assert_int_equal(stats_of(here).failed, 1);
	FL_SCOPED(fl_executor) *full =
	    pool_of(&(fl_executor_config){.workers = 1, .backlog = 1, .when_full = FL_FULL_RUN});
	held = hold_worker(full);
	for (int i = 0; i < 4; i++)
		FL_OK(pool_nothing_submit(full, NULL));
	assert_int_equal(stats_of(full).ended, 3);
	assert_int_equal(stats_of(full).running, 1);
	assert_int_equal(stats_of(full).pending, 1);
	let_go(&held);
}

POOL_TEST(stats_count_those_that_block, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct gate b = {.open = FL_EVENT_INIT};
	FL_OK(pool_block_submit(e, &b, &f));
	FL_OK(fl_event_wait(&b.entered));
	assert_int_equal(stats_of(e).blocked, 1);
	fl_event_set(&b.open);
	FL_OK(fl_future_wait(f));
	assert_int_equal(stats_of(e).blocked, 0);
}

static fl_event taken;

static int be_taken(void *unused)
{
	fl_event_set(&taken);
	return 0;
}

static int wait_until_taken(void *unused)
{
	return fl_event_wait_until(&taken, FL_FOREVER, FL_SHIELDED);
}

FL_TASK_STATIC(stats_fork, void, void)
{
	return fl_parallel_invoke(wait_until_taken, NULL, be_taken,
	                          NULL); /* ends when another worker has taken the second */
}

POOL_TEST(stats_count_stolen_forks, 2)
{
	fl_event_init(&taken);
	FL_OK(fl_test_run_task(e, &stats_fork, NULL, NULL));
	assert_int_equal(stats_of(e).stolen, 1);
}

FL_TEST(stats_text_is_whole_or_none)
{
	FL_SCOPED(fl_executor) *a = sequential(), *b = sequential();
	FL_SCOPED(fl_bytes) text = {0};
	FL_OK(pool_nothing_submit(a, NULL));
	const long live = seam_live_allocs();
	for (unsigned skip = 0;; skip++) {
		assert_int_equal(seam_live_allocs(), live);
		seam_fail_allocs(skip, 1);
		const int rc = fl_stats_text(&text);
		if (seam_heal() > 0) {
			FL_OK(rc);
			assert_true(skip > 3);
			return;
		}
		FL_RC(rc, -ENOMEM);
		assert_int_equal(text.size, 0);
	}
}
