/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that need an executor and get NULL: each panics and names itself. */
#include "fl_test.h"

FL_TASK_STATIC(one_more, int, int)
{
	*result = *arg + 1;
	return 0;
}

static int none(void *unused, size_t from, size_t to)
{
	return 0;
}

static const char reason[] = "the executor is NULL: was it made?";

#define MISSING(name, call)                                                                                            \
	do {                                                                                                           \
		FL_PANICS_OF(#name, NULL, FL_IGNORE(call));                                                            \
		assert_string_equal(fl_test_panic.reason, reason);                                                     \
	} while (0)

FL_TEST(executor_null_is_a_panic_with_a_name)
{
	fl_future *f = NULL;
	fl_imap *it = NULL;
	fl_stats_executor stats;
	fl_stats_type type;
	int arg = 1, result = 0, pids[1];
	MISSING(fl_executor_submit, one_more_submit(NULL, 1, &f));
	MISSING(fl_executor_submit_with, one_more_submit_with(NULL, 1, &f, NULL));
	MISSING(fl_executor_map, one_more_map(NULL, &arg, 1, &result, NULL));
	MISSING(fl_imap_create, one_more_imap(NULL, &arg, 1, &it, NULL));
	MISSING(fl_parallel_for, fl_parallel_for(NULL, 0, 1, none, NULL, NULL));
	MISSING(fl_parallel_reduce, fl_parallel_reduce(NULL, 0, 1, &(fl_reduction){0}, NULL, &result, NULL));
	FL_PANICS_OF("fl_executor_close", NULL, fl_executor_close(NULL));
	assert_string_equal(fl_test_panic.reason, reason);
	MISSING(fl_executor_cancel, fl_executor_cancel(NULL));
	MISSING(fl_executor_cancel_pending, fl_executor_cancel_pending(NULL));
	MISSING(fl_executor_terminate, fl_executor_terminate(NULL));
	MISSING(fl_executor_resize, fl_executor_resize(NULL, 1));
	MISSING(fl_executor_join, fl_executor_join(NULL));
	MISSING(fl_executor_try_join, fl_executor_try_join(NULL));
	MISSING(fl_executor_join, fl_executor_join_until(NULL, FL_NO_WAIT, NULL));
	MISSING(fl_executor_wait_idle, fl_executor_wait_idle(NULL));
	MISSING(fl_executor_wait_idle, fl_executor_wait_idle_until(NULL, FL_NO_WAIT, NULL));
	MISSING(fl_executor_detach, fl_executor_detach(NULL));
	MISSING(fl_executor_capabilities, fl_executor_capabilities(NULL));
	MISSING(fl_executor_kind, fl_executor_kind(NULL));
	MISSING(fl_executor_workers, fl_executor_workers(NULL));
	MISSING(fl_executor_is_broken, fl_executor_is_broken(NULL));
	MISSING(fl_executor_stats, fl_executor_stats(NULL, &stats));
	MISSING(fl_executor_type_stats, fl_executor_type_stats(NULL, 0, &type));
	MISSING(fl_process_executor_pids, fl_process_executor_pids(NULL, pids, 1));
	fl_executor_free(NULL);
}

FL_TEST(executor_null_of_a_group_and_a_successor)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(NULL);
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	fl_future *next = NULL;
	int arg = 1, result = 0;
	MISSING(fl_group_submit, one_more_group_submit(&g, arg, &result));
	MISSING(fl_group_submit_with, one_more_group_submit_with(&g, arg, &result, NULL));
	assert_int_equal(fl_group_count(&g), 0);
	e = fl_test_executor(fl_sequential_executor_create, NULL);
	FL_OK(one_more_submit(e, arg, &f));
	MISSING(fl_future_then, fl_future_then(f, NULL, &one_more, &next));
}
