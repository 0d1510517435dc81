/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines for pieces of code: on a thread, and in a fiber. */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

/* Both a thread and a fiber do it. */
static void both(void (*body)(void))
{
	body();
	fl_test_body_in_loop(body);
}

/* A wait that only a cancel ends. */
static int wait_for_ever(void *unused)
{
	fl_event never = FL_EVENT_INIT;
	return fl_event_wait(&never);
}

FL_TEST_WITH(timeout_ends_a_wait, both, void)
{
	fl_cancel_token *before = fl_cancel_scope_current();
	fl_timeout t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&t, fl_test_soon());
	FL_CHECK(fl_cancel_scope_current() != before);
	int rc = wait_for_ever(NULL);
	FL_CHECK(rc == -ECANCELED && fl_cancel_token_is_requested(NULL));
	FL_RC(fl_sleep(FL_S(3600)), -ECANCELED); /* for as long as it is not ended */
	FL_RC(fl_timeout_end(&t, rc), -ETIMEDOUT);
	FL_CHECK(fl_cancel_scope_current() == before && !fl_cancel_token_is_requested(NULL));
	FL_OK(fl_sleep(FL_US(1)));
}

FL_TEST_WITH(timeout_in_the_past_ends_the_first_wait, both, void)
{
	static const fl_time past[] = {{-1}, {-5}, {1}};
	fl_sem one = FL_SEM_INIT(1);
	FL_EACH (i, past) {
		fl_timeout t = FL_TIMEOUT_INIT;
		fl_timeout_begin(&t, past[i]);
		FL_OK(fl_sem_acquire(&one)); /* what can be done at once is done */
		fl_sem_release(&one);
		FL_RC(fl_timeout_end(&t, wait_for_ever(NULL)), -ETIMEDOUT);
	}
}

FL_TEST_WITH(timeout_leaves_other_results_alone, both, void)
{
	static const int results[] = {0, 7, -EIO, -ETIMEDOUT, -EPIPE};
	FL_EACH (i, results) {
		fl_timeout t = FL_TIMEOUT_INIT;
		fl_timeout_begin(&t, FL_NO_WAIT);
		FL_CHECK(fl_timeout_end(&t, results[i]) == results[i]);
	}
	fl_timeout t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&t, FL_FOREVER);
	/* Of something else: not expired yet. */
	FL_RC(fl_timeout_end(&t, -ECANCELED), -ECANCELED);
	fl_timeout_begin(&t, fl_after(FL_S(3600)));
	FL_RC(fl_timeout_end(&t, -ECANCELED), -ECANCELED);
}

FL_TEST_WITH(timeout_not_begun_is_nothing, both, void)
{
	fl_timeout t = FL_TIMEOUT_INIT;
	fl_cancel_token *before = fl_cancel_scope_current();
	FL_CHECK(fl_timeout_end(&t, -ECANCELED) == -ECANCELED && fl_timeout_end(&t, 3) == 3);
	fl_timeout_begin(&t, FL_NO_WAIT);
	FL_RC(fl_timeout_end(&t, -ECANCELED), -ETIMEDOUT);
	/* Ended: as a scope that was not begun. */
	FL_RC(fl_timeout_end(&t, -ECANCELED), -ECANCELED);
	fl_timeout_begin(&t, FL_FOREVER); /* and can begin again */
	FL_CHECK(!fl_cancel_token_is_requested(NULL));
	FL_CHECK(fl_timeout_end(&t, 0) == 0 && fl_cancel_scope_current() == before);
}

static int leave_early(int step)
{
	FL_SCOPED(fl_timeout) t = FL_TIMEOUT_INIT;
	if (step == 0)
		return 0;
	fl_timeout_begin(&t, FL_NO_WAIT);
	if (step == 1)
		return 1;
	FL_SCOPED(fl_timeout) inner = FL_TIMEOUT_INIT;
	fl_timeout_begin(&inner, FL_NO_WAIT);
	if (step == 2)
		return 2;
	int rc = fl_timeout_end(&inner, 3);
	return fl_timeout_end(&t, rc);
}

FL_TEST_WITH(timeout_scoped_ends_by_itself, both, void)
{
	fl_cancel_token *before = fl_cancel_scope_current();
	for (int step = 0; step < 4; step++)
		FL_CHECK(leave_early(step) == step && fl_cancel_scope_current() == before);
}

