/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_shield(), after asyncio's. */
#include "fl_faults.h"
#include "fl_members.h"

/* Memory for so many stacks more. */
static int stacks_left;

static int guards_some(void *memory, size_t size)
{
	return stacks_left-- > 0 ? fl_test_real_sys.guard(memory, size) : -ENOMEM;
}

static int shielded(void *unused)
{
	int result = 7;
	(void)unused;
	FL_CHECK(fl_shield(returns, RC(-EIO), &result) == 0 && result == -EIO);
	FL_CHECK(fl_shield(returns, RC(0), NULL) == 0);
	FL_CHECK(fl_shield_until(returns, RC(-EPIPE), &result, FL_FOREVER, NULL) == 0 && result == -EPIPE);
	return 0;
}

FL_TEST(shield_hands_over_the_result)
{
	fl_test_in_loop(shielded, NULL);
}

static int shields(void *c)
{
	int result = 7, rc = fl_shield(runs, c, &result);
	FL_CHECK(result == 7);
	return rc;
}

static int fails_later(void *event)
{
	int rc = fl_event_wait(event);
	return rc != 0 ? rc : -EIO;
}

static int shields_a_failure(void *event)
{
	return fl_shield(fails_later, event, NULL);
}

static int inner_goes_on(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	(void)unused;
	TOLD();
	fl_fiber *f = fl_test_start(shields, &c);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == -ECANCELED && c.began && !c.ended && !c.cancelled);
	fl_event_set(&gate);
	fl_test_settle();
	FL_CHECK(c.ended && !c.cancelled && told.count == 0);

	fl_event_reset(&gate);
	f = fl_test_start(shields_a_failure, &gate);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == -ECANCELED && told.count == 0);
	fl_event_set(&gate);
	fl_test_settle();
	FL_CHECK(told.count == 1 && told.error == -EIO);
	return 0;
}

FL_TEST(shield_goes_on_when_the_caller_is_cancelled)
{
	fl_test_in_loop(inner_goes_on, NULL);
}

/*
 * The caller's cancel and the inner end in one turn: the error is reported once, by one of the two.
 */
static int both_at_once(void *unused)
{
	(void)unused;
	for (int order = 0; order < 2; order++) {
		fl_event gate = FL_EVENT_INIT;
		TOLD();
		fl_fiber *f = fl_test_start(shields_a_failure, &gate);
		fl_test_settle();
		if (order == 0)
			fl_fiber_cancel(f);
		fl_event_set(&gate);
		if (order == 1)
			fl_fiber_cancel(f);
		FL_CHECK(fl_test_join(f) == -ECANCELED);
		fl_test_settle();
		FL_CHECK(told.count == 1 && told.error == -EIO);
	}
	return 0;
}

FL_TEST(shield_cancelled_as_it_ends)
{
	fl_test_in_loop(both_at_once, NULL);
}

static int shield_until(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	child c = {.start = &gate};
	int result = 7;
	(void)unused;
	fl_cancel_token_request(&stop);
	FL_CHECK(fl_shield_until(runs, &c, &result, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT);
	FL_CHECK(fl_shield_until(runs, &c, &result, FL_FOREVER, &stop) == -ECANCELED && result == 7);
	fl_event_set(&gate);
	fl_test_settle();
	FL_CHECK(c.began == 2 && c.ended == 2 && !c.cancelled);
	FL_FAULTS();
	fl__sys.guard = guards_some;
	stacks_left = 0;
	int rc;
	/* until no stack is left that was used before */
	while ((rc = fl_shield_until(runs, &c, NULL, 0, NULL)) == -ETIMEDOUT)
		;
	FL_CHECK(rc == -ENOMEM && fl_shield(runs, &c, NULL) == -ENOMEM);
	fl_test_settle(); /* running fibers use the variables of this frame */
	FL_CHECK(c.ended == c.began);
	return 0;
}

FL_TEST(shield_until_answers)
{
	fl_test_in_loop(shield_until, NULL);
}

static child left;

static int leaves_it(void *unused)
{
	(void)unused;
	TOLD();
	FL_CHECK(fl_shield_until(runs, &left, NULL, 0, NULL) == -ETIMEDOUT);
	return 0;
}

/* The end of the loop cancels fibers without a waiter, which is no error. */
FL_TEST(shield_ends_with_the_loop)
{
	memset(&left, 0, sizeof left);
	TOLD();
	fl_test_in_loop(leaves_it, NULL);
	assert_true(left.cancelled && left.ended);
	assert_int_equal(told.count, 0);
}
