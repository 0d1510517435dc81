/* SPDX-License-Identifier: BSD-2-Clause */
/* What fl_perror() says of FL_ETASK. For each kind of executor: test_executor_failure.c. */
#include "fl_child.h"
#include "fl_in_loop.h"

struct order {
	int error;
	char message[FL_MESSAGE_MAX];
};

FL_TASK_STATIC(ends_with, struct order, int)
{
	return arg->message[0] ? fl_task_fail(ctx, arg->error, "%s", arg->message) : arg->error;
}

static void print(void *what)
{
	FL_CHECK(fl_perror(FL_ETASK, what) == EXIT_FAILURE);
}

/* The failure as printed text: in a buffer of the calling thread. */
static const char *printed(void)
{
	static _Thread_local char text[2 * FL_MESSAGE_MAX];
	fl_test_stderr(print, (char[]){"job"}, text, sizeof text);
	return text;
}

/* The calling context keeps the failure. */
static void told_of(int error, const char *message)
{
	struct order order = {.error = error};
	int result;
	FL_TEXT(order.message, "%s", message);
	FL_SCOPED(fl_executor) *e = fl_test_executor(fl_sequential_executor_create, NULL);
	FL_RC(fl_test_run_task(e, &ends_with, &order, &result), error);
}

FL_TEST(failure_is_remembered_until_the_next)
{
	told_of(-EDOM, "-3 is no length");
	assert_string_equal(printed(), "job: FL_ETASK: the task failed: EDOM: -3 is no length\n");
	assert_string_equal(printed(), "job: FL_ETASK: the task failed: EDOM: -3 is no length\n");
	told_of(-EIO, "");
	char expected[128];
	FL_TEXT(expected, "job: FL_ETASK: the task failed: EIO: %s\n", fl_error_text(-EIO));
	assert_string_equal(printed(), expected);
}

FL_TEST(failure_without_a_name_is_a_number)
{
	told_of(7, "seven of nine");
	assert_string_equal(printed(), "job: FL_ETASK: the task failed: 7: seven of nine\n");
	told_of(7, "");
	fl_test_contains(printed(), "the task failed: 7: task ");
	fl_test_contains(printed(), ":ends_with returned 7: an error is a negative errno (-E2BIG)\n");
}

FL_TEST(failure_of_the_longest_message)
{
	char message[FL_MESSAGE_MAX], expected[2 * FL_MESSAGE_MAX];
	memset(message, 'x', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	told_of(-EIO, message);
	FL_TEXT(expected, "job: FL_ETASK: the task failed: EIO: %s\n", message);
	assert_string_equal(printed(), expected);
}

static void print_other(void *status)
{
	*(int *)status = fl_perror(-EPIPE, "executor");
}

FL_TEST(failure_is_for_etask_alone)
{
	char text[256];
	int status = 0;
	told_of(-EIO, "");
	fl_test_stderr(print_other, &status, text, sizeof text);
	assert_int_equal(status, EXIT_FAILURE);
	assert_string_equal(text, "executor: EPIPE: Closed or broken\n");
}

/* All forms of get keep the failure for the context; a wait without a result does not. */
FL_TEST(failure_is_told_by_each_form_of_get)
{
	FL_SCOPED(fl_executor) *e = NULL;
	int result;
	e = fl_test_executor(fl_sequential_executor_create, NULL);
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(ends_with, e, (struct order){-EDOM, "one"});
	told_of(-EIO, "");
	FL_OK(fl_future_wait(f));
	fl_test_contains(printed(), "EIO");
	FL_RC(fl_future_try_get(f, &result, sizeof result), FL_ETASK);
	fl_test_contains(printed(), "EDOM: one");
	told_of(-EIO, "");
	FL_RC(fl_future_get_until(f, &result, sizeof result, FL_NO_WAIT, NULL), FL_ETASK);
	fl_test_contains(printed(), "EDOM: one");
	told_of(-EIO, "");
	FL_RC(fl_future_get(f, &result, sizeof result), FL_ETASK);
	fl_test_contains(printed(), "EDOM: one");
}

static int on_another_thread(void *unused)
{
	FL_CHECK(strcmp(printed(), "job: FL_ETASK: the task failed\n") == 0);
	told_of(-EIO, "theirs");
	return 0;
}

FL_TEST(failure_is_the_threads)
{
	told_of(-EDOM, "ours");
	fl_test_on_thread(on_another_thread, NULL);
	fl_test_contains(printed(), "EDOM: ours");
}

static int told_and_waits(void *unused)
{
	told_of(-EDOM, "first");
	fl_test_contains(printed(), "EDOM: first");
	fl_fiber_yield(); /* the other runs */
	FL_CHECK(strcmp(printed(), "job: FL_ETASK: the task failed\n") == 0);
	return 0;
}

static int told_meanwhile(void *unused)
{
	FL_CHECK(strcmp(printed(), "job: FL_ETASK: the task failed\n") == 0);
	told_of(-EIO, "second");
	fl_fiber_yield();
	fl_test_contains(printed(), "EIO: second");
	return 0;
}

static int two_fibers(void *unused)
{
	fl_fiber *first = fl_test_start(told_and_waits, NULL), *second = fl_test_start(told_meanwhile, NULL);
	return fl_test_join(first) + fl_test_join(second);
}

FL_TEST(failure_of_another_fiber_is_not_printed)
{
	fl_test_in_loop(two_fibers, NULL);
}
