/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in the caller's memory in the backlog of the thread executor, which has a bound, an order,
 * and a middle.
 */
#include "conformance.h"

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
FL_TEST(intrusive_takes_a_place)
{
	FL_SCOPED(fl_executor) *e = bounded(FL_FULL_REFUSE);
	struct held held = hold_worker(e);
	fl_intrusive_task one = FL_INTRUSIVE_TASK_INIT, two = FL_INTRUSIVE_TASK_INIT;
	for (int i = 0; i < 3; i++) {
		FL_OK(tick_intrusive_submit(e, &one));
		FL_RC(tick_intrusive_submit(e, &two), -ENOBUFS);
		FL_OK(fl_intrusive_task_join(&two));
		FL_OK(fl_future_cancel(fl_intrusive_task_future(&one)));
		FL_OK(fl_intrusive_task_join(&one));
	}
	FL_OK(tick_intrusive_submit(e, &one));
	let_go(&held);
	FL_OK(fl_intrusive_task_join(&one));
	FL_OK(tick_intrusive_submit(e, &two));
	FL_OK(fl_intrusive_task_join(&two));
}

FL_TEST(intrusive_is_run_by_its_submit)
{
	FL_SCOPED(fl_executor) *e = bounded(FL_FULL_RUN);
	struct held held = hold_worker(e);
	fl_intrusive_task one = FL_INTRUSIVE_TASK_INIT, two = FL_INTRUSIVE_TASK_INIT;
	int in = 4, out = 0;
	FL_OK(tick_intrusive_submit(e, &one));
	FL_OK(put_square_intrusive_submit(e, &two, &in, &out));
	assert_int_equal(out, 16);
	FL_OK(fl_intrusive_task_try_join(&two));
	let_go(&held);
	FL_OK(fl_intrusive_task_join(&one));
}

FL_TEST(intrusive_wait_for_room_ends)
{
	FL_SCOPED(fl_executor) *e = bounded(FL_FULL_WAIT);
	struct held held = hold_worker(e);
	fl_intrusive_task one = FL_INTRUSIVE_TASK_INIT, two = FL_INTRUSIVE_TASK_INIT;
	FL_OK(tick_intrusive_submit(e, &one));
	fl_submit_config config = {.backlog_deadline = FL_NO_WAIT};
	FL_RC(fl_intrusive_task_submit(e, &two, &tick, NULL, NULL, &config), -ETIMEDOUT);
	config = (fl_submit_config){.cancel = fl_test_requested};
	FL_RC(fl_intrusive_task_submit(e, &two, &tick, NULL, NULL, &config), -ECANCELED);
	assert_null(fl_intrusive_task_future(&two));
	let_go(&held);
	FL_OK(fl_intrusive_task_join(&one));
}

/* More than the ring of the backlog takes; cancelled in the ring, in front of it, and behind it. */
FL_TEST(intrusive_leaves_from_anywhere)
{
	enum { N = 3000 };
	static fl_intrusive_task tasks[N];
	static int n;
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	int *arg = &n;
	struct held held = hold_worker(e);
	n = 0;
	FL_EACH (i, tasks)
		FL_OK(bump_intrusive_submit(e, &tasks[i], &arg));
	for (int i = 0; i < N; i += 7) {
		FL_OK(fl_future_cancel(fl_intrusive_task_future(&tasks[(i * 1009) % N])));
	}
	let_go(&held);
	int cancelled = 0;
	FL_EACH (i, tasks) {
		FL_OK(fl_future_wait(fl_intrusive_task_future(&tasks[i])));
		cancelled += fl_future_get_state(fl_intrusive_task_future(&tasks[i])) == FL_CANCELLED;
		FL_OK(fl_intrusive_task_join(&tasks[i]));
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
FL_TEST(intrusive_keeps_the_order)
{
	enum { N = 100 };
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	fl_intrusive_task tasks[N] = {FL_INTRUSIVE_TASK_INIT};
	int results[N], n = 0, *arg = &n;
	struct held held = hold_worker(e);
	for (int i = 0; i < N; i++) {
		FL_OK(note_intrusive_submit(e, &tasks[i], &arg, &results[i]));
		if (i % 10 == 5)
			FL_OK(fl_future_cancel(fl_intrusive_task_future(&tasks[i - 3])));
	}
	let_go(&held);
	for (int i = 0, at = 0; i < N; i++) {
		FL_OK(fl_intrusive_task_join(&tasks[i]));
		if (i % 10 != 2)
			assert_int_equal(results[i], at++);
	}
}

struct forked {
	fl_executor *e;
	fl_intrusive_task *task;
};

static void use_in_child(void *arg)
{
	const struct forked *forked = arg;
	fl_intrusive_task other = FL_INTRUSIVE_TASK_INIT;
	FL_RC(fl_intrusive_task_join(forked->task), -EOWNERDEAD);
	FL_RC(fl_intrusive_task_try_join(forked->task), -EOWNERDEAD);
	FL_RC(tick_intrusive_submit(forked->e, &other), -EOWNERDEAD);
	FL_OK(fl_intrusive_task_join(&other));
}

FL_TEST(intrusive_in_a_forked_child)
{
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	struct held held = hold_worker(e);
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	FL_OK(tick_intrusive_submit(e, &task));
	FL_IN_CHILD(use_in_child, &(struct forked){e, &task});
	let_go(&held);
	FL_OK(fl_intrusive_task_join(&task));
}

/* Otherwise the worker may break the executor before the task that started it is submitted. */
static fl_event is_submitted;

FL_TASK_STATIC(fail_when_submitted, void, void)
{
	const int rc = fl_event_wait_until(&is_submitted, FL_FOREVER, FL_SHIELDED);
	return rc != 0 ? rc : -EIO;
}

FL_TEST(intrusive_on_a_broken_executor)
{
	fl_executor *e = NULL;
	fl_event_init(&is_submitted);
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1, .initialize = &fail_when_submitted}));
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	FL_OK(tick_intrusive_submit(e, &task));
	fl_event_set(&is_submitted);
	FL_OK(fl_future_wait(fl_intrusive_task_future(&task)));
	FL_RC(fl_future_error(fl_intrusive_task_future(&task)), -ENOTRECOVERABLE);
	FL_OK(fl_intrusive_task_join(&task));
	FL_RC(tick_intrusive_submit(e, &task), -ENOTRECOVERABLE);
	fl_executor_free(e);
}

