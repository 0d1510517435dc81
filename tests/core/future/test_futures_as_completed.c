/* SPDX-License-Identifier: BSD-2-Clause */
/* Futures as they end. With every kind of executor: test_executor_futures.c. */
#include "fl_in_loop.h"
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
	FL_EACH (i, s->p)
		FL_OK(int_promise_create(&s->p[i], NULL, &s->f[i]));
	FL_OK(fl_as_completed_create(&s->c, s->f, SOME));
}

static void end_some(void *arg)
{
	struct some *s = arg;
	fl_as_completed_free(s->c);
	FL_EACH (i, s->p)
		fl_promise_free(s->p[i]);
	fl_test_futures_free(s->f, SOME);
}

/* Futures by their numbers: with an even number they succeed, with an odd one they fail. */

static struct {
	fl_promise **p;
	fl_future **f;
	size_t n;
} things;

static void things_begin(size_t n)
{
	things.p = calloc(n, sizeof *things.p);
	things.f = calloc(n, sizeof *things.f);
	things.n = n;
	assert_true(things.p && things.f);
	for (size_t i = 0; i < n; i++)
		FL_OK(int_promise_create(&things.p[i], NULL, &things.f[i]));
}

static void things_end(size_t i)
{
	if (i % 2 == 0)
		FL_OK(int_promise_set(things.p[i], 1));
	else
		FL_OK(fl_promise_fail(things.p[i], -EIO, "failed"));
}

static int things_create(fl_as_completed **c, const size_t *which, size_t n)
{
	fl_future **of = calloc(n + 1, sizeof *of);
	assert_non_null(of);
	for (size_t i = 0; i < n; i++)
		of[i] = things.f[which ? which[i] : i];
	const int rc = fl_as_completed_create(c, of, n);
	free(of);
	return rc;
}

static void things_finish(void)
{
	for (size_t i = 0; i < things.n; i++)
		fl_promise_free(things.p[i]);
	fl_test_futures_free(things.f, things.n);
	free(things.p);
	free(things.f);
}

static void next_is(fl_as_completed *c, size_t expected)
{
	size_t index = 77;
	FL_OK(fl_as_completed_next(c, &index));
	FL_RC(index, expected);
}

static void no_more(fl_as_completed *c)
{
	size_t index;
	FL_RC(fl_as_completed_next_until(c, &index, FL_NO_WAIT, NULL), -ENODATA);
}

FL_TEST(futures_completed_done_ones_first_then_in_their_order)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t index;
	things_begin(5);
	things_end(3);
	things_end(1);
	FL_OK(things_create(&c, NULL, 5));
	things_end(4);
	things_end(0);
	next_is(c, 1); /* those that had ended, in the order of the array */
	next_is(c, 3);
	next_is(c, 4); /* the others, in that of their ends */
	next_is(c, 0);
	FL_RC(fl_as_completed_next_until(c, &index, FL_NO_WAIT, NULL), -ETIMEDOUT);
	things_end(2);
	FL_OK(fl_as_completed_next_until(c, &index, FL_NO_WAIT, NULL));
	FL_RC(index, 2);
	no_more(c);
	things_finish();
}

FL_TEST(futures_completed_of_none)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	FL_OK(things_create(&c, NULL, 0));
	no_more(c);
	fl_as_completed_free(NULL);
}

/* Some had ended before. */
FL_TEST(futures_completed_duplicates_collapse)
{
	static const size_t which[] = {0, 1, 0, 1, 2, 0};
	FL_SCOPED(fl_as_completed) *c = NULL;
	things_begin(3);
	things_end(1);
	FL_OK(things_create(&c, which, 6));
	things_end(2);
	things_end(0);
	next_is(c, 1);
	next_is(c, 4);
	next_is(c, 0);
	no_more(c);
	things_finish();
}

