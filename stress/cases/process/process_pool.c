/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process executor: each task ends once, against submits, waits, cancels and a close, and no
 * wait hangs. process_pool_end.c has the ends and starts of workers.
 */
#include "process_pools.h"

/* Two threads submit and wait: each may fetch the other's result, or the manager both. */
struct process_pool_two_waiters {
	struct process_pool pool;
};

FL_STRESS_SETUP(process_pool_two_waiters)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(process_pool_two_waiters, one)
{
	process_pool_submit_get(&s->pool, 1);
}

FL_STRESS_ACTOR(process_pool_two_waiters, two)
{
	process_pool_submit_get(&s->pool, 2);
}

FL_STRESS(process_pool_two_waiters, one, two)
{
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(process_pool_ran(&s->pool, 1) == 1 && process_pool_ran(&s->pool, 2) == 1, "both, once");
	FL_FORBIDDEN(1, "twice, or not at all");
}

/* submit_vs_shutdown: accepted tasks run, refused ones do not; a join waits for accepted tasks. */
struct process_pool_submit_vs_shutdown {
	struct process_pool pool;
	int rc;
};

FL_STRESS_SETUP(process_pool_submit_vs_shutdown)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

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
	FL_FORBIDDEN(1, "accepted and not run, or refused and run");
}

/*
 * A callback is part of a task's end, on the manager, while the waiter of another task may fetch
 * the result.
 */
struct called {
	atomic_int times, state;
};

static void on_end(fl_future *f, void *arg)
{
	struct called *called = arg;
	SET(&called->state, (int)fl_future_get_state(f));
	COUNT(&called->times);
	(void)fl_stress_futex_wake(&called->times, 1);
}

static void wait_for_call(struct called *called)
{
	while (!LOOK(&called->times))
		(void)fl_stress_futex_wait(&called->times, 0, FL_FOREVER);
}

struct process_pool_callback_vs_waiter {
	struct process_pool pool;
	struct called called;
};

FL_STRESS_SETUP(process_pool_callback_vs_waiter)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

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
	FL_FORBIDDEN(1, "called twice, or before the end");
}

/*
 * The same during a close: the manager stays until the waiter has passed on what the manager must
 * end.
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
	FL_FORBIDDEN(1, "called twice, or before the end");
}

/*
 * cancel_vs_complete: a cancel meets its task queued, posted, started, ended or fetched. Its result
 * matches the end of the task, with one callback. Another thread waits for its own task, and
 * fetches; or only the manager does.
 */
struct process_pool_cancel_vs_complete {
	struct process_pool pool;
	struct called called;
	int rc;
	fl_future_state state;
};

FL_STRESS_SETUP(process_pool_cancel_vs_complete)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(process_pool_cancel_vs_complete, canceller)
{
	FL_SCOPED(fl_future) *f = NULL;
	const bool calls = fl_stress_choose(2);
	OK(process_pool_submit(&s->pool, 1, &f));
	if (calls)
		OK(fl_future_on_end(f, on_end, &s->called));
	s->rc = fl_future_cancel(f);
	OK(fl_future_wait(f));
	if (calls)
		wait_for_call(&s->called);
	else
		on_end(f, &s->called);
	s->state = fl_future_get_state(f);
}

FL_STRESS_ACTOR(process_pool_cancel_vs_complete, other)
{
	if (fl_stress_choose(2))
		process_pool_submit_get(&s->pool, 2);
}

FL_STRESS(process_pool_cancel_vs_complete, canceller, other)
{
	process_pool_end(&s->pool);
	const int ran = process_pool_ran(&s->pool, 1);
	const fl_future_state state = s->state;
	FL_FORBIDDEN(LOOK(&s->called.times) != 1 || LOOK(&s->called.state) != (int)state,
	             "called twice, or with another end");
	FL_ACCEPTABLE(s->rc == 0 && state == FL_CANCELLED && ran == 0, "cancelled");
	FL_ACCEPTABLE(s->rc == -EBUSY && state == FL_DONE && ran == 1, "asked while it ran");
	FL_ACCEPTABLE(s->rc == -EBUSY && state == FL_CANCELLED && ran == 0, "asked, and the worker skipped it");
	FL_ACCEPTABLE(s->rc == -EALREADY && state == FL_DONE && ran == 1, "done before");
	FL_FORBIDDEN(1, "another end than it was told");
}

/*
 * A task that ends only when it is asked to stop: a cancel reaches it in any state, also when it
 * has just started.
 */
struct process_pool_cancel_running {
	struct process_pool pool;
	fl_future *f;
	int rc;
};

FL_STRESS_SETUP(process_pool_cancel_running)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
	OK(process_pool_submit(&s->pool, UNTIL_ASKED, &s->f));
}

FL_STRESS_ACTOR(process_pool_cancel_running, canceller)
{
	s->rc = fl_future_cancel(s->f);
}

