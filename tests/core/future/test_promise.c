/* SPDX-License-Identifier: BSD-2-Clause */
/* Promises: futures that are ended by hand. */
#include "fl_in_loop.h"
#include "fl_seam.h"

FL_PROMISE_OF(int, int_promise)
FL_PROMISE_OF(void *, pointer_promise)

FL_TASK_STATIC(same_pointer, void *, void *)
{
	*result = *arg;
	return 0;
}

/* A case with a promise `p` of an int, and its future `f`. */
#define PROMISE_TEST(name)                                                                                             \
	static void name##_of(fl_promise *p, fl_future *f);                                                            \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_promise) *p = NULL;                                                                       \
		FL_SCOPED(fl_future) *f = NULL;                                                                        \
		FL_OK(int_promise_create(&p, NULL, &f));                                                               \
		name##_of(p, f);                                                                                       \
	}                                                                                                              \
	static void name##_of(fl_promise *p, fl_future *f)

static void count_drop(void *result)
{
	COUNT(*(unsigned **)result);
}

static void count_call(fl_future *f, void *arg)
{
	COUNT((unsigned *)arg);
}

PROMISE_TEST(promise_goes_from_pending_to_running_to_done)
{
	FL_STATE_IS(f, FL_PENDING);
	int n = 0;
	FL_RC(int_promise_try_get(f, &n), -EAGAIN);
	FL_RC(int_promise_get_until(f, &n, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(fl_promise_start(p));
	FL_STATE_IS(f, FL_RUNNING);
	FL_RC(int_promise_try_get(f, &n), -EAGAIN);
	FL_OK(int_promise_set(p, 42));
	FL_STATE_IS(f, FL_DONE);
	assert_int_equal(fl_test_result(f), 42);
	assert_int_equal(fl_future_error(f), 0);
	assert_int_equal(*(const int *)fl_future_result(f), 42);
	FL_RC(fl_future_cancel(f), -EALREADY);
}

FL_TEST(promise_and_task_of_void_pointers_have_values)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	void *got = NULL, *given = &f;
	FL_OK(pointer_promise_create(&p, NULL, &f));
	FL_OK(pointer_promise_set(p, &p));
	FL_OK(pointer_promise_get(f, &got));
	assert_ptr_equal(got, &p);
	e = fl_test_executor(fl_sequential_executor_create, NULL);
	FL_OK(fl_test_run_task(e, &same_pointer, &given, &got));
	assert_ptr_equal(got, &f);
}

PROMISE_TEST(promise_set_twice_keeps_the_first)
{
	FL_OK(int_promise_set(p, 1));
	FL_RC(int_promise_set(p, 2), -EALREADY);
	FL_RC(fl_promise_fail(p, -EIO, "late"), -EALREADY);
	FL_RC(fl_promise_start(p), -EALREADY);
	assert_int_equal(fl_test_result(f), 1);
}

PROMISE_TEST(promise_set_after_a_failure_keeps_the_failure)
{
	FL_OK(fl_promise_start(p));
	FL_RC(fl_promise_start(p), -EALREADY);
	FL_OK(fl_promise_fail(p, -EIO, "line %d", 7));
	FL_RC(int_promise_set(p, 2), -EALREADY);
	FL_RC(fl_promise_set(p, &(int){2}), -EALREADY);
	int n = 77;
	FL_RC(int_promise_get(f, &n), FL_ETASK);
	assert_int_equal(n, 77);
	FL_STATE_IS(f, FL_DONE);
	fl_test_future_ended(f, -EIO, "line 7");
	assert_null(fl_future_result(f));
}

PROMISE_TEST(promise_fails_with_an_error_in_any_case)
{
	char text[2 * FL_MESSAGE_MAX];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = 0;
	FL_OK(fl_promise_fail(p, 0, "%s", text));
	assert_int_equal(fl_future_error(f), -EINVAL);
	assert_int_equal(strlen(fl_future_message(f)), FL_MESSAGE_MAX - 1);
}

PROMISE_TEST(promise_fails_without_memory_for_the_message)
{
	SEAM_NO_MEMORY(fl_promise_fail(p, -EIO, "not said"), 0);
	fl_test_future_ended(f, -EIO, "(message lost: out of memory)");
}

FL_TEST(promise_cancelled_while_pending_is_told_so)
{
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	unsigned drops = 0, calls = 0;
	FL_OK(fl_promise_create(&p, sizeof(unsigned *), count_drop, &f));
	FL_OK(fl_future_on_end(f, count_call, &calls));
	assert_false(fl_cancel_token_is_requested(fl_promise_token(p)));
	FL_OK(fl_future_cancel(f));
	assert_int_equal(LOOK(&calls), 1);
	assert_true(fl_cancel_token_is_requested(fl_promise_token(p)));
	FL_STATE_IS(f, FL_CANCELLED);
	FL_RC(fl_promise_start(p), -ECANCELED);
	FL_RC(fl_promise_set(p, &(unsigned *){&drops}), -ECANCELED);
	FL_RC(fl_promise_set(p, &(unsigned *){&drops}), -ECANCELED);
	FL_RC(fl_promise_fail(p, -EIO, "no"), -ECANCELED);
	FL_RC(fl_promise_fail_with(p, &(unsigned *){&drops}, -EIO, "no"), -ECANCELED);
	assert_null(fl_future_result(f));
	FL_OK(fl_future_cancel(f));
	assert_int_equal(fl_future_error(f), -ECANCELED);
	fl_promise_free(p);
	p = NULL;
	fl_future_free(f);
	f = NULL;
	assert_int_equal(LOOK(&drops), 0); /* still the caller's */
	assert_int_equal(LOOK(&calls), 1);
}

PROMISE_TEST(promise_started_is_only_asked)
{
	FL_OK(fl_promise_start(p));
	FL_RC(fl_future_cancel(f), -EINPROGRESS);
	FL_STATE_IS(f, FL_RUNNING);
	assert_true(fl_cancel_token_is_requested(fl_promise_token(p)));
	FL_OK(int_promise_set(p, 5));
	assert_int_equal(fl_test_result(f), 5);
}

PROMISE_TEST(promise_cancel_pending_leaves_a_started_one_alone)
{
	FL_SCOPED(fl_promise) *other = NULL;
	FL_SCOPED(fl_future) *pending = NULL;
	FL_OK(fl_promise_start(p));
	FL_RC(fl_future_cancel_pending(f), -EINPROGRESS);
	assert_false(fl_cancel_token_is_requested(fl_promise_token(p)));
	FL_OK(int_promise_set(p, 5));
	FL_RC(fl_future_cancel_pending(f), -EALREADY);
	FL_OK(int_promise_create(&other, NULL, &pending));
	FL_OK(fl_future_cancel_pending(pending));
	FL_RC(int_promise_set(other, 5), -ECANCELED);
}

FL_TEST(promise_broken_when_freed_unfulfilled)
{
	FL_BOTH (started) {
		fl_promise *p = NULL;
		FL_SCOPED(fl_future) *f = NULL;
		unsigned calls = 0;
		FL_OK(int_promise_create(&p, NULL, &f));
		FL_OK(fl_future_on_end(f, count_call, &calls));
		if (started)
			FL_OK(fl_promise_start(p));
		fl_promise_free(p);
		assert_int_equal(LOOK(&calls), 1);
		FL_STATE_IS(f, FL_DONE);
		int n;
		FL_RC(int_promise_get(f, &n), FL_ETASK);
		fl_test_future_ended(f, -EOWNERDEAD, "broken promise");
	}
	fl_promise_free(NULL);
}

FL_TEST(promise_result_is_dropped_once)
{
	unsigned drops = 0;
	for (int round = 0; round < 3; round++) { /* in both orders of the frees; the last one has no result */
		fl_promise *p = NULL;
		fl_future *f = NULL;
		FL_OK(fl_promise_create(&p, sizeof(unsigned *), count_drop, &f));
		FL_OK(round < 2 ? fl_promise_set(p, &(unsigned *){&drops}) : fl_promise_fail(p, -EIO, "none"));
		if (round == 0)
			fl_promise_free(p);
		fl_future_free(f);
		if (round > 0)
			fl_promise_free(p);
		assert_int_equal(LOOK(&drops), round < 2 ? round + 1 : 2);
	}
}

FL_TEST(promise_fails_with_a_value)
{
	for (int round = 0; round < 2; round++) {
		fl_promise *p = NULL;
		fl_future *f = NULL;
		unsigned drops = 0, others = 0, *got = NULL;
		FL_OK(fl_promise_create(&p, sizeof(unsigned *), count_drop, &f));
		if (round > 0)
			FL_OK(fl_promise_start(p));
		FL_OK(fl_promise_fail_with(p, &(unsigned *){&drops}, round > 0 ? -EIO : 0, "line %d", 7));
		FL_RC(fl_promise_fail_with(p, &(unsigned *){&others}, -EIO, "again"), -EALREADY);
		fl_promise_free(p);
		FL_RC(fl_future_get(f, &got, sizeof got), FL_ETASK);
		assert_ptr_equal(got, &drops);
		assert_ptr_equal(*(unsigned *const *)fl_future_result(f), &drops);
		FL_STATE_IS(f, FL_DONE);
		fl_test_future_ended(f, round > 0 ? -EIO : -EINVAL, "line 7");
		assert_int_equal(LOOK(&drops), 0);
		fl_future_free(f);
		assert_int_equal(LOOK(&drops), 1);
		assert_int_equal(LOOK(&others), 0); /* still the caller's */
	}
}

FL_TEST(promise_of_nothing)
{
	FL_BOTH (fails) {
		FL_SCOPED(fl_promise) *p = NULL;
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(fl_promise_create(&p, 0, NULL, &f));
		FL_OK(fails ? fl_promise_fail_with(p, NULL, -EIO, "no") : fl_promise_set(p, NULL));
		FL_RC(fl_future_get(f, NULL, 0), fails ? FL_ETASK : 0);
		assert_null(fl_future_result(f));
	}
}

FL_TEST(promise_create_without_room)
{
	fl_promise *p = NULL;
	fl_future *f = NULL;
	FL_RC(fl_promise_create(&p, FL_TASK_SIZE_MAX + 1, NULL, &f), -E2BIG);
	SEAM_NO_MEMORY(fl_promise_create(&p, 8, NULL, &f), -ENOMEM);
	assert_null(p);
	assert_null(f);
}

struct own {
	fl_promise *p;
	unsigned calls;
	uint64_t thread;
};

static void free_promise(fl_future *f, void *arg)
{
	struct own *own = arg;
	FL_CHECK(fl_future_state(f) != FL_PENDING);
	own->thread = fl_thread_current_id();
	fl_promise_free(own->p);
	COUNT(&own->calls);
}

FL_TEST(promise_callback_may_free_it)
{
	for (int how = 0; how < 2; how++) {
		struct own own = {0};
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(int_promise_create(&own.p, NULL, &f));
		FL_OK(fl_future_on_end(f, free_promise, &own));
		if (how == 0)
			FL_OK(int_promise_set(own.p, 1));
		else
			FL_OK(fl_future_cancel(f));
		assert_int_equal(LOOK(&own.calls), 1);
		/* The finisher's, or the canceller's. */
		assert_true(own.thread == fl_thread_current_id());
	}
}

/* The producer waits under the token, which a cancel requests. */
static int work_under_token(void *promise)
{
	fl_event never = FL_EVENT_INIT;
	FL_RC(fl_event_wait_until(&never, FL_FOREVER, fl_promise_token(promise)), -ECANCELED);
	return 0;
}

PROMISE_TEST(promise_token_wakes_the_producer)
{
	fl_thread *t;
	fl_test_go(&t, work_under_token, p);
	FL_OK(fl_future_cancel(f));
	fl_test_end(t);
}
