/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of an executor's life, from create to free, for every kind. */
#include "conformance.h"

CONFORMANCE_ON(describes_itself, 3)
{
	assert_string_equal(fl_executor_kind(e), kind->name);
	assert_int_equal(fl_executor_capabilities(e), kind->capabilities);
	assert_int_equal(fl_executor_workers(e), at_once(kind, 3));
}

CONFORMANCE(defaults)
{
	FL_SCOPED(fl_executor) *plain = make(kind, 0);
	FL_SCOPED(fl_executor) *e = make_of(kind, NULL);
	unsigned expected = kind->workers_by_default ? kind->workers_by_default : fl_cpu_count();
	assert_int_equal(fl_executor_workers(e), at_once(kind, expected));
	assert_int_equal(fl_executor_workers(plain), fl_executor_workers(e));
	fl_executor_free(NULL);
}

CONFORMANCE(worker_limit)
{
	fl_executor_config config = {.workers = kind->workers_at_most};
	fl_executor *e = make_of(kind, &config);
	assert_true(is_concurrent(e) == (kind->workers_at_most > 0));
	fl_executor_free(e);
	config.workers = kind->workers_at_most ? kind->workers_at_most + 1 : UINT32_MAX;
	e = NULL;
	FL_RC(kind->create(&e, &config), kind->workers_at_most ? -EINVAL : 0);
	fl_executor_free(e);
}

/*
 * FL_CAP_BY_REFERENCE: a task writes to the submitter's memory; without it, it has its own memory,
 * where the pointer is invalid.
 */
FL_TASK_STATIC(write_through, int *, void)
{
	**arg = 7;
	return 0;
}

static int variable;

FL_TASK_STATIC(write_variable, const int *, uintptr_t)
{
	variable = 7;
	*result = (uintptr_t)*arg;
	return 0;
}

CONFORMANCE_ON(capability_by_reference, 1)
{
	int written = 0, *there = &written;
	uintptr_t pointer = 0;
	variable = 0;
	FL_OK(fl_test_run_task(e, &write_variable, &there, &pointer));
	assert_int_equal(variable, is_by_reference(e) ? 7 : 0);
	assert_int_equal(pointer, (uintptr_t)&written); /* as bytes it arrives */
	if (!is_by_reference(e))
		return;
	FL_OK(fl_test_run_task(e, &write_through, &there, NULL));
	assert_int_equal(written, 7);
}

/* FL_CAP_CONCURRENT: two tasks that meet, or a task that has ended when submit returns. */
FL_TASK_STATIC(meet, fl_shm_barrier *, int)
{
	*result = fl_shm_barrier_wait(*arg);
	return 0;
}

CONFORMANCE_ON(capability_concurrent, 2)
{
	fl_shm_barrier *b = FL_IN_ARENA(fl_shm_barrier, 1);
	FL_OK(fl_shm_barrier_init(b, at_once(kind, 2)));
	/* With workers that are new, idle, being woken, or going to sleep. */
	for (int i = 0; i < 100; i++) {
		FL_SCOPED(fl_future) *f = NULL, *g = NULL;
		int one = -1, other = -1;
		FL_OK(meet_submit(e, b, &f));
		if (!is_concurrent(e))
			FL_OK(fl_future_try_wait(f));
		FL_OK(meet_submit(e, b, &g));
		FL_OK(meet_get(f, &one));
		FL_OK(meet_get(g, &other));
		assert_int_equal(one + other, at_once(kind, 2) - 1);
	}
}

enum { TURNS = 50 };

struct order {
	int n, taken[TURNS];
};

struct turn {
	struct order *order;
	int number;
};

FL_TASK_STATIC(take_turn, struct turn, void)
{
	arg->order->taken[arg->order->n++] = arg->number; /* there is one worker */
	return 0;
}

/* Tasks run in that order; their futures may end in another, since a waiter may end them. */
CONFORMANCE_ON(one_worker_takes_tasks_in_order, 1)
{
	fl_future *f[TURNS];
	struct order *order = FL_IN_ARENA(struct order, 1);
	struct held held = hold_worker(e);
	FL_EACH (i, f)
		FL_OK(take_turn_submit(e, (struct turn){order, i}, &f[i]));
	let_go(&held);
	fl_test_futures_end(f, TURNS);
	assert_int_equal(order->n, TURNS);
	for (int i = 0; i < TURNS; i++)
		assert_int_equal(order->taken[i], i);
}

