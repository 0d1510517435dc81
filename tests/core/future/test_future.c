/* SPDX-License-Identifier: BSD-2-Clause */
/* Futures: their states, waits, results and references. Callbacks: test_future_callback.c. */
#include "fl_pool.h"

/* Arguments and results with drop hooks that count. */
static unsigned args_dropped, results_dropped, drops_run;

static void count_arg(void *arg)
{
	FL_CHECK(*(int *)arg == 1);
	COUNT(&args_dropped);
}

static void count_result(void *result)
{
	FL_CHECK(*(int *)result == 7);
	COUNT(&results_dropped);
}

FL_TASK(future_drops, int, int, .drop_arg = count_arg, .drop_result = count_result)
{
	COUNT(&drops_run);
	*result = 7;
	return 0;
}

POOL_TEST(future_freed_before_the_end_cancels_nothing, 1)
{
	struct held held = hold_worker(e);
	fl_future *f = NULL;
	fl_event_set(&held.gate->open);
	fl_future_free(held.f); /* perhaps while it runs */
	FL_OK(future_drops_submit(e, 1, &f));
	fl_future_free(f);                      /* perhaps while it is pending */
	FL_OK(future_drops_submit(e, 1, NULL)); /* an unwanted future */
	fl_future_free(NULL);
	FL_OK(fl_executor_join(e));
	free(held.gate);
	assert_int_equal(LOOK(&drops_run), 2);
	assert_int_equal(LOOK(&args_dropped), 2);
	assert_int_equal(LOOK(&results_dropped), 2);
}

POOL_TEST(future_in_wait_any, 1)
{
	struct held held = hold_worker(e);
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(pool_double, e, 1);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_FUTURE(held.f), FL_ON_FUTURE(f)), -ETIMEDOUT);
	FL_OK(fl_future_cancel(f));
	FL_RC(FL_WAIT_ANY(FL_ON_FUTURE(held.f), FL_ON_FUTURE(f)), 1); /* cancelled is an end */
	fl_event_set(&held.gate->open);
	FL_OK(FL_WAIT_ANY(FL_ON_FUTURE(held.f)));
	FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_FUTURE(held.f), FL_ON_FUTURE(f)));
	let_go(&held);
}

static int wait_in_one_way(void *arg)
{
	static unsigned way;
	fl_future *f = *(fl_future **)arg;
	switch (__atomic_fetch_add(&way, 1, __ATOMIC_RELAXED) % 3) {
	case 0:
		return fl_future_wait(f);
	case 1:
		return FL_WAIT_ANY(FL_ON_FUTURE(f));
	default:
		return fl_future_wait_until(f, fl_after(FL_S(3600)), NULL);
	}
}

FL_TEST(future_end_reaches_every_waiter)
{
	enum { N = 6 };
	FL_BOTH (cancel) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		struct held held = hold_worker(e);
		fl_future *pending = NULL, *awaited[N];
		FL_OK(pool_double_submit(e, 1, &pending));
		fl_thread *threads[N];
		FL_EACH (i, awaited)
			awaited[i] = cancel ? pending : held.f;
		seam_start(threads, N, wait_in_one_way, awaited, sizeof *awaited);
		FL_WAIT_FOR(seam_sleepers() == N);
		if (cancel)
			FL_OK(fl_future_cancel(pending));
		else
			fl_event_set(&held.gate->open);
		seam_join(threads, N);
		let_go(&held);
		fl_future_free(pending);
	}
}

POOL_TEST(future_with_too_many_references_panics, 1)
{
	enum { MOST = UINT32_MAX / FL__FUTURE_REF };
	struct held held = hold_worker(e);
	fl_future *volatile f = NULL;
	fl_future *made = FL_SUBMITTED(pool_double, e, 1);
	f = made;
	for (unsigned refs = 2; refs < MOST; refs++) /* the executor has one, too */
		assert_ptr_equal(fl_future_ref(f), f);
	FL_PANICS_OF("fl_future_ref", f, (void)fl_future_ref(f));
	fl_future like = {.state = MOST * (uint32_t)FL__FUTURE_REF | FL__FUTURE_CLAIMED};
	FL_PANICS_OF("fl_future_ref", &like, (void)fl__future_try_ref(&like)); /* the library's own */
	for (unsigned refs = 1; refs < MOST; refs++)
		fl_future_free(f);
	let_go(&held);
}