/*
 * The worker drops the result of a task that its waiter ran, behind a task that has ended, which
 * can be joined there.
 */
static fl_intrusive_task behind = FL_INTRUSIVE_TASK_INIT;
static int joined;

static void join_behind(void *result)
{
	joined = fl_intrusive_task_join(&behind);
}

FL_TASK_STATIC(with_a_hook, void, int, .drop_result = join_behind)
{
	*result = 1;
	return 0;
}

FL_TASK_STATIC(run_another_behind, void, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(tick_intrusive_submit(fl_executor_current(), &behind));
	FL_OK(with_a_hook_submit(fl_executor_current(), &f));
	return fl_future_wait(f); /* runs it here */
}

FL_TEST(intrusive_is_joined_by_the_worker_that_ran_it)
{
	joined = 1;
	fl_executor *e = make(&conformance_threads, 1);
	FL_OK(fl_test_run_task(e, &run_another_behind, NULL, NULL));
	fl_executor_free(e);
	FL_OK(joined);
	assert_null(fl_intrusive_task_future(&behind));
}

struct attempt {
	fl_intrusive_task *task;
	int rc;
};

static void join_in_callback(fl_future *f, void *arg)
{
	struct attempt *attempt = arg;
	attempt->rc = fl_intrusive_task_join(attempt->task);
}

/*
 * A callback on the canceller, with the end of the task on the same stack: the task cannot be
 * joined from there.
 */
FL_TEST(intrusive_cannot_be_joined_by_its_canceller)
{
	for (int all = 0; all <= 1; all++) {
		FL_SCOPED(fl_executor) *e = bounded(FL_FULL_REFUSE);
		struct held held = hold_worker(e);
		fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
		struct attempt attempt = {&task, 0};
		FL_OK(
		    fl_intrusive_task_submit(e, &task, &tick, NULL, NULL,
		                             &(fl_submit_config){.on_end = join_in_callback, .on_end_arg = &attempt}));
		if (all)
			assert_int_equal(fl_executor_cancel(e), 1);
		else
			FL_OK(fl_future_cancel(fl_intrusive_task_future(&task)));
		FL_RC(attempt.rc, -EDEADLK);
		let_go(&held);
		FL_OK(fl_intrusive_task_join(&task));
	}
}

FL_TASK_STATIC(until_asked, fl_event *, void)
{
	fl_event_set(*arg);
	while (!fl_task_is_cancelled(ctx)) /* awake: so no worker stands in, and runs what is pending */
		sched_yield();
	return -ECANCELED;
}

/*
 * A callback of a task that was cancelled with the executor waits for another task, which runs:
 * nothing refers to it during this.
 */
FL_TEST(intrusive_runs_while_the_executor_is_cancelled)
{
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	fl_event runs = FL_EVENT_INIT, *arg = &runs;
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	struct attempt attempt = {&task, -1};
	FL_OK(until_asked_intrusive_submit(e, &task, &arg));
	FL_OK(fl_event_wait(&runs));
	FL_OK(tick_submit_with(e, NULL, &(fl_submit_config){.on_end = join_in_callback, .on_end_arg = &attempt}));
	assert_int_equal(fl_executor_cancel(e), 1);
	FL_OK(attempt.rc);
}
