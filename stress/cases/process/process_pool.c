/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the process executor. Each task ends once, also beside submits, waits, cancels and a
 * close, and no wait hangs. process_pool_end.c has the ends and starts of workers.
 */
#include "process_pools.h"

/*
 * A callback is part of the end of a task. It runs on the manager thread, while the waiter of
 * another task may fetch the result.
 */
struct called {
	atomic_int times, state;
};

static void on_end(fl_future *f, void *arg)
{
	struct called *called = arg;
	SET(&called->state, (int)fl_future_state(f));
	COUNT(&called->times);
	(void)fl_stress_futex_wake(&called->times, 1);
}

static void wait_for_call(struct called *called)
{
	while (!LOOK(&called->times))
		(void)fl_stress_futex_wait(&called->times, 0, FL__NEVER);
}

struct process_pool_callback_vs_waiter {
	struct process_pool pool;
	struct called called;
};

PROCESS_POOL(process_pool_callback_vs_waiter, 1)

FL_STRESS_ACTOR(process_pool_callback_vs_waiter, caller)
{
	const fl_submit_config config = {.on_end = on_end, .on_end_arg = &s->called};
	OK(process_pool_submit_with(&s->pool, &process_pool_task, 1, NULL, &config));
	wait_for_call(&s->called);
}

FL_STRESS_ACTOR(process_pool_callback_vs_waiter, waiter)
{
	process_pool_submit_get(&s->pool, 2);
}

FL_STRESS(process_pool_callback_vs_waiter, caller, waiter)
{
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(LOOK(&s->called.times) == 1 && LOOK(&s->called.state) == FL_DONE, "called once");
}

/*
 * A callback must run during a close. The manager thread does not leave until the waiter has passed
 * on what the manager thread must end.
 */
struct process_pool_callback_vs_shutdown {
	struct process_pool pool;
	struct called called;
};

FL_STRESS_SETUP(process_pool_callback_vs_shutdown)
{
	const fl_submit_config config = {.on_end = on_end, .on_end_arg = &s->called};
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
	OK(process_pool_submit_with(&s->pool, &process_pool_task, 1, NULL, &config));
}

FL_STRESS_ACTOR(process_pool_callback_vs_shutdown, closer)
{
	OK(fl_executor_join(s->pool.e));
	FL_STRESS_CHECK(LOOK(&s->called.times) == 1);
}

FL_STRESS_ACTOR(process_pool_callback_vs_shutdown, waiter)
{
	FL_SCOPED(fl_future) *f = NULL;
	if (process_pool_submit(&s->pool, 2, &f) == 0)
		process_pool_get(f, 2);
}

FL_STRESS(process_pool_callback_vs_shutdown, closer, waiter)
{
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(LOOK(&s->called.times) == 1 && LOOK(&s->called.state) == FL_DONE, "called once");
}

/*
 * A task is submitted with a requested token, and without a waiter. The manager thread ends it
 * nevertheless.
 */
struct process_pool_token_requested {
	struct process_pool pool;
	struct called called;
	fl_cancel_token stop;
};

FL_STRESS_SETUP(process_pool_token_requested)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
	fl_cancel_token_request(&s->stop);
}

FL_STRESS_ACTOR(process_pool_token_requested, user)
{
	const fl_submit_config config = {.cancel = &s->stop, .on_end = on_end, .on_end_arg = &s->called};
	process_pool_submit_get(&s->pool, 1);
	OK(process_pool_submit_with(&s->pool, &process_pool_task, 2, NULL, &config));
	wait_for_call(&s->called);
}

FL_STRESS(process_pool_token_requested, user)
{
	process_pool_end(&s->pool);
	fl_cancel_token_destroy(&s->stop);
	FL_ACCEPTABLE(LOOK(&s->called.state) == FL_CANCELLED && process_pool_ran(&s->pool, 2) == 0, "cancelled");
}

