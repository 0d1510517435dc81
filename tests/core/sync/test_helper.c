/* SPDX-License-Identifier: BSD-2-Clause */
/* Helpers: the threads that the library starts for all, and how they end. */
#include "fl_child.h"
#include "fl_faults.h"

static uint32_t starts, stops, ends;
static fl_event go = FL_EVENT_INIT; /* the threads of `sleeper` end */
static uint32_t in_use;             /* what its end() answers */

static void end_at_once(void)
{
	FL_CHECK(strcmp(fl_thread_current_name(), "brief") == 0);
	fl__add_relaxed(&starts, 1);
}

static unsigned nothing_to_wake(void)
{
	FL_CHECK(fl__helper_must_end());
	fl__add_relaxed(&ends, 1);
	return 0;
}

static struct fl__helper brief = {.name = "brief", .function = end_at_once, .end = nothing_to_wake};

static void sleep_until_told(void)
{
	sigset_t blocked;
	FL_CHECK(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 && sigismember(&blocked, SIGTERM) == 1);
	fl__add_relaxed(&starts, 1);
	FL_OK(fl_event_wait(&go));
	fl__add_relaxed(&stops, 1);
}

static unsigned wake_unless_in_use(void)
{
	const uint32_t used = fl__load_relaxed(&in_use);
	if (!used)
		fl_event_set(&go);
	return used;
}

static struct fl__helper sleeper = {.name = "sleeper", .function = sleep_until_told, .end = wake_unless_in_use};

/* Those that sleep. */
static uint32_t asleep(void)
{
	return fl__load_relaxed(&starts) - fl__load_relaxed(&stops);
}

static void begin(void)
{
	fl__store_relaxed(&starts, 0);
	fl__store_relaxed(&stops, 0);
	fl__store_relaxed(&ends, 0);
	fl__store_relaxed(&in_use, 0);
	fl_event_reset(&go);
}

/* A thread that is not joined keeps its stack: so many would take too much address space. */
FL_TEST(helper_that_has_ended_is_joined)
{
	enum { N = 500 };
	begin();
	for (uint32_t i = 1; i <= N; i++) {
		FL_OK(fl__helper_start(&brief));
		FL_WAIT_FOR(fl__load_relaxed(&starts) == i);
	}
	fl__helpers_end();
	FL_WAIT_FOR(fl_test_threads_named("brief") == 0);
}

FL_TEST(helper_is_ended_and_starts_again)
{
	for (int i = 0; i < 3; i++) {
		begin();
		FL_OK(fl__helper_start(&sleeper));
		FL_OK(fl__helper_start(&sleeper));
		FL_WAIT_FOR(asleep() == 2);
		assert_int_equal(fl_test_threads_named("sleeper"), 2);
		fl__helpers_end();
		assert_int_equal(asleep(), 0);
		assert_false(fl__helper_must_end());
		FL_WAIT_FOR(fl_test_threads_named("sleeper") == 0);
	}
}

FL_TEST(helper_in_use_goes_on)
{
	begin();
	FL_OK(fl__helper_start(&sleeper));
	FL_WAIT_FOR(asleep() == 1);
	fl__store_relaxed(&in_use, 1);
	fl__helpers_end();
	assert_int_equal(asleep(), 1);
	fl_event_set(&go); /* its user is done with it */
	fl__store_relaxed(&in_use, 0);
	fl__helpers_end();
	assert_int_equal(asleep(), 0);
}

/* A listed helper without a thread is told of the end; and no helper starts during it. */
static unsigned start_one_more(void)
{
	FL_RC(fl__helper_start(&brief), -EAGAIN);
	fl__add_relaxed(&ends, 1);
	return 0;
}

FL_TEST(helper_without_threads_is_told)
{
	static struct fl__helper process = {.end = start_one_more};
	begin();
	fl__helper_list(&process);
	fl__helper_list(&process);
	fl__helper_list(&brief);
	fl__helpers_end();
	assert_int_equal(fl__load_relaxed(&ends), 2);
	assert_int_equal(fl__load_relaxed(&starts), 0);
}

FL_TEST(helper_without_thread_or_memory_is_not_started)
{
	FL_FAULTS();
	begin();
	fl__sys.thread_create = fl_test_no_threads;
	FL_RC(fl__helper_start(&brief), -EAGAIN);
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl__helper_start(&brief), -ENOMEM);
	(void)fl_test_faults_end();
	fl__helpers_end();
	assert_int_equal(fl__load_relaxed(&starts), 0);
}

static void has_none(void *unused)
{
	fl__helpers_end(); /* waits for none of the parent's */
	begin();
	FL_OK(fl__helper_start(&sleeper));
	FL_WAIT_FOR(asleep() == 1);
	fl__helpers_end();
	FL_CHECK(asleep() == 0);
}

FL_TEST(helper_stays_with_the_parent_of_a_fork)
{
	fl_test_needs_threads_in_children();
	begin();
	FL_OK(fl__helper_start(&sleeper));
	FL_WAIT_FOR(asleep() == 1);
	FL_IN_CHILD(has_none, NULL);
	assert_int_equal(asleep(), 1);
	fl__helpers_end();
	assert_int_equal(asleep(), 0);
}
