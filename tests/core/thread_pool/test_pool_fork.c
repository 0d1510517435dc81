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

/* A stolen call. */
struct stolen {
	fl_event begun;
	int result;
};

static int until_stolen(void *arg)
{
	struct stolen *stolen = arg;
	return fl_event_wait(&stolen->begun);
}

static int fork_stolen(void *arg)
{
	struct stolen *stolen = arg;
	fl_event_set(&stolen->begun);
	stolen->result = fl_test_fork_in_call();
	return 0;
}

FL_TASK_STATIC(join_that_forks, struct stolen *, void)
{
	return fl_parallel_invoke(until_stolen, *arg, fork_stolen, *arg);
}

POOL_TEST(pool_fork_in_a_call_that_was_stolen, 2)
{
	struct stolen stolen = {.result = 0}, *arg = &stolen;
	FL_OK(fl_test_run_task(e, &join_that_forks, &arg, NULL));
	assert_int_equal(stolen.result, SIGABRT);
}

static int fork_in_loop(void *state, size_t from, size_t to)
{
	COUNT(&others);
	if (from == 0)
		*(int *)state = fl_test_fork_in_call();
	return 0;
}

FL_TEST(pool_fork_in_a_loop)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		FL_SCOPED(fl_executor) *e = pool_with(workers);
		int result = 0;
		SET(&others, 0);
		FL_OK(fl_parallel_for(e, 0, 10, fork_in_loop, &result, &(fl_parallel_config){.grain = 1}));
		assert_int_equal(result, SIGABRT);
		assert_int_equal(LOOK(&others), 10);
	}
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
