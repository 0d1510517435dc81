/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in the caller's memory, on every kind of executor that takes pointers; and with processes,
 * which do not.
 */
#include "conformance.h"

static int dropped;

static void drop(void *unused)
{
	count(&dropped);
}

/* Sees a result that begins zeroed, and fails when asked to. */
FL_TASK_STATIC(put_square, int, int, .drop_arg = drop, .drop_result = drop)
{
	if (*arg < 0)
		return fl_task_fail(ctx, -EDOM, "no %d", *arg);
	*result += *arg * *arg;
	return 0;
}

/* False, and what such a kind answers was tested. */
static bool takes(fl_executor *e)
{
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	int in = 1, out = 7;
	if (is_by_reference(e))
		return true;
	FL_RC(put_square_intrusive_submit(e, &task, &in, &out), -ENOTSUP);
	assert_int_equal(out, 7);
	assert_null(fl_intrusive_task_future(&task));
	FL_OK(fl_intrusive_task_join(&task));
	return false;
}

/* A row with an executor `e` of that many workers that takes such tasks, and a task. */
#define INTRUSIVE_CONFORMANCE(row, workers)                                                                            \
	static void row##_with(fl_executor *e, fl_intrusive_task *task);                                               \
	CONFORMANCE_ON(row, workers)                                                                                   \
	{                                                                                                              \
		fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;                                                       \
		if (takes(e))                                                                                          \
			row##_with(e, &task);                                                                          \
	}                                                                                                              \
	static void row##_with(fl_executor *e, fl_intrusive_task *task)

INTRUSIVE_CONFORMANCE(intrusive_result_comes_back, 2)
{
	dropped = 0;
	for (int in = 1; in < 4; in++) {
		int out = 99, copy = 0;
		FL_OK(put_square_intrusive_submit(e, task, &in, &out));
		FL_OK(fl_future_get(fl_intrusive_task_future(task), &copy, sizeof copy));
		assert_int_equal(copy, in * in);
		assert_ptr_equal(fl_future_result(fl_intrusive_task_future(task)), &out);
		FL_OK(fl_intrusive_task_join(task));
		assert_int_equal(out, in * in);
		assert_null(fl_intrusive_task_future(task));
		FL_OK(fl_intrusive_task_join(task));
		FL_OK(fl_intrusive_task_try_join(task));
	}
	assert_int_equal(dropped, 0); /* they are the caller's */
}

CONFORMANCE_ON(intrusive_error_comes_back, 2)
{
	if (!takes(e))
		return;
	FL_SCOPED(fl_intrusive_task) task = FL_INTRUSIVE_TASK_INIT;
	int in = -3, out = 99;
	dropped = 0;
	FL_OK(put_square_intrusive_submit(e, &task, &in, &out));
	FL_RC(fl_future_get(fl_intrusive_task_future(&task), &out, sizeof out), FL_ETASK);
	FL_RC(fl_future_error(fl_intrusive_task_future(&task)), -EDOM);
	assert_string_equal(fl_future_message(fl_intrusive_task_future(&task)), "no -3");
	FL_OK(fl_intrusive_task_join(&task));
	assert_int_equal(out, 0); /* as it began */
	assert_int_equal(dropped, 0);
}

INTRUSIVE_CONFORMANCE(intrusive_refusals, 1)
{
	int in = 3, out = 7;
	FL_RC(fl_intrusive_task_submit(e, task, &put_square, NULL, &out, NULL), -EINVAL);
	FL_RC(fl_intrusive_task_submit(e, task, &put_square, &in, NULL, NULL), -EINVAL);
	FL_OK(tick_intrusive_submit(e, task));
	FL_RC(tick_intrusive_submit(e, task), -EBUSY);
	FL_OK(fl_future_wait(fl_intrusive_task_future(task)));
	FL_RC(tick_intrusive_submit(e, task), -EBUSY); /* until it is joined */
	FL_OK(fl_intrusive_task_join(task));
	fl_executor_close(e);
	FL_RC(put_square_intrusive_submit(e, task, &in, &out), -EPIPE);
	FL_OK(fl_intrusive_task_try_join(task));
}

