/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker that has ended its task is used for the next one, also before it has looked for it. The
 * worker is held while it wakes a waiter, when the end is published.
 */
#include "fl_pool.h"

static bool begun, may_end, is_held, may_go_on;

/* On the worker, in the place of its next wake: that of the waiter. */
static void hold_in_wake(void)
{
	SET(&is_held, true);
	while (!LOOK(&may_go_on))
		sched_yield();
}

static void end_when_waited_for(void)
{
	SET(&begun, true);
	while (!LOOK(&may_end))
		sched_yield();
}

/* Ends when the waiter sleeps, and holds its worker when it wakes the waiter. */
FL_TASK_STATIC(reuse_first, int, int)
{
	end_when_waited_for();
	*result = *arg;
	seam_on_wake = hold_in_wake;
	return 0;
}

/* The ways to wait for the task. */

struct waiter {
	fl_executor *e;
	fl_future *f;
	void (*on_end)(fl_future *f, void *arg); /* of the task; NULL: none */
	fl_cancel_token *cancel;                 /* of the task of wait_and_drop() */
};

static void submit_first(struct waiter *x)
{
	FL_OK(reuse_first_submit_with(x->e, 1, &x->f, &(fl_submit_config){.on_end = x->on_end}));
}

static int wait_by_get(void *arg)
{
	struct waiter *x = arg;
	int result = 0;
	submit_first(x);
	FL_CHECK(reuse_first_get(x->f, &result) == 0 && result == 1);
	return 0;
}

static int wait_for_first_end(void *arg)
{
	struct waiter *x = arg;
	submit_first(x);
	FL_CHECK(fl_futures_wait_until(&x->f, 1, FL_FIRST_ENDED, FL_FOREVER, NULL) == 1);
	return 0;
}

static int wait_any(void *arg)
{
	struct waiter *x = arg;
	submit_first(x);
	FL_CHECK(FL_WAIT_ANY(FL_ON_FUTURE(x->f)) == 0);
	return 0;
}

static int wait_for_map(void *arg)
{
	struct waiter *x = arg;
	int in = 1, out = 0;
	FL_CHECK(reuse_first_map(x->e, &in, 1, &out, NULL) == 0 && out == 1);
	return 0;
}

static void nothing_at_the_end(fl_future *f, void *unused)
{
}

static int join_group(struct waiter *x, const fl_submit_config *config)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(x->e);
	int out = 0;
	FL_OK(reuse_first_group_submit_with(&g, 1, &out, config));
	FL_CHECK(fl_group_join(&g) == 0 && out == 1);
	return 0;
}

static int wait_for_group(void *x)
{
	return join_group(x, NULL);
}

static int wait_for_group_with_callback(void *x)
{
	return join_group(x, &(fl_submit_config){.on_end = nothing_at_the_end});
}

static int wait_for_lazy_map(void *arg)
{
	struct waiter *x = arg;
	FL_SCOPED(fl_imap) *it = NULL;
	int in = 1, out = 0;
	FL_OK(reuse_first_imap(x->e, &in, 1, &it, &(fl_imap_config){.unordered = true}));
	FL_CHECK(fl_imap_next(it, NULL, &out) == 0 && out == 1);
	return 0;
}

static size_t started(fl_executor *e)
{
	return stats_of(e).workers_started;
}

/* Starts the waiter, and lets the task end: its worker is held, and the end is published. */
static void hold_worker_that_wakes(struct waiter *x, int (*wait)(void *x), fl_thread **t)
{
	SET(&begun, false);
	SET(&may_end, false);
	SET(&is_held, false);
	SET(&may_go_on, false);
	fl_test_go(t, wait, x);
	FL_WAIT_FOR(LOOK(&begun) && seam_sleepers() == 1); /* the waiter: the worker runs */
	SET(&may_end, true);
	FL_WAIT_FOR(LOOK(&is_held));
	assert_int_equal(started(x->e), 1);
}

static void go_on(struct waiter *x, fl_thread *t)
{
	SET(&may_go_on, true);
	fl_test_end(t);
	fl_future_free(x->f);
}

static void expect_reuse(int (*wait)(void *x), uint32_t backlog)
{
	FL_SCOPED(fl_executor) *e = bounded(4, backlog, FL_FULL_WAIT);
	FL_SCOPED(fl_future) *next = NULL;
	struct waiter x = {.e = e};
	fl_thread *t;
	hold_worker_that_wakes(&x, wait, &t);
	FL_OK(pool_double_submit(e, 2, &next));
	assert_int_equal(started(e), 1);
	go_on(&x, t);
	assert_int_equal(fl_test_result(next), 4);
	assert_int_equal(started(e), 1);
}

