/* SPDX-License-Identifier: BSD-2-Clause */
/* A stolen call of fl_parallel_invoke() is a part of the task or callback that forked it. */
#include "fl_pool.h"

struct taken {
	fl_event begun, deeper;
	fl_group group;
	fl_executor *e, *inner;
	unsigned blocked;
	int rc, again;
};

static int nothing(void *unused)
{
	return 0;
}

/*
 * Forks until the other call was stolen: one wake may be missed where the system has no
 * membarrier().
 */
static void until_set(fl_event *taken)
{
	while (!fl_event_is_set(taken))
		FL_OK(fl_parallel_invoke(nothing, NULL, nothing, NULL));
}

static int until_taken(void *arg)
{
	until_set(&((struct taken *)arg)->begun);
	return 0;
}

/* Groups: the call's own, and its task's. */
static int join_groups(void *arg)
{
	struct taken *t = arg;
	fl_group own = FL_GROUP_INIT(t->e);
	fl_event_set(&t->begun);
	FL_CHECK(fl_executor_current() == t->e);
	FL_OK(pool_nothing_group_submit(&own));
	FL_OK(fl_group_join(&own));
	t->rc = fl_group_join_until(&t->group, fl_test_soon(), NULL);
	return 0;
}

FL_TASK_STATIC(join_within, struct taken *, void)
{
	FL_CANCEL_SCOPE(FL_SHIELDED); /* which hides the group */
	return fl_parallel_invoke(until_taken, *arg, join_groups, *arg);
}

static void expect_no_join_of_its_group(fl_executor *e, const fl_task_type *type)
{
	struct taken t = {.e = e, .group = FL_GROUP_INIT(e)}, *arg = &t;
	FL_OK(fl_group_submit(&t.group, type, &arg, NULL));
	FL_WAIT_FOR(fl_group_count(&t.group) == 0); /* without this thread's help */
	FL_OK(fl_group_join(&t.group));
	FL_RC(t.rc, -EDEADLK);
}

POOL_TEST(join_taken_call_cannot_join_its_group, 2)
{
	expect_no_join_of_its_group(e, &join_within);
}

/* In a call that was stolen from a stolen call. */
static int until_deeper(void *arg)
{
	until_set(&((struct taken *)arg)->deeper);
	return 0;
}

static int join_groups_deeper(void *arg)
{
	fl_event_set(&((struct taken *)arg)->deeper);
	return join_groups(arg);
}

static int fork_deeper(void *arg)
{
	return fl_parallel_invoke(until_deeper, arg, join_groups_deeper, arg);
}

FL_TASK_STATIC(join_twice, struct taken *, void)
{
	FL_CANCEL_SCOPE(FL_SHIELDED); /* which hides the group */
	return fl_parallel_invoke(until_deeper, *arg, fork_deeper, *arg);
}

POOL_TEST(join_taken_call_of_a_taken_call_cannot_join_its_group, 3)
{
	expect_no_join_of_its_group(e, &join_twice);
}

static int join_executors(void *arg)
{
	struct taken *t = arg;
	fl_event_set(&t->begun);
	t->rc = fl_executor_join_until(t->inner, fl_test_soon(), NULL);
	t->again = fl_executor_join_until(t->e, fl_test_soon(), NULL);
	return 0;
}

/* The task of another executor, which runs on the submitting worker. */
static int join_inner(void *arg)
{
	FL_CHECK(fl_executor_current() == ((struct taken *)arg)->inner);
	return join_executors(arg);
}

FL_TASK_STATIC(fork_on_inner, struct taken *, void)
{
	return fl_parallel_invoke(until_taken, *arg, join_inner, *arg);
}

FL_TASK_STATIC(submit_to_inner, struct taken *, void)
{
	return fork_on_inner_submit((*arg)->inner, *arg, NULL);
}

POOL_TEST(join_taken_call_cannot_join_its_executors, 2)
{
	FL_SCOPED(fl_executor) *inner = sequential();
	struct taken t = {.e = e, .inner = inner}, *arg = &t;
	FL_OK(fl_test_run_task(e, &submit_to_inner, &arg, NULL));
	FL_RC(t.rc, -EDEADLK);
	FL_RC(t.again, -EDEADLK);
}

/*
 * A callback of a task of another executor, which runs on the worker that has cancelled the task.
 */
static void fork_in_callback(fl_future *f, void *arg)
{
	FL_OK(fl_parallel_invoke(until_taken, arg, join_executors, arg));
}

FL_TASK_STATIC(cancel_of_inner, struct taken *, void)
{
	const fl_submit_config config = {.on_end = fork_in_callback, .on_end_arg = *arg};
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(pool_nothing_submit_with((*arg)->inner, &f, &config));
	FL_OK(fl_future_cancel(f));
	return 0;
}

POOL_TEST(join_taken_call_cannot_join_its_callbacks_executors, 2)
{
	FL_SCOPED(fl_executor) *inner = pool_with(1);
	struct held held = hold_worker(inner);
	struct taken t = {.e = e, .inner = inner}, *arg = &t;
	FL_OK(fl_test_run_task(e, &cancel_of_inner, &arg, NULL));
	let_go(&held);
	FL_RC(t.rc, -EDEADLK);
	FL_RC(t.again, -EDEADLK);
}

/* A blocking section belongs to the worker that has stolen the call. */
static int block_here(void *arg)
{
	struct taken *t = arg;
	fl_event_set(&t->begun);
	fl_blocking_begin();
	FL_OK(fl_event_wait(&t->deeper));
	t->blocked = stats_of(t->e).blocked;
	fl_blocking_end();
	return 0;
}

static int block_too(void *arg)
{
	struct taken *t = arg;
	until_set(&t->begun);
	fl_blocking_begin();
	fl_event_set(&t->deeper);
	fl_blocking_end();
	return 0;
}

FL_TASK_STATIC(block_both, struct taken *, void)
{
	return fl_parallel_invoke(block_too, *arg, block_here, *arg);
}

POOL_TEST(join_taken_call_that_blocks, 2)
{
	struct taken t = {.e = e}, *arg = &t;
	FL_OK(fl_test_run_task(e, &block_both, &arg, NULL));
	assert_true(t.blocked >= 1);
	assert_int_equal(stats_of(e).blocked, 0);
}
