/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of submit and of futures, for every kind of executor. */
#include "conformance.h"

CONFORMANCE_ON(result_comes_back, 2)
{
	FL_SCOPED(fl_future) *f = NULL;
	int result = 0;
	FL_OK(square_submit(e, 7, &f));
	assert_int_equal(fl_test_result(f), 49);
	FL_OK(square_try_get(f, &result));
	FL_OK(square_get_until(f, &result, FL_NO_WAIT, NULL));
	FL_STATE_IS(f, FL_DONE);
	assert_int_equal(*(const int *)fl_future_result(f), 49);
	fl_test_future_ended(f, 0, "");
	FL_RC(fl_future_get(f, &result, sizeof result + 1), -EINVAL);
	FL_RC(fl_future_try_get(f, &result, 0), -EINVAL);
	FL_RC(fl_future_get_until(f, &result, 1, FL_FOREVER, NULL), -EINVAL);
	assert_int_equal(result, 49);
}

FL_TASK_STATIC(nothing, void, void)
{
	return arg == NULL && result == NULL ? 0 : -EFAULT;
}

CONFORMANCE_ON(task_without_argument_and_result, 1)
{
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(nothing, e);
	FL_OK(nothing_get(f));
	FL_OK(nothing_get_until(f, FL_NO_WAIT, NULL));
	FL_RC(fl_future_get(f, &(char){0}, 1), -EINVAL);
	assert_null(fl_future_result(f));
}

FL_TASK_STATIC(leave_result, int, int)
{
	if (*arg)
		*result = *arg;
	return 0;
}

CONFORMANCE_ON(result_starts_zeroed, 1)
{
	for (int i = 0; i < 100; i++) { /* memory is used again */
		int arg = i % 2;
		assert_int_equal(fl_test_result_of(e, &leave_result, &arg), arg);
	}
}

struct big {
	unsigned char bytes[100000];
};

FL_TASK_STATIC(invert, struct big, struct big)
{
	FL_EACH (i, arg->bytes)
		result->bytes[i] = (unsigned char)~arg->bytes[i];
	return 0;
}

CONFORMANCE_ON(large_argument_and_result, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	static struct big in, out;
	FL_EACH (i, in.bytes)
		in.bytes[i] = (unsigned char)(i * 31);
	FL_OK(fl_executor_submit(e, &invert, &in, &f));
	memset(&in, 0, sizeof in); /* it was copied */
	FL_OK(invert_get(f, &out));
	FL_EACH (i, in.bytes)
		assert_int_equal(out.bytes[i], (unsigned char)~(i * 31));
}

struct aligned {
	_Alignas(FL_TASK_ALIGN_MAX) char c;
};

static int run_check_alignment(fl_task_ctx *ctx, const void *arg, void *result)
{
	((struct aligned *)result)->c = ((const struct aligned *)arg)->c;
	return ((uintptr_t)arg | (uintptr_t)result) % FL_TASK_ALIGN_MAX == 0 ? 0 : -EFAULT;
}

/* By hand, as a C++ program does it: gcc warns about parameters with such an alignment. */
static const fl_task_type check_alignment = {
    .size = sizeof(fl_task_type),
    .name = "check_alignment",
    .run = run_check_alignment,
    .arg_size = sizeof(struct aligned),
    .arg_align = FL_TASK_ALIGN_MAX,
    .result_size = sizeof(struct aligned),
    .result_align = FL_TASK_ALIGN_MAX,
};

static fl_task_entry check_alignment_entry = {&check_alignment, NULL};

__attribute__((constructor)) static void register_by_hand(void)
{
	fl_task_register(&check_alignment_entry);
}

CONFORMANCE_ON(argument_and_result_are_aligned, 1)
{
	for (int i = 0; i < 40; i++) { /* more than one slab of blocks */
		FL_SCOPED(fl_future) *f = NULL;
		struct aligned arg = {(char)i}, result;
		FL_OK(fl_executor_submit(e, &check_alignment, &arg, &f));
		FL_OK(fl_future_get(f, &result, sizeof result));
		assert_int_equal(result.c, i);
		assert_int_equal((uintptr_t)fl_future_result(f) % FL_TASK_ALIGN_MAX, 0);
	}
}

