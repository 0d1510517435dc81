/* SPDX-License-Identifier: BSD-2-Clause */
/* Periodic timers, and the timers' thread: its end, forks, the end of the process. */
#include "fl_child.h"
#include "fl_in_loop.h"
#include "fl_timers.h"

FL_TEST(timer_every_refuses_no_period)
{
	fl_timer t = FL_TIMER_INIT;
	FL_RC(fl_timer_start_every(&t, FL_NO_WAIT, 0, fl_test_count, NULL), -EINVAL);
	FL_RC(fl_timer_start_every(&t, FL_NO_WAIT, -1, fl_test_count, NULL), -EINVAL);
	FL_RC(fl_timer_cancel(&t), -EALREADY);
}

/*
 * Each call in its period, counted from the first; a clock step over some periods is one call, and
 * the others are counted.
 */
FL_TEST(timer_every_period_without_drift)
{
	fl_timer t = FL_TIMER_INIT;
	uint32_t calls = 0;
	FL_OK(fl_timer_start_every(&t, fl_after(HOUR), HOUR, fl_test_count, &calls));
	fl_test_pass(HOUR / 2);
	fl_test_called(&calls, 0);
	for (uint32_t i = 1; i <= 20; i++) { /* in the middle of each period, to the second */
		fl_test_pass(HOUR);
		fl_test_called(&calls, i);
	}
	assert_int_equal(fl_timer_missed(&t), 0);
	fl_test_pass(3 * HOUR);
	fl_test_called(&calls, 21);
	assert_int_equal(fl_timer_missed(&t), 2);
	fl_test_pass(HOUR / 4);
	fl_test_called(&calls, 21);
	fl_test_pass(HOUR / 2);
	fl_test_called(&calls, 22);
	FL_RC(fl_timer_try_join(&t), -EAGAIN);
	FL_OK(fl_timer_cancel(&t));
	fl_test_pass(10 * HOUR);
	fl_test_called(&calls, 22);
	assert_int_equal(fl_timer_missed(&t), 2);

	/* Now: nothing is missed. */
	FL_OK(fl_timer_start_every(&t, FL_NO_WAIT, HOUR, fl_test_count, &calls));
	fl_test_called(&calls, 23);
	assert_int_equal(fl_timer_missed(&t), 0);
	FL_OK(fl_test_timer_end(&t));
	FL_OK(fl_timer_start_every(&t, FL_NO_WAIT, FL_DURATION_MAX, fl_test_count, &calls)); /* and never again */
	fl_test_pass(100 * HOUR);
	fl_test_called(&calls, 24);
	FL_OK(fl_test_timer_end(&t));
}

/* A slow function: periods that pass during it are skipped, except the last. */
FL_TEST(timer_every_waits_for_a_long_call)
{
	fl_timer t = FL_TIMER_INIT;
	fl_test_long l = FL_TEST_LONG;
	FL_OK(fl_timer_start_every(&t, FL_NO_WAIT, HOUR, fl_test_take_long, &l));
	FL_OK(fl_event_wait(&l.begun));
	fl_test_pass(4 * HOUR + HOUR / 2);
	fl_event_set(&l.go);
	fl_test_all_due();
	assert_int_equal(fl_timer_missed(&t), 3);
	FL_OK(fl_test_timer_end(&t));
	assert_int_equal(l.ended, 2);
}

/* A running timer is cancelled: that call is the last. */
FL_TEST(timer_every_cancelled_while_it_runs)
{
	fl_timer t = FL_TIMER_INIT;
	fl_test_long l = FL_TEST_LONG;
	FL_OK(fl_timer_start_every(&t, FL_NO_WAIT, 1, fl_test_take_long, &l));
	FL_OK(fl_event_wait(&l.begun));
	FL_RC(fl_timer_cancel(&t), -EINPROGRESS);
	fl_event_set(&l.go);
	FL_OK(fl_timer_join(&t));
	assert_int_equal(l.ended, 1);
}

static bool is_gone(void)
{
	return fl_test_threads_named("timers") == 0;
}

/* Without timers it ends after a while, and comes back with the next. */
FL_TEST(timer_thread_ends_and_comes_back)
{
	fl_test_clock_stop();
	for (int i = 0; i < 3; i++) {
		fl_timer t = FL_TIMER_INIT;
		uint32_t calls = 0;
		/* Repeatedly: it may only now begin to wait. */
		FL_WAIT_FOR((fl_test_pass(FL_S(11)), is_gone()));
		FL_OK(fl_timer_start(&t, FL_NO_WAIT, fl_test_count, &calls));
		FL_OK(fl_timer_join(&t));
		assert_int_equal(fl__load_relaxed(&calls), 1);
		assert_int_equal(fl_test_threads_named("timers"), 1);
	}
	FL_WAIT_FOR((fl_test_pass(FL_S(11)), is_gone()));
	fl_test_clock_go();
}

