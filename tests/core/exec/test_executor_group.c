/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of task groups, for every kind of executor. */
#include "conformance.h"

static void submit_squares(fl_group *g, int *results, int n)
{
	for (int i = 0; i < n; i++)
		FL_OK(square_group_submit(g, i, &results[i]));
}

CONFORMANCE_GROUP(group_results_are_there_when_it_is_joined, 3)
{
	static int results[5000];
	const int many = (int)fl_test_scaled(5000);
	for (int round = 0; round < 2; round++) { /* a group can be used again */
		memset(results, 0xff, sizeof results);
		submit_squares(g, results, many);
		FL_OK(fl_group_join(g));
		assert_int_equal(fl_group_count(g), 0);
		assert_null(fl_group_message(g));
		expect_squares(results, many);
	}
}

CONFORMANCE_ON(group_without_tasks, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e), unused = FL_GROUP_INIT(e);
	FL_OK(fl_group_join(&g));
	FL_OK(fl_group_try_join(&g));
	FL_OK(fl_group_join_until(&g, FL_NO_WAIT, NULL));
	assert_int_equal(fl_group_count(&unused), 0);
	assert_null(fl_group_message(&g));
	assert_true(fl_group_failed_index(&g) == SIZE_MAX);
}

CONFORMANCE_ON(group_refused_submits_run_nothing, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	fl_task_type type = square;
	type.arg_size = FL_TASK_SIZE_MAX;
	int result = -1;
	FL_RC(fl_group_submit(&g, &type, &result, &result), -E2BIG);
	assert_int_equal(fl_group_count(&g), 0);
	fl_executor_close(e);
	FL_RC(fl_group_submit(&g, &square, &result, &result), -EPIPE);
	fl_group_cancel(&g);
	FL_RC(fl_group_submit(&g, &square, &result, &result), -ECANCELED);
	assert_int_equal(result, -1);
	FL_OK(fl_group_join(&g));
	FL_RC(fl_group_submit(&g, &square, &result, &result), -EPIPE);
}

/* Until it is cancelled. */
FL_TASK_STATIC(wait_for_cancel, struct gate *, int)
{
	*result = 1;
	set_event(&(*arg)->entered);
	return await_in_slices(&(*arg)->open);
}

CONFORMANCE_GROUP(group_first_error_cancels_the_others, 2)
{
	struct gate *gate = new_gate();
	const bool waits = at_once(kind, 2) > 1;
	int waited = -1, squared = -1;
	if (waits) {
		FL_OK(wait_for_cancel_group_submit(g, gate, &waited));
		await_event(&gate->entered);
	} else {
		FL_OK(square_group_submit(g, 1, &squared));
	}
	FL_OK(fail_with_group_submit(g, -EIO, &(int){0}));
	FL_GROUP_FAILED(g, -EIO);
	assert_string_equal(fl_group_message(g), "error -5");
	assert_int_equal(fl_group_failed_index(g), 1);
	assert_int_equal(waited, -1); /* untouched, since it did not succeed */
	assert_int_equal(squared, waits ? -1 : 1);
	submit_squares(g, &squared, 1); /* and again */
	assert_null(fl_group_message(g));
	FL_OK(fl_group_join(g));
	assert_int_equal(squared, 0);
}

/* Fails without a word. */
FL_TASK_STATIC(just_fail, int, void)
{
	return *arg;
}

CONFORMANCE_GROUP(group_failed_without_message_has_the_text_of_its_error, 1)
{
	FL_OK(just_fail_group_submit(g, -ENOSPC));
	FL_GROUP_FAILED(g, -ENOSPC);
	assert_string_equal(fl_group_message(g), fl_error_text(-ENOSPC));
}

/* None is left when a task has failed; so are those that come after. */
CONFORMANCE_GROUP(group_that_failed_takes_no_more, 1)
{
	int result = -1;
	FL_OK(just_fail_group_submit(g, -ENOSPC));
	FL_WAIT_FOR(fl_group_count(g) == 0);
	FL_RC(fl_group_submit(g, &square, &(int){2}, &result), -ECANCELED);
	FL_JOINED(fl_group_try_join(g), g, -ENOSPC);
	FL_OK(fl_group_join(g));
	assert_int_equal(result, -1);
}

