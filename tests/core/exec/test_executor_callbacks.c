/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of callbacks and drop hooks, for every kind of executor. */
#include "conformance.h"

enum { CALLS = 5 };

struct calls {
	int order[2 * CALLS], n, errors, states[4];
	uint64_t thread;
};

struct call {
	struct calls *calls;
	int number;
};

static void on_end(fl_future *f, void *arg)
{
	struct call *call = arg;
	struct calls *calls = call->calls;
	calls->order[calls->n] = call->number;
	calls->errors += fl_future_error(f) != 0;
	calls->states[fl_future_state(f)]++;
	calls->thread = fl_thread_current_id();
	count(&calls->n);
}

static void expect_order(const struct calls *calls, int n)
{
	assert_int_equal(counted(&calls->n), n);
	for (int i = 0; i < n; i++)
		assert_int_equal(calls->order[i], i);
}

CONFORMANCE(callbacks_run_in_order_once_after_the_end)
{
	fl_executor *e = make(kind, 1);
	FL_SCOPED(fl_future) *f = NULL;
	struct held held = hold_worker(e);
	struct calls calls = {.n = 0};
	struct call call[CALLS];
	FL_OK(square_submit(e, 3, &f));
	FL_EACH (i, call) {
		call[i] = (struct call){&calls, i};
		FL_OK(fl_future_on_end(f, on_end, &call[i]));
	}
	assert_int_equal(counted(&calls.n), held.f ? 0 : CALLS);
	let_go(&held);
	fl_executor_free(e);
	expect_order(&calls, CALLS);
	assert_int_equal(calls.states[FL_DONE], CALLS);
	assert_int_equal(calls.errors, 0);
	/* On the thread that ended it. */
	assert_true((calls.thread == fl_thread_current_id()) == (held.f == NULL));
}

CONFORMANCE_ON(callback_after_the_end_runs_now, 1)
{
	struct calls calls = {.n = 0};
	/* The moment after the end is critical: tried often. */
	for (int i = 0; i < 2 * CALLS; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		struct call call = {&calls, i};
		FL_OK(square_submit(e, 3, &f));
		FL_OK(fl_future_wait(f));
		FL_OK(fl_future_on_end(f, on_end, &call));
		assert_int_equal(counted(&calls.n), i + 1);
		assert_int_equal(calls.thread, fl_thread_current_id());
	}
	expect_order(&calls, 2 * CALLS);
}

/* Also that of the submit; whether its future, the executor, or all is cancelled. */
CONFORMANCE(callbacks_of_a_cancelled_task_run_on_the_canceller)
{
	for (int how = 0; how < 3; how++) {
		FL_SCOPED(fl_executor) *e = make(kind, 1);
		FL_SCOPED(fl_future) *f = NULL;
		struct calls calls = {.n = 0};
		struct call call[] = {{&calls, 0}, {&calls, 1}};
		if (!is_concurrent(e))
			return;
		struct held held = hold_worker(e);
		FL_OK(square_submit_with(e, 3, &f, &(fl_submit_config){.on_end = on_end, .on_end_arg = &call[0]}));
		FL_OK(fl_future_on_end(f, on_end, &call[1]));
		assert_int_equal(counted(&calls.n), 0);
		if (how == 0)
			FL_OK(fl_future_cancel(f));
		else
			assert_int_equal(how == 1 ? fl_executor_cancel(e) : fl_executor_terminate(e), 1);
		expect_order(&calls, 2);
		assert_int_equal(calls.states[FL_CANCELLED], 2);
		fl_test_future_ended(f, -ECANCELED, NULL);
		assert_int_equal(calls.thread, fl_thread_current_id());
		let_go(&held);
		FL_OK(fl_executor_join(e));
		expect_order(&calls, 2);
	}
}

#ifndef CONFORMANCE_MPI
FL_TASK_STATIC(until_asked, fl_event *, void)
{
	fl_event_set(*arg);
	while (!fl_task_is_cancelled(ctx)) /* awake: no other worker takes its place, and runs what is pending */
		sched_yield();
	return -ECANCELED;
}

static void wait_for_running(fl_future *f, void *running)
{
	FL_OK(fl_future_wait(running));
}

/* The callback runs on the canceller. The task that runs is asked to stop before. */
FL_TEST(callback_of_a_task_cancelled_with_its_executor_waits_for_a_running_one)
{
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	FL_SCOPED(fl_future) *running = NULL;
	fl_event runs = FL_EVENT_INIT;
	FL_OK(until_asked_submit(e, &runs, &running));
	FL_OK(fl_event_wait(&runs));
	FL_OK(square_submit_with(e, 3, NULL, &(fl_submit_config){.on_end = wait_for_running, .on_end_arg = running}));
	assert_int_equal(fl_executor_cancel(e), 1);
	fl_test_future_ended(running, -ECANCELED, NULL);
}
#endif