/* Also after one that would never have been called. */
FL_TEST(timer_thread_ends_after_a_cancel)
{
	fl_timer t = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&t, FL_FOREVER, fl_test_count, NULL));
	fl_test_pass(HOUR);
	fl_test_all_due();
	FL_OK(fl_timer_cancel(&t));
	fl_test_all_due();
	fl_test_pass(FL_S(11));
	FL_WAIT_FOR(is_gone());
	FL_OK(fl_timer_start(&t, FL_FOREVER, fl_test_count, NULL));
	FL_OK(fl_test_timer_end(&t));
	FL_WAIT_FOR((fl_test_pass(FL_S(11)), is_gone()));
}

/* While one is pending it stays. */
FL_TEST(timer_thread_stays_for_a_timer)
{
	fl_timer t = FL_TIMER_INIT;
	uint32_t calls = 0;
	FL_OK(fl_timer_start(&t, fl_after(HOUR), fl_test_count, &calls));
	fl_test_pass(FL_S(60));
	fl_test_all_due();
	fl_test_pass(FL_S(60));
	fl_test_all_due();
	assert_int_equal(fl_test_threads_named("timers"), 1);
	fl_test_pass(HOUR);
	FL_OK(fl_timer_join(&t));
	assert_int_equal(fl__load_relaxed(&calls), 1);
}

/* What takes long is a task. */
FL_TASK(work, fl_event *, void)
{
	fl_event_set(*arg);
	return 0;
}

static fl_executor *pool;

static void submit(void *event)
{
	fl_event *e = event;
	FL_OK(work_submit(pool, e, NULL));
}

FL_TEST(timer_submits_a_task)
{
	fl_timer t = FL_TIMER_INIT;
	fl_event done = FL_EVENT_INIT;
	pool = fl_test_executor(fl_thread_executor_create, NULL);
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, submit, &done));
	FL_OK(fl_event_wait(&done));
	FL_OK(fl_test_timer_end(&t));
	fl_executor_free(pool);
}

/* A fiber that waits for a timer holds up no other. */
static int set_event(void *event)
{
	fl_event_set(event);
	return 0;
}

FL_TEST_WITH(timer_is_joined_by_a_fiber, fl_test_body_in_loop, void)
{
	fl_timer t = FL_TIMER_INIT;
	fl_test_long l = FL_TEST_LONG;
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, fl_test_take_long, &l));
	fl_fiber *f = fl_test_start(set_event, &l.go);
	FL_OK(fl_timer_join(&t));
	FL_CHECK(l.ended == 1);
	FL_OK(fl_test_join(f));
}

/* The end of the process: pending and running timers are not waited for; a function may exit. */
static void exit_with_timers(void *unused)
{
	static fl_timer pending = FL_TIMER_INIT, periodic = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&pending, fl_after(HOUR), fl_test_count, NULL));
	FL_OK(fl_timer_start_every(&periodic, fl_after(HOUR), 1, fl_test_count, NULL));
	exit(0);
}

static void exit_with_a_call(void *unused)
{
	static fl_timer t = FL_TIMER_INIT;
	static fl_test_long l = FL_TEST_LONG;
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, fl_test_take_long, &l));
	FL_OK(fl_event_wait(&l.begun));
	exit(0);
}

static void exit_here(void *unused)
{
	exit(0);
}

static void exit_in_a_call(void *unused)
{
	static fl_timer t = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, exit_here, NULL));
	for (;;)
		(void)pause();
}

/* Too late: at the end of the process, after the library's own. */
static bool starts_too_late;

__attribute__((destructor(101))) static void start_too_late(void)
{
	static fl_timer t = FL_TIMER_INIT;
	if (starts_too_late && fl_timer_start(&t, FL_NO_WAIT, fl_test_count, NULL) != -EAGAIN)
		_exit(9);
}

static void exit_and_start(void *unused)
{
	starts_too_late = true;
	exit_with_timers(unused);
}

FL_TEST(timer_exit_waits_for_nothing)
{
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
	FL_IN_CHILD(exit_with_timers, NULL);
	FL_IN_CHILD(exit_with_a_call, NULL);
	FL_IN_CHILD(exit_in_a_call, NULL);
	FL_IN_CHILD(exit_and_start, NULL);
}