/* -ECANCELED before any cancel is an error like any other. */
CONFORMANCE_GROUP(group_task_that_says_cancelled_fails, 1)
{
	FL_OK(just_fail_group_submit(g, -ECANCELED));
	FL_GROUP_FAILED(g, -ECANCELED);
	assert_non_null(fl_group_message(g));
}

CONFORMANCE_GROUP(group_cancel_ends_what_runs_and_what_does_not, 1)
{
	struct gate *gate = new_gate();
	int results[2] = {-1, -1};
	if (is_concurrent(e)) {
		FL_OK(wait_for_cancel_group_submit(g, gate, &results[0]));
		await_event(&gate->entered);
		FL_OK(square_group_submit(g, 1, &results[1]));
		assert_int_equal(fl_group_count(g), 2);
		FL_RC(fl_group_try_join(g), -EAGAIN);
	}
	fl_group_cancel(g);
	fl_group_cancel(g);
	FL_RC(fl_group_submit(g, &square, &(int){2}, &results[1]), -ECANCELED);
	FL_OK(fl_group_join(g));
	assert_null(fl_group_message(g));
	assert_int_equal(results[0], -1);
	assert_int_equal(results[1], -1);
	FL_OK(square_group_submit(g, 2, &results[1]));
	FL_OK(fl_group_join(g));
	assert_int_equal(results[1], 4);
}

/* Pending tasks do not run: they end when the executor comes to them. */
CONFORMANCE_GROUP(group_cancelled_runs_no_pending_task, 1)
{
	if (!is_concurrent(e))
		return;
	struct tally *tally = new_tally(), *result = NULL;
	struct held held = hold_worker(e);
	for (int i = 0; i < 5; i++)
		FL_OK(tallied_group_submit(g, tally, &result));
	FL_RC(fl_group_join_until(g, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_group_cancel(g);
	let_go(&held);
	FL_OK(fl_group_join(g));
	expect_tally(tally, 0, 5);
}

CONFORMANCE_ON(group_deadline, 1)
{
	int result = -1;
	{
		FL_SCOPED(fl_group) late = FL_GROUP_INIT_UNTIL(e, FL_NO_WAIT);
		FL_RC(fl_group_submit(&late, &square, &result, &result), -ECANCELED);
		FL_OK(fl_group_join(&late));
	}
	{
		FL_SCOPED(fl_group) early = FL_GROUP_INIT_UNTIL(e, fl_after(FL_S(3600)));
		FL_OK(square_group_submit(&early, 3, &result));
		FL_OK(fl_group_join(&early));
		assert_int_equal(result, 9);
	}
	if (!is_concurrent(e))
		return;
	struct gate *gate = new_gate();
	FL_SCOPED(fl_group) g = FL_GROUP_INIT_UNTIL(e, fl_after(FL_MS(30)));
	int rc = wait_for_cancel_group_submit(&g, gate, &result);
	FL_JOINED(fl_group_join(&g), &g, rc == 0 ? -ETIMEDOUT : 0);
	assert_true(fl_group_failed_index(&g) == SIZE_MAX);
	assert_int_equal(result, 9);
}

CONFORMANCE_ABLE(group_of_a_scope_that_is_cancelled, 1, FL_CAP_CONCURRENT)
{
	struct gate *gate = new_gate();
	int result = -1;
	FL_SCOPED(fl_cancel_token) scope = FL_CANCEL_TOKEN_INIT;
	FL_CANCEL_SCOPE(&scope);
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	FL_OK(wait_for_cancel_group_submit(&g, gate, &result));
	await_event(&gate->entered);
	fl_cancel_token_request(&scope);
	FL_GROUP_FAILED(&g, -ECANCELED);
	assert_string_equal(fl_group_message(&g), fl_error_text(-ECANCELED));
	assert_null(fl_group_failed_name(&g));
	assert_int_equal(result, -1);
}

/* The group began elsewhere: a cancel of the joining task cancels the group. */
CONFORMANCE_GROUP(group_joined_under_another_scope, 1)
{
	if (!is_concurrent(e))
		return;
	struct gate *gate = new_gate();
	int result = -1;
	FL_OK(wait_for_cancel_group_submit(g, gate, &result));
	FL_SCOPED(fl_cancel_token) scope = FL_CANCEL_TOKEN_INIT;
	FL_CANCEL_SCOPE(&scope);
	fl_cancel_token_request(&scope);
	FL_GROUP_FAILED(g, -ECANCELED);
	assert_int_equal(fl_group_count(g), 0);
}

CONFORMANCE_GROUP(group_join_until_leaves_tasks, 1)
{
	if (!is_concurrent(e))
		return;
	struct gate *gate = new_gate();
	int result = -1;
	FL_OK(wait_for_cancel_group_submit(g, gate, &result));
	FL_RC(fl_group_join_until(g, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_group_join_until(g, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_group_join_until(g, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(fl_group_count(g), 1);
	set_event(&gate->open);
	FL_OK(fl_group_join_until(g, FL_FOREVER, FL_SHIELDED));
	assert_int_equal(result, 1);
}

/* The owner's waits end with it; the join ends the scope. */
CONFORMANCE_GROUP(group_token_is_requested_by_a_failure, 1)
{
	fl_event never = FL_EVENT_INIT;
	fl_cancel_token *before = fl_cancel_scope_current();
	(void)fl_cancel_scope_set(fl_group_token(g));
	assert_false(fl_cancel_token_is_requested(fl_group_token(g)));
	FL_OK(just_fail_group_submit(g, -EPROTO));
	FL_RC(fl_event_wait(&never), -ECANCELED);
	FL_GROUP_FAILED(g, -EPROTO);
	assert_ptr_equal(fl_cancel_scope_current(), before);
}

CONFORMANCE_GROUP(group_can_be_waited_for, 1)
{
	if (!is_concurrent(e))
		return;
	struct gate *gate = new_gate();
	fl_event never = FL_EVENT_INIT;
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_GROUP(g)), 1);
	FL_OK(hold_group_submit(g, gate));
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_GROUP(g), FL_ON_EVENT(&never)), -ETIMEDOUT);
	set_event(&gate->open);
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_GROUP(g)), 1);
	FL_OK(fl_group_try_join(g));
}

