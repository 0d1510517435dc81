/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of an executor's life, from create to free, for every kind. */
#include "conformance.h"

CONFORMANCE_ON(describes_itself, 3)
{
	assert_string_equal(fl_executor_kind(e), kind->name);
	assert_int_equal(fl_executor_capabilities(e), kind->capabilities);
	assert_int_equal(fl_executor_workers(e), is_concurrent(e) ? 3 : 1);
}

CONFORMANCE(defaults)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_executor) *plain = make(kind, 0);
	FL_OK(kind->create(&e, NULL));
	unsigned expected = kind->workers_by_default ? kind->workers_by_default : fl_cpu_count();
	assert_int_equal(fl_executor_workers(e), is_concurrent(e) ? expected : 1);
	assert_int_equal(fl_executor_workers(plain), fl_executor_workers(e));
	fl_executor_free(NULL);
}

CONFORMANCE(worker_limit)
{
	fl_executor *e = NULL;
	fl_executor_config config = {.workers = kind->workers_at_most};
	FL_OK(kind->create(&e, &config));
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
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	int written = 0;
	uintptr_t pointer;
	variable = 0;
	FL_OK(write_variable_submit(e, &written, &g));
	FL_OK(write_variable_get(g, &pointer));
	assert_int_equal(variable, is_by_reference(e) ? 7 : 0);
	assert_int_equal(pointer, (uintptr_t)&written); /* as bytes it arrives */
	if (!is_by_reference(e))
		return;
	FL_OK(write_through_submit(e, &written, &f));
	FL_OK(fl_future_wait(f));
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
	FL_OK(fl_shm_barrier_init(b, is_concurrent(e) ? 2 : 1));
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
		assert_int_equal(one + other, is_concurrent(e) ? 1 : 0);
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
	for (int i = 0; i < TURNS; i++)
		FL_OK(take_turn_submit(e, (struct turn){order, i}, &f[i]));
	let_go(&held);
	for (int i = 0; i < TURNS; i++) {
		FL_OK(take_turn_get(f[i]));
		fl_future_free(f[i]);
	}
	assert_int_equal(order->n, TURNS);
	for (int i = 0; i < TURNS; i++)
		assert_int_equal(order->taken[i], i);
}

/* Life and shutdown. */

CONFORMANCE_ON(closed_refuses_and_runs_what_is_queued, 1)
{
	struct tally *tally = new_tally();
	struct held held = hold_worker(e);
	for (int i = 0; i < 10; i++)
		FL_OK(tallied_submit(e, tally, NULL));
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
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(close_and_submit_submit(e, &f));
	FL_RC(close_and_submit_get(f), FL_ETASK);
	FL_RC(fl_future_error(f), -EPIPE);
	/* Without, it was the worker's own. */
	FL_RC(square_submit(e, 1, NULL), is_by_reference(e) ? -EPIPE : 0);
}

