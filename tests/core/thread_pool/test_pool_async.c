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
	fl_task_state state;
};

static void note(fl_future *f, void *arg)
{
	struct call *call = arg;
	call->error = fl_future_error(f);
	call->state = fl_future_state(f);
	count(&call->count);
}

CONFORMANCE_ON(async_calls_back_once, 2)
{
	struct call calls[3] = {{0}};
	const int codes[3] = {-EIO, -ECANCELED, 0};
	FL_EACH (i, calls) {
		FL_SCOPED(fl_future) *f = NULL;
		const fl_submit_config config = {.on_end = note, .on_end_arg = &calls[i]};
		/* The future is optional. */
		FL_OK(fail_with_submit_with(e, codes[i], i == 2 ? NULL : &f, &config));
		FL_WAIT_FOR(counted(&calls[i].count) == 1); /* it may come after the end */
		FL_RC(calls[i].error, codes[i] ? codes[i] : -EINVAL);
		assert_int_equal(calls[i].state, FL_DONE);
	}
	FL_OK(fl_executor_join(e));
	FL_EACH (i, calls)
		assert_int_equal(counted(&calls[i].count), 1);
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
	SEAM_NO_MEMORY(do_nothing_submit_with(e, large, &f, &config), -ENOMEM);
	fl_executor_close(e);
	FL_RC(square_submit_with(e, 3, &f, &config), -EPIPE);
	assert_null(f);
	FL_OK(fl_executor_join(e));
	assert_int_equal(counted(&call.count), 0);
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
	if (is_concurrent(e)) {
		FL_OK(run_until_asked_submit(e, gate, &f));
		await_event(&gate->entered);
		FL_OK(fl_executor_terminate(e));
		FL_OK(fl_executor_join(e));
		FL_RC(fl_future_error(f), -ECANCELED);
		FL_STATE_IS(f, FL_DONE);
	}
	FL_OK(fl_executor_terminate(e)); /* nothing is left, and nothing more is accepted */
	FL_RC(square_submit(e, 3, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
}