/* Nesting: asyncio's test_timeouts. */

static void inner_ends_alone(void)
{
	fl_timeout outer = FL_TIMEOUT_INIT, inner = FL_TIMEOUT_INIT;
	fl_timeout_begin(&outer, fl_after(FL_S(3600)));
	fl_timeout_begin(&inner, fl_test_soon());
	FL_RC(fl_timeout_end(&inner, wait_for_ever(NULL)), -ETIMEDOUT);
	FL_OK(fl_sleep(FL_US(1))); /* the outer one still holds */
	FL_OK(fl_timeout_end(&outer, 0));
}

static void outer_ends_both(void)
{
	fl_timeout outer = FL_TIMEOUT_INIT, inner = FL_TIMEOUT_INIT;
	fl_timeout_begin(&outer, fl_test_soon());
	fl_timeout_begin(&inner, fl_after(FL_S(3600)));
	int rc = fl_timeout_end(&inner, wait_for_ever(NULL));
	FL_CHECK(rc == -ECANCELED);
	FL_RC(fl_timeout_end(&outer, rc), -ETIMEDOUT);
}

FL_TEST(timeout_nested_converts_only_its_own)
{
	both(inner_ends_alone);
	both(outer_ends_both);
}

/* Both expire before the next check: the outer one counts. */
FL_TEST_WITH(timeout_nested_both_over_is_the_outer_one, both, void)
{
	static const fl_time deadlines[][2] = {{{1}, {2}}, {{2}, {1}}, {{2}, {2}}};
	FL_EACH (i, deadlines) {
		fl_timeout outer = FL_TIMEOUT_INIT, inner = FL_TIMEOUT_INIT;
		fl_timeout_begin(&outer, deadlines[i][0]);
		fl_timeout_begin(&inner, deadlines[i][1]);
		int rc = fl_timeout_end(&inner, wait_for_ever(NULL));
		FL_CHECK(rc == -ECANCELED);
		FL_RC(fl_timeout_end(&outer, rc), -ETIMEDOUT);
	}
}

/* The inner one has ended a wait; before its end, the outer one is over, too. */
FL_TEST(timeout_nested_outer_expires_first)
{
	FL_FAULTS();
	fl_test_clock_ours();
	fl_timeout outer = FL_TIMEOUT_INIT, inner = FL_TIMEOUT_INIT;
	fl_timeout_begin(&outer, fl_after(FL_S(3600)));
	fl_timeout_begin(&inner, FL_NO_WAIT);
	int rc = wait_for_ever(NULL);
	FL_RC(rc, -ECANCELED);
	fl__store_relaxed(&fl_test_ahead, FL_S(3600));
	rc = fl_timeout_end(&inner, rc);
	FL_RC(rc, -ECANCELED);
	FL_RC(fl_timeout_end(&outer, rc), -ETIMEDOUT);
}

FL_TEST_WITH(timeout_leaves_the_cancel_from_outside_alone, both, void)
{
	fl_cancel_token outside;
	fl_cancel_token_init(&outside, NULL, FL_FOREVER);
	{
		FL_CANCEL_SCOPE(&outside);
		fl_timeout t = FL_TIMEOUT_INIT;
		fl_timeout_begin(&t, FL_NO_WAIT);
		fl_cancel_token_request(&outside);
		FL_RC(fl_timeout_end(&t, wait_for_ever(NULL)), -ECANCELED);
		fl_timeout_begin(&t, FL_FOREVER); /* requested from the start */
		FL_RC(fl_timeout_end(&t, wait_for_ever(NULL)), -ECANCELED);
	}
	fl_cancel_token_destroy(&outside);
}

FL_TEST_WITH(timeout_and_shields, both, void)
{
	fl_timeout t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&t, FL_NO_WAIT);
	{
		FL_CANCEL_SCOPE(FL_SHIELDED);
		FL_OK(fl_sleep(FL_US(1)));
		fl_timeout inner = FL_TIMEOUT_INIT; /* of nothing that could end it */
		fl_timeout_begin(&inner, fl_test_soon());
		FL_RC(fl_timeout_end(&inner, wait_for_ever(NULL)), -ETIMEDOUT);
	}
	FL_RC(fl_timeout_end(&t, wait_for_ever(NULL)), -ETIMEDOUT);
}

