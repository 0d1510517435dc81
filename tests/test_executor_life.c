/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of an executor's life, from create to free, for every kind. */
#include "conformance.h"

CONFORMANCE(describes_itself)
{
	FL_SCOPED(fl_executor) *e = make(kind, 3);
	assert_string_equal(fl_executor_kind(e), kind->name);
	assert_int_equal(fl_executor_capabilities(e), kind->capabilities);
	assert_int_equal(fl_executor_workers(e), is_concurrent(e) ? 3 : 1);
}

CONFORMANCE(defaults)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_executor) *plain = make(kind, 0);
	FL_OK(kind->create(&e, NULL));
	assert_int_equal(fl_executor_workers(e), is_concurrent(e) ? fl_cpu_count() : 1);
	assert_int_equal(fl_executor_workers(plain), fl_executor_workers(e));
	fl_executor_free(NULL);
}

CONFORMANCE(worker_limit)
{
	fl_executor *e = NULL;
	fl_executor_config config = {.workers = FL_WORKERS_MAX};
	FL_OK(kind->create(&e, &config));
	bool concurrent = is_concurrent(e);
	fl_executor_free(e);
	config.workers++;
	e = NULL;
	FL_RC(kind->create(&e, &config), concurrent ? -EINVAL : 0);
	fl_executor_free(e);
}

/* FL_CAP_BY_REFERENCE */
FL_TASK_STATIC(write_through, int *, void)
{
	**arg = 7;
	return 0;
}

CONFORMANCE(capability_by_reference)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_SCOPED(fl_future) *f = NULL;
	if (!(fl_executor_capabilities(e) & FL_CAP_BY_REFERENCE))
		return;
	int written = 0;
	FL_OK(write_through_submit(e, &written, &f));
	FL_OK(fl_future_wait(f));
	assert_int_equal(written, 7);
}

/* FL_CAP_CONCURRENT: two tasks that meet, or a task that has ended when submit returns. */
FL_TASK_STATIC(meet, fl_barrier *, int)
{
	*result = fl_barrier_wait(*arg);
	return 0;
}

CONFORMANCE(capability_concurrent)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	fl_barrier b = FL_BARRIER_INIT(is_concurrent(e) ? 2 : 1);
	for (int i = 0; i < 100; i++) { /* with workers that are new, idle, being woken, or on their way to sleep */
		FL_SCOPED(fl_future) *f = NULL, *g = NULL;
		int one = -1, other = -1;
		FL_OK(meet_submit(e, &b, &f));
		if (!is_concurrent(e))
			FL_OK(fl_future_try_wait(f));
		FL_OK(meet_submit(e, &b, &g));
		FL_OK(meet_get(f, &one));
		FL_OK(meet_get(g, &other));
		assert_int_equal(one + other, is_concurrent(e) ? 1 : 0);
	}
}

CONFORMANCE(one_worker_takes_tasks_in_order)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	enum { N = 50 };
	fl_future *f[N];
	struct gate gate = GATE_INIT;
	fl_future *held = is_concurrent(e) ? close_gate(e, &gate) : NULL;
	for (int i = 0; i < N; i++)
		FL_OK(square_submit(e, i, &f[i]));
	if (held)
		open_gate(&gate, held);
	for (int i = N; i-- > 0;) {
		FL_OK(fl_future_wait(f[i])); /* the last has ended: so have those before */
		for (int j = 0; j < i; j++)
			FL_OK(fl_future_try_wait(f[j]));
		fl_future_free(f[i]);
	}
}

/* Life and shutdown. */

CONFORMANCE(closed_refuses_and_runs_what_is_queued)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	struct tally tally = {0};
	struct gate gate = GATE_INIT;
	fl_future *held = is_concurrent(e) ? close_gate(e, &gate) : NULL;
	for (int i = 0; i < 10; i++)
		FL_OK(tallied_submit(e, &tally, NULL));
	fl_executor_close(e);
	fl_executor_close(e);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
	if (held) {
		assert_int_equal(counted(&tally.runs), 0);
		open_gate(&gate, held);
	}
	FL_OK(fl_executor_join(e));
	assert_int_equal(counted(&tally.runs), 10);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
}

