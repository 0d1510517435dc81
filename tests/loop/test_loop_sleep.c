/* SPDX-License-Identifier: BSD-2-Clause */
/* Sleeping in the fibers of a loop: asyncio's sleep. */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_order.h"

/* A fiber that notes its letter, three times, and sleeps so long in between. */
typedef struct sleeper {
	char letter;
	int64_t ns;
	fl_time at;
	fl_fiber *fiber;
} sleeper;

static int note_and_sleep(void *arg)
{
	const sleeper *s = arg;
	for (int i = 0; i < 3; i++) {
		note(s->letter);
		FL_OK(fl_sleep(s->ns));
	}
	return 0;
}

/* 0 and less: exactly one turn, in the order of the others. */
FL_LOOP_TEST(loop_sleep_zero_is_one_turn)
{
	sleeper s[] = {{.letter = 'a', .ns = 0}, {.letter = 'b', .ns = -1}, {.letter = 'c', .ns = INT64_MIN}};
	note_nothing();
	FL_EACH (i, s)
		s[i].fiber = fl_test_start(note_and_sleep, &s[i]);
	FL_EACH (i, s)
		FL_OK(fl_test_join(s[i].fiber));
	NOTED("abcabcabc");
}

FL_LOOP_TEST(loop_sleep_zero_lets_the_new_ones_run)
{
	static char x = 'x', y = 'y';
	note_nothing();
	fl_fiber *f = fl_test_start(note_it, &x);
	note('1');
	FL_OK(fl_sleep(0)); /* a started fiber runs in this turn */
	note('2');
	FL_OK(fl_test_join(f));
	f = fl_test_start(note_it, &y);
	FL_OK(fl_sleep_until(FL_NO_WAIT, NULL));
	note('3');
	FL_OK(fl_test_join(f));
	FL_OK(fl_sleep(0)); /* alone */
	NOTED("1x2y3");
}

FL_LOOP_TEST(loop_sleep_zero_sees_a_cancel)
{
	fl_fiber *other = fl_test_start(fl_test_cancel_fiber, fl_fiber_current());
	FL_CHECK(!fl_cancel_token_is_requested(NULL));
	FL_RC(fl_sleep(0), -ECANCELED); /* it came in this turn */
	FL_OK(fl_test_join(other));
	FL_RC(fl_sleep(0), -ECANCELED);
	FL_RC(fl_sleep(-1), -ECANCELED); /* and stays */
	FL_OK(fl_sleep_until(FL_NO_WAIT, FL_SHIELDED));
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	FL_OK(fl_sleep_until(FL_NO_WAIT, &stop));
	fl_cancel_token_request(&stop);
	FL_RC(fl_sleep_until(FL_NO_WAIT, &stop), -ECANCELED);
	fl_cancel_token_destroy(&stop);
	/* fl_sleep(), fl_sleep_until(): -ECANCELED */
}

/*
 * Cancelled or not, it is a turn: a fiber that only sleeps, and ignores its cancel, does not hold
 * up the others.
 */
FL_LOOP_TEST(loop_sleep_zero_cancelled_is_a_turn_all_the_same)
{
	static char x = 'x';
	note_nothing();
	fl_fiber_cancel(fl_fiber_current());
	fl_fiber *other = fl_test_start(note_it, &x);
	FL_RC(fl_sleep(0), -ECANCELED);
	NOTED("x");
	FL_OK(fl_test_join(other));
}

/* A thread's sleep of nothing does nothing: it cannot be cancelled. */
FL_TEST(loop_sleep_zero_on_a_thread_does_nothing)
{
	FL_OK(fl_sleep_until(FL_NO_WAIT, fl_test_requested));
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_OK(fl_sleep(0));
		FL_OK(fl_sleep(-5));
		FL_RC(fl_sleep(1 << 30), -ECANCELED);
	}
}

/* Events, timers, and calls from other threads come in while a fiber does nothing but that. */
static void set_it(void *flag)
{
	fl__store_relaxed((uint32_t *)flag, 1);
}

static int call_loop(void *arg)
{
	void *const *args = arg;
	return fl_loop_post(args[0], set_it, args[1]);
}

FL_LOOP_TEST(loop_sleep_zero_starves_no_fiber)
{
	uint32_t timed = 0, called = 0;
	fl_loop_timer timer = {.function_ = NULL};
	fl_loop_timer_start(fl_loop_current(), &timer, fl_after(FL_US(100)), set_it, &timed);
	void *args[] = {fl_loop_current(), &called};
	fl_thread *t;
	fl_test_go(&t, call_loop, args);
	fl_time end = fl_after(FL_S(60));
	while (!timed || !called)
		FL_CHECK(fl_sleep(0) == 0 && !fl_time_is_past(end));
	fl_test_end(t);
}

/* A deadline that passes between two looks of the sleep is a turn, too. */
FL_TEST_WITH(loop_sleep_is_a_turn_however_short, fl_test_body_in_loop, void)
{
	FL_FAULTS();
	static char x = 'x';
	fl_test_clock_stands();
	fl_test_tick = 1;
	for (int ns = 0; ns < 9; ns++) {
		note_nothing();
		fl_fiber *f = fl_test_start(note_it, &x);
		FL_OK(fl_sleep(ns));
		NOTED("x");
		FL_OK(fl_test_join(f));
	}
}

/* Longer ones. */
static int sleep_and_note(void *arg)
{
	const sleeper *s = arg;
	FL_OK(fl_sleep_until(s->at, NULL));
	FL_CHECK(fl_time_is_past(s->at));
	note(s->letter);
	return 0;
}

FL_LOOP_TEST(loop_sleep_wakes_in_the_order_of_time)
{
	FL_FAULTS();
	fl_test_clock_ours();
	const fl_time hour = fl_after(FL_S(3600));
	sleeper s[] = {{.letter = 'c', .at = fl_time_add(hour, 3)},
	               {.letter = 'a', .at = fl_time_add(hour, 1)},
	               {.letter = 'd', .at = fl_time_add(hour, 4)},
	               {.letter = 'b', .at = fl_time_add(hour, 2)}};
	note_nothing();
	FL_EACH (i, s)
		s[i].fiber = fl_test_start(sleep_and_note, &s[i]);
	fl_test_settle();
	NOTED("");
	fl__store_relaxed(&fl_test_ahead, FL_S(3601));
	FL_EACH (i, s)
		FL_OK(fl_test_join(s[i].fiber));
	NOTED("abcd");
}

static int sleep_for_ever(void *unused)
{
	return fl_sleep(FL_DURATION_MAX);
}

static int sleep_long(void *unused)
{
	return fl_sleep_until(fl_after(FL_S(3600)), NULL);
}

FL_LOOP_TEST(loop_sleep_is_ended_by_a_cancel)
{
	fl_fiber_function *const sleeps[] = {sleep_for_ever, sleep_long};
	FL_EACH (i, sleeps) {
		fl_fiber *f = fl_test_start(sleeps[i], NULL);
		FL_OK(fl_sleep(0));
		FL_CHECK(fl_fiber_is_alive(f));
		fl_test_cancel(f);
		f = fl_test_start(sleeps[i], NULL);
		fl_test_cancel(f); /* before it sleeps */
	}
}