/* Life and shutdown. */

CONFORMANCE_ON(closed_refuses_and_runs_what_is_queued, 1)
{
	struct tally *tally = new_tally();
	struct held held = hold_worker(e);
	submit_tallied(e, tally, 10);
	fl_executor_close(e);
	fl_executor_close(e);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
	if (held.f) {
		assert_int_equal(counted(&tally->runs), 0);
		let_go(&held);
	}
	FL_OK(fl_executor_join(e));
	expect_tally(tally, 10, 10);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
}

FL_TASK_STATIC(close_and_submit, void, void)
{
	fl_executor *e = fl_executor_current();
	fl_executor_close(e);
	return square_submit(e, 1, NULL);
}

CONFORMANCE_ON(closed_refuses_its_own_tasks, 1)
{
	FL_RC(fl_test_run_task(e, &close_and_submit, NULL, NULL), -EPIPE);
	/* Without, it was the worker's own. */
	FL_RC(square_submit(e, 1, NULL), is_by_reference(e) ? -EPIPE : 0);
}

CONFORMANCE_ON(join_waits_and_may_be_repeated, 1)
{
	if (is_concurrent(e)) {
		struct held held = hold_worker(e);
		FL_RC(fl_executor_try_join(e), -EAGAIN);
		FL_OK(square_submit(e, 1, NULL)); /* it is open */
		fl_executor_close(e);
		FL_RC(fl_executor_try_join(e), -EAGAIN);
		FL_RC(fl_executor_join_until(e, FL_NO_WAIT, NULL), -ETIMEDOUT);
		FL_RC(fl_executor_join_until(e, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
		FL_RC(fl_executor_join_until(e, FL_FOREVER, fl_test_requested), -ECANCELED);
		FL_CANCELS_IN_SCOPE(fl_executor_join(e));
		let_go(&held);
	}
	FL_OK(fl_executor_join(e));
	FL_CANCEL_SCOPE(fl_test_requested); /* an ended executor needs no wait */
	FL_OK(fl_executor_join(e));
	FL_OK(fl_executor_try_join(e));
	FL_OK(fl_executor_join_until(e, FL_NO_WAIT, fl_test_requested));
}

CONFORMANCE_ON(join_of_an_unused_executor, 2)
{
	FL_RC(fl_executor_try_join(e), -EAGAIN); /* it is open */
	fl_executor_close(e);
	FL_OK(fl_executor_try_join(e));
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
}

/* The callbacks of a task that another thread has cancelled belong to what a join waits for. */
CONFORMANCE(join_waits_for_cancellers)
{
	FL_SCOPED(fl_executor) *e = make_of(kind, &(fl_executor_config){.workers = 1, .name = "held"});
	if (!is_concurrent(e))
		return;
	struct gate *callback = new_gate();
	struct held held = hold_worker(e);
	fl_future *f = NULL;
	fl_thread *canceller, *joiner;
	FL_OK(square_submit(e, 1, &f));
	FL_OK(fl_future_on_end(f, hold_in_callback, callback));
	fl_test_go(&canceller, cancel_future, f);
	await_event(&callback->entered);
	fl_test_go(&joiner, join_it, e);
	FL_WAIT_FOR(square_submit(e, 1, NULL) == -EPIPE);
	let_go(&held);
	FL_WAIT_FOR(kind->serial || workers_called("held").alive == 0);
	FL_RC(fl_executor_try_join(e), -EAGAIN);
	assert_true(fl_thread_is_alive(joiner));
	set_event(&callback->open);
	fl_test_end(joiner);
	fl_test_end(canceller);
	fl_future_free(f);
}

FL_TASK_STATIC(join_it_in_task, fl_executor *, void)
{
	if (fl_executor_try_join(*arg) != -EDEADLK || fl_executor_join_until(*arg, FL_NO_WAIT, NULL) != -EDEADLK)
		return -EFAULT;
	return fl_executor_join(*arg);
}

FL_TASK_STATIC(join_self, void, void)
{
	fl_executor *e = fl_executor_current();
	return join_it_in_task.run(ctx, &e, NULL);
}

CONFORMANCE_ON(join_from_its_own_task_is_edeadlk, 1)
{
	FL_RC(fl_test_run_task(e, &join_self, NULL, NULL), -EDEADLK);
	FL_OK(square_submit(e, 1, NULL)); /* that did not even close it */
}

FL_TASK_STATIC(join_from_within, void, void)
{
	FL_SCOPED(fl_executor) *inner = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	int rc = fl_sequential_executor_create(&inner, NULL);
	if (rc == 0)
		rc = join_it_in_task_submit(inner, fl_executor_current(), &f);
	return rc == 0 ? fl_future_error(f) : rc;
}

/* The task of one executor runs inside a task of another: both would wait for themselves. */
CONFORMANCE_ON(join_from_a_task_within_its_task_is_edeadlk, 1)
{
	FL_SCOPED(fl_executor) *inner = NULL;
	FL_RC(fl_test_run_task(e, &join_from_within, NULL, NULL), -EDEADLK);
	inner = fl_test_executor(fl_sequential_executor_create, NULL);
	FL_RC(fl_test_run_task(inner, &join_it_in_task, &e, NULL), -EFAULT); /* not within: it may join e */
}

FL_TASK_STATIC(free_self, void, void)
{
	fl_executor_free(fl_executor_current());
	return 0;
}

/*
 * In a separate process, which a panic on a worker thread ends. A worker process ends alone, and
 * costs a task.
 */
FL_TASK_STATIC(free_in_task, size_t, void)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	FL_CHECK(conformance_kinds[*arg]->create(&e, NULL) == 0);
	FL_OK(free_self_submit(e, &f));
	FL_CHECK(fl_future_wait(f) == 0 && !is_by_reference(e));
	FL_CHECK(fl_future_error(f) == -EOWNERDEAD && strstr(fl_future_message(f), "SIGABRT"));
	return 0;
}

CONFORMANCE(free_in_its_own_task_panics)
{
	FL_SCOPED(fl_process) *p = NULL;
	fl_process_status status;
	char text[256];
	size_t number = 0;
	if (kind->over_ranks)
		return; /* a process that rank 0 starts is none of the ranks */
	while (number < CONFORMANCE_KINDS_N && conformance_kinds[number] != kind)
		number++;
	int printed = fl_test_scratch();
	fl_process_config config = {.task = &free_in_task, .arg = &number, .err = FL_PROCESS_FD(printed)};
	FL_OK(fl_process_start(&p, &config));
	FL_OK(fl_process_join(p, &status));
	fl_test_take(printed, text, sizeof text);
	assert_int_equal(status.signal, kind->capabilities & FL_CAP_BY_REFERENCE ? SIGABRT : 0);
	assert_int_equal(status.code, kind->capabilities & FL_CAP_BY_REFERENCE ? -1 : 0);
	fl_test_contains(text, "fl_executor_free");
}

/* As tell_whether_asked, which it may be late in another process: so it waits for that. */
FL_TASK_STATIC(until_cancelled, struct gate *, int)
{
	set_event(&(*arg)->entered);
	while (!fl_task_is_cancelled(ctx))
		if (fl_sleep(FL_MS(1)) != 0)
			break;
	return tell_whether_asked.run(ctx, arg, result);
}

/*
 * `cancel` ends as many pending tasks as a process may have been sent, and some that wait. The task
 * that runs tells whether it was asked to stop.
 */
static void cancel_behind(fl_executor *e, const fl_task_type *running_type, size_t (*cancel)(fl_executor *e), int asked)
{
	enum { N = 40 };
	struct gate *gate = new_gate();
	fl_future *running = NULL, *f[N];
	if (is_concurrent(e)) {
		FL_OK(fl_executor_submit(e, running_type, &gate, &running));
		await_event(&gate->entered);
		FL_EACH (i, f)
			FL_OK(square_submit(e, i, &f[i]));
		assert_int_equal(cancel(e), N);
		FL_EACH (i, f)
			FL_STATE_IS(f[i], FL_CANCELLED);
		fl_test_futures_free(f, N);
		FL_RC(square_submit(e, 1, NULL), -EPIPE);
		FL_STATE_IS(running, FL_RUNNING);
		set_event(&gate->open);
		assert_int_equal(fl_test_result(running), asked);
		fl_future_free(running);
	}
	assert_int_equal(cancel(e), 0);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	assert_int_equal(cancel(e), 0);
}

CONFORMANCE_ON(cancel_pending_leaves_what_runs_alone, 1)
{
	cancel_behind(e, &tell_whether_asked, fl_executor_cancel_pending, false);
}

CONFORMANCE_ON(cancel_ends_what_has_not_started, 1)
{
	cancel_behind(e, &until_cancelled, fl_executor_cancel, true);
}