CONFORMANCE_ON(too_big_is_refused, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct tally *tally = new_tally();
	static const size_t sizes[][2] = {{FL_TASK_SIZE_MAX + 1, 0},
	                                  {0, FL_TASK_SIZE_MAX + 1},
	                                  {FL_TASK_SIZE_MAX, 1},
	                                  {FL_TASK_SIZE_MAX / 2 + 1, FL_TASK_SIZE_MAX / 2},
	                                  {SIZE_MAX, 2},
	                                  {1, SIZE_MAX},
	                                  {FL_TASK_SIZE_MAX, SIZE_MAX - FL_TASK_SIZE_MAX + 1},
	                                  {SIZE_MAX, SIZE_MAX}};
	fl_task_type type = tallied;
	FL_EACH (i, sizes) {
		type.arg_size = sizes[i][0];
		type.result_size = sizes[i][1];
		FL_RC(fl_executor_submit(e, &type, NULL, &f), -E2BIG); /* it does not read the argument */
		FL_RC(fl_executor_submit_with(e, &type, NULL, &f, &(fl_submit_config){0}), -E2BIG);
	}
	type = tallied;
	type.arg_align = 2 * FL_TASK_ALIGN_MAX;
	FL_RC(fl_executor_submit(e, &type, &tally, &f), -E2BIG);
	type = tallied;
	type.result_align = 2 * FL_TASK_ALIGN_MAX;
	FL_RC(fl_executor_submit(e, &type, &tally, &f), -E2BIG);
	assert_null(f);
	FL_OK(fl_executor_join(e));
	assert_int_equal(counted(&tally->runs) + counted(&tally->drops), 0);
}

CONFORMANCE_ON(task_error_is_etask, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	int result = 3;
	FL_OK(fail_with_submit(e, -EIO, &f));
	FL_RC(fail_with_get(f, &result), FL_ETASK);
	FL_RC(fail_with_try_get(f, &result), FL_ETASK);
	assert_int_equal(result, 3);
	FL_STATE_IS(f, FL_DONE);
	fl_test_future_ended(f, -EIO, "error -5");
	assert_null(fl_future_result(f));
}

/* CPython #155852: a task's own timeout was taken for the wait's. */
CONFORMANCE_ON(task_timeout_and_cancel_are_not_the_waits, 1)
{
	static const int errors[] = {-ETIMEDOUT, -ECANCELED, -EAGAIN, FL_ETASK, 17};
	FL_EACH (i, errors) {
		FL_SCOPED(fl_future) *f = NULL;
		int result;
		FL_OK(fail_with_submit(e, errors[i], &f));
		FL_RC(fail_with_get_until(f, &result, fl_after(FL_S(60)), NULL), FL_ETASK);
		FL_RC(fl_future_error(f), errors[i]);
		FL_STATE_IS(f, FL_DONE);
	}
}

FL_TASK_STATIC(complain, int, void)
{
	char many[1000];
	memset(many, 'x', sizeof many);
	(void)fl_task_fail(ctx, -EIO, "first");
	int code = fl_task_fail(ctx, *arg, "%.*s", (int)sizeof many, many);
	return *arg == 1 ? 0 : code;
}

CONFORMANCE_ON(message_is_cut_and_the_last_counts, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	FL_OK(complain_submit(e, 0, &f));
	FL_RC(complain_get(f), FL_ETASK);
	FL_RC(fl_future_error(f), -EINVAL); /* fl_task_fail(): code 0 is no error */
	assert_int_equal(strlen(fl_future_message(f)), FL_MESSAGE_MAX - 1);
	assert_int_equal(strspn(fl_future_message(f), "x"), FL_MESSAGE_MAX - 1);

	FL_OK(complain_submit(e, 1, &g)); /* complains, and succeeds */
	FL_OK(complain_get(g));
	assert_string_equal(fl_future_message(g), "");
}

CONFORMANCE_ON(states, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	if (!is_concurrent(e)) {
		FL_OK(square_submit(e, 2, &f));
		FL_STATE_IS(f, FL_DONE);
		return;
	}
	struct held held = hold_worker(e);
	FL_OK(square_submit(e, 2, &f));
	FL_STATE_IS(held.f, FL_RUNNING);
	FL_STATE_IS(f, FL_PENDING);
	FL_RC(fl_future_error(f), -EINPROGRESS);
	assert_string_equal(fl_future_message(f), "");
	assert_null(fl_future_result(f));
	let_go(&held);
	FL_OK(fl_future_wait(f));
	FL_STATE_IS(f, FL_DONE);
}

