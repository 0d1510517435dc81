/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in the caller's memory in the backlog of the thread executor, which has a bound, an order,
 * and a middle.
 */
#include "conformance.h"

FL_TASK_STATIC(tick, void, void)
{
	return 0;
}

FL_TASK_STATIC(bump, int *, void)
{
	count(*arg);
	return 0;
}

FL_TASK_STATIC(put_square, int, int)
{
	*result += *arg * *arg;
	return 0;
}

static fl_executor *bounded(fl_when_full when_full)
{
	fl_executor *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1, .backlog = 1, .when_full = when_full}));
	return e;
}

/* A cancel releases the task's permit. */
FL_TEST(embedded_takes_a_place)
{
	FL_SCOPED(fl_executor) *e = bounded(FL_FULL_REFUSE);
	struct gate *gate = new_gate();
	fl_future *held = close_gate(e, gate);
	fl_embedded_task one = FL_EMBEDDED_TASK_INIT, two = FL_EMBEDDED_TASK_INIT;
	for (int i = 0; i < 3; i++) {
		FL_OK(tick_embedded_submit(e, &one));
		FL_RC(tick_embedded_submit(e, &two), -ENOBUFS);
		FL_OK(fl_embedded_task_retire(&two));
		FL_OK(fl_future_cancel(fl_embedded_task_future(&one)));
		FL_OK(fl_embedded_task_retire(&one));
	}
	FL_OK(tick_embedded_submit(e, &one));
	open_gate(gate, held);
	FL_OK(fl_embedded_task_retire(&one));
	FL_OK(tick_embedded_submit(e, &two));
	FL_OK(fl_embedded_task_retire(&two));
}

FL_TEST(embedded_is_run_by_its_submit)
{
	FL_SCOPED(fl_executor) *e = bounded(FL_FULL_RUN);
	struct gate *gate = new_gate();
	fl_future *held = close_gate(e, gate);
	fl_embedded_task one = FL_EMBEDDED_TASK_INIT, two = FL_EMBEDDED_TASK_INIT;
	int in = 4, out = 0;
	FL_OK(tick_embedded_submit(e, &one));
	FL_OK(put_square_embedded_submit(e, &two, &in, &out));
	assert_int_equal(out, 16);
	FL_OK(fl_embedded_task_try_retire(&two));
	open_gate(gate, held);
	FL_OK(fl_embedded_task_retire(&one));
}

FL_TEST(embedded_wait_for_room_ends)
{
	FL_SCOPED(fl_executor) *e = bounded(FL_FULL_WAIT);
	struct gate *gate = new_gate();
	fl_future *held = close_gate(e, gate);
	fl_embedded_task one = FL_EMBEDDED_TASK_INIT, two = FL_EMBEDDED_TASK_INIT;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	FL_OK(tick_embedded_submit(e, &one));
	fl_submit_config config = {.room_deadline = FL_NO_WAIT};
	FL_RC(fl_embedded_task_submit(e, &two, &tick, NULL, NULL, &config), -ETIMEDOUT);
	fl_cancel_token_request(&token);
	config = (fl_submit_config){.cancel = &token};
	FL_RC(fl_embedded_task_submit(e, &two, &tick, NULL, NULL, &config), -ECANCELED);
	assert_null(fl_embedded_task_future(&two));
	open_gate(gate, held);
	FL_OK(fl_embedded_task_retire(&one));
}

/* More than the ring of the backlog takes; cancelled in the ring, in front of it, and behind it. */
FL_TEST(embedded_leaves_from_anywhere)
{
	enum { N = 3000 };
	static fl_embedded_task tasks[N];
	static int n;
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	int *arg = &n;
	struct gate *gate = new_gate();
	fl_future *held = close_gate(e, gate);
	n = 0;
	for (int i = 0; i < N; i++)
		FL_OK(bump_embedded_submit(e, &tasks[i], &arg));
	for (int i = 0; i < N; i += 7) {
		FL_OK(fl_future_cancel(fl_embedded_task_future(&tasks[(i * 1009) % N])));
	}
	open_gate(gate, held);
	int cancelled = 0;
	for (int i = 0; i < N; i++) {
		FL_OK(fl_future_wait(fl_embedded_task_future(&tasks[i])));
		cancelled += fl_future_get_state(fl_embedded_task_future(&tasks[i])) == FL_CANCELLED;
		FL_OK(fl_embedded_task_retire(&tasks[i]));
	}
	assert_int_equal(counted(&n), N - cancelled);
	assert_int_equal(cancelled, (N + 6) / 7);
}

FL_TASK_STATIC(note, int *, int)
{
	*result = (**arg)++;
	return 0;
}

/* What was moved out of the way is run first, and in its order. */
FL_TEST(embedded_keeps_the_order)
{
	enum { N = 100 };
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	fl_embedded_task tasks[N] = {FL_EMBEDDED_TASK_INIT};
	int results[N], n = 0, *arg = &n;
	struct gate *gate = new_gate();
	fl_future *held = close_gate(e, gate);
	for (int i = 0; i < N; i++) {
		FL_OK(note_embedded_submit(e, &tasks[i], &arg, &results[i]));
		if (i % 10 == 5)
			FL_OK(fl_future_cancel(fl_embedded_task_future(&tasks[i - 3])));
	}
	open_gate(gate, held);
	for (int i = 0, at = 0; i < N; i++) {
		FL_OK(fl_embedded_task_retire(&tasks[i]));
		if (i % 10 != 2)
			assert_int_equal(results[i], at++);
	}
}