/* An end that has come is returned whatever ends the wait. */
FL_TEST(futures_completed_has_one_deadline_for_all)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	const fl_time deadline = fl_after(FL_MS(3));
	size_t index = 77;
	things_begin(3);
	FL_OK(things_create(&c, NULL, 3));
	FL_RC(fl_as_completed_next_until(c, &index, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_as_completed_next_until(c, &index, deadline, NULL), -ETIMEDOUT);
	FL_CHECK(fl_time_is_past(deadline) && index == 77);
	things_end(2);
	FL_OK(fl_as_completed_next_until(c, &index, deadline, NULL));
	FL_RC(index, 2);
	FL_RC(fl_as_completed_next_until(c, &index, deadline, NULL), -ETIMEDOUT);
	FL_RC(fl_as_completed_next_until(c, &index, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_as_completed_next(c, &index), -ECANCELED);
		things_end(1);
		next_is(c, 1);
	}
	things_finish();
}

/* Counts steps, not time: each is returned once, in the given order. */
FL_TEST(futures_completed_thousands)
{
	const size_t n = fl_test_scaled(100000);
	const size_t stride = 7919 % n;
	FL_SCOPED(fl_as_completed) *c = NULL;
	things_begin(n);
	FL_OK(things_create(&c, NULL, n));
	for (size_t i = 0, at = 0; i < n; i++) {
		at = (at + stride) % n;
		things_end(at);
		next_is(c, at);
	}
	no_more(c);
	things_finish();
}

/* A promise that is freed ends its future. */
FL_TEST(futures_completed_of_broken_promises)
{
	struct some s;
	size_t index = 77;
	begin_some(&s);
	fl_promise_free(s.p[2]);
	s.p[2] = NULL;
	FL_OK(fl_as_completed_next_until(s.c, &index, FL_NO_WAIT, NULL));
	assert_int_equal(index, 2);
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
	FL_EACH (i, s.f)
		FL_OK(fl_future_cancel(s.f[i]));
	FL_EACH (i, s.f) {
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
		FL_RC(fl_as_completed_create(&s.c, s.f, SOME), -ENOMEM);
		FL_OK(seam_heal());
	}
	FL_RC(fl_as_completed_create(&s.c, s.f, SIZE_MAX / 2), -ENOMEM);
	s.c = NULL;
	end_some(&s);
}

/* It holds what it has not handed out; so the caller's references may go at once. */
FL_TEST(futures_completed_holds_its_futures)
{
	struct some s;
	begin_some(&s);
	fl_test_futures_free(s.f, SOME);
	memset(s.f, 0, sizeof s.f);
	size_t index = 77;
	FL_OK(int_promise_set(s.p[1], 1));
	FL_OK(fl_as_completed_next(s.c, &index));
	assert_int_equal(index, 1);
	end_some(&s); /* four are pending */
}

static int take_all(void *arg)
{
	struct some *s = arg;
	bool seen[SOME] = {false};
	size_t index;
	FL_EACH (i, seen) {
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
	FL_MEET(.object = &s, .begin = begin_some, .wait = take_all, .wake = end_all, .end = end_some);
}

/*
 * A chain with a task that becomes pending between two waits of the only worker: the second wait
 * runs it.
 */
FL_TASK_STATIC(wait_for_chain_twice, void, int)
{
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t i = 77;
	FL_OK(fl_promise_create(&p, sizeof(int), NULL, &f));
	FL_OK(fl_future_then(f, fl_executor_current(), &pool_double, &next));
	FL_OK(fl_as_completed_create(&c, &next, 1));
	FL_RC(fl_as_completed_next_until(c, &i, fl_test_soon(), FL_SHIELDED), -ETIMEDOUT);
	FL_OK(fl_promise_set(p, &(int){21}));
	FL_CHECK(fl_as_completed_next_until(c, &i, FL_FOREVER, FL_SHIELDED) == 0 && i == 0);
	FL_RC(fl_as_completed_next_until(c, &i, FL_NO_WAIT, NULL), -ENODATA);
	return pool_double_get(next, result);
}

POOL_TEST(futures_completed_helps_a_chain_each_time, 1)
{
	assert_int_equal(fl_test_result_of(e, &wait_for_chain_twice, NULL), 42);
}
