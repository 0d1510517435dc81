/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of FL_CAP_NESTED, tasks that submit and wait, for every kind of executor. */
#include "conformance.h"

/*
 * A task that submits to its current executor: always the same one, and where it can be checked,
 * the one of its submit.
 */
struct depth {
	fl_executor *e; /* NULL: any */
	int left;
};

FL_TASK_STATIC(descend, struct depth, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	fl_executor *e = fl_executor_current();
	if (!e || (arg->e && e != arg->e))
		return -EXDEV;
	if (arg->left == 0)
		return 0;
	int rc = descend_submit(e, (struct depth){e, arg->left - 1}, &f);
	if (rc == 0)
		rc = descend_get_until(f, result, fl_after(FL_S(60)), NULL);
	*result += 1;
	return rc;
}

CONFORMANCE_ON(nested_submit_and_wait_needs_no_free_worker, 1)
{
	const struct depth deep = {is_by_reference(e) ? e : NULL, kind->small_stack ? 50 : 200};
	assert_null(fl_executor_current());
	assert_int_equal(fl_test_result_of(e, &descend, &deep), deep.left);
	assert_null(fl_executor_current());
}

FL_TASK_STATIC(fibonacci, int, int)
{
	if (*arg < 2) {
		*result = *arg;
		return 0;
	}
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	int one = 0, other = 0;
	int rc = fibonacci_submit(fl_executor_current(), *arg - 1, &f);
	if (rc == 0)
		rc = fibonacci_submit(fl_executor_current(), *arg - 2, &g);
	if (rc == 0)
		rc = fibonacci_get(f, &one);
	if (rc == 0)
		rc = fibonacci_get(g, &other);
	*result = one + other;
	return rc;
}

CONFORMANCE_UP_TO(nested_tree, 4)
{
	assert_int_equal(fl_test_result_of(e, &fibonacci, &(int){15}), 610);
}

FL_TASK_STATIC(map_squares, int, int)
{
	int args[100], results[100];
	fl_test_number(args, 100);
	int rc = square_map(fl_executor_current(), args, 100, results, NULL);
	FL_EACH (i, results)
		*result += results[i];
	return rc;
}

CONFORMANCE_UP_TO(nested_map, 3)
{
	int args[10] = {0}, results[10];
	FL_OK(map_squares_map(e, args, 10, results, &(fl_map_config){.chunk = 1}));
	FL_EACH (i, results)
		assert_int_equal(results[i], 328350);
}

/* A wait that would not block must not run a task either. */
FL_TASK_STATIC(poll_nested, struct tally *, void)
{
	fl_executor *e = fl_executor_current();
	FL_SCOPED(fl_future) *f = NULL;
	int rc = tallied_submit(e, *arg, &f);
	if (rc != 0 || !is_concurrent(e))
		return rc;
	FL_RC(fl_future_try_wait(f), -EAGAIN);
	FL_RC(fl_future_wait_until(f, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_CHECK(counted(&(*arg)->runs) == 0);
	/* a wait counts as blocked at first: meanwhile another thread may run the task */
	rc = fl_future_wait_until(f, FL_FOREVER, fl_test_requested);
	FL_CHECK(rc == -ECANCELED || (rc == 0 && counted(&(*arg)->runs) == 1));
	return fl_future_wait(f);
}

CONFORMANCE_ON(nested_poll_runs_nothing, 1)
{
	struct tally *tally = new_tally();
	FL_OK(fl_test_run_task(e, &poll_nested, &tally, NULL));
	expect_tally(tally, 1, 1);
}