/* Every way to wait for `f`, which has not ended, gives up as it should. */
static void waits_give_up(fl_future *f)
{
	int result = 3;
	FL_RC(fl_future_try_wait(f), -EAGAIN);
	FL_RC(fl_future_wait_until(f, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_future_wait_until(f, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_future_wait_until(f, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_future_wait_until(f, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_future_try_get(f, &result, sizeof result), -EAGAIN);
	FL_RC(fl_future_get_until(f, &result, sizeof result, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_future_get_until(f, &result, sizeof result, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_FUTURE(f)), -ETIMEDOUT);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_future_wait(f), -ECANCELED);
		FL_RC(fl_future_get(f, &result, sizeof result), -ECANCELED);
		FL_RC(fl_future_wait_until(f, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	}
	assert_int_equal(result, 3);
}

/* Every way to wait for the ended `f` succeeds at once, with any deadline and scope. */
static void waits_succeed(fl_future *f)
{
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_OK(fl_future_wait(f));
	FL_OK(fl_future_try_wait(f));
	FL_OK(fl_future_wait_until(f, FL_NO_WAIT, NULL));
	FL_OK(fl_future_wait_until(f, FL_NO_WAIT, fl_test_requested));
	FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_FUTURE(f)));
}

CONFORMANCE_ON(waits_try_once_and_give_up, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct held held = hold_worker(e);
	FL_OK(square_submit(e, 2, &f));
	if (held.f) {
		waits_give_up(f);
		let_go(&held);
		FL_OK(FL_WAIT_ANY(FL_ON_FUTURE(f)));
	}
	waits_succeed(f);
}

CONFORMANCE_ON(cancel_truth_table, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	int result = 3;
	if (is_concurrent(e)) {
		struct held held = hold_worker(e);
		FL_OK(square_submit(e, 2, &f));
		FL_OK(fl_future_cancel(f));
		FL_OK(fl_future_cancel(f)); /* and again */
		FL_STATE_IS(f, FL_CANCELLED);
		waits_succeed(f); /* done includes cancelled, at once */
		FL_RC(square_get(f, &result), FL_ETASK);
		fl_test_future_ended(f, -ECANCELED, "cancelled before it started");
		assert_null(fl_future_result(f));
		FL_RC(fl_future_cancel(held.f), -EINPROGRESS);
		FL_STATE_IS(held.f, FL_RUNNING);
		set_event(&held.gate->open);
		FL_OK(fl_future_wait(held.f));
		FL_RC(fl_future_cancel(held.f), -EALREADY);
		let_go(&held);
		fl_future_free(f);
	}
	FL_OK(square_submit(e, 2, &f));
	FL_OK(square_get(f, &result));
	FL_RC(fl_future_cancel(f), -EALREADY);
	FL_STATE_IS(f, FL_DONE);
	assert_int_equal(result, 4);
}

CONFORMANCE_ON(cancel_pending_truth_table, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	int result = 3;
	if (is_concurrent(e)) {
		FL_SCOPED(fl_future) *running = NULL, *pending = NULL;
		struct gate *gate = new_gate();
		FL_OK(tell_whether_asked_submit(e, gate, &running));
		await_event(&gate->entered);
		FL_OK(square_submit(e, 2, &pending));
		FL_OK(fl_future_cancel_pending(pending));
		FL_OK(fl_future_cancel_pending(pending)); /* and again */
		FL_STATE_IS(pending, FL_CANCELLED);
		FL_RC(fl_future_cancel_pending(running), -EINPROGRESS);
		FL_STATE_IS(running, FL_RUNNING);
		set_event(&gate->open);
		assert_int_equal(fl_test_result(running), 0); /* it was not asked to stop */
		FL_RC(fl_future_cancel_pending(running), -EALREADY);
	}
	FL_OK(square_submit(e, 2, &f));
	FL_OK(square_get(f, &result));
	FL_RC(fl_future_cancel_pending(f), -EALREADY);
	FL_STATE_IS(f, FL_DONE);
	assert_int_equal(result, 4);
}

static int wait_for_future(void *f)
{
	return fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED);
}

/* CPython #92001, #87893, #109934: waits hung on cancelled futures. */
CONFORMANCE_ABLE(cancel_wakes_a_waiter, 1, FL_CAP_CONCURRENT)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct held held = hold_worker(e);
	fl_thread *waiters[3];
	FL_OK(square_submit(e, 2, &f));
	FL_EACH (i, waiters)
		fl_test_go(&waiters[i], wait_for_future, f);
	FL_OK(fl_future_cancel(f));
	FL_EACH (i, waiters)
		fl_test_end(waiters[i]);
	let_go(&held);
}

/* Says that it runs, then waits under its scope for what never comes. */
FL_TASK_STATIC(wait_to_be_cancelled, struct gate *, void)
{
	fl_event never = FL_EVENT_INIT;
	FL_CHECK(fl_cancel_scope_current() == fl_task_token(ctx));
	FL_CHECK(!fl_task_is_cancelled(ctx) ||
	         fl_time_is_past(fl_cancel_token_deadline(fl_task_token(ctx)))); /* on a slow machine */
	set_event(&(*arg)->entered);
	int rc = fl_event_wait(&never);
	FL_CHECK(fl_task_is_cancelled(ctx));
	return rc == -ECANCELED ? fl_task_fail(ctx, -EINTR, "asked to stop") : rc;
}

CONFORMANCE_ABLE(cancel_asks_what_runs_to_stop, 1, FL_CAP_CONCURRENT)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct gate *gate = new_gate();
	FL_OK(wait_to_be_cancelled_submit(e, gate, &f));
	await_event(&gate->entered);
	FL_RC(fl_future_cancel(f), -EINPROGRESS);
	FL_RC(fl_future_get(f, NULL, 0), FL_ETASK);
	FL_STATE_IS(f, FL_DONE); /* it ran: not cancelled, but failed */
	fl_test_future_ended(f, -EINTR, "asked to stop");
}

