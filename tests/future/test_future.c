/* SPDX-License-Identifier: BSD-2-Clause */
/* Futures: their states, waits, results and references. Callbacks: test_future_callback.c. */
#include "fl_pool.h"

FL_TASK(future_double, int, int)
{
	*result = *arg * 2;
	return 0;
}

FL_TASK(future_fail, int, int)
{
	*result = 99;
	return *arg;
}

FL_TASK(future_fail_because, int, int)
{
	return fl_task_fail(ctx, *arg, "because of %d", *arg);
}

/* Says that it runs, and returns when it is asked to stop. */
FL_TASK(future_obey, struct gate *, int)
{
	fl_event_set(&(*arg)->entered);
	FL_CHECK(fl_event_wait_until(&(*arg)->open, FL_FOREVER, fl_task_token(ctx)) == -ECANCELED);
	FL_CHECK(fl_task_is_cancelled(ctx));
	*result = 1;
	return 0;
}

FL_TEST(future_goes_from_pending_to_running_to_done)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(future_double_submit(e, 21, &f));
	assert_int_equal(fl_future_get_state(held), FL_RUNNING);
	assert_int_equal(fl_future_get_state(f), FL_PENDING);
	assert_int_equal(fl_future_error(f), 0);
	assert_string_equal(fl_future_message(f), "");
	assert_null(fl_future_result(f));
	let_go(&gate, held);
	int n = 0;
	FL_OK(future_double_get(f, &n));
	assert_int_equal(n, 42);
	assert_int_equal(fl_future_get_state(f), FL_DONE);
	assert_int_equal(fl_future_error(f), 0);
	assert_string_equal(fl_future_message(f), "");
}

FL_TEST(future_get_in_three_forms)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(future_double_submit(e, 1, &f));
	int n = 77;
	FL_RC(fl_future_try_get(f, &n, sizeof n), -EAGAIN);
	FL_RC(fl_future_get_until(f, &n, sizeof n, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_future_get_until(f, &n, sizeof n, INT64_MIN, NULL), -ETIMEDOUT);
	int64_t deadline = fl_after(FL_MS(3));
	FL_RC(fl_future_get_until(f, &n, sizeof n, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	FL_RC(fl_future_get_until(f, &n, sizeof n, FL_FOREVER, &stop), -ECANCELED);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_RC(fl_future_get(f, &n, sizeof n), -ECANCELED);
		FL_RC(fl_future_get_until(f, &n, sizeof n, 0, FL_SHIELDED), -ETIMEDOUT);
	}
	assert_int_equal(n, 77);
	let_go(&gate, held);
	FL_OK(fl_future_get(f, &n, sizeof n));
	assert_int_equal(n, 2);
	n = 77;
	FL_OK(fl_future_try_get(f, &n, sizeof n));
	assert_int_equal(n, 2);
	n = 77;
	/* It is there: any number of times. */
	FL_OK(fl_future_get_until(f, &n, sizeof n, 0, &stop));
	assert_int_equal(n, 2);
}

FL_TEST(future_wait_in_three_forms)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	FL_RC(fl_future_try_wait(held), -EAGAIN);
	FL_RC(fl_future_wait_until(held, 0, NULL), -ETIMEDOUT);
	int64_t deadline = fl_after(FL_MS(3));
	FL_RC(fl_future_wait_until(held, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	FL_RC(fl_future_wait_until(held, FL_FOREVER, &stop), -ECANCELED);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_RC(fl_future_wait(held), -ECANCELED);
		FL_RC(fl_future_wait_until(held, 0, FL_SHIELDED), -ETIMEDOUT);
	}
	/* Giving up a wait does not cancel the task. */
	assert_int_equal(fl_future_get_state(held), FL_RUNNING);
	fl_event_set(&gate.open);
	FL_OK(fl_future_wait(held));
	FL_OK(fl_future_try_wait(held));
	FL_OK(fl_future_wait_until(held, 0, &stop));
	fl_future_free(held);
}

FL_TEST(future_wait_does_not_care_how_it_ended)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *failed = NULL, *cancelled = NULL;
	FL_OK(future_fail_submit(e, -EIO, &failed));
	FL_OK(fl_future_wait(failed));
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	FL_OK(future_double_submit(e, 1, &cancelled));
	FL_OK(fl_future_cancel(cancelled));
	FL_OK(fl_future_try_wait(cancelled));
	FL_OK(fl_future_wait_until(cancelled, FL_FOREVER, NULL));
	let_go(&gate, held);
}