CONFORMANCE_ON(join_waits_and_may_be_repeated, 1)
{
	if (is_concurrent(e)) {
		struct held held = hold_worker(e);
		FL_RC(fl_executor_try_join(e), -EBUSY);
		FL_RC(square_submit(e, 1, NULL), -EPIPE); /* it is closed all the same */
		FL_RC(fl_executor_join_until(e, 0, NULL), -ETIMEDOUT);
		FL_RC(fl_executor_join_until(e, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
		FL_RC(fl_executor_join_until(e, FL_FOREVER, fl_test_requested), -ECANCELED);
		{
			FL_CANCEL_SCOPE(fl_test_requested);
			FL_RC(fl_executor_join(e), -ECANCELED);
		}
		let_go(&held);
	}
	FL_OK(fl_executor_join(e));
	FL_CANCEL_SCOPE(fl_test_requested); /* an ended executor needs no wait */
	FL_OK(fl_executor_join(e));
	FL_OK(fl_executor_try_join(e));
	FL_OK(fl_executor_join_until(e, 0, fl_test_requested));
}

CONFORMANCE_ON(join_of_an_unused_executor, 2)
{
	FL_OK(fl_executor_try_join(e));
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
}

static int join_it(void *e)
{
	return fl_executor_join(e);
}

/* C-Thread-Pool: only one of two waiters was woken. */
CONFORMANCE_ON(join_wakes_all_waiters, 1)
{
	struct held held = hold_worker(e);
	fl_thread joiners[3];
	for (int i = 0; i < 3; i++)
		fl_test_go(&joiners[i], join_it, e);
	let_go(&held);
	for (int i = 0; i < 3; i++)
		fl_test_end(&joiners[i]);
}

static int cancel_it(void *f)
{
	return fl_future_cancel(f);
}

static void hold_in_callback(fl_future *f, void *arg)
{
	struct gate *gate = arg;
	set_event(&gate->entered);
	await_event(&gate->open);
}

/* The callbacks of a task that another thread has cancelled belong to what a join waits for. */
CONFORMANCE(join_waits_for_cancellers)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(kind->create(&e, &(fl_executor_config){.workers = 1, .name = "held"}));
	if (!is_concurrent(e))
		return;
	struct gate *callback = new_gate();
	struct held held = hold_worker(e);
	fl_future *f = NULL;
	fl_thread canceller, joiner;
	FL_OK(square_submit(e, 1, &f));
	FL_OK(fl_future_on_end(f, hold_in_callback, callback));
	fl_test_go(&canceller, cancel_it, f);
	FL_OK(fl_shm_event_wait(&callback->entered));
	fl_test_go(&joiner, join_it, e);
	FL_WAIT_FOR(square_submit(e, 1, NULL) == -EPIPE);
	let_go(&held);
	FL_WAIT_FOR(workers_called("held").alive == 0);
	FL_RC(fl_executor_try_join(e), -EBUSY);
	assert_true(fl_thread_is_alive(&joiner));
	set_event(&callback->open);
	fl_test_end(&joiner);
	fl_test_end(&canceller);
	fl_future_free(f);
}

FL_TASK_STATIC(join_it_in_task, fl_executor *, void)
{
	if (fl_executor_try_join(*arg) != -EDEADLK || fl_executor_join_until(*arg, 0, NULL) != -EDEADLK)
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
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(join_self_submit(e, &f));
	FL_RC(join_self_get(f), FL_ETASK);
	FL_RC(fl_future_error(f), -EDEADLK);
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
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	FL_OK(join_from_within_submit(e, &f));
	FL_RC(join_from_within_get(f), FL_ETASK);
	FL_RC(fl_future_error(f), -EDEADLK);
	FL_OK(fl_sequential_executor_create(&inner, NULL));
	FL_OK(join_it_in_task_submit(inner, e, &g)); /* not within: it may join e */
	FL_RC(join_it_in_task_get(g), FL_ETASK);
	FL_RC(fl_future_error(g), -EFAULT);
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
	assert_non_null(strstr(text, "fl_executor_free"));
}

CONFORMANCE(free_drains)
{
	fl_executor *e = make(kind, 2);
	struct tally *tally = new_tally();
	for (int i = 0; i < 200; i++)
		FL_OK(tallied_submit(e, tally, NULL));
	fl_executor_free(e);
	assert_int_equal(counted(&tally->runs), 200);
}

FL_TASK_STATIC(until_cancelled, struct gate *, void)
{
	set_event(&(*arg)->entered);
	while (!fl_task_is_cancelled(ctx))
		if (fl_sleep(FL_MS(1)) != 0)
			break;
	return fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

FL_TASK_STATIC(tell_whether_asked, struct gate *, int)
{
	set_event(&(*arg)->entered);
	const int rc = fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
	*result = fl_task_is_cancelled(ctx);
	return rc;
}

/* As many as a process may have been sent, and some that wait. */
CONFORMANCE_ON(cancel_pending_leaves_what_runs_alone, 1)
{
	enum { N = 40 };
	struct gate *gate = new_gate();
	fl_future *running = NULL, *f[N];
	if (is_concurrent(e)) {
		FL_OK(tell_whether_asked_submit(e, gate, &running));
		FL_OK(fl_shm_event_wait(&gate->entered));
		for (int i = 0; i < N; i++)
			FL_OK(square_submit(e, i, &f[i]));
		assert_int_equal(fl_executor_cancel_pending(e), N);
		for (int i = 0; i < N; i++) {
			assert_int_equal(fl_future_get_state(f[i]), FL_CANCELLED);
			fl_future_free(f[i]);
		}
		FL_RC(square_submit(e, 1, NULL), -EPIPE);
		assert_int_equal(fl_future_get_state(running), FL_RUNNING);
		set_event(&gate->open);
		assert_int_equal(fl_test_result(running), 0);
		fl_future_free(running);
	}
	assert_int_equal(fl_executor_cancel_pending(e), 0);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	assert_int_equal(fl_executor_cancel_pending(e), 0);
}

CONFORMANCE_ON(cancel_ends_what_has_not_started, 1)
{
	struct gate *gate = new_gate();
	fl_future *running = NULL, *f[3];
	if (is_concurrent(e)) {
		FL_OK(until_cancelled_submit(e, gate, &running));
		FL_OK(fl_shm_event_wait(&gate->entered));
		for (int i = 0; i < 3; i++)
			FL_OK(square_submit(e, i, &f[i]));
		assert_int_equal(fl_executor_cancel(e), 3);
		assert_int_equal(fl_future_get_state(running), FL_RUNNING);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(fl_future_get_state(f[i]), FL_CANCELLED);
			fl_future_free(f[i]);
		}
		set_event(&gate->open);
		FL_OK(fl_future_get(running, NULL, 0)); /* it was asked to stop, and did */
		fl_future_free(running);
	}
	assert_int_equal(fl_executor_cancel(e), 0);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	assert_int_equal(fl_executor_cancel(e), 0);
}