FL_STRESS_ACTOR(process_pool_cancel_running, waiter)
{
	OK(fl_future_wait(s->f));
}

FL_STRESS(process_pool_cancel_running, canceller, waiter)
{
	const fl_future_state state = fl_future_get_state(s->f);
	FL_STRESS_CHECK(fl_future_error(s->f) == -ECANCELED);
	fl_future_free(s->f);
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(s->rc == 0 && state == FL_CANCELLED && process_pool_ran(&s->pool, UNTIL_ASKED) == 0,
	              "before it began");
	FL_ACCEPTABLE(s->rc == -EBUSY && state == FL_CANCELLED && process_pool_ran(&s->pool, UNTIL_ASKED) == 0,
	              "skipped");
	FL_ACCEPTABLE(s->rc == -EBUSY && state == FL_DONE && process_pool_ran(&s->pool, UNTIL_ASKED) == 1,
	              "it ended when asked");
	FL_FORBIDDEN(1, "another end than it was told");
}

/*
 * A user's token, of which the executor is not told, is requested while its task is submitted,
 * posted, queued behind another, or started. The task ends only when it is asked to stop, and
 * another thread waits for the worker.
 */
struct process_pool_token {
	struct process_pool pool;
	fl_cancel_token stop;
};

FL_STRESS_SETUP(process_pool_token)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(process_pool_token, submitter)
{
	FL_SCOPED(fl_future) *f = NULL;
	const fl_submit_config config = {.cancel = &s->stop};
	OK(process_pool_submit_with(&s->pool, &process_pool_task, UNTIL_ASKED, &f, &config));
	process_pool_submit_get(&s->pool, 2);
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_error(f) == -ECANCELED);
}

FL_STRESS_ACTOR(process_pool_token, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(process_pool_token, submitter, canceller)
{
	process_pool_end(&s->pool);
	fl_cancel_token_destroy(&s->stop);
	FL_FORBIDDEN(process_pool_ran(&s->pool, 2) != 1, "the other ran twice, or not at all");
	FL_ACCEPTABLE(process_pool_ran(&s->pool, UNTIL_ASKED) == 0, "it did not begin");
	FL_ACCEPTABLE(process_pool_ran(&s->pool, UNTIL_ASKED) == 1, "it began, and was asked");
	FL_FORBIDDEN(1, "twice");
}

/*
 * The same for a task behind one that does not end: it is taken back, and the manager ends it
 * without a further wake.
 */
struct process_pool_token_behind {
	struct process_pool pool;
	fl_cancel_token stop;
};

FL_STRESS_SETUP(process_pool_token_behind)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(process_pool_token_behind, submitter)
{
	FL_SCOPED(fl_future) *first = NULL, *f = NULL;
	const fl_submit_config config = {.cancel = &s->stop};
	OK(process_pool_submit(&s->pool, UNTIL_ASKED, &first));
	OK(process_pool_submit_with(&s->pool, &process_pool_task, 1, &f, &config));
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_get_state(f) == FL_CANCELLED);
	FL_IGNORE(fl_future_cancel(first));
	OK(fl_future_wait(first));
}

FL_STRESS_ACTOR(process_pool_token_behind, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(process_pool_token_behind, submitter, canceller)
{
	process_pool_end(&s->pool);
	fl_cancel_token_destroy(&s->stop);
	FL_ACCEPTABLE(process_pool_ran(&s->pool, 1) == 0, "cancelled");
	FL_FORBIDDEN(1, "ran");
}

/* A task is submitted with a requested token, and without a waiter: the manager still ends it. */
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
	FL_FORBIDDEN(1, "ran");
}

/*
 * All is cancelled while a thread submits and waits: pending tasks end as cancelled, running ones
 * are asked to stop.
 */
struct process_pool_cancel_all {
	struct process_pool pool;
	int rc[2];
	size_t cancelled;
	unsigned ended_cancelled;
};

FL_STRESS_SETUP(process_pool_cancel_all)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

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
		s->ended_cancelled += fl_future_get_state(f[i]) == FL_CANCELLED;
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
 * Two workers, and a task that does not end with another behind it: the idle worker takes that one.
 */
struct process_pool_steal {
	struct process_pool pool;
};

FL_STRESS_SETUP(process_pool_steal)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 2});
}

FL_STRESS_ACTOR(process_pool_steal, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(process_pool_submit(&s->pool, UNTIL_ASKED, &f));
	process_pool_submit_get(&s->pool, 1);
	process_pool_submit_get(&s->pool, 2);
	FL_STRESS_CHECK(fl_future_cancel(f) == -EBUSY || process_pool_ran(&s->pool, UNTIL_ASKED) == 0);
	OK(fl_future_wait(f));
}

FL_STRESS(process_pool_steal, user)
{
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(process_pool_ran(&s->pool, 1) == 1 && process_pool_ran(&s->pool, 2) == 1,
	              "none waited for the first");
	FL_FORBIDDEN(1, "twice, or not at all");
}