FL_TEST(timeout_panics_when_it_is_not_the_scope)
{
	static fl_timeout t, inner;
	fl_cancel_token other = FL_CANCEL_TOKEN_INIT;
	fl_timeout_begin(&t, FL_NO_WAIT);
	fl_cancel_token *scope = fl_cancel_scope_set(&other);
	FL_PANICS_OF("fl_timeout_end", &t, FL_IGNORE(fl_timeout_end(&t, 0)));
	(void)fl_cancel_scope_set(scope);
	FL_PANICS_OF("fl_timeout_begin", &t, fl_timeout_begin(&t, FL_NO_WAIT));
	fl_timeout_begin(&inner, FL_NO_WAIT);
	FL_PANICS(FL_IGNORE(fl_timeout_end(&t, 0)));
	FL_OK(fl_timeout_end(&inner, 0));
	FL_OK(fl_timeout_end(&t, 0));
	assert_null(fl_cancel_scope_current());
}

static fl_timeout elsewhere;
static fl_event begun, go;

static int begin_and_end(void *unused)
{
	fl_timeout_begin(&elsewhere, FL_FOREVER);
	fl_event_set(&begun);
	int rc = fl_event_wait(&go);
	return fl_timeout_end(&elsewhere, rc);
}

FL_TEST(timeout_panics_when_it_is_of_another_context)
{
	fl_thread *t;
	fl_test_go(&t, begin_and_end, NULL);
	FL_OK(fl_event_wait(&begun));
	FL_PANICS_OF("fl_timeout_end", &elsewhere, FL_IGNORE(fl_timeout_end(&elsewhere, 0)));
	fl_event_set(&go);
	fl_test_end(t);
}

/* Its waits are also ended by a request from another thread, whatever it waits for. */
typedef struct asked {
	fl_cancel_token stop;
	fl_event never;
} asked;

static int wait_under_timeout(void *arg)
{
	asked *a = arg;
	FL_CANCEL_SCOPE(&a->stop);
	fl_timeout outer = FL_TIMEOUT_INIT, t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&outer, fl_after(FL_S(3600)));
	fl_timeout_begin(&t, fl_after(FL_S(3600)));
	int rc = fl_timeout_end(&t, fl_event_wait(&a->never));
	FL_CHECK(rc == -ECANCELED);
	FL_RC(fl_timeout_end(&outer, rc), -ECANCELED);
	return 0;
}

static int wait_in_loop(void *arg)
{
	return fl_loop_run(wait_under_timeout, arg);
}

FL_TEST(timeout_wait_is_ended_by_another_thread)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	fl_thread_function *const waiters[] = {wait_under_timeout, wait_in_loop};
	FL_EACH (i, waiters) {
		asked a = {FL_CANCEL_TOKEN_INIT, FL_EVENT_INIT};
		fl_thread *t;
		fl_test_go(&t, waiters[i], &a);
		FL_WAIT_FOR(fl_test_queued(&a.never) == 1);
		fl_cancel_token_request(&a.stop);
		fl_test_end(t);
		fl_cancel_token_destroy(&a.stop);
	}
}

/* A fiber's own cancel, from the loop's thread and from another. */
static int time_out_never(void *arg)
{
	uint32_t *waits = arg;
	fl_timeout outer = FL_TIMEOUT_INIT, t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&outer, fl_after(FL_S(3600)));
	fl_timeout_begin(&t, FL_FOREVER);
	fl__store_release(waits, 1);
	int rc = fl_timeout_end(&t, wait_for_ever(NULL));
	return fl_timeout_end(&outer, rc);
}

FL_LOOP_TEST(timeout_in_a_fiber_that_is_cancelled)
{
	uint32_t waits = 0;
	int rc;
	fl_fiber *f = fl_test_start(time_out_never, &waits);
	fl_test_settle();
	FL_CHECK(fl__load_acquire(&waits));
	fl_test_cancel(f);
	f = fl_test_start(time_out_never, &waits);
	fl_test_cancel(f); /* before it has begun */
	fl_thread *t;
	f = fl_test_start(time_out_never, &waits);
	fl_test_settle();
	fl_test_go(&t, fl_test_cancel_fiber, f);
	FL_CHECK(fl_fiber_join(f, &rc) == 0 && rc == -ECANCELED);
	fl_test_end(t);
}

