/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_queued.h"

FL_CALL(wait_for)
{
	return fl_event_wait_until(object, deadline, cancel);
}

FL_TEST(event_stays_set_until_it_is_reset)
{
	fl_event e = FL_EVENT_INIT;
	for (int i = 0; i < 2; i++) {
		FL_RC(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
		fl_event_set(&e);
		fl_event_set(&e);
		assert_true(fl_event_is_set(&e));
		FL_OK(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED));
		FL_OK(fl_event_wait(&e));
		FL_OK(fl_event_wait_until(&e, FL_NO_WAIT, NULL));
		assert_true(fl_event_is_set(&e));
		fl_event_reset(&e);
		fl_event_reset(&e);
		assert_false(fl_event_is_set(&e));
	}
}

/* A waiter is woken even if the event is reset at once; a later one is not. */
FL_TEST(event_set_and_reset_at_once_wakes_all_that_waited)
{
	enum { N = 4 };
	fl_event e = FL_EVENT_INIT;
	fl_test_caller callers[N], later;
	fl_test_begin_waits(callers, N, wait_for, &e);
	fl_event_set(&e);
	assert_int_equal(fl_test_queued(&e), 0);
	fl_event_reset(&e);
	fl_test_begin_wait(&later, wait_for, &e);
	fl_test_calls_end(callers, N);
	assert_int_equal(fl_test_queued(&e), 1);
	fl_event_set(&e);
	FL_OK(fl_test_call_end(&later));
}

FL_TEST(event_reset_keeps_its_waiters)
{
	fl_event e = FL_EVENT_INIT;
	fl_test_caller c;
	fl_test_begin_wait(&c, wait_for, &e);
	fl_event_reset(&e);
	assert_int_equal(fl_test_queued(&e), 1);
	fl_event_set(&e);
	FL_OK(fl_test_call_end(&c));
}

static fl_event *pulsed;

static void pulse(void)
{
	fl_event *e = pulsed;
	pulsed = NULL;
	if (e) {
		fl_event_set(e);
		fl_event_reset(e);
	}
}

/* A wait that has begun, but is not enqueued yet, also returns for a set that is reset at once. */
FL_TEST(event_pulse_is_not_missed_before_the_enqueue)
{
	fl_event e = FL_EVENT_INIT;
	FL_FAULTS();
	fl__sys.relax = pulse;
	for (int i = 0; i < 3; i++) {
		pulsed = &e;
		FL_OK(fl_event_wait_until(&e, fl_after(FL_S(3600)), NULL));
		assert_false(fl_event_is_set(&e));
		FL_RC(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	}
}

FL_TEST(event_auto_is_reset_by_one_wait)
{
	fl_event e = FL_EVENT_AUTO_INIT, made;
	fl_event_init_auto(&made);
	assert_memory_equal(&e, &made, sizeof e);
	FL_RC(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_event_wait_until(&e, FL_NO_WAIT, NULL), -ETIMEDOUT);
	for (int i = 0; i < 2; i++) {
		fl_event_set(&e);
		fl_event_set(&e); /* twice is once */
		assert_true(fl_event_is_set(&e));
		FL_OK(i == 0 ? fl_event_wait(&e) : fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED));
		assert_false(fl_event_is_set(&e));
		FL_RC(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	}
	fl_event_set(&e);
	fl_event_reset(&e);
	FL_RC(fl_event_wait_until(&e, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_event_set(&e);
	/* A wait that gave up took nothing, and left nothing behind. */
	FL_OK(fl_event_wait_until(&e, FL_NO_WAIT, NULL));
}

FL_TEST(event_auto_set_wakes_one_in_order)
{
	enum { N = 4 };
	fl_event e = FL_EVENT_AUTO_INIT;
	fl_test_caller callers[N];
	fl_test_begin_waits(callers, N, wait_for, &e);
	FL_EACH (i, callers) {
		fl_event_set(&e);
		assert_false(fl_event_is_set(&e)); /* it is the waiter's already */
		FL_OK(fl_test_call_end(&callers[i]));
		assert_int_equal(fl_test_queued(&e), N - 1 - i);
	}
	fl_event_set(&e);
	FL_OK(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED));
}

FL_TEST(event_auto_set_skips_a_cancelled_waiter)
{
	fl_event e = FL_EVENT_AUTO_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller first, second;
	fl_test_call_queued(&first, wait_for, &e, &e, FL_FOREVER, &stop);
	fl_test_begin_wait(&second, wait_for, &e);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&first), -ECANCELED);
	fl_event_set(&e);
	FL_OK(fl_test_call_end(&second));
	assert_false(fl_event_is_set(&e));
}

FL_CALL(wait_any_for)
{
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_EVENT((fl_event *)object));
}

/* An observer takes nothing: the set stays. */
FL_TEST(event_auto_wait_any_takes_nothing)
{
	fl_event e = FL_EVENT_AUTO_INIT;
	fl_test_caller looker;
	fl_test_begin_wait(&looker, wait_any_for, &e);
	fl_event_set(&e);
	FL_OK(fl_test_call_end(&looker));
	assert_true(fl_event_is_set(&e));
	FL_OK(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED));
}