CONFORMANCE_ON(token_before_the_start_cancels, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct tally *tally = new_tally();
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	struct held held = hold_worker(e);
	if (!held.f)
		fl_cancel_token_request(&stop);
	FL_OK(
	    tallied_submit_with(e, tally, &f, &(fl_submit_config){.cancel = &stop, .deadline = fl_after(FL_S(3600))}));
	fl_cancel_token_request(&stop);
	let_go(&held);
	FL_OK(fl_future_wait(f));
	fl_cancel_token_destroy(&stop); /* the task has ended: it refers to its parent no more */
	FL_STATE_IS(f, FL_CANCELLED);
	assert_string_equal(fl_future_message(f), "cancelled before it started");
	expect_tally(tally, 0, 1);
}

CONFORMANCE_ON(token_and_deadline_reach_what_runs, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	struct gate *gate = new_gate();
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	if (is_concurrent(e)) {
		FL_OK(wait_to_be_cancelled_submit_with(e, gate, &f, &(fl_submit_config){.cancel = &stop}));
		await_event(&gate->entered);
		fl_cancel_token_request(&stop);
		fl_test_future_ends(f, -EINTR, NULL);
	}
	fl_cancel_token_destroy(&stop);
	fl_submit_config soon = {.deadline = fl_after(FL_MS(200))};
	FL_OK(wait_to_be_cancelled_submit_with(e, gate, &g, &soon));
	FL_OK(fl_future_wait(g));
	if (fl_future_state(g) == FL_DONE) /* a slow machine cancels it before it starts */
		FL_RC(fl_future_error(g), -EINTR);
}

CONFORMANCE(references)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	struct tally *tally = new_tally();
	fl_future *f = FL_SUBMITTED(tallied, e, tally);
	FL_OK(fl_future_wait(f));
	assert_ptr_equal(fl_future_ref(f), f);
	fl_future_free(f);
	FL_OK(fl_future_try_wait(f));
	fl_future_free(f);
	fl_future_free(NULL);
	fl_executor_free(e);
	e = NULL;
	expect_result_drops(tally, 1);
}

CONFORMANCE(future_outlives_its_executor)
{
	fl_executor *e = make(kind, 2);
	fl_future *f[40], *g = NULL;
	int result = 0;
	FL_EACH (i, f)
		FL_OK(square_submit(e, i, &f[i]));
	FL_OK(fail_with_submit(e, -EIO, &g));
	fl_executor_free(e); /* drains */
	FL_EACH (i, f) {
		FL_OK(square_try_get(f[i], &result));
		assert_int_equal(result, i * i);
		fl_future_free(f[i]);
	}
	assert_string_equal(fl_future_message(g), "error -5");
	fl_future_free(g);
}

CONFORMANCE(detached_submit)
{
	fl_executor *e = make(kind, 2);
	struct tally *tally = new_tally();
	submit_tallied(e, tally, 100);
	fl_executor_free(e);
	expect_tally(tally, 100, 100);
	expect_result_drops(tally, 100);
}

/* C-Thread-Pool #88: destroying one pool stopped all others. */
CONFORMANCE(executors_are_independent)
{
	FL_SCOPED(fl_executor) *one = make(kind, 1);
	fl_executor *other = make(kind, 1);
	FL_OK(square_submit(other, 1, NULL));
	fl_executor_free(other);
	assert_int_equal(nine_of(one), 9);
}
