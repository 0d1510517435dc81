/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futures as they end. Fibers: test_fibers_as_completed.c; every kind of executor:
 * test_executor_futures.c.
 */
#include "fl_meet.h"
#include "fl_pool.h"

FL_PROMISE_OF(int, int_promise)

enum { SOME = 5 };

struct some {
	fl_promise *p[SOME];
	fl_future *f[SOME];
	fl_as_completed *c;
};

static void begin_some(void *arg)
{
	struct some *s = arg;
	for (int i = 0; i < SOME; i++)
		FL_OK(int_promise_create(&s->p[i], NULL, &s->f[i]));
	FL_OK(fl_futures_as_completed_create(&s->c, s->f, SOME));
}

static void end_some(void *arg)
{
	struct some *s = arg;
	fl_as_completed_free(s->c);
	for (int i = 0; i < SOME; i++) {
		fl_promise_free(s->p[i]);
		fl_future_free(s->f[i]);
	}
}

/* Checks that the next one is this. */
static void next_is(fl_as_completed *c, size_t expected)
{
	size_t index = 77;
	FL_OK(fl_as_completed_try_next(c, &index));
	assert_int_equal(index, expected);
}

FL_TEST(futures_completed_done_ones_first_then_in_their_order)
{
	struct some s;
	begin_some(&s);
	fl_as_completed_free(s.c);
	FL_OK(int_promise_set(s.p[3], 1));
	FL_OK(fl_future_cancel(s.f[1]));
	FL_OK(fl_futures_as_completed_create(&s.c, s.f, SOME));
	size_t index = 77;
	FL_OK(fl_promise_fail(s.p[4], -EIO, "failed"));
	FL_OK(int_promise_set(s.p[0], 1));
	next_is(s.c, 1); /* in the order of the array */
	next_is(s.c, 3);
	next_is(s.c, 4); /* in that of their ends */
	FL_OK(fl_as_completed_next(s.c, &index));
	assert_int_equal(index, 0);
	FL_RC(fl_as_completed_try_next(s.c, &index), -EAGAIN);
	fl_promise_free(s.p[2]);
	s.p[2] = NULL;
	next_is(s.c, 2);
	FL_RC(fl_as_completed_try_next(s.c, &index), -ENODATA);
	FL_RC(fl_as_completed_next(s.c, &index), -ENODATA);
	FL_RC(fl_as_completed_next_until(s.c, &index, 0, NULL), -ENODATA);
	end_some(&s);
}

FL_TEST(futures_completed_duplicates_collapse)
{
	struct some s;
	begin_some(&s);
	fl_as_completed_free(s.c);
	fl_future *f[] = {s.f[0], s.f[1], s.f[0], s.f[1], s.f[2], s.f[0]};
	FL_OK(fl_futures_as_completed_create(&s.c, f, 6));
	size_t index;
	for (int i = 2; i >= 0; i--)
		FL_OK(int_promise_set(s.p[i], i));
	next_is(s.c, 4);
	next_is(s.c, 1);
	next_is(s.c, 0);
	FL_RC(fl_as_completed_try_next(s.c, &index), -ENODATA);
	end_some(&s);
}

FL_TEST(futures_completed_of_none)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t index;
	FL_OK(fl_futures_as_completed_create(&c, NULL, 0));
	FL_RC(fl_as_completed_next(c, &index), -ENODATA);
	fl_as_completed_free(NULL);
}

