/* SPDX-License-Identifier: BSD-2-Clause */
/* What fl_perror() says of a task that has failed, for every kind of executor. */
#include "conformance.h"

enum { N = 40, BAD = 17 };

static void print(void *unused)
{
	(void)unused;
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

static void number(int *args)
{
	for (int i = 0; i < N; i++)
		args[i] = i;
}

CONFORMANCE(failure_of_a_future)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	fl_future *f = NULL;
	int result = 0;
	FL_OK(refuses_bad_submit(e, BAD, &f));
	FL_RC(refuses_bad_get(f, &result), FL_ETASK);
	fl_future_free(f);
	expect("the task failed: EDOM: 17 is bad");
}

CONFORMANCE(failure_of_a_map)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	int args[N], results[N];
	number(args);
	FL_RC(refuses_bad_map(e, args, N, results, NULL), FL_ETASK);
	expect("the task of argument 17 failed: EDOM: 17 is bad");
}

CONFORMANCE(failure_of_an_iteration)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	FL_SCOPED(fl_imap) *it = NULL;
	int args[N], result, rc;
	size_t index = 0;
	number(args);
	FL_OK(refuses_bad_imap(e, args, N, &it, &(fl_imap_config){.chunk = 1}));
	while ((rc = refuses_bad_imap_next(it, &index, &result)) == 0)
		;
	FL_RC(rc, FL_ETASK);
	assert_int_equal(index, BAD);
	expect("the task of argument 17 failed: EDOM: 17 is bad");
}

static int refuses_all(void *unused, size_t from, size_t to)
{
	(void)unused;
	(void)from;
	(void)to;
	return -EDOM;
}

CONFORMANCE(failure_of_a_loop)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	if (!is_by_reference(e))
		return;
	FL_RC(fl_parallel_for(e, 0, N, refuses_all, NULL, NULL), FL_ETASK);
	char reason[128];
	(void)snprintf(reason, sizeof reason, "the task failed: EDOM: %s", fl_error_text(-EDOM));
	expect(reason);
}