FL_TEST(future_get_with_another_size_is_refused)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(future_double_submit(e, 4, &f));
	FL_OK(fl_future_wait(f));
	char bytes[8] = "unknown";
	FL_RC(fl_future_get(f, bytes, 8), -EINVAL);
	FL_RC(fl_future_get(f, bytes, 0), -EINVAL);
	FL_RC(fl_future_try_get(f, bytes, 1), -EINVAL);
	FL_RC(fl_future_get_until(f, bytes, sizeof(int) - 1, FL_FOREVER, NULL), -EINVAL);
	assert_string_equal(bytes, "unknown");
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	fl_event_set(&gate.open);
	FL_OK(fl_future_get(held, NULL, 0)); /* a result of no size */
	FL_RC(fl_future_get(held, bytes, 1), -EINVAL);
	fl_future_free(held);
}

FL_TEST(future_of_a_failed_task_tells_how)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	FL_OK(future_fail_submit(e, -EIO, &f));
	int n = 77;
	FL_RC(fl_future_get(f, &n, sizeof n), FL_ETASK);
	FL_RC(fl_future_try_get(f, &n, sizeof n), FL_ETASK);
	FL_RC(fl_future_get_until(f, &n, sizeof n, 0, NULL), FL_ETASK);
	assert_int_equal(n, 77);
	FL_RC(fl_future_error(f), -EIO);
	assert_string_equal(fl_future_message(f), "");
	assert_null(fl_future_result(f)); /* though the task wrote one */
	assert_int_equal(fl_future_get_state(f), FL_DONE);
	FL_OK(future_fail_because_submit(e, 17, &g));
	FL_RC(future_fail_because_get(g, &n), FL_ETASK);
	FL_RC(fl_future_error(g), 17);
	assert_string_equal(fl_future_message(g), "because of 17");
}

/* A call's own errors and a task's failure with the same numbers are told apart. */
FL_TEST(future_tells_its_own_timeout_from_the_tasks)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *late = NULL, *stopped = NULL;
	int n;
	FL_OK(future_fail_submit(e, -ETIMEDOUT, &late));
	FL_RC(fl_future_get_until(late, &n, sizeof n, FL_FOREVER, NULL), FL_ETASK);
	FL_RC(fl_future_error(late), -ETIMEDOUT);
	FL_OK(future_fail_submit(e, -ECANCELED, &stopped));
	FL_RC(fl_future_get(stopped, &n, sizeof n), FL_ETASK);
	FL_RC(fl_future_error(stopped), -ECANCELED);
	assert_int_equal(fl_future_get_state(stopped), FL_DONE); /* it ran: failed, not cancelled */
}

FL_TEST(future_cancel_has_three_answers)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	FL_SCOPED(fl_future) *running = NULL, *pending = NULL, *failed = NULL;
	FL_OK(future_obey_submit(e, &gate, &running));
	FL_OK(fl_event_wait(&gate.entered));
	FL_OK(future_double_submit(e, 1, &pending));

	FL_OK(fl_future_cancel(pending));
	FL_OK(fl_future_cancel(pending)); /* before: the same */
	assert_int_equal(fl_future_get_state(pending), FL_CANCELLED);
	int n = 77;
	FL_RC(fl_future_get(pending, &n, sizeof n), FL_ETASK);
	FL_RC(fl_future_error(pending), -ECANCELED);
	assert_true(strlen(fl_future_message(pending)) < FL_MESSAGE_MAX);
	assert_null(fl_future_result(pending));

	FL_RC(fl_future_cancel(running), -EBUSY); /* asks it to stop: see future_obey */
	FL_OK(future_obey_get(running, &n));
	assert_int_equal(n, 1);
	assert_int_equal(fl_future_get_state(running), FL_DONE);
	FL_RC(fl_future_cancel(running), -EALREADY);
	assert_int_equal(fl_future_get_state(running), FL_DONE);
	FL_OK(future_fail_submit(e, -EIO, &failed));
	FL_OK(fl_future_wait(failed));
	FL_RC(fl_future_cancel(failed), -EALREADY);
	FL_RC(fl_future_error(failed), -EIO);
}

