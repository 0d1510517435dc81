/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups inside of tasks, for every kind of executor: a join helps, and ends, with any number of
 * workers.
 */
#include "conformance.h"

/* A group inside of each task of the group around it. */
FL_TASK_STATIC(descend, int, int)
{
	if (*arg == 0)
		return 0;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int below = 0;
	int rc = descend_group_submit(&g, *arg - 1, &below);
	if (rc == 0)
		rc = fl_group_join_until(&g, fl_after(FL_S(60)), NULL);
	*result = below + 1;
	return rc;
}

CONFORMANCE_GROUP(group_nested_deeply_needs_no_free_worker, 1)
{
	const int deep = kind->small_stack ? 50 : 150;
	int depth = 0;
	FL_OK(descend_group_submit(g, deep, &depth));
	FL_OK(fl_group_join(g));
	assert_int_equal(depth, deep);
}

FL_TASK_STATIC(fibonacci, int, int)
{
	if (*arg < 2) {
		*result = *arg;
		return 0;
	}
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int one = 0, other = 0;
	int rc = fibonacci_group_submit(&g, *arg - 1, &one);
	if (rc == 0)
		rc = fibonacci_group_submit(&g, *arg - 2, &other);
	const int joined = fl_group_join(&g);
	*result = one + other;
	return rc ? rc : joined;
}

CONFORMANCE_UP_TO(group_nested_tree, 3)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	int result = 0;
	FL_OK(fibonacci_group_submit(&g, 13, &result));
	FL_OK(fl_group_join(&g));
	assert_int_equal(result, 233);
}

/* Fails at the bottom: the error comes up through all groups, its message stays where it was. */
FL_TASK_STATIC(fall, int, int)
{
	if (*arg == 0)
		return fl_task_fail(ctx, -EDOM, "at the bottom");
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int rc = fall_group_submit(&g, *arg - 1, result);
	if (rc == 0)
		rc = fl_test_group_error(&g);
	return fl_group_message(&g) ? fl_task_fail(ctx, rc, "%s, %d", fl_group_message(&g), *arg) : -EILSEQ;
}

CONFORMANCE_GROUP(group_nested_error_comes_up, 2)
{
	int result = -1;
	FL_OK(fall_group_submit(g, 3, &result));
	FL_GROUP_FAILED(g, -EDOM);
	assert_string_equal(fl_group_message(g), "at the bottom, 1, 2, 3");
	assert_int_equal(result, -1);
}

FL_TASK_STATIC(wait_below, struct gate *, void)
{
	set_event(&(*arg)->entered);
	return fl_shm_event_wait(&(*arg)->open);
}

/* Has its own group, with a task that waits for ever. */
FL_TASK_STATIC(wait_within, struct gate *, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int rc = fl_group_submit(&g, &wait_below, arg, NULL);
	const int joined = fl_test_group_error(&g);
	FL_CHECK(fl_group_count(&g) == 0);
	return rc ? rc : joined;
}

/* A cancel of the group around reaches the tasks of groups inside. */
CONFORMANCE_UP_TO(group_nested_is_cancelled_from_above, 2)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	struct gate *gate = new_gate();
	if (!is_concurrent(e))
		return;
	FL_OK(wait_within_group_submit(&g, gate));
	await_event(&gate->entered);
	fl_group_cancel(&g);
	FL_OK(fl_group_join(&g));
	assert_null(fl_group_message(&g));
}

/*
 * Tasks that submit to their own group: pointers to it are valid only where tasks share the
 * submitter's memory.
 */
struct spread {
	fl_group *g;
	int *count, left;
};

FL_TASK_STATIC(spread, struct spread, void)
{
	count(arg->count);
	int rc = 0;
	for (int i = 0; i < 2 && rc == 0 && arg->left > 0; i++)
		rc = spread_group_submit(arg->g, (struct spread){arg->g, arg->count, arg->left - 1});
	return rc;
}

CONFORMANCE_ABLE(group_tasks_submit_to_their_own_group, 3, FL_CAP_BY_REFERENCE)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	int counter = 0;
	FL_OK(spread_group_submit(&g, (struct spread){&g, &counter, 9}));
	FL_OK(fl_group_join(&g));
	assert_int_equal(counted(&counter), 1023);
}

FL_TASK_STATIC(spread_and_join, int *, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int rc = spread_group_submit(&g, (struct spread){&g, *arg, 7});
	const int joined = fl_group_join(&g);
	return rc ? rc : joined;
}

CONFORMANCE_UP_TO(group_joined_by_a_worker_while_it_grows, 3)
{
	int counter = 0, *at = &counter;
	if (!is_by_reference(e))
		return;
	FL_OK(fl_test_run_task(e, &spread_and_join, &at, NULL));
	assert_int_equal(counted(&counter), 255);
}

/* Joins of the task's own group, or of one around it, would wait for themselves. */
FL_TASK_STATIC(join_own, fl_group *, void)
{
	FL_RC(fl_group_join(*arg), -EDEADLK);
	FL_RC(fl_group_join_until(*arg, FL_FOREVER, FL_SHIELDED), -EDEADLK);
	FL_RC(fl_group_try_join(*arg), -EAGAIN);
	FL_CANCEL_SCOPE(FL_SHIELDED); /* hides nothing */
	FL_RC(fl_group_join(*arg), -EDEADLK);
	return 0;
}

FL_TASK_STATIC(join_around, fl_group *, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	FL_OK(fl_group_submit(&g, &join_own, arg, NULL));
	return fl_group_join(&g);
}

CONFORMANCE_ABLE(group_joined_by_its_own_task, 1, FL_CAP_BY_REFERENCE)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	fl_group *at = &g;
	FL_OK(join_own_group_submit(&g, at));
	FL_OK(join_around_group_submit(&g, at));
	FL_OK(fl_group_join(&g));
}

/* The initializer waits for tasks of its own executor: no other context could run them. */

static fl_executor *initialized;

FL_TASK_STATIC(use_own_executor, void, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(initialized);
	int results[4] = {0};
	FL_EACH (i, results)
		FL_OK(square_group_submit(&g, (int)i, &results[i]));
	FL_OK(fl_group_join(&g));
	FL_EACH (i, results)
		FL_CHECK(results[i] == (int)(i * i));
	FL_CHECK(nine_of(initialized) == 9);
	return 0;
}

CONFORMANCE(group_within_the_initializer)
{
	if (!(kind->capabilities & FL_CAP_BY_REFERENCE) || !(kind->capabilities & FL_CAP_CONCURRENT))
		return;
	FL_SCOPED(fl_executor) *e = NULL;
	initialized = e = make_of(kind, &(fl_executor_config){.workers = 1, .initialize = &use_own_executor});
	assert_int_equal(nine_of(e), 9);
}

/* A wait that would not block must not run a task either. */
FL_TASK_STATIC(poll_within, struct tally *, void)
{
	fl_executor *e = fl_executor_current();
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	struct tally *unused;
	int rc = fl_group_submit(&g, &tallied, arg, &unused);
	if (rc != 0 || !is_concurrent(e))
		return rc;
	FL_RC(fl_group_try_join(&g), -EAGAIN);
	FL_RC(fl_group_join_until(&g, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_group_join_until(&g, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CHECK(counted(&(*arg)->runs) == 0);
	return fl_group_join(&g);
}

CONFORMANCE_GROUP(group_poll_runs_nothing, 1)
{
	struct tally *tally = new_tally();
	FL_OK(poll_within_group_submit(g, tally));
	FL_OK(fl_group_join(g));
	expect_tally(tally, 1, 1);
}