FL_TEST(futures_completed_has_one_deadline_for_all)
{
	struct some s;
	begin_some(&s);
	const int64_t deadline = fl_after(FL_MS(3));
	size_t index = 77;
	FL_OK(int_promise_set(s.p[2], 1));
	FL_OK(fl_as_completed_next_until(s.c, &index, deadline, NULL));
	assert_int_equal(index, 2);
	FL_RC(fl_as_completed_next_until(s.c, &index, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	FL_OK(int_promise_set(s.p[0], 1));
	/* An available future is still handed out. */
	FL_OK(fl_as_completed_next_until(s.c, &index, deadline, NULL));
	assert_int_equal(index, 0);
	FL_RC(fl_as_completed_next_until(s.c, &index, deadline, NULL), -ETIMEDOUT);
	end_some(&s);
}

FL_TEST(futures_completed_is_cancelled_and_can_be_called_again)
{
	struct some s;
	size_t index = 77;
	begin_some(&s);
	FL_RC(fl_as_completed_next_until(s.c, &index, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_as_completed_next(s.c, &index), -ECANCELED);
		FL_OK(int_promise_set(s.p[4], 1));
		FL_OK(fl_as_completed_next(s.c, &index));
	}
	assert_int_equal(index, 4);
	end_some(&s);
}

/*
 * CPython #92001, #109934: an iteration hangs on futures that are cancelled before it, or during
 * it.
 */
FL_TEST(futures_completed_does_not_hang_on_cancelled_ones)
{
	struct some s;
	begin_some(&s);
	size_t index;
	for (int i = 0; i < SOME; i++)
		FL_OK(fl_future_cancel(s.f[i]));
	for (size_t i = 0; i < SOME; i++) {
		FL_OK(fl_as_completed_next(s.c, &index));
		assert_int_equal(index, i);
	}
	FL_RC(fl_as_completed_next(s.c, &index), -ENODATA);
	end_some(&s);
}

FL_TEST(futures_completed_without_memory)
{
	struct some s;
	begin_some(&s);
	fl_as_completed_free(s.c);
	for (unsigned skip = 0; skip < 2; skip++) {
		seam_fail_allocs(skip, 1);
		FL_RC(fl_futures_as_completed_create(&s.c, s.f, SOME), -ENOMEM);
		FL_OK(seam_heal());
	}
	FL_RC(fl_futures_as_completed_create(&s.c, s.f, SIZE_MAX / 2), -ENOMEM);
	s.c = NULL;
	end_some(&s);
}

/* It holds what it has not handed out; so the caller's references may go at once. */
FL_TEST(futures_completed_holds_its_futures)
{
	struct some s;
	begin_some(&s);
	for (int i = 0; i < SOME; i++) {
		fl_future_free(s.f[i]);
		s.f[i] = NULL;
	}
	FL_OK(int_promise_set(s.p[1], 1));
	next_is(s.c, 1);
	end_some(&s); /* four are pending */
}

static int take_all(void *arg)
{
	struct some *s = arg;
	bool seen[SOME] = {false};
	size_t index;
	for (int i = 0; i < SOME; i++) {
		FL_CHECK(fl_as_completed_next(s->c, &index) == 0 && index < SOME && !seen[index]);
		FL_OK(fl_future_try_wait(s->f[index]));
		seen[index] = true;
	}
	FL_RC(fl_as_completed_next(s->c, &index), -ENODATA);
	return 0;
}

static void end_all(void *arg)
{
	struct some *s = arg;
	for (int i = SOME; i-- > 0;)
		FL_CHECK(i == 2 ? fl_future_cancel(s->f[i]) == 0 : int_promise_set(s->p[i], i) == 0);
}

FL_TEST(futures_completed_next_suspends_only_the_fiber)
{
	struct some s;
	fl_test_meet(
	    &(fl_test_meeting){.object = &s, .begin = begin_some, .wait = take_all, .wake = end_all, .end = end_some});
}

/* A hundred thousand of them, one by one: a step does not get slower with their number. */
FL_TEST(futures_completed_thousands)
{
	const size_t n = fl_test_scaled(100000);
	fl_promise **p = calloc(n, sizeof *p);
	fl_future **f = calloc(n, sizeof *f);
	assert_true(p && f);
	for (size_t i = 0; i < n; i++)
		FL_OK(int_promise_create(&p[i], NULL, &f[i]));
	fl_as_completed *c = NULL;
	FL_OK(fl_futures_as_completed_create(&c, f, n));
	for (size_t i = n; i-- > 0;) {
		FL_OK(int_promise_set(p[i], 1));
		if (i % 3 == 0)
			next_is(c, n - 1 - (n - 1 - i) / 3);
	}
	fl_as_completed_free(c);
	for (size_t i = 0; i < n; i++) {
		fl_promise_free(p[i]);
		fl_future_free(f[i]);
	}
	free(p);
	free(f);
}

/*
 * A chain with a task that becomes pending between two waits of the only worker: the second wait
 * runs it.
 */
FL_TASK(completed_double, int, int)
{
	*result = 2 * *arg;
	return 0;
}

FL_TASK_STATIC(wait_for_chain_twice, void, int)
{
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t i = 77;
	FL_OK(fl_promise_create(&p, sizeof(int), NULL, &f));
	FL_OK(fl_future_then(f, fl_executor_current(), &completed_double, &next));
	FL_OK(fl_futures_as_completed_create(&c, &next, 1));
	FL_RC(fl_as_completed_next_until(c, &i, fl_after(FL_MS(1)), FL_SHIELDED), -ETIMEDOUT);
	FL_OK(fl_promise_set(p, &(int){21}));
	FL_CHECK(fl_as_completed_next_until(c, &i, FL_FOREVER, FL_SHIELDED) == 0 && i == 0);
	FL_RC(fl_as_completed_try_next(c, &i), -ENODATA);
	return completed_double_get(next, result);
}

FL_TEST(futures_completed_helps_a_chain_each_time)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	FL_OK(wait_for_chain_twice_submit(e, &f));
	assert_int_equal(fl_test_result(f), 42);
}