/* Many fibers, each with deadlines of its own. */
enum { FIBERS = 300 };

static int time_out(void *arg)
{
	const int *i = arg;
	fl_timeout outer = FL_TIMEOUT_INIT, t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&outer, fl_after(FL_S(3600)));
	fl_timeout_begin(&t, fl_after(FL_US(*i % 17 * 100)));
	int rc = fl_timeout_end(&t, wait_for_ever(NULL));
	FL_CHECK(rc == -ETIMEDOUT);
	return fl_timeout_end(&outer, 0);
}

FL_LOOP_TEST(timeout_in_many_fibers)
{
	int numbers[FIBERS];
	fl_fiber *f[FIBERS];
	FL_EACH (i, numbers) {
		numbers[i] = i;
		f[i] = fl_test_start(time_out, &numbers[i]);
	}
	FL_EACH (i, f)
		FL_OK(fl_test_join(f[i]));
}

/* fl_timeout_call(): asyncio's test_waitfor. */

FL_TEST_WITH(timeout_wait_for_ends_with_the_function, both, void)
{
	int results[] = {0, 5, -EIO, -ETIMEDOUT, -ECANCELED}, result = 77;
	FL_EACH (i, results) {
		FL_CHECK(fl_timeout_call(fl_test_return_int, &results[i], FL_FOREVER, &result) == 0 &&
		         result == results[i]);
		FL_OK(fl_timeout_call(fl_test_return_int, &results[i], fl_after(FL_S(3600)), NULL));
	}
	result = 77;
	FL_CHECK(fl_timeout_call(wait_for_ever, NULL, fl_test_soon(), &result) == -ETIMEDOUT && result == -ECANCELED);
	FL_RC(fl_timeout_call(wait_for_ever, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	/* It is called. */
	FL_CHECK(fl_timeout_call(fl_test_return_int, &results[1], FL_NO_WAIT, &result) == 0 && result == 5);
	FL_CHECK(fl_timeout_call(fl_test_return_int, &results[3], FL_NO_WAIT, &result) == 0 && result == -ETIMEDOUT);
	FL_CHECK(!fl_cancel_token_is_requested(NULL));
}

FL_TEST_WITH(timeout_wait_for_cancelled, both, void)
{
	fl_cancel_token outside;
	int result = 77;
	fl_cancel_token_init(&outside, NULL, FL_FOREVER);
	fl_cancel_token_request(&outside);
	{
		FL_CANCEL_SCOPE(&outside);
		FL_RC(fl_timeout_call(wait_for_ever, NULL, FL_FOREVER, &result), -ECANCELED);
		FL_CHECK(result == -ECANCELED);
		/* Both: the outer one's. */
		FL_RC(fl_timeout_call(wait_for_ever, NULL, FL_NO_WAIT, NULL), -ECANCELED);
		int done = 3;
		FL_CHECK(fl_timeout_call(fl_test_return_int, &done, FL_NO_WAIT, &result) == 0 && result == 3);
	}
	fl_cancel_token_destroy(&outside);
}

/* The function takes its time to give up; the wait is over when it is. */
static int give_up_slowly(void *over)
{
	int rc = wait_for_ever(NULL);
	FL_CHECK(rc == -ECANCELED);
	FL_OK(fl_sleep_until(fl_test_soon(), FL_SHIELDED));
	*(bool *)over = true;
	return rc;
}

FL_TEST_WITH(timeout_wait_for_waits_for_the_end, both, void)
{
	bool over = false;
	FL_RC(fl_timeout_call(give_up_slowly, &over, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_CHECK(over);
}

/* Nested, as asyncio's test_nested_timeout: each converts only its own. */
static int wait_for_inner(void *arg)
{
	int result;
	int rc = fl_timeout_call(wait_for_ever, NULL, fl_after(FL_S(3600)), &result);
	FL_CHECK(rc == -ECANCELED && result == -ECANCELED);
	return rc;
}

FL_TEST_WITH(timeout_wait_for_nested, both, void)
{
	int result;
	FL_RC(fl_timeout_call(wait_for_inner, NULL, fl_test_soon(), &result), -ETIMEDOUT);
	FL_CHECK(result == -ECANCELED);
}
