/* SPDX-License-Identifier: BSD-2-Clause */
/* Yields with bounded cost (lib/core/base/yield.c), with the test's clock. */
#include "fl_faults.h"

static int64_t yield_takes;
static unsigned yields, turns, sleeps;
static int cpu_at, cpu_after; /* before and after a yield */

static void yield(void)
{
	yields++;
	fl_test_time += yield_takes;
	cpu_at = cpu_after;
}

static int cpu(void)
{
	return cpu_at;
}

static void turn(void)
{
	turns++;
	fl_test_time += FL_US(4);
}

static void nap(void)
{
	sleeps++;
	fl_test_time += FL_US(50);
}

static void begin(void)
{
	(void)fl_test_faults_end(); /* forgets rations by the real clock */
	fl_test_clock_stands();
	fl__sys.yield = yield;
	fl__sys.relax = turn;
	fl__sys.nap = nap;
	fl__sys.cpu = cpu;
	cpu_at = cpu_after = 0;
	yields = turns = sleeps = 0;
}

static void give_way(void)
{
	const int64_t after = fl__sys.give_way(fl_test_time);
	assert_int_equal(after, fl_test_time);
}

/* A case by the test's clock, in which each yield takes that time. */
#define YIELD_TEST(name, takes)                                                                                        \
	static void name##_at(void);                                                                                   \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_FAULTS();                                                                                           \
		begin();                                                                                               \
		yield_takes = (takes);                                                                                 \
		name##_at();                                                                                           \
	}                                                                                                              \
	static void name##_at(void)

enum { SHORT = 500 };

/* Each of those yields was in time, and led to no turn. */
static void give_way_in_time(unsigned times)
{
	const unsigned before = yields;
	turns = 0;
	for (unsigned i = 0; i < times; i++)
		give_way();
	assert_int_equal(yields, before + times);
	assert_int_equal(turns, 0);
}

YIELD_TEST(yield_in_time_is_one, SHORT)
{
	give_way_in_time(1000);
}

/* A thread waits all the time. */
static void give_way_for(int64_t time)
{
	const int64_t from = fl_test_time;
	while (fl_test_time < from + time)
		give_way();
}

/* The time lost to slices of a busy CPU is less than 2 %, however often a thread waits. */
YIELD_TEST(yield_late_bars_others, FL_MS(4))
{
	give_way_for(FL_S(100));
	FL_IN_RANGE(yields, 380, 420);
	assert_true(turns > 1000000);
}

/* Of late yields that are shorter than a slice, an eighth of the time. */
YIELD_TEST(yield_late_and_short_bars_less, FL_MS(1))
{
	give_way_for(FL_S(10));
	FL_IN_RANGE(yields, 1240, 1260);
}

/* The CPU is free again: after a while all yield. */
YIELD_TEST(yield_barred_ends, FL_MS(4))
{
	give_way();
	yield_takes = SHORT;
	give_way();
	assert_int_equal(yields, 1);
	assert_true(turns > 0);
	assert_true(fl__yields_are_barred(fl_test_time));
	fl_test_time += FL_MS(240);
	assert_false(fl__yields_are_barred(fl_test_time));
	give_way_in_time(10);
}

/* Another thread of the process had the CPU for `yield_takes`, and then yielded on that CPU. */
static int cpu_of_other;

static void yield_to_another_thread(void)
{
	const int64_t took = yield_takes;
	const int here = cpu_at;
	fl_test_time += took;
	cpu_at = cpu_of_other;
	yield_takes = SHORT;
	fl__sys.yield = yield;
	give_way();
	fl__sys.yield = yield_to_another_thread;
	yield_takes = took;
	cpu_at = here;
}

YIELD_TEST(yield_to_a_thread_that_yields_is_not_late, FL_MS(1))
{
	fl__sys.yield = yield_to_another_thread;
	cpu_of_other = 0;
	give_way_in_time(1000);
}

/* The other thread yielded on another CPU, also on one that shares the entry of the table. */
FL_TEST(yield_is_late_though_a_thread_yielded_on_another_cpu)
{
	static const int others[] = {1, 64};
	FL_EACH (i, others) {
		FL_FAULTS();
		begin();
		yield_takes = FL_US(2900);
		fl__sys.yield = yield_to_another_thread;
		cpu_of_other = others[i];
		give_way();
		assert_true(fl__yields_are_barred(fl_test_time));
	}
}