CONFORMANCE_GROUP(group_drops_each_argument_once, 2)
{
	struct tally *tally = new_tally(), *results[20];
	FL_EACH (i, results)
		FL_OK(tallied_group_submit(g, tally, i % 2 ? &results[i] : NULL));
	FL_OK(fl_group_join(g));
	/* Of the unwanted ones; by the last reference. */
	FL_WAIT_FOR(counted(&tally->result_drops) == 10);
	expect_tally(tally, 20, 20);
	for (int i = 1; i < 20; i += 2)
		assert_ptr_equal(results[i], tally);
	tally->error = -EIO;
	FL_OK(tallied_group_submit(g, tally, &results[0]));
	FL_GROUP_FAILED(g, -EIO);
	assert_int_equal(counted(&tally->drops), 21);
	expect_result_drops(tally, 10);
}

/*
 * When the executor is cancelled, its pending tasks have failed: the group itself was not
 * cancelled.
 */
CONFORMANCE_GROUP(group_of_an_executor_that_is_cancelled, 1)
{
	if (!is_concurrent(e))
		return;
	int result = -1;
	struct held held = hold_worker(e);
	FL_OK(square_group_submit(g, 1, &result));
	assert_int_equal(fl_executor_cancel(e), 1);
	FL_GROUP_FAILED(g, -ECANCELED);
	assert_string_equal(fl_group_message(g), "cancelled before it started");
	assert_int_equal(result, -1);
	let_go(&held);
}

/*
 * The same for a cancel of pending tasks: the group takes it for a failure, and ends the running
 * task.
 */
CONFORMANCE_GROUP(group_whose_pending_tasks_the_executor_cancels, 1)
{
	if (!is_concurrent(e))
		return;
	struct gate *gate = new_gate();
	int result = -1;
	FL_OK(wait_for_cancel_group_submit(g, gate, &result));
	await_event(&gate->entered);
	FL_OK(square_group_submit(g, 1, &result));
	assert_int_equal(fl_executor_cancel_pending(e), 1);
	FL_GROUP_FAILED(g, -ECANCELED);
	assert_int_equal(fl_group_failed_index(g), 1);
	assert_int_equal(result, -1);
}