FL_TEST(future_cancel_of_a_running_task_only_asks)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate); /* this one does not listen */
	FL_RC(fl_future_cancel(held), -EBUSY);
	FL_RC(fl_future_cancel(held), -EBUSY);
	assert_int_equal(fl_future_get_state(held), FL_RUNNING);
	fl_event_set(&gate.open);
	FL_OK(fl_future_get(held, NULL, 0));
	assert_int_equal(fl_future_get_state(held), FL_DONE);
	fl_future_free(held);
}

struct wide {
	_Alignas(64) unsigned char bytes[192];
};

FL_TASK(future_wide, void, struct wide)
{
	for (size_t i = 0; i < sizeof result->bytes; i++) {
		if (result->bytes[i] != 0) /* results start zeroed */
			return -EIO;
		result->bytes[i] = (unsigned char)i;
	}
	return (uintptr_t)result % 64 ? -EFAULT : 0;
}

FL_TASK(future_small, int, int)
{
	if (*result != 0)
		return -EIO;
	*result = *arg;
	return 0;
}

FL_TEST(future_result_starts_zeroed)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	for (int i = 1; i < 100; i++) { /* in memory that was used before, too */
		FL_SCOPED(fl_future) *f = NULL;
		int n = 0;
		FL_OK(future_small_submit(e, -i, &f));
		FL_OK(future_small_get(f, &n));
		assert_int_equal(n, -i);
	}
}

FL_TEST(future_result_stands_in_place)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	for (int round = 0; round < 3; round++) { /* memory that was used before is zeroed again */
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(future_wide_submit(e, &f));
		struct wide copy;
		FL_OK(future_wide_get(f, &copy));
		const struct wide *in_place = fl_future_result(f);
		assert_non_null(in_place);
		assert_int_equal((uintptr_t)in_place % 64, 0);
		assert_memory_equal(in_place, &copy, sizeof copy);
		assert_int_equal(in_place->bytes[191], 191);
		assert_ptr_equal(fl_future_result(f), in_place);
	}
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	assert_null(fl_future_result(held));
	fl_event_set(&gate.open);
	FL_OK(fl_future_wait(held));
	assert_null(fl_future_result(held)); /* of no size */
	fl_future_free(held);
}

/* Arguments and results with drop hooks that count. */
static unsigned args_dropped, results_dropped, drops_run;

static void count_arg(void *arg)
{
	FL_CHECK(*(int *)arg != 0);
	COUNT(&args_dropped);
}

static void count_result(void *result)
{
	FL_CHECK(*(int *)result == 7);
	COUNT(&results_dropped);
}

FL_TASK(future_drops, int, int, .drop_arg = count_arg, .drop_result = count_result)
{
	COUNT(&drops_run);
	*result = 7;
	return *arg > 0 ? 0 : *arg;
}

static void begin_drops(void)
{
	SET(&args_dropped, 0);
	SET(&results_dropped, 0);
	SET(&drops_run, 0);
}

FL_TEST(future_drops_its_result_once_with_the_last_reference)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	begin_drops();
	fl_future *f = NULL;
	FL_OK(future_drops_submit(e, 1, &f));
	int n = 0;
	FL_OK(future_drops_get(f, &n));
	assert_int_equal(n, 7);
	assert_int_equal(LOOK(&args_dropped), 1);
	fl_future *second = fl_future_ref(f);
	assert_ptr_equal(second, f);
	fl_future_free(f);
	FL_OK(fl_executor_join(e)); /* so that the worker holds no reference either */
	assert_int_equal(LOOK(&results_dropped), 0);
	assert_int_equal(*(const int *)fl_future_result(second), 7); /* still there */
	fl_future_free(second);
	assert_int_equal(LOOK(&results_dropped), 1);
	assert_int_equal(LOOK(&args_dropped), 1);
}

FL_TEST(future_without_a_result_drops_none)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	begin_drops();
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate), *cancelled = NULL, *failed = NULL;
	FL_OK(future_drops_submit(e, 1, &cancelled));
	FL_OK(future_drops_submit(e, -EIO, &failed));
	FL_OK(fl_future_cancel(cancelled));
	assert_int_equal(LOOK(&args_dropped), 1);
	fl_future_free(cancelled);
	let_go(&gate, held);
	FL_OK(fl_future_wait(failed));
	fl_future_free(failed);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&drops_run), 1);
	assert_int_equal(LOOK(&args_dropped), 2);
	assert_int_equal(LOOK(&results_dropped), 0);
}