FL_TEST(embedded_in_a_forked_child)
{
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	struct gate *gate = new_gate();
	fl_future *held = close_gate(e, gate);
	fl_embedded_task task = FL_EMBEDDED_TASK_INIT;
	FL_OK(tick_embedded_submit(e, &task));
	pid_t child = fork();
	if (child == 0) {
		fl_embedded_task other = FL_EMBEDDED_TASK_INIT;
		FL_CHECK(fl_embedded_task_retire(&task) == -EOWNERDEAD);
		FL_CHECK(fl_embedded_task_try_retire(&task) == -EOWNERDEAD);
		FL_CHECK(tick_embedded_submit(e, &other) == -EOWNERDEAD);
		FL_CHECK(fl_embedded_task_retire(&other) == 0);
		_exit(0);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	open_gate(gate, held);
	FL_OK(fl_embedded_task_retire(&task));
}

/* Otherwise the worker may break the executor before the task that started it is submitted. */
static fl_event is_submitted;

FL_TASK_STATIC(fail_to_start, void, void)
{
	const int rc = fl_event_wait_until(&is_submitted, FL_FOREVER, FL_SHIELDED);
	return rc != 0 ? rc : -EIO;
}

FL_TEST(embedded_on_a_broken_executor)
{
	fl_executor *e = NULL;
	fl_event_init(&is_submitted);
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1, .initialize = &fail_to_start}));
	fl_embedded_task task = FL_EMBEDDED_TASK_INIT;
	FL_OK(tick_embedded_submit(e, &task));
	fl_event_set(&is_submitted);
	FL_OK(fl_future_wait(fl_embedded_task_future(&task)));
	FL_RC(fl_future_error(fl_embedded_task_future(&task)), -ENOTRECOVERABLE);
	FL_OK(fl_embedded_task_retire(&task));
	FL_RC(tick_embedded_submit(e, &task), -ENOTRECOVERABLE);
	fl_executor_free(e);
}

/*
 * The worker drops the result of a task that its waiter ran, behind a task that has ended, which
 * can be retired there.
 */
static fl_embedded_task behind = FL_EMBEDDED_TASK_INIT;
static int retired;

static void retire_behind(void *result)
{
	retired = fl_embedded_task_retire(&behind);
}

FL_TASK_STATIC(with_a_hook, void, int, .drop_result = retire_behind)
{
	*result = 1;
	return 0;
}

FL_TASK_STATIC(run_another_behind, void, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_CHECK(tick_embedded_submit(fl_executor_current(), &behind) == 0);
	FL_CHECK(with_a_hook_submit(fl_executor_current(), &f) == 0);
	return fl_future_wait(f); /* runs it here */
}

FL_TEST(embedded_is_retired_by_the_worker_that_ran_it)
{
	retired = 1;
	fl_executor *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	FL_OK(run_another_behind_submit(e, &f));
	FL_OK(run_another_behind_get(f));
	fl_executor_free(e);
	FL_OK(retired);
	assert_null(fl_embedded_task_future(&behind));
}

struct attempt {
	fl_embedded_task *task;
	int rc;
};

static void retire_in_callback(fl_future *f, void *arg)
{
	struct attempt *attempt = arg;
	attempt->rc = fl_embedded_task_retire(attempt->task);
}

/*
 * A callback on the canceller, with the end of the task on the same stack: the task cannot be
 * retired from there.
 */
FL_TEST(embedded_cannot_be_retired_by_its_canceller)
{
	for (int all = 0; all <= 1; all++) {
		FL_SCOPED(fl_executor) *e = bounded(FL_FULL_REFUSE);
		struct gate *gate = new_gate();
		fl_future *held = close_gate(e, gate);
		fl_embedded_task task = FL_EMBEDDED_TASK_INIT;
		struct attempt attempt = {&task, 0};
		FL_OK(
		    fl_embedded_task_submit(e, &task, &tick, NULL, NULL,
		                            &(fl_submit_config){.on_end = retire_in_callback, .on_end_arg = &attempt}));
		if (all)
			assert_int_equal(fl_executor_cancel(e), 1);
		else
			FL_OK(fl_future_cancel(fl_embedded_task_future(&task)));
		FL_RC(attempt.rc, -EDEADLK);
		open_gate(gate, held);
		FL_OK(fl_embedded_task_retire(&task));
	}
}

FL_TASK_STATIC(until_asked, fl_event *, void)
{
	fl_event never = FL_EVENT_INIT;
	fl_event_set(*arg);
	return fl_event_wait(&never);
}

/*
 * A callback of a task that was cancelled with the executor waits for another task, which runs:
 * nothing refers to it during this.
 */
FL_TEST(embedded_runs_while_the_executor_is_cancelled)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	fl_event runs = FL_EVENT_INIT, *arg = &runs;
	fl_embedded_task task = FL_EMBEDDED_TASK_INIT;
	struct attempt attempt = {&task, -1};
	FL_OK(until_asked_embedded_submit(e, &task, &arg));
	FL_OK(fl_event_wait(&runs));
	FL_OK(fl_submit_with(e, &tick, NULL, NULL,
	                     &(fl_submit_config){.on_end = retire_in_callback, .on_end_arg = &attempt}));
	assert_int_equal(fl_executor_cancel(e), 1);
	FL_OK(attempt.rc);
}