FL_TASK_STATIC(close_and_submit, fl_executor *, void)
{
	fl_executor_close(*arg);
	return square_submit(*arg, 1, NULL);
}

CONFORMANCE(closed_refuses_its_own_tasks)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(close_and_submit_submit(e, e, &f));
	FL_RC(close_and_submit_get(f), FL_ETASK);
	FL_RC(fl_future_error(f), -EPIPE);
}

CONFORMANCE(join_waits_and_may_be_repeated)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	struct gate gate = GATE_INIT;
	fl_cancel requested = FL_CANCEL_INIT;
	fl_cancel_request(&requested);
	if (is_concurrent(e)) {
		fl_future *held = close_gate(e, &gate);
		FL_RC(fl_executor_try_join(e), -EBUSY);
		FL_RC(square_submit(e, 1, NULL), -EPIPE); /* it is closed all the same */
		FL_RC(fl_executor_join_until(e, 0, NULL), -ETIMEDOUT);
		FL_RC(fl_executor_join_until(e, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
		FL_RC(fl_executor_join_until(e, FL_FOREVER, &requested), -ECANCELED);
		{
			FL_CANCEL_SCOPE(&requested);
			FL_RC(fl_executor_join(e), -ECANCELED);
		}
		open_gate(&gate, held);
	}
	FL_OK(fl_executor_join(e));
	FL_CANCEL_SCOPE(&requested); /* what is done needs no wait */
	FL_OK(fl_executor_join(e));
	FL_OK(fl_executor_try_join(e));
	FL_OK(fl_executor_join_until(e, 0, &requested));
}

CONFORMANCE(join_of_an_unused_executor)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	FL_OK(fl_executor_try_join(e));
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
}

static int join_it(void *e)
{
	return fl_executor_join(e);
}

/* C-Thread-Pool: of two that waited only one was told. */
CONFORMANCE(join_wakes_all_who_wait)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	struct gate gate = GATE_INIT;
	fl_future *held = is_concurrent(e) ? close_gate(e, &gate) : NULL;
	fl_thread joiners[3];
	int rc;
	for (int i = 0; i < 3; i++)
		FL_OK(fl_thread_start(&joiners[i], join_it, e, NULL));
	if (held)
		open_gate(&gate, held);
	for (int i = 0; i < 3; i++) {
		FL_OK(fl_thread_join(&joiners[i], &rc));
		FL_OK(rc);
	}
}

static int cancel_it(void *f)
{
	return fl_future_cancel(f);
}

static void hold_in_callback(fl_future *f, void *arg)
{
	(void)f;
	struct gate *gate = arg;
	fl_event_set(&gate->entered);
	FL_CHECK(fl_event_wait_until(&gate->open, FL_FOREVER, FL_SHIELDED) == 0);
}

static void find_alive(const fl_thread_info *info, void *arg)
{
	*(bool *)arg |= info->alive && strcmp(info->name, "held-0") == 0;
}

static bool worker_is_alive(void)
{
	bool alive = false;
	(void)fl_thread_enumerate(find_alive, &alive);
	return alive;
}

/* The callbacks of a task that another thread has cancelled belong to what a join waits for. */
CONFORMANCE(join_waits_for_cancellers)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(kind->create(&e, &(fl_executor_config){.workers = 1, .name = "held"}));
	if (!is_concurrent(e))
		return;
	struct gate gate = GATE_INIT, callback = GATE_INIT;
	fl_future *held = close_gate(e, &gate), *f = NULL;
	fl_thread canceller, joiner;
	int rc;
	FL_OK(square_submit(e, 1, &f));
	FL_OK(fl_future_on_end(f, hold_in_callback, &callback));
	FL_OK(fl_thread_start(&canceller, cancel_it, f, NULL));
	FL_OK(fl_event_wait(&callback.entered));
	FL_OK(fl_thread_start(&joiner, join_it, e, NULL));
	FL_WAIT_FOR(square_submit(e, 1, NULL) == -EPIPE);
	open_gate(&gate, held);
	FL_WAIT_FOR(!worker_is_alive());
	FL_RC(fl_executor_try_join(e), -EBUSY);
	assert_true(fl_thread_is_alive(&joiner));
	fl_event_set(&callback.open);
	FL_OK(fl_thread_join(&joiner, &rc));
	FL_OK(rc);
	FL_OK(fl_thread_join(&canceller, &rc));
	FL_OK(rc);
	fl_future_free(f);
}