FL_TEST(future_freed_before_the_end_cancels_nothing)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	begin_drops();
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate), *f = NULL;
	fl_event_set(&gate.open);
	fl_future_free(held); /* perhaps while it runs */
	FL_OK(future_drops_submit(e, 1, &f));
	fl_future_free(f);                      /* perhaps while it is pending */
	FL_OK(future_drops_submit(e, 1, NULL)); /* an unwanted future */
	fl_future_free(NULL);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&drops_run), 2);
	assert_int_equal(LOOK(&args_dropped), 2);
	assert_int_equal(LOOK(&results_dropped), 2);
}

FL_TEST(future_outlives_its_executor)
{
	fl_executor *e = pool_with(2);
	FL_SCOPED(fl_future) *done = NULL, *failed = NULL;
	FL_OK(future_double_submit(e, 4, &done));
	FL_OK(future_fail_because_submit(e, -EIO, &failed));
	fl_executor_free(e);
	int n = 0;
	FL_OK(future_double_try_get(done, &n));
	assert_int_equal(n, 8);
	FL_RC(fl_future_cancel(done), -EALREADY);
	FL_RC(future_fail_because_get(failed, &n), FL_ETASK);
	assert_string_equal(fl_future_message(failed), "because of -5");
}

FL_TEST(future_in_wait_any)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(future_double_submit(e, 1, &f));
	FL_RC(FL_WAIT_ANY_UNTIL(0, NULL, FL_ON_FUTURE(held), FL_ON_FUTURE(f)), -ETIMEDOUT);
	FL_OK(fl_future_cancel(f));
	FL_RC(FL_WAIT_ANY(FL_ON_FUTURE(held), FL_ON_FUTURE(f)), 1); /* cancelled is an end */
	fl_event_set(&gate.open);
	FL_OK(FL_WAIT_ANY(FL_ON_FUTURE(held)));
	FL_OK(FL_WAIT_ANY_UNTIL(0, NULL, FL_ON_FUTURE(held), FL_ON_FUTURE(f)));
	fl_future_free(held);
}

static int wait_in_one_way(void *arg)
{
	static unsigned way;
	fl_future *f = *(fl_future **)arg;
	switch (__atomic_fetch_add(&way, 1, __ATOMIC_RELAXED) % 3) {
	case 0:
		return fl_future_wait(f);
	case 1:
		return FL_WAIT_ANY(FL_ON_FUTURE(f));
	default:
		return fl_future_wait_until(f, fl_after(FL_S(3600)), NULL);
	}
}

FL_TEST(future_end_reaches_every_waiter)
{
	enum { N = 6 };
	for (int cancel = 0; cancel <= 1; cancel++) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		struct gate gate = {0};
		fl_future *held = hold_worker(e, &gate), *pending = NULL, *awaited[N];
		FL_OK(future_double_submit(e, 1, &pending));
		fl_thread threads[N];
		for (int i = 0; i < N; i++)
			awaited[i] = cancel ? pending : held;
		seam_start(threads, N, wait_in_one_way, awaited, sizeof *awaited);
		FL_WAIT_FOR(seam_sleepers() == N);
		if (cancel)
			FL_OK(fl_future_cancel(pending));
		else
			fl_event_set(&gate.open);
		seam_join(threads, N);
		let_go(&gate, held);
		fl_future_free(pending);
	}
}

FL_TEST(future_with_too_many_references_panics)
{
	enum { MOST = 0xffffff };
	FL_SCOPED(fl_executor) *e = sequential();
	fl_future *volatile f = NULL;
	fl_future *made = NULL;
	FL_OK(future_double_submit(e, 1, &made));
	f = made;
	for (unsigned refs = 1; refs < MOST; refs++)
		assert_ptr_equal(fl_future_ref(f), f);
	FL_PANICS((void)fl_future_ref(f));
	assert_ptr_equal(fl_test_panic.object, f);
	for (unsigned refs = 0; refs < MOST; refs++)
		fl_future_free(f);
}