/* The last one to refer to it may be a reference; and the executor may go before. */
CONFORMANCE(intrusive_outlives_its_executor)
{
	fl_executor *e = make(kind, 1);
	if (!takes(e)) {
		fl_executor_free(e);
		return;
	}
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	int in = 5, out;
	FL_OK(put_square_intrusive_submit(e, &task, &in, &out));
	fl_future *f = fl_future_ref(fl_intrusive_task_future(&task));
	fl_executor_free(e);
	FL_RC(fl_intrusive_task_try_join(&task), -EBUSY);
	assert_ptr_equal(fl_intrusive_task_future(&task), f);
	FL_RC(fl_intrusive_task_join_until(&task, fl_after(1), FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_intrusive_task_try_join(&task), -EBUSY);
	FL_RC(fl_intrusive_task_join_until(&task, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(*(const int *)fl_future_result(f), 25);
	fl_future_free(f);
	FL_OK(fl_intrusive_task_join(&task));
}

struct seen {
	int calls, rc, try_rc;
	fl_intrusive_task *task;
};

static void see_end(fl_future *f, void *arg)
{
	struct seen *seen = arg;
	FL_CHECK(f == fl_intrusive_task_future(seen->task));
	count(&seen->calls);
}

/* Its node is in the task; a join waits for it. */
INTRUSIVE_CONFORMANCE(intrusive_callback_runs_before_it_is_joined, 1)
{
	struct seen seen = {.task = task};
	FL_OK(fl_intrusive_task_submit(e, task, &tick, NULL, NULL,
	                               &(fl_submit_config){.on_end = see_end, .on_end_arg = &seen}));
	FL_OK(fl_intrusive_task_join(task));
	assert_int_equal(seen.calls, 1);
}

static void try_to_join(fl_future *f, void *arg)
{
	struct seen *seen = arg;
	seen->rc = fl_intrusive_task_join(seen->task);
	seen->try_rc = fl_intrusive_task_try_join(seen->task);
	see_end(f, arg);
}

INTRUSIVE_CONFORMANCE(intrusive_cannot_be_joined_by_its_callback, 1)
{
	struct seen seen = {.task = task};
	FL_OK(fl_intrusive_task_submit(e, task, &tick, NULL, NULL,
	                               &(fl_submit_config){.on_end = try_to_join, .on_end_arg = &seen}));
	FL_WAIT_FOR(counted(&seen.calls) == 1); /* one context at a time joins */
	FL_OK(fl_intrusive_task_join(task));
	FL_RC(seen.rc, -EDEADLK);
	FL_RC(seen.try_rc, -EBUSY);
}

FL_TASK_STATIC(join_itself, fl_intrusive_task *, int)
{
	FL_RC(fl_intrusive_task_try_join(*arg), -EBUSY);
	*result = fl_intrusive_task_join(*arg);
	return 0;
}

INTRUSIVE_CONFORMANCE(intrusive_cannot_join_itself, 1)
{
	int rc = 0;
	FL_OK(join_itself_intrusive_submit(e, task, &task, &rc));
	FL_OK(fl_intrusive_task_join(task));
	FL_RC(rc, -EDEADLK);
}

/*
 * While the only worker is held, tasks before and behind the task are pending: it is removed from
 * between them, and they keep their order.
 */
CONFORMANCE_ON(intrusive_cancelled_is_joined_at_once, 1)
{
	if (!takes(e) || !is_concurrent(e))
		return;
	enum { N = 5 };
	fl_intrusive_task tasks[N] = {FL_INTRUSIVE_TASK_INIT};
	int ran = 0, *arg = &ran;
	struct held held = hold_worker(e);
	FL_EACH (i, tasks)
		FL_OK(bump_intrusive_submit(e, &tasks[i], &arg));
	FL_RC(fl_intrusive_task_try_join(&tasks[3]), -EBUSY);
	FL_RC(fl_intrusive_task_join_until(&tasks[3], 0, FL_SHIELDED), -ETIMEDOUT);
	FL_OK(fl_future_cancel(fl_intrusive_task_future(&tasks[3])));
	FL_RC(fl_future_error(fl_intrusive_task_future(&tasks[3])), -ECANCELED);
	FL_OK(fl_intrusive_task_try_join(&tasks[3]));
	FL_OK(fl_future_cancel(fl_intrusive_task_future(&tasks[1]))); /* that was before it */
	FL_OK(fl_intrusive_task_join(&tasks[1]));
	FL_OK(bump_intrusive_submit(e, &tasks[1], &arg)); /* it comes last now */
	let_go(&held);
	FL_EACH (i, tasks)
		FL_OK(fl_intrusive_task_join(&tasks[i]));
	assert_int_equal(counted(&ran), N - 1);
}

/*
 * The only worker waits for its own intrusive task: it runs the task itself, and removes it from the
 * backlog at once.
 */
FL_TASK_STATIC(nest, int, int)
{
	FL_SCOPED(fl_intrusive_task) behind = FL_INTRUSIVE_TASK_INIT;
	FL_SCOPED(fl_intrusive_task) task = FL_INTRUSIVE_TASK_INIT;
	fl_executor *e = fl_executor_current();
	int in = *arg - 1, out = 0;
	if (*arg == 0)
		return 0;
	FL_OK(tick_intrusive_submit(e, &behind));
	FL_OK(nest_intrusive_submit(e, &task, &in, &out));
	FL_OK(fl_intrusive_task_join(&task));
	*result = out + 1;
	return 0;
}

CONFORMANCE_ON(intrusive_nested_needs_no_free_worker, 1)
{
	if (!takes(e))
		return;
	FL_SCOPED(fl_intrusive_task) task = FL_INTRUSIVE_TASK_INIT;
	int in = 50, out = 0;
	FL_OK(nest_intrusive_submit(e, &task, &in, &out));
	FL_OK(fl_future_wait(fl_intrusive_task_future(&task)));
	assert_int_equal(out, 50);
}

static int join_in_fiber(void *arg)
{
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	int in = 6, out = 0;
	FL_OK(put_square_intrusive_submit(arg, &task, &in, &out));
	FL_OK(fl_intrusive_task_join(&task));
	FL_CHECK(out == 36);
	return 0;
}

CONFORMANCE_ON(intrusive_is_joined_by_a_fiber, 1)
{
	if (takes(e))
		FL_OK(fl_loop_run(join_in_fiber, e));
}

/* Cancels of many tasks at once: by the executor, or by a token of the submit. */
CONFORMANCE_ON(intrusive_ends_with_its_executor, 1)
{
	if (!takes(e) || !is_concurrent(e))
		return;
	fl_intrusive_task one = FL_INTRUSIVE_TASK_INIT, two = FL_INTRUSIVE_TASK_INIT;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	int ran = 0, *arg = &ran;
	struct held held = hold_worker(e);
	FL_OK(bump_intrusive_submit(e, &one, &arg));
	FL_OK(fl_intrusive_task_submit(e, &two, &bump, &arg, NULL, &(fl_submit_config){.cancel = &token}));
	fl_cancel_token_request(&token);
	assert_int_equal(fl_executor_cancel(e), 2);
	FL_OK(fl_intrusive_task_try_join(&one));
	FL_OK(fl_intrusive_task_try_join(&two));
	let_go(&held);
	assert_int_equal(ran, 0);
}
