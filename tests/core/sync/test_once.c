/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

/* A function that counts its calls, works in plain memory, and fails a given number of times. */
typedef struct job {
	fl_once once;
	unsigned calls, failures, work;
	int error;
	fl_event entered, go;
	bool waits;
} job;

static int do_job(void *arg)
{
	job *j = arg;
	j->calls++;
	if (j->waits) {
		fl_event_set(&j->entered);
		FL_OK(fl_event_wait_until(&j->go, FL_FOREVER, FL_SHIELDED));
	}
	if (j->failures > 0) {
		j->failures--;
		return j->error;
	}
	j->work = 42;
	return 0;
}

FL_CALL(call)
{
	job *j = object;
	int rc = fl_once_call_until(&j->once, do_job, j, deadline, cancel);
	FL_CHECK(rc != 0 || j->work == 42);
	return rc;
}

FL_TEST(once_runs_once)
{
	job j = {.once = FL_ONCE_INIT};
	assert_false(fl_once_is_done(&j.once));
	FL_OK(fl_once_call(&j.once, do_job, &j));
	assert_true(fl_once_is_done(&j.once));
	FL_OK(fl_once_call(&j.once, do_job, &j));
	FL_OK(fl_once_call_until(&j.once, do_job, &j, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_once_call_until(&j.once, do_job, &j, FL_NO_WAIT, NULL));
	assert_int_equal(j.calls, 1);
}

FL_TEST(once_each_form_runs_it)
{
	job tried = {.once = FL_ONCE_INIT}, timed = {.once = FL_ONCE_INIT};
	FL_OK(fl_once_call_until(&tried.once, do_job, &tried, FL_NO_WAIT, FL_SHIELDED));
	assert_int_equal(tried.calls, 1);
	assert_true(fl_once_is_done(&tried.once));
	/* The deadline is not the function's. */
	FL_OK(fl_once_call_until(&timed.once, do_job, &timed, FL_NO_WAIT, fl_test_requested));
	assert_int_equal(timed.calls, 1);
	assert_true(fl_once_is_done(&timed.once));
}

FL_TEST(once_failure_is_its_callers_and_is_tried_again)
{
	static const int errors[] = {-EIO, -1, 7};
	FL_EACH (i, errors) {
		job j = {.once = FL_ONCE_INIT, .failures = 3, .error = errors[i]};
		FL_RC(fl_once_call(&j.once, do_job, &j), errors[i]);
		assert_false(fl_once_is_done(&j.once));
		FL_RC(fl_once_call_until(&j.once, do_job, &j, FL_NO_WAIT, FL_SHIELDED), errors[i]);
		FL_RC(fl_once_call_until(&j.once, do_job, &j, FL_FOREVER, NULL), errors[i]);
		FL_OK(fl_once_call(&j.once, do_job, &j));
		assert_true(fl_once_is_done(&j.once));
		assert_int_equal(j.calls, 4);
	}
}

/* A once with a function that runs on another thread, and waits there. */
static void begin(job *j, fl_test_caller *runner)
{
	j->waits = true;
	fl_test_call_start(runner, call, j, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_event_is_set(&j->entered));
}

FL_TEST(once_while_another_runs_it)
{
	job j = {.once = FL_ONCE_INIT};
	fl_test_caller runner;
	begin(&j, &runner);
	assert_false(fl_once_is_done(&j.once));
	FL_RC(fl_once_call_until(&j.once, do_job, &j, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_once_call_until(&j.once, do_job, &j, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_once_call_until(&j.once, do_job, &j, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_once_call_until(&j.once, do_job, &j, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_once_call(&j.once, do_job, &j));
	fl_event_set(&j.go);
	FL_OK(fl_test_call_end(&runner));
	FL_OK(fl_once_call(&j.once, do_job, &j));
	assert_int_equal(j.calls, 1);
}

static int ends_its_thread(void *arg)
{
	job *j = arg;
	j->calls++;
	fl_event_set(&j->entered);
	FL_OK(fl_event_wait(&j->go));
	pthread_exit(NULL);
}

static int calls_what_ends(void *arg)
{
	job *j = arg;
	return fl_once_call(&j->once, ends_its_thread, j);
}

static int calls_what_succeeds(void *arg)
{
	job *j = arg;
	return fl_once_call(&j->once, do_job, j);
}

FL_TEST(once_function_that_ends_its_thread_has_failed)
{
	job j = {.once = FL_ONCE_INIT, .entered = FL_EVENT_INIT, .go = FL_EVENT_INIT};
	fl_thread *ends = NULL, *succeeds = NULL;
	int result;
	fl_test_go(&ends, calls_what_ends, &j);
	FL_OK(fl_event_wait(&j.entered));
	fl_test_go(&succeeds, calls_what_succeeds, &j);
	FL_WAIT_FOR(fl_test_queued(&j.once) == 1);
	fl_event_set(&j.go);
	FL_OK(fl_thread_join(ends, &result));
	FL_RC(result, -ECANCELED);
	fl_test_end(succeeds);
	assert_true(fl_once_is_done(&j.once));
	assert_int_equal(j.calls, 2);
}