/*
 * The executor is cancelled while a thread submits and waits. Pending tasks end as cancelled, and
 * running tasks are asked to stop.
 */
struct process_pool_cancel_all {
	struct process_pool pool;
	int rc[2];
	size_t cancelled;
	unsigned ended_cancelled;
};

PROCESS_POOL(process_pool_cancel_all, 1)

FL_STRESS_ACTOR(process_pool_cancel_all, submitter)
{
	static const int tasks[] = {UNTIL_ASKED, 1};
	fl_future *f[2] = {NULL, NULL};
	for (int i = 0; i < 2; i++)
		s->rc[i] = process_pool_submit(&s->pool, tasks[i], &f[i]);
	for (int i = 0; i < 2; i++) {
		if (s->rc[i] != 0)
			continue;
		OK(fl_future_wait(f[i]));
		s->ended_cancelled += fl_future_state(f[i]) == FL_CANCELLED;
		fl_future_free(f[i]);
	}
}

FL_STRESS_ACTOR(process_pool_cancel_all, canceller)
{
	s->cancelled = fl_executor_cancel(s->pool.e);
}

FL_STRESS(process_pool_cancel_all, submitter, canceller)
{
	process_pool_end(&s->pool);
	const unsigned submitted = (s->rc[0] == 0) + (s->rc[1] == 0);
	const int ran = process_pool_ran(&s->pool, UNTIL_ASKED) + process_pool_ran(&s->pool, 1);
	FL_FORBIDDEN(s->ended_cancelled + (unsigned)ran != submitted, "one is lost, or ended in two ways");
	FL_FORBIDDEN(s->cancelled > s->ended_cancelled, "more were cancelled than say so");
	FL_ACCEPTABLE(submitted == 0, "refused");
	FL_ACCEPTABLE(ran == 0, "all cancelled");
	FL_ACCEPTABLE(1, "some ran");
}

/*
 * There are two workers. A task does not end before it is cancelled, and two more tasks are
 * submitted. Neither of these waits for the first one: the idle worker runs them, even if they must
 * be taken back from the rings of the busy worker.
 */
struct process_pool_steal {
	struct process_pool pool;
};

PROCESS_POOL(process_pool_steal, 2)

FL_STRESS_ACTOR(process_pool_steal, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(process_pool_submit(&s->pool, UNTIL_ASKED, &f));
	process_pool_submit_get(&s->pool, 1);
	process_pool_submit_get(&s->pool, 2);
	FL_STRESS_CHECK(fl_future_cancel(f) == -EINPROGRESS || process_pool_ran(&s->pool, UNTIL_ASKED) == 0);
	OK(fl_future_wait(f));
}

FL_STRESS(process_pool_steal, user)
{
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(process_pool_ran(&s->pool, 1) == 1 && process_pool_ran(&s->pool, 2) == 1,
	              "none waited for the first");
}

/*
 * submit_vs_shutdown: accepted tasks run, and refused ones do not. A join waits for accepted tasks.
 */
struct process_pool_submit_vs_shutdown {
	struct process_pool pool;
	int rc;
};

PROCESS_POOL(process_pool_submit_vs_shutdown, 1)

FL_STRESS_ACTOR(process_pool_submit_vs_shutdown, submitter)
{
	s->rc = process_pool_submit(&s->pool, 1, NULL);
}

FL_STRESS_ACTOR(process_pool_submit_vs_shutdown, closer)
{
	OK(fl_executor_join(s->pool.e));
	FL_STRESS_CHECK(process_pool_submit(&s->pool, 2, NULL) == -EPIPE);
}

FL_STRESS(process_pool_submit_vs_shutdown, submitter, closer)
{
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(s->rc == 0 && process_pool_ran(&s->pool, 1) == 1, "accepted and run");
	FL_ACCEPTABLE(s->rc == -EPIPE && process_pool_ran(&s->pool, 1) == 0, "refused");
}