FL_TASK_STATIC(join_self, fl_executor *, void)
{
	if (fl_executor_try_join(*arg) != -EDEADLK || fl_executor_join_until(*arg, 0, NULL) != -EDEADLK)
		return -EFAULT;
	return fl_executor_join(*arg);
}

CONFORMANCE(join_from_its_own_task_is_edeadlk)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(join_self_submit(e, e, &f));
	FL_RC(join_self_get(f), FL_ETASK);
	FL_RC(fl_future_error(f), -EDEADLK);
	FL_OK(square_submit(e, 1, NULL)); /* that did not even close it */
}

FL_TASK_STATIC(submit_to, fl_executor *, void)
{
	return join_self_submit(*arg, fl_executor_current(), NULL);
}

/* The task of one executor runs inside a task of another: both would wait for themselves. */
CONFORMANCE(join_from_a_task_within_its_task_is_edeadlk)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_SCOPED(fl_executor) *inner = NULL;
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	FL_OK(fl_sequential_executor_create(&inner, NULL));
	FL_OK(submit_to_submit(e, inner, &f));
	FL_OK(submit_to_get(f));
	FL_OK(join_self_submit(inner, e, &g)); /* not within: it may join e */
	FL_RC(join_self_get(g), FL_ETASK);
	FL_RC(fl_future_error(g), -EFAULT);
}

static void free_in_task(void *unused);

FL_TASK_STATIC(free_self, fl_executor *, void)
{
	fl_executor_free(*arg);
	return 0;
}

static const struct conformance_kind *kind_in_child;

/* In a child: the panic is on a worker, and ends the process. */
static void free_in_task(void *unused)
{
	(void)unused;
	fl_executor *e = NULL;
	fl_set_panic_handler(NULL);
	FL_CHECK(kind_in_child->create(&e, NULL) == 0);
	FL_CHECK(free_self_submit(e, e, NULL) == 0);
	for (;;)
		FL_CHECK(fl_sleep(FL_S(100)) == 0);
}

CONFORMANCE(free_in_its_own_task_panics)
{
	char text[256];
	kind_in_child = kind;
	int status = fl_test_child(free_in_task, NULL, text, sizeof text);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "fl_executor_free"));
}

CONFORMANCE(free_drains)
{
	fl_executor *e = make(kind, 2);
	struct tally tally = {0};
	for (int i = 0; i < 200; i++)
		FL_OK(tallied_submit(e, &tally, NULL));
	fl_executor_free(e);
	assert_int_equal(counted(&tally.runs), 200);
}

FL_TASK_STATIC(until_cancelled, struct gate *, void)
{
	fl_event_set(&(*arg)->entered);
	while (!fl_task_cancelled(ctx))
		if (fl_sleep(FL_MS(1)) != 0)
			break;
	return fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

CONFORMANCE(cancel_ends_what_has_not_started)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	struct gate gate = GATE_INIT;
	fl_future *running = NULL, *f[3];
	if (is_concurrent(e)) {
		FL_OK(until_cancelled_submit(e, &gate, &running));
		FL_OK(fl_event_wait(&gate.entered));
		for (int i = 0; i < 3; i++)
			FL_OK(square_submit(e, i, &f[i]));
		assert_int_equal(fl_executor_cancel(e), 3);
		assert_int_equal(fl_future_get_state(running), FL_RUNNING);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(fl_future_get_state(f[i]), FL_CANCELLED);
			fl_future_free(f[i]);
		}
		fl_event_set(&gate.open);
		FL_OK(fl_future_get(running, NULL, 0)); /* it was asked to stop, and did */
		fl_future_free(running);
	}
	assert_int_equal(fl_executor_cancel(e), 0);
	FL_RC(square_submit(e, 1, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	assert_int_equal(fl_executor_cancel(e), 0);
}
