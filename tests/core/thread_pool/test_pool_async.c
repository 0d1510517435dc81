/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The counterparts of Python's Pool: apply_async, close, terminate and join: a callback with the
 * submit, on every kind of executor.
 */
#include "conformance.h"

#include "fl_seam.h"

struct call {
	int count;
	int error;
	fl_future_state state;
};

static void note(fl_future *f, void *arg)
{
	struct call *call = arg;
	call->error = fl_future_error(f);
	call->state = fl_future_get_state(f);
	count(&call->count);
}

/* The callback of a task that has ended may still be on its way. */
static void await_call(const struct call *call)
{
	FL_WAIT_FOR(counted(&call->count) == 1);
}

CONFORMANCE_ON(async_calls_back_once, 2)
{
	struct call calls[3] = {{0}};
	const int codes[3] = {-EIO, -ECANCELED, 0};
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		const fl_submit_config config = {.on_end = note, .on_end_arg = &calls[i]};
		/* The future is optional. */
		FL_OK(fail_with_submit_with(e, codes[i], i == 2 ? NULL : &f, &config));
		await_call(&calls[i]);
		FL_RC(calls[i].error, codes[i] ? codes[i] : -EINVAL);
		assert_int_equal(calls[i].state, FL_DONE);
	}
	FL_OK(fl_executor_join(e));
	for (int i = 0; i < 3; i++)
		assert_int_equal(counted(&calls[i].count), 1);
}

CONFORMANCE(async_calls_back_for_what_is_cancelled)
{
	for (int how = 0; how < 3; how++) {
		FL_SCOPED(fl_executor) *e = make(kind, 1);
		FL_SCOPED(fl_future) *f = NULL;
		struct call call = {0};
		if (!is_concurrent(e))
			return;
		struct held held = hold_worker(e);
		FL_OK(square_submit_with(e, 3, &f, &(fl_submit_config){.on_end = note, .on_end_arg = &call}));
		assert_int_equal(counted(&call.count), 0);
		if (how == 0)
			FL_OK(fl_future_cancel(f));
		else
			assert_int_equal(how == 1 ? fl_executor_cancel(e) : fl_executor_terminate(e), 1);
		assert_int_equal(counted(&call.count), 1); /* on the thread that cancels */
		FL_RC(call.error, -ECANCELED);
		assert_int_equal(call.state, FL_CANCELLED);
		let_go(&held);
		FL_OK(fl_executor_join(e));
		assert_int_equal(counted(&call.count), 1);
	}
}

/* A task with memory of its own. */
struct large {
	char bytes[4096];
};

FL_TASK_STATIC(do_nothing, struct large, void)
{
	return 0;
}

CONFORMANCE_ON(async_that_is_refused_never_calls_back, 1)
{
	struct call call = {0};
	fl_future *f = NULL;
	const fl_submit_config config = {.on_end = note, .on_end_arg = &call};
	const struct large large = {{0}};
	seam_fail_allocs(0, 1);
	FL_RC(do_nothing_submit_with(e, large, &f, &config), -ENOMEM);
	FL_OK((int)seam_heal());
	fl_executor_close(e);
	FL_RC(square_submit_with(e, 3, &f, &config), -EPIPE);
	assert_null(f);
	FL_OK(fl_executor_join(e));
	assert_int_equal(counted(&call.count), 0);
}

CONFORMANCE_ON(close_join_and_terminate, 2)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(square_submit(e, 3, &f));
	fl_executor_close(e);
	FL_RC(square_submit(e, 3, NULL), -EPIPE);
	FL_OK(fl_executor_join(e)); /* what was in has run */
	assert_int_equal(fl_test_result(f), 9);
	FL_OK(fl_executor_terminate(e)); /* again: nothing */
	FL_OK(fl_executor_join(e));
}

/* On threads, terminate asks what runs to stop; where workers can be killed they are. */
FL_TASK_STATIC(run_until_asked, struct gate *, void)
{
	set_event(&(*arg)->entered);
	while (!fl_task_is_cancelled(ctx))
		FL_IGNORE(fl_sleep(FL_S(100)));
	return -ECANCELED;
}

CONFORMANCE_ON(terminate_ends_what_runs, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct gate *gate = new_gate();
	if (!is_concurrent(e))
		return;
	FL_OK(run_until_asked_submit(e, gate, &f));
	FL_OK(fl_shm_event_wait(&gate->entered));
	FL_OK(fl_executor_terminate(e));
	FL_OK(fl_executor_join(e));
	FL_RC(fl_future_error(f), -ECANCELED);
	assert_int_equal(fl_future_get_state(f), FL_DONE);
}