/* The thread was moved to a CPU where another thread had yielded. */
YIELD_TEST(yield_is_late_though_it_ended_where_a_thread_yielded, FL_US(2900))
{
	fl_test_time += FL_US(2900);
	cpu_at = 2;
	cpu_after = 2;
	yield_takes = SHORT;
	give_way();
	fl_test_time -= FL_US(2900);
	cpu_at = 0;
	yield_takes = FL_US(2900);
	give_way();
	assert_true(fl__yields_are_barred(fl_test_time));
}

YIELD_TEST(yield_on_an_unknown_cpu_is_late, FL_US(2900))
{
	fl__sys.yield = yield_to_another_thread;
	cpu_at = cpu_of_other = -ENOSYS;
	give_way();
	assert_true(fl__yields_are_barred(fl_test_time));
}

/* Such a thread had the CPU for a whole slice. */
YIELD_TEST(yield_for_a_slice_is_late, FL_MS(4))
{
	fl__sys.yield = yield_to_another_thread;
	cpu_of_other = 0;
	give_way();
	assert_true(fl__yields_are_barred(fl_test_time));
}

static void *give_way_at_once(void *arg)
{
	FL_CHECK(fl__sys.give_way(fl_test_time) == fl_test_time);
	return arg;
}

static void *give_way_begun(void *arg)
{
	fl__yield_ration = fl_test_time; /* not a new thread */
	return give_way_at_once(arg);
}

YIELD_TEST(yield_late_bars_no_other_thread, FL_MS(4))
{
	give_way();
	assert_true(fl__yields_are_barred(fl_test_time));
	(void)fl_test_foreign(give_way_begun, NULL);
	assert_int_equal(yields, 2);
	assert_int_equal(turns, 0);
}

/* So a program that starts a thread for each request does not lose a slice in each of them. */
YIELD_TEST(yield_late_bars_a_new_thread, FL_MS(4))
{
	give_way();
	(void)fl_test_foreign(give_way_at_once, NULL);
	assert_int_equal(yields, 1);
	assert_true(turns > 0);
}

/* A ration of another clock: of a process that was restored on another machine. */
YIELD_TEST(yield_is_not_barred_by_another_clock, FL_MS(4))
{
	give_way();
	fl_test_time -= FL_S(500);
	assert_false(fl__yields_are_barred(fl_test_time));
}

/* Interrupts do not count as another program. */
YIELD_TEST(yield_late_by_an_interrupt_bars_nothing, FL_US(300))
{
	give_way_in_time(100);
}

/* A suspended machine: no yields for a second, not for a minute. */
YIELD_TEST(yield_is_not_barred_for_long, FL_S(10))
{
	give_way();
	yield_takes = SHORT;
	fl_test_time += FL_MS(980) - 1;
	give_way();
	assert_int_equal(yields, 1);
	fl_test_time++;
	give_way();
	assert_int_equal(yields, 2);
}

/* Backing off ends in sleeps: the thread that is waited for may have lost its CPU. */
YIELD_TEST(yield_back_off_sleeps_in_the_end, SHORT)
{
	for (unsigned round = 0; round < 50; round++)
		fl__back_off(round);
	assert_true(turns > 0 && yields > 0 && sleeps > 0);
	assert_int_equal(sleeps, 50 - 38);
	fl__back_off((unsigned)-1);
	assert_int_equal(sleeps, 50 - 37);
}

/* A nap holds locks of the library: it is no cancellation point, and it leaves errno alone. */
static void *nap_with_a_request_pending(void *over)
{
	FL_OK(pthread_cancel(pthread_self()));
	errno = EDOM;
	fl__sys.nap();
	(void)fl__sys.cpu();
	FL_CHECK(errno == EDOM);
	fl__store_release((uint32_t *)over, 1);
	return NULL;
}

FL_TEST(yield_nap_is_no_cancellation_point)
{
	uint32_t over = 0;
	assert_null(fl_test_foreign(nap_with_a_request_pending, &over));
	assert_int_equal(fl__load_acquire(&over), 1);
}
