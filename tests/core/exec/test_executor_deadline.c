/* SPDX-License-Identifier: BSD-2-Clause */
/* What a passed deadline does to a task: one contract for every kind of executor. */
#include "conformance.h"

CONFORMANCE_ON(deadline_before_the_start_cancels, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct tally *tally = new_tally();
	FL_OK(tallied_submit_with(e, tally, &f, &(fl_submit_config){.deadline = FL_NO_WAIT}));
	FL_OK(fl_future_wait(f));
	FL_STATE_IS(f, FL_CANCELLED);
	fl_test_future_ended(f, -ETIMEDOUT, "its deadline passed before it started");
	expect_tally(tally, 0, 1);
}

FL_TASK_STATIC(tell_deadline, int, fl_time)
{
	*result = fl_cancel_token_deadline(fl_task_token(ctx));
	return *arg;
}

CONFORMANCE_ON(deadline_of_all_zero_configs_is_none, 1)
{
	static const fl_submit_config submit;
	static const fl_map_config map;
	static const fl_imap_config lazy;
	fl_time told[4] = {FL_NO_WAIT, FL_NO_WAIT, FL_NO_WAIT, FL_NO_WAIT};
	const int arg = 0;
	size_t index;
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(tell_deadline_submit_with(e, arg, &f, &submit));
	FL_OK(tell_deadline_get(f, &told[0]));
	FL_OK(tell_deadline_map(e, &arg, 1, &told[1], &map));
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(tell_deadline_imap(e, &arg, 1, &it, &lazy));
	FL_OK(tell_deadline_imap_next(it, &index, &told[2]));
	FL_SCOPED(fl_group) g = {.executor_ = e};
	FL_OK(tell_deadline_group_submit(&g, arg, &told[3]));
	FL_OK(fl_group_join(&g));
	FL_EACH (i, told)
		assert_int_equal(told[i].ns, FL_FOREVER.ns);
}

/* The deadline is the task's own, or that of its token. */
static void expire_in_the_queue(fl_executor *e, const fl_submit_config *config, fl_time deadline)
{
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	struct tally *tally = new_tally();
	struct held held = hold_worker(e);
	FL_OK(tallied_submit_with(e, tally, &f, config));
	FL_OK(fl_future_then(f, e, &tallied, &next));
	FL_WAIT_FOR(fl_time_is_past(deadline));
	let_go(&held);
	FL_OK(fl_future_wait(next));
	FL_STATE_IS(f, FL_CANCELLED);
	fl_test_future_ended(f, -ETIMEDOUT, "its deadline passed before it started");
	FL_STATE_IS(next, FL_CANCELLED);
	fl_test_future_ended(next, -ETIMEDOUT, "its deadline passed before it started");
	assert_int_equal(counted(&tally->runs), 0);
}

CONFORMANCE_ON(deadline_passes_in_the_queue, 1)
{
	if (!is_concurrent(e) || kind->over_ranks) /* a rank has a deadline of its own, which is later */
		return;
	const fl_time deadline = fl_after(FL_MS(1));
	expire_in_the_queue(e, &(fl_submit_config){.deadline = deadline}, deadline);
	FL_SCOPED(fl_cancel_token) timer;
	fl_cancel_token_init(&timer, FL_SHIELDED, fl_after(FL_MS(1)));
	expire_in_the_queue(e, &(fl_submit_config){.cancel = &timer}, fl_cancel_token_deadline(&timer));
}

/* How a task returns that waits until its deadline. */
enum at_deadline { RETURNS_CANCELED, RETURNS_MESSAGE, RETURNS_ERROR, SUCCEEDS };

FL_TASK_STATIC(wait_for_deadline, enum at_deadline, int)
{
	fl_event never = FL_EVENT_INIT;
	const int rc = fl_event_wait(&never);
	*result = 7;
	switch (*arg) {
	case RETURNS_CANCELED:
		return rc;
	case RETURNS_MESSAGE:
		return fl_task_fail(ctx, rc, "half done");
	case RETURNS_ERROR:
		return fl_task_fail(ctx, -EIO, "its own error");
	default:
		return 0;
	}
}

/* Submits a task that runs at its deadline: on a slow machine with a later one. */
static fl_future *run_past_deadline(fl_executor *e, enum at_deadline how)
{
	for (int64_t after = FL_MS(20);; after *= 2) {
		fl_future *f = NULL;
		FL_OK(wait_for_deadline_submit_with(e, how, &f, &(fl_submit_config){.deadline = fl_after(after)}));
		FL_OK(fl_future_wait(f));
		if (fl_future_state(f) == FL_DONE)
			return f;
		FL_RC(fl_future_error(f), -ETIMEDOUT);
		fl_future_free(f);
	}
}