/* Conditions. */

struct ended {
	const int *result; /* where the group puts it */
	int calls, seen, error;
};

static void note_end(fl_future *f, void *arg)
{
	struct ended *ended = arg;
	ended->calls++;
	ended->seen = *ended->result;
	ended->error = fl_future_error(f);
}

CONFORMANCE_GROUP(group_callback_comes_before_the_join, 2)
{
	int results[20];
	struct ended ended[20];
	FL_OK(square_group_submit_with(g, 5, &results[0], NULL)); /* without any */
	FL_OK(fl_group_join(g));
	assert_int_equal(results[0], 25);
	FL_EACH (i, ended) {
		ended[i] = (struct ended){.result = &results[i]};
		const fl_submit_config config = {.on_end = note_end, .on_end_arg = &ended[i]};
		FL_OK(square_group_submit_with(g, i, &results[i], &config));
	}
	FL_OK(fl_group_join(g));
	FL_EACH (i, ended) {
		assert_int_equal(ended[i].calls, 1);
		assert_int_equal(ended[i].seen, i * i); /* the result was there */
		assert_int_equal(ended[i].error, 0);
	}
	ended[0].calls = 0;
	const fl_submit_config config = {.on_end = note_end, .on_end_arg = &ended[0]};
	FL_OK(fail_with_group_submit_with(g, -EDOM, &results[0], &config));
	FL_GROUP_FAILED(g, -EDOM);
	assert_int_equal(ended[0].calls, 1);
	assert_int_equal(ended[0].error, -EDOM);

	fl_group_cancel(g);
	FL_RC(fl_group_submit_with(g, &square, &(int){5}, &results[0], &config), -ECANCELED);
	assert_int_equal(ended[0].calls, 1); /* an error means that no callback runs */
	FL_OK(fl_group_join(g));
}

CONFORMANCE_ON(group_takes_no_other_token, 1)
{
	struct tally *tally = new_tally(), *result = NULL;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_group g = FL_GROUP_INIT(e); /* not joined: it has not begun */
	FL_RC(fl_group_submit_with(&g, &tallied, &tally, &result, &(fl_submit_config){.cancel = &token}), -EINVAL);
	assert_int_equal(fl_group_count(&g), 0);
	FL_OK(fl_executor_join(e));
	assert_int_equal(counted(&tally->drops), 0); /* the argument is still the caller's */
	assert_null(result);
}

CONFORMANCE_GROUP(group_task_that_is_too_late_fails, 1)
{
	int result = -1;
	FL_OK(square_group_submit(g, 3, NULL));
	FL_OK(square_group_submit_with(g, 3, &result, &(fl_submit_config){.deadline = FL_NO_WAIT}));
	FL_GROUP_FAILED(g, -ETIMEDOUT);
	assert_int_equal(fl_group_failed_index(g), 1);
	assert_string_equal(fl_group_message(g), "its deadline passed before it started");
	assert_int_equal(result, -1);
	FL_OK(square_group_submit_with(g, 4, &result, &(fl_submit_config){.deadline = fl_after(FL_S(3600))}));
	FL_OK(fl_group_join(g));
	assert_int_equal(result, 16);
	if (!is_concurrent(e))
		return;
	/*
	 * It runs, or is pending, at its deadline: the group reports the same. The other task is
	 * cancelled with it.
	 */
	struct gate *gate = new_gate();
	const fl_time deadline = fl_after(FL_MS(20));
	FL_OK(wait_for_cancel_group_submit_with(g, gate, &result, &(fl_submit_config){.deadline = deadline}));
	const int rc = wait_for_cancel_group_submit(g, gate, &result);
	assert_true(rc == 0 || (rc == -ECANCELED && fl_time_is_past(deadline))); /* on a slow machine */
	FL_GROUP_FAILED(g, -ETIMEDOUT);
	assert_int_equal(fl_group_failed_index(g), 0);
	assert_int_equal(result, 16);
}