FL_TEST(pool_reuses_the_worker_whose_task_was_waited_for)
{
	int (*const waits[])(void *) = {wait_by_get,    wait_for_first_end,           wait_any,         wait_for_map,
	                                wait_for_group, wait_for_group_with_callback, wait_for_lazy_map};
	const uint32_t backlogs[] = {0, 10};
	FL_EACH (i, waits)
		FL_EACH (k, backlogs)
			expect_reuse(waits[i], backlogs[k]);
}

/* A resize looks for a worker for the tasks that wait: this one. */
POOL_TEST(pool_reuses_the_worker_after_a_resize, 1)
{
	FL_SCOPED(fl_future) *next = NULL;
	struct waiter x = {.e = e};
	fl_thread *t;
	hold_worker_that_wakes(&x, wait_by_get, &t);
	FL_OK(pool_double_submit(e, 2, &next));
	FL_OK(fl_executor_resize(e, 4));
	assert_int_equal(started(e), 1);
	go_on(&x, t);
	FL_OK(fl_future_wait(next));
	assert_int_equal(started(e), 1);
}

/*
 * Of two tasks the older one waits for the newer one: the worker that takes one provides another.
 */
POOL_TEST(pool_reused_worker_is_not_alone, 4)
{
	fl_event newer = FL_EVENT_INIT;
	struct waiter x = {.e = e};
	fl_thread *t;
	hold_worker_that_wakes(&x, wait_by_get, &t);
	FL_OK(pool_await_submit(e, &newer, NULL));
	FL_OK(pool_set_submit(e, &newer, NULL));
	assert_int_equal(started(e), 1);
	go_on(&x, t);
	FL_OK(fl_executor_join(e));
	assert_int_equal(started(e), 2);
}

/* A worker that runs a callback is busy: the next task does not wait for it. */
static fl_event next_has_run;

static void await_next(fl_future *f, void *unused)
{
	FL_OK(fl_event_wait_until(&next_has_run, FL_FOREVER, FL_SHIELDED));
}

POOL_TEST(pool_worker_that_runs_a_callback_is_not_reused, 4)
{
	struct waiter x = {.e = e, .on_end = await_next};
	fl_thread *t;
	fl_event_init(&next_has_run);
	hold_worker_that_wakes(&x, wait_by_get, &t);
	FL_OK(pool_set_submit(e, &next_has_run, NULL));
	assert_int_equal(started(e), 1); /* until the worker goes on to the callback */
	go_on(&x, t);
	FL_OK(fl_executor_join(e));
	assert_int_equal(started(e), 2);
}

/*
 * The waiter has left its wait, and frees its reference, while the worker still wakes it. So the
 * waiter runs the result's drop hook, which blocks, and the worker runs the next task.
 */
static bool has_dropped;

static void await_next_in_hook(void *result)
{
	SET(&has_dropped, true);
	await_next(NULL, NULL);
}

static void wake_and_hold(void)
{
	pthread_mutex_lock(&seam_lock);
	for (const struct seam_sleeper *sleeper = seam_first; sleeper; sleeper = sleeper->next)
		seam_real.futex_wake(sleeper->word, 1);
	pthread_mutex_unlock(&seam_lock);
	hold_in_wake();
}

FL_TASK_STATIC(reuse_dropped, void, int, .drop_result = await_next_in_hook)
{
	end_when_waited_for();
	*result = 1;
	seam_on_wake = wake_and_hold;
	return 0;
}

static int wait_and_drop(void *arg)
{
	struct waiter *x = arg;
	fl_future *f;
	FL_OK(reuse_dropped_submit_with(x->e, &f, &(fl_submit_config){.cancel = x->cancel}));
	FL_OK(fl_future_wait(f));
	fl_future_free(f);
	SET(&has_dropped, true);
	return 0;
}

static void expect_reuse_beside_hook(fl_cancel_token *cancel)
{
	FL_SCOPED(fl_executor) *e = pool_with(4);
	struct waiter x = {.e = e, .cancel = cancel};
	fl_thread *t;
	fl_event_init(&next_has_run);
	SET(&has_dropped, false);
	hold_worker_that_wakes(&x, wait_and_drop, &t);
	FL_WAIT_FOR(LOOK(&has_dropped));
	FL_OK(pool_set_submit(e, &next_has_run, NULL));
	go_on(&x, t);
	FL_OK(fl_executor_join(e));
	assert_int_equal(started(e), 1);
}

FL_TEST(pool_reuses_the_worker_whose_result_the_waiter_drops)
{
	FL_SCOPED(fl_cancel_token) token = FL_CANCEL_TOKEN_INIT;
	expect_reuse_beside_hook(NULL);
	expect_reuse_beside_hook(&token); /* the future's token is in a tree */
}
