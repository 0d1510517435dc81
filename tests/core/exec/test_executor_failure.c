/* SPDX-License-Identifier: BSD-2-Clause */
/* What fl_perror() says of a task that has failed, for every kind of executor. */
#include "conformance.h"

enum { N = 40, BAD = 17 };

static void print(void *unused)
{
	FL_CHECK(fl_perror(FL_ETASK, "job") == EXIT_FAILURE);
}

static void expect(const char *reason)
{
	char text[512], expected[512];
	fl_test_stderr(print, NULL, text, sizeof text);
	(void)snprintf(expected, sizeof expected, "job: FL_ETASK: %s\n", reason);
	assert_string_equal(text, expected);
}

FL_TASK_STATIC(refuses_bad, int, int)
{
	return *arg == BAD ? fl_task_fail(ctx, -EDOM, "%d is bad", *arg) : 0;
}

CONFORMANCE_ON(failure_of_a_future, 2)
{
	FL_RC(fl_test_run_task(e, &refuses_bad, &(int){BAD}, &(int){0}), -EDOM);
	expect("the task failed: EDOM: 17 is bad");
}

CONFORMANCE_ON(failure_of_a_map, 2)
{
	int args[N], results[N];
	fl_test_number(args, N);
	FL_RC(refuses_bad_map(e, args, N, results, NULL), FL_ETASK);
	expect("the task of argument 17 failed: EDOM: 17 is bad");
}

CONFORMANCE_ON(failure_of_an_iteration, 2)
{
	FL_SCOPED(fl_imap) *it = NULL;
	int args[N], result, rc;
	size_t index = 0;
	fl_test_number(args, N);
	FL_OK(refuses_bad_imap(e, args, N, &it, &(fl_imap_config){.chunk = 1}));
	while ((rc = refuses_bad_imap_next(it, &index, &result)) == 0)
		;
	FL_RC(rc, FL_ETASK);
	assert_int_equal(index, BAD);
	expect("the task of argument 17 failed: EDOM: 17 is bad");
}

FL_TASK_STATIC(times_out, int, int)
{
	return fl_task_fail(ctx, -ETIMEDOUT, "%d was late", *arg);
}

CONFORMANCE_ON(failure_of_a_group, 2)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	FL_OK(times_out_group_submit(&g, BAD, NULL));
	FL_GROUP_FAILED(&g, -ETIMEDOUT);
	expect("the task failed: ETIMEDOUT: 17 was late");
}

static int refuses_all(void *unused, size_t from, size_t to)
{
	return -EDOM;
}

CONFORMANCE_ABLE(failure_of_a_loop, 2, FL_CAP_BY_REFERENCE)
{
	FL_RC(fl_parallel_for(e, 0, N, refuses_all, NULL, NULL), FL_ETASK);
	char reason[128];
	(void)snprintf(reason, sizeof reason, "the task failed: EDOM: %s", fl_error_text(-EDOM));
	expect(reason);
}

/* Without a message the task is told what it should have returned. */
FL_TASK_STATIC(returns_positive, int, int)
{
	return *arg >= 0 ? *arg : fl_task_fail(ctx, -*arg, "its own");
}

static const char positive_eio[] = ":returns_positive returned 5: an error is a negative errno (-EIO)";

CONFORMANCE_ON(failure_of_a_positive_number, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	FL_SCOPED(fl_future) *f = NULL, *own = NULL;
	FL_SCOPED(fl_imap) *it = NULL;
	const int args[] = {0, EIO, 0, 0};
	int results[4], result;
	fl_map_error error;
	FL_OK(returns_positive_submit(e, EIO, &f));
	FL_RC(returns_positive_get(f, &result), FL_ETASK);
	FL_RC(fl_future_error(f), EIO);
	fl_test_contains(fl_future_message(f), positive_eio);
	FL_OK(returns_positive_submit(e, -EIO, &own));
	FL_RC(returns_positive_get(own, &result), FL_ETASK);
	fl_test_future_ended(own, EIO, "its own");
	FL_RC(returns_positive_map(e, args, 4, results, &(fl_map_config){.chunk = 4, .error = &error}), FL_ETASK);
	FL_RC(error.error, EIO);
	fl_test_contains(error.message, positive_eio);
	FL_OK(returns_positive_imap(e, args, 4, &it, &(fl_imap_config){.chunk = 4}));
	FL_OK(returns_positive_imap_next(it, NULL, &result));
	FL_RC(returns_positive_imap_next(it, NULL, &result), FL_ETASK);
	fl_test_contains(fl_imap_message(it), positive_eio);
	FL_OK(returns_positive_group_submit(&g, EIO, &result));
	FL_GROUP_FAILED(&g, EIO);
	fl_test_contains(fl_group_message(&g), positive_eio);
}

FL_TASK_STATIC(initializes_positively, void, void)
{
	return EIO;
}

CONFORMANCE(failure_of_an_initializer_with_a_positive_number)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	FL_NEEDS(kind->needs);
	int rc = kind->create(&e, &(fl_executor_config){.workers = 1, .initialize = &initializes_positively});
	if (rc == EIO) /* it ran in the create */
		return;
	FL_OK(rc);
	rc = square_submit(e, 3, &f);
	if (rc == -ENOTRECOVERABLE)
		return;
	FL_OK(rc);
	FL_RC(square_get(f, &(int){0}), FL_ETASK);
	FL_RC(fl_future_error(f), -ENOTRECOVERABLE);
	fl_test_contains(fl_future_message(f), "5: an error is a negative errno (-EIO)");
}
