/* SPDX-License-Identifier: BSD-2-Clause */
/* Forks: beside an executor, and in what its workers call, from which the child must not return. */
#include "fl_child.h"
#include "fl_pool.h"

/* What a child that returned would run once more. */
static unsigned others;

FL_TASK_STATIC(count_other, void, void)
{
	COUNT(&others);
	return 0;
}

/* A wait runs the task that forks, as a call. */
FL_TASK_STATIC(fork_here, void, int)
{
	*result = fl_test_fork_in_call();
	return 0;
}

FL_TASK_STATIC(wait_for_fork, void, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = fork_here_submit(fl_executor_current(), &f);
	return rc == 0 ? fork_here_get(f, result) : rc;
}

POOL_TEST(pool_fork_in_a_task_that_is_helped, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct held held = hold_worker(e);
	SET(&others, 0);
	FL_OK(wait_for_fork_submit(e, &f));
	for (int i = 0; i < 5; i++)
		FL_OK(count_other_submit(e, NULL));
	let_go(&held);
	assert_int_equal(fl_test_result(f), SIGABRT);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&others), 5);
}

FL_TASK_STATIC(fork_at_first, int *, void)
{
	**arg = fl_test_fork_in_call();
	return 0;
}

FL_TEST(pool_fork_in_an_initializer)
{
	int result = 0, *arg = &result;
	FL_SCOPED(fl_executor) *e =
	    pool_of(&(fl_executor_config){.workers = 1, .initialize = &fork_at_first, .initialize_arg = &arg});
	SET(&others, 0);
	for (int i = 0; i < 5; i++)
		FL_OK(count_other_submit(e, NULL));
	FL_OK(fl_executor_join(e));
	assert_int_equal(result, SIGABRT);
	assert_int_equal(LOOK(&others), 5);
}