CONFORMANCE_ON(deadline_passes_while_it_runs, 1)
{
	static const struct {
		int rc, error;
		const char *message;
	} expected[] = {
	    [RETURNS_CANCELED] = {FL_ETASK, -ETIMEDOUT, "its deadline passed before it ended"},
	    [RETURNS_MESSAGE] = {FL_ETASK, -ETIMEDOUT, "half done"},
	    [RETURNS_ERROR] = {FL_ETASK, -EIO, "its own error"},
	    [SUCCEEDS] = {0, 0, ""},
	};
	for (enum at_deadline how = RETURNS_CANCELED; how <= SUCCEEDS; how++) {
		int result = 1;
		FL_SCOPED(fl_future) *f = run_past_deadline(e, how), *next = NULL;
		FL_RC(wait_for_deadline_get(f, &result), expected[how].rc);
		fl_test_future_ended(f, expected[how].error, expected[how].message);
		assert_int_equal(result, how == SUCCEEDS ? 7 : 1);
		FL_OK(fl_future_then(f, e, &square, &next));
		FL_RC(square_get(next, &result), expected[how].rc);
		fl_test_future_ended(next, expected[how].error, expected[how].message);
	}
}

/* A request after the deadline changes nothing: its maker often waits for the deadline, too. */
CONFORMANCE_ABLE(deadline_passes_before_a_request, 1, FL_CAP_CONCURRENT)
{
	for (int i = 0; i < 20; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		const fl_time deadline = fl_after(FL_MS(i % 5));
		FL_OK(
		    wait_for_deadline_submit_with(e, RETURNS_CANCELED, &f, &(fl_submit_config){.deadline = deadline}));
		FL_IGNORE(fl_future_wait_until(f, deadline, NULL));
		FL_IGNORE(fl_future_cancel(f));
		fl_test_future_ends(f, -ETIMEDOUT, NULL);
	}
}

CONFORMANCE_ABLE(request_without_a_deadline, 1, FL_CAP_CONCURRENT)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(wait_for_deadline_submit_with(e, RETURNS_CANCELED, &f,
	                                    &(fl_submit_config){.deadline = fl_after(FL_S(3600))}));
	FL_WAIT_FOR(fl_future_state(f) == FL_RUNNING);
	FL_RC(fl_future_cancel(f), -EINPROGRESS);
	fl_test_future_ends(f, -ECANCELED, NULL);
	/* a rank may have skipped it */
	const bool ran = fl_future_state(f) == FL_DONE;
	assert_string_equal(fl_future_message(f), ran ? "" : "cancelled before it started");
}

/* The deadline of the group ends it; that of the task is a failure of the task. */
CONFORMANCE_ABLE(deadline_in_a_group, 1, FL_CAP_CONCURRENT)
{
	int result = 1;
	FL_BOTH (own) {
		FL_SCOPED(fl_group) g = FL_GROUP_INIT_UNTIL(e, own ? FL_FOREVER : fl_after(FL_MS(50)));
		const fl_submit_config config = {.deadline = own ? fl_after(FL_MS(50)) : FL_FOREVER};
		int rc = wait_for_deadline_group_submit_with(&g, RETURNS_CANCELED, &result, &config);
		if (rc != 0 && !own) { /* on a slow machine */
			FL_OK(fl_group_join(&g));
			continue;
		}
		FL_OK(rc);
		FL_GROUP_FAILED(&g, -ETIMEDOUT);
		if (own)
			assert_memory_equal(fl_group_message(&g), "its deadline passed before it ", 30);
		else
			assert_string_equal(fl_group_message(&g), fl_error_text(-ETIMEDOUT));
		assert_int_equal(result, 1);
	}
}

/* Every element that a deadline ends says so, whether it was begun or not. */
CONFORMANCE_ON(deadline_in_a_map, 1)
{
	static const enum at_deadline args[6] = {RETURNS_CANCELED};
	int results[6], rc;
	for (size_t chunk = 1; chunk <= 3; chunk += 2) {
		FL_SCOPED(fl_imap) *it = NULL;
		const fl_map_config map = {.chunk = chunk, .deadline = fl_after(FL_MS(20))};
		FL_RC(wait_for_deadline_map(e, args, 6, results, &map), -ETIMEDOUT);
		const fl_imap_config imap = {.chunk = chunk, .deadline = fl_after(FL_MS(20))};
		FL_OK(wait_for_deadline_imap(e, args, 6, &it, &imap));
		while ((rc = wait_for_deadline_imap_next(it, NULL, results)) == FL_ETASK) {
			FL_RC(fl_imap_error(it), -ETIMEDOUT);
			assert_memory_equal(fl_imap_message(it), "its deadline passed before it ", 30);
		}
		FL_RC(rc, -ETIMEDOUT);
	}
}
