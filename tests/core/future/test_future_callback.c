/* SPDX-License-Identifier: BSD-2-Clause */
/* What a future calls when it ends, and its messages. For every kind: test_executor_callbacks.c. */
#include "fl_pool.h"

static void count_call(fl_future *f, void *calls)
{
	COUNT((unsigned *)calls);
}

POOL_TEST(future_callback_without_memory_is_refused_and_not_called, 1)
{
	struct held held = hold_worker(e);
	unsigned refused = 0, called = 0;
	SEAM_NO_MEMORY(fl_future_on_end(held.f, count_call, &refused), -ENOMEM);
	FL_OK(fl_future_on_end(held.f, count_call, &called));
	let_go(&held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&refused), 0);
	assert_int_equal(LOOK(&called), 1);
}

struct thousand {
	char bytes[1000];
};

FL_TASK(callback_of_a_large_task, struct thousand, void)
{
	return arg->bytes[0];
}

struct passed {
	struct gate *gate;
	fl_future *behind;
};

static void free_and_be_passed(fl_future *f, void *arg)
{
	const struct passed *p = arg;
	fl_future_free(f);
	fl_event_set(&p->gate->open);
	FL_OK(fl_future_wait(p->behind));
}

/* ... also a task that is being cancelled while a worker takes it. */
POOL_TEST(future_callback_frees_what_is_being_cancelled, 1)
{
	const struct thousand zeros = {{0}};
	FL_BOTH (large) {
		struct held held = hold_worker(e);
		struct passed p = {held.gate, NULL};
		fl_future *f = NULL;
		FL_OK(large ? callback_of_a_large_task_submit(e, zeros, &f) : pool_double_submit(e, 1, &f));
		FL_OK(pool_double_submit(e, 1, &p.behind));
		/* From now on it is the callback's. */
		FL_OK(fl_future_on_end(f, free_and_be_passed, &p));
		FL_OK(fl_future_cancel(f));
		fl_future_free(p.behind);
		let_go(&held);
	}
}

/* A callback must not inherit the waiter's cancel scope. */
static void note_scope(fl_future *f, void *scope)
{
	*(fl_cancel_token **)scope = fl_cancel_scope_current();
}

FL_TASK_STATIC(wait_under_a_scope, fl_cancel_token **, void)
{
	FL_CHECK(fl_cancel_scope_current() != NULL);
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(pool_double, fl_executor_current(), 1);
	FL_OK(fl_future_on_end(f, note_scope, *arg));
	return fl_future_wait(f); /* runs it here */
}

POOL_TEST(future_callback_has_no_scope, 1)
{
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT, *seen = &token;
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(wait_under_a_scope, e, &seen);
	FL_OK(wait_under_a_scope_get(f));
	assert_null(seen);
	seen = &token;
	FL_CANCEL_SCOPE(&token);
	FL_OK(fl_future_on_end(f, note_scope, &seen)); /* now */
	assert_null(seen);
	assert_ptr_equal(fl_cancel_scope_current(), &token);
}

/* Messages. */

FL_TASK(message_without_memory, void, void)
{
	seam_fail_allocs(0, 100);
	int rc = fl_task_fail(ctx, -EIO, "cannot say %s", "anything");
	rc = fl_task_fail(ctx, rc, "nor %s", "this");
	(void)seam_heal();
	return rc;
}

/* The failure counts, the message is a luxury. */
POOL_TEST(future_message_without_memory_leaves_the_error, 1)
{
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_future) *f = FL_SUBMITTED(message_without_memory, e);
		FL_RC(message_without_memory_get(f), FL_ETASK);
		FL_RC(fl_future_error(f), -EIO);
		assert_non_null(fl_future_message(f));
		assert_true(strlen(fl_future_message(f)) < FL_MESSAGE_MAX);
	}
}

FL_TASK(message_after_all_well, int, int)
{
	(void)fl_task_fail(ctx, -EIO, "first");
	if (*arg == 0)
		(void)fl_task_fail(ctx, -EIO, "last");
	*result = 1;
	return *arg == 0 ? -EINTR : 0;
}

POOL_TEST(future_message_counts_only_with_a_failure, 1)
{
	FL_SCOPED(fl_future) *well = NULL, *failed = NULL;
	int n = 0;
	FL_OK(message_after_all_well_submit(e, 1, &well));
	FL_OK(message_after_all_well_get(well, &n));
	assert_string_equal(fl_future_message(well), "");
	FL_OK(message_after_all_well_submit(e, 0, &failed));
	FL_RC(message_after_all_well_get(failed, &n), FL_ETASK);
	/* The task's result, not the argument of fl_task_fail(). */
	fl_test_future_ended(failed, -EINTR, "last");
}
