/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for several futures. On every kind of executor: test_executor_futures.c. */
#include "fl_in_loop.h"
#include "fl_pool.h"

FL_PROMISE_OF(int, int_promise)

/* Some promises and their futures. */
enum { SOME = 4 };

struct some {
	fl_promise *p[SOME];
	fl_future *f[SOME];
};

static void begin_some(void *arg)
{
	struct some *s = arg;
	FL_EACH (i, s->p)
		FL_OK(int_promise_create(&s->p[i], NULL, &s->f[i]));
}

static void end_some(void *arg)
{
	struct some *s = arg;
	FL_EACH (i, s->p)
		fl_promise_free(s->p[i]);
	fl_test_futures_free(s->f, SOME);
}

static void break_promise(fl_promise *p)
{
	FL_OK(fl_promise_fail(p, -EIO, "failed"));
}

FL_TEST(futures_wait_of_none_returns_at_once)
{
	for (int what = FL_ALL_ENDED; what <= FL_FIRST_ERROR; what++)
		FL_RC(fl_futures_wait(NULL, 0, (fl_wait_mode)what), 0);
	assert_int_equal(fl_futures_ended(NULL, 0), 0);
}

FL_TEST(futures_wait_checks_what_it_is_asked)
{
	FL_RC(fl_futures_wait(NULL, 0, (fl_wait_mode)(FL_FIRST_ERROR + 1)), -EINVAL);
	FL_RC(fl_futures_wait_until(NULL, 0, (fl_wait_mode)-1, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_futures_wait(NULL, (size_t)INT_MAX + 1, FL_ALL_ENDED), -EINVAL);
}

FL_TEST(futures_wait_first_counts_all_that_is_done_by_then)
{
	struct some s;
	begin_some(&s);
	FL_OK(int_promise_set(s.p[1], 1));
	break_promise(s.p[3]);
	FL_RC(fl_futures_wait(s.f, SOME, FL_FIRST_ENDED), 2);
	FL_RC(fl_futures_wait(s.f, SOME, FL_FIRST_ERROR), 2);
	assert_int_equal(fl_futures_ended(s.f, SOME), 2);
	end_some(&s);
}

FL_TEST(futures_wait_timeout_tells_how_many_and_leaves_all)
{
	struct some s;
	begin_some(&s);
	FL_RC(fl_futures_wait_until(s.f, SOME, FL_FIRST_ENDED, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_time deadline = fl_after(FL_MS(2));
	FL_RC(fl_futures_wait_until(s.f, SOME, FL_FIRST_ENDED, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	FL_OK(int_promise_set(s.p[2], 1));
	FL_RC(fl_futures_wait_until(s.f, SOME, FL_FIRST_ERROR, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_futures_wait_until(s.f, SOME, FL_ALL_ENDED, fl_test_soon(), NULL), -ETIMEDOUT);
	assert_int_equal(fl_futures_ended(s.f, SOME), 1);
	FL_EACH (i, s.f)
		FL_STATE_IS(s.f[i], i == 2 ? FL_DONE : FL_PENDING);
	end_some(&s);
}

FL_TEST(futures_wait_is_cancelled)
{
	struct some s;
	begin_some(&s);
	for (int what = FL_ALL_ENDED; what <= FL_FIRST_ERROR; what++) {
		FL_RC(fl_futures_wait_until(s.f, SOME, (fl_wait_mode)what, FL_FOREVER, fl_test_requested), -ECANCELED);
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_futures_wait(s.f, SOME, (fl_wait_mode)what), -ECANCELED);
		FL_RC(fl_futures_wait_until(s.f, SOME, (fl_wait_mode)what, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	}
	assert_int_equal(fl_futures_ended(s.f, SOME), 0);
	end_some(&s);
}

FL_TEST(futures_wait_duplicates_collapse)
{
	struct some s;
	begin_some(&s);
	fl_future *twice[] = {s.f[0], s.f[1], s.f[0], s.f[1]};
	FL_RC(fl_futures_wait_until(twice, 4, FL_FIRST_ENDED, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(int_promise_set(s.p[0], 1));
	FL_RC(fl_futures_wait(twice, 4, FL_FIRST_ENDED), 2); /* elements of the array */
	FL_RC(fl_futures_wait_until(twice, 4, FL_FIRST_ERROR, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(int_promise_set(s.p[1], 1));
	FL_RC(fl_futures_wait(twice, 4, FL_FIRST_ERROR), 4);
	FL_RC(fl_futures_wait(twice, 4, FL_ALL_ENDED), 4);
	end_some(&s);
}

FL_TEST(futures_wait_first_error_ignores_cancelled_ones)
{
	struct some s;
	begin_some(&s);
	FL_OK(fl_future_cancel(s.f[0]));
	FL_RC(fl_futures_wait_until(s.f, SOME, FL_FIRST_ERROR, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_futures_wait(s.f, SOME, FL_FIRST_ENDED), 1);
	break_promise(s.p[2]);
	FL_RC(fl_futures_wait(s.f, SOME, FL_FIRST_ERROR), 2);
	end_some(&s);
}

/* Also one that had begun, if it was requested to stop. Otherwise -ECANCELED is an error. */
FL_TEST(futures_wait_first_error_ignores_an_answered_request)
{
	struct some s;
	begin_some(&s);
	FL_EACH (i, s.p)
		FL_OK(fl_promise_start(s.p[i]));
	FL_RC(fl_future_cancel(s.f[0]), -EINPROGRESS);
	FL_OK(fl_promise_fail(s.p[0], -ECANCELED, "stopped"));
	FL_RC(fl_futures_wait_until(s.f, SOME, FL_FIRST_ERROR, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(fl_promise_fail(s.p[1], -ECANCELED, "without a request"));
	FL_RC(fl_futures_wait(s.f, SOME, FL_FIRST_ERROR), 2);
	end_some(&s);
}

/* CPython #92001, #87893, #109934: waits hang on cancelled futures. */
FL_TEST(futures_wait_does_not_hang_on_cancelled_ones)
{
	struct some s;
	begin_some(&s);
	FL_EACH (i, s.f)
		FL_OK(fl_future_cancel(s.f[i]));
	for (int what = FL_ALL_ENDED; what <= FL_FIRST_ERROR; what++)
		FL_RC(fl_futures_wait(s.f, SOME, (fl_wait_mode)what), SOME);
	end_some(&s);
}

FL_TEST(futures_wait_without_memory)
{
	enum { MANY = 9 }; /* eight need none */
	struct some s[3];
	fl_future *f[3 * SOME];
	FL_EACH (i, s) {
		begin_some(&s[i]);
		memcpy(&f[(size_t)i * SOME], s[i].f, sizeof s[i].f);
	}
	seam_fail_allocs(0, 2);
	FL_RC(fl_futures_wait_until(f, MANY, FL_FIRST_ENDED, FL_NO_WAIT, NULL), -ENOMEM);
	seam_fail_allocs(0, 1);
	FL_RC(fl_futures_wait_until(f, MANY - 1, FL_FIRST_ENDED, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_futures_wait_until(f, MANY, FL_ALL_ENDED, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(seam_heal(), 1);
	FL_RC(fl_futures_wait_until(f, MANY, FL_FIRST_ENDED, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_EACH (i, s)
		end_some(&s[i]);
}

/* Another thread ends them while this one waits: for all, for the first, for the first error. */
struct end_later {
	struct some some;
	fl_wait_mode what;
	int rc;
	fl_event waits;
};

static int wait_here(void *arg)
{
	struct end_later *l = arg;
	l->rc = fl_futures_wait(l->some.f, SOME, l->what);
	return 0;
}

static void begin_wait(struct end_later *l, fl_thread **t)
{
	begin_some(&l->some);
	fl_test_go(t, wait_here, l);
	FL_WAIT_FOR(seam_sleepers() == 1);
}

static int end_wait(struct end_later *l, fl_thread *t)
{
	fl_test_end(t);
	end_some(&l->some);
	return l->rc;
}

FL_TEST(futures_wait_sleeps_until_all_have_ended)
{
	struct end_later l = {.what = FL_ALL_ENDED};
	fl_thread *t;
	begin_wait(&l, &t);
	for (int i = SOME; i-- > 0;) {
		assert_true(fl_thread_is_alive(t));
		FL_OK(i == 1 ? fl_future_cancel(l.some.f[i]) : int_promise_set(l.some.p[i], i));
	}
	assert_int_equal(end_wait(&l, t), SOME);
}

FL_TEST(futures_wait_sleeps_until_the_first_has_ended)
{
	for (int i = 0; i < SOME; i++) {
		struct end_later l = {.what = FL_FIRST_ENDED};
		fl_thread *t;
		begin_wait(&l, &t);
		FL_OK(i % 2 ? fl_future_cancel(l.some.f[i]) : int_promise_set(l.some.p[i], i));
		assert_int_equal(end_wait(&l, t), 1);
	}
}

FL_TEST(futures_wait_sleeps_until_the_first_error)
{
	struct end_later l = {.what = FL_FIRST_ERROR};
	fl_thread *t;
	begin_wait(&l, &t);
	FL_OK(int_promise_set(l.some.p[0], 1));
	FL_OK(fl_future_cancel(l.some.f[2]));
	assert_int_equal(seam_sleepers(), 1);
	break_promise(l.some.p[1]);
	assert_int_equal(end_wait(&l, t), 3);
}

FL_TEST(futures_wait_for_an_error_ends_with_all)
{
	struct end_later l = {.what = FL_FIRST_ERROR};
	fl_thread *t;
	begin_wait(&l, &t);
	FL_EACH (i, l.some.p)
		FL_OK(int_promise_set(l.some.p[i], 1));
	assert_int_equal(end_wait(&l, t), SOME);
}

/* Each costs a constant number of steps, also for the first error, which is the last to come. */
struct thousands {
	size_t n;
	fl_promise **p;
	fl_future **f;
};

static int end_thousands(void *arg)
{
	struct thousands *t = arg;
	for (size_t i = 0; i + 1 < t->n; i++)
		FL_OK(int_promise_set(t->p[i], 1));
	break_promise(t->p[t->n - 1]);
	return 0;
}

FL_TEST(futures_wait_for_thousands)
{
	struct thousands t = {.n = fl_test_scaled(50000)};
	t.p = calloc(t.n, sizeof *t.p);
	t.f = calloc(t.n, sizeof *t.f);
	assert_true(t.p && t.f);
	for (size_t i = 0; i < t.n; i++)
		FL_OK(int_promise_create(&t.p[i], NULL, &t.f[i]));
	fl_thread *ender;
	fl_test_go(&ender, end_thousands, &t);
	FL_RC(fl_futures_wait(t.f, t.n, FL_FIRST_ERROR), (int)t.n);
	FL_RC(fl_futures_wait(t.f, t.n, FL_ALL_ENDED), (int)t.n);
	fl_test_end(ender);
	for (size_t i = 0; i < t.n; i++) {
		fl_promise_free(t.p[i]);
		fl_future_free(t.f[i]);
	}
	free(t.p);
	free(t.f);
}

/* Waits that come and go leave no entries at pending futures. */
FL_TEST(futures_wait_leaves_nothing_behind)
{
	struct some s;
	begin_some(&s);
	const long before = LOOK(&seam_live);
	for (int i = 0; i < 100; i++)
		FL_RC(fl_futures_wait_until(s.f, SOME, FL_FIRST_ENDED, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(LOOK(&seam_live), before);
	end_some(&s);
}

/* In a fiber. */
static int wait_for_all(void *arg)
{
	return fl_futures_wait(((struct some *)arg)->f, SOME, FL_ALL_ENDED) - SOME;
}

static void end_all(void *arg)
{
	struct some *s = arg;
	FL_EACH (i, s->p)
		FL_OK(int_promise_set(s->p[i], (int)i));
}

static int wait_for_first(void *arg)
{
	return fl_futures_wait(((struct some *)arg)->f, SOME, FL_FIRST_ENDED) < 1;
}

static int wait_for_error(void *arg)
{
	return fl_futures_wait(((struct some *)arg)->f, SOME, FL_FIRST_ERROR) < 1;
}

static void fail_one(void *arg)
{
	break_promise(((struct some *)arg)->p[SOME - 1]);
}

FL_TEST(futures_wait_suspends_only_the_fiber)
{
	struct some s;
	fl_test_meeting m = {.object = &s, .begin = begin_some, .wait = wait_for_all, .wake = end_all, .end = end_some};
	fl_test_meet(&m);
	m.wake = fail_one;
	m.wait = wait_for_first;
	fl_test_meet(&m);
	m.wait = wait_for_error;
	fl_test_meet(&m);
}

/* What a worker waits for first may be ended by what it waits for next. */
FL_TASK_STATIC(end_promise, fl_promise *, void)
{
	return fl_promise_set(*arg, NULL);
}

FL_TASK_STATIC(wait_for_both, bool, int)
{
	fl_executor *e = fl_executor_current();
	FL_SCOPED(fl_promise) *p = NULL;
	fl_future *both[2] = {NULL, NULL};
	const int promised = *arg ? 1 : 0;
	FL_OK(fl_promise_create(&p, 0, NULL, &both[promised]));
	FL_OK(end_promise_submit(e, p, &both[!promised]));
	*result = fl_futures_wait_until(both, 2, FL_ALL_ENDED, FL_FOREVER, FL_SHIELDED);
	fl_test_futures_free(both, 2);
	return 0;
}

POOL_TEST(futures_wait_for_all_by_the_only_worker_in_any_order, 1)
{
	for (int order = 0; order < 2; order++) {
		bool promised_second = order == 1;
		assert_int_equal(fl_test_result_of(e, &wait_for_both, &promised_second), 2);
	}
}