struct chain {
	fl_executor *e;
	int left, stopped;
};

static void submit_next(fl_future *f, void *arg)
{
	struct chain *chain = arg;
	fl_future_free(f);
	f = NULL;
	if (chain->left-- > 0) {
		FL_OK(square_submit(chain->e, 1, &f));
		/* The next callback owns the chain now. */
		FL_OK(fl_future_on_end(f, submit_next, chain));
	} else {
		count(&chain->stopped);
	}
}

CONFORMANCE_ON(callback_may_free_its_future_and_submit, 1)
{
	struct chain chain = {.e = e, .left = 50};
	fl_future *f = FL_SUBMITTED(square, e, 1);
	FL_OK(fl_future_on_end(f, submit_next, &chain));
	FL_WAIT_FOR(counted(&chain.stopped) == 1);
}

CONFORMANCE(drop_hooks_run_once_on_success_and_failure)
{
	fl_executor *e = make(kind, 1);
	struct tally *good = new_tally(), *bad = new_tally();
	fl_future *f = NULL, *g = NULL;
	bad->error = -EIO;
	FL_OK(tallied_submit(e, good, &f));
	FL_OK(tallied_submit(e, bad, &g));
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_get(g, &(struct tally *){NULL}, sizeof(struct tally *)), FL_ETASK);
	/* A waiter finds the argument dropped, and the result not yet. */
	assert_int_equal(counted(&good->drops), 1);
	assert_int_equal(counted(&bad->drops), 1);
	expect_result_drops(good, 0);
	fl_executor_free(e);
	expect_result_drops(good, 0);
	fl_future_free(f);
	fl_future_free(g);
	expect_result_drops(good, 1);
	expect_result_drops(bad, 0); /* a task that failed has no result */
	assert_int_equal(counted(&good->drops), 1);
	assert_int_equal(counted(&bad->drops), 1);
}

/* Has the future of its own task, for checks in the drop hook. */
struct watch {
	fl_future *f;
	int ended_at_drop, drops;
};

static void watch_drop(void *arg)
{
	struct watch *watch = *(struct watch **)arg;
	watch->ended_at_drop = fl_future_try_wait(watch->f);
	count(&watch->drops);
}

FL_TASK_STATIC(watched, struct watch *, void, .drop_arg = watch_drop)
{
	return 0;
}

/* After the wait, what the argument refers to may be freed. */
CONFORMANCE_ABLE(argument_is_dropped_before_the_end_is_seen, 1, FL_CAP_CONCURRENT)
{
	struct held held = hold_worker(e);
	struct watch run = {0}, cancelled = {0};
	FL_OK(watched_submit(e, &run, &run.f));
	FL_OK(watched_submit(e, &cancelled, &cancelled.f));
	FL_OK(fl_future_cancel(cancelled.f));
	let_go(&held);
	FL_OK(fl_future_wait(run.f));
	assert_int_equal(counted(&run.drops), 1);
	assert_int_equal(counted(&cancelled.drops), 1);
	FL_RC(run.ended_at_drop, -EAGAIN);
	FL_RC(cancelled.ended_at_drop, -EAGAIN);
	fl_future_free(run.f);
	fl_future_free(cancelled.f);
}

CONFORMANCE(drop_hook_runs_once_on_cancel)
{
	fl_executor *e = make(kind, 1);
	if (is_concurrent(e)) {
		struct tally *one = new_tally(), *all = new_tally();
		struct held held = hold_worker(e);
		fl_future *f = FL_SUBMITTED(tallied, e, one);
		submit_tallied(e, all, 2);
		FL_OK(fl_future_cancel(f));
		assert_int_equal(counted(&one->drops), 1);
		assert_int_equal(fl_executor_cancel(e), 2);
		assert_int_equal(counted(&all->drops), 2);
		let_go(&held);
		fl_future_free(f);
		FL_OK(fl_executor_join(e));
		assert_int_equal(counted(&one->drops), 1);
		assert_int_equal(counted(&all->drops), 2);
		assert_int_equal(one->runs + one->result_drops + all->runs + all->result_drops, 0);
	}
	fl_executor_free(e);
}

CONFORMANCE_ON(drop_hook_does_not_run_on_refusal, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct tally *tally = new_tally();
	fl_executor_close(e);
	FL_RC(tallied_submit(e, tally, &f), -EPIPE);
	FL_RC(tallied_submit(e, tally, NULL), -EPIPE);
	assert_null(f);
	assert_int_equal(counted(&tally->drops), 0);
	assert_int_equal(counted(&tally->runs), 0);
}
