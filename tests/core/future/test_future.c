/* SPDX-License-Identifier: BSD-2-Clause */
/* Futures: their states, waits, results and references. Callbacks: test_future_callback.c. */
#include "fl_pool.h"

FL_TASK(future_double, int, int)
{
	*result = *arg * 2;
	return 0;
}

FL_TASK(future_fail, int, int)
{
	*result = 99;
	return *arg;
}

POOL_TEST(future_wait_does_not_care_how_it_ended, 1)
{
	FL_SCOPED(fl_future) *failed = NULL, *cancelled = NULL;
	FL_OK(future_fail_submit(e, -EIO, &failed));
	FL_OK(fl_future_wait(failed));
	struct held held = hold_worker(e);
	FL_OK(future_double_submit(e, 1, &cancelled));
	FL_OK(fl_future_cancel(cancelled));
	FL_OK(fl_future_try_wait(cancelled));
	FL_OK(fl_future_wait_until(cancelled, FL_FOREVER, NULL));
	let_go(&held);
}

POOL_TEST(future_get_with_another_size_is_refused, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(future_double_submit(e, 4, &f));
	FL_OK(fl_future_wait(f));
	char bytes[8] = "unknown";
	FL_RC(fl_future_get(f, bytes, 8), -EINVAL);
	FL_RC(fl_future_get(f, bytes, 0), -EINVAL);
	FL_RC(fl_future_try_get(f, bytes, 1), -EINVAL);
	FL_RC(fl_future_get_until(f, bytes, sizeof(int) - 1, FL_FOREVER, NULL), -EINVAL);
	assert_string_equal(bytes, "unknown");
	struct held held = hold_worker(e);
	fl_event_set(&held.gate->open);
	FL_OK(fl_future_get(held.f, NULL, 0)); /* a result of no size */
	FL_RC(fl_future_get(held.f, bytes, 1), -EINVAL);
	let_go(&held);
}

struct wide {
	_Alignas(64) unsigned char bytes[192];
};

FL_TASK(future_wide, void, struct wide)
{
	for (size_t i = 0; i < sizeof result->bytes; i++) {
		if (result->bytes[i] != 0) /* results start zeroed */
			return -EIO;
		result->bytes[i] = (unsigned char)i;
	}
	return (uintptr_t)result % 64 ? -EFAULT : 0;
}

POOL_TEST(future_result_stands_in_place, 1)
{
	for (int round = 0; round < 3; round++) { /* memory that was used before is zeroed again */
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(future_wide_submit(e, &f));
		struct wide copy;
		FL_OK(future_wide_get(f, &copy));
		const struct wide *in_place = fl_future_result(f);
		assert_non_null(in_place);
		assert_int_equal((uintptr_t)in_place % 64, 0);
		assert_memory_equal(in_place, &copy, sizeof copy);
		assert_int_equal(in_place->bytes[191], 191);
		assert_ptr_equal(fl_future_result(f), in_place);
	}
	struct held held = hold_worker(e);
	assert_null(fl_future_result(held.f));
	fl_event_set(&held.gate->open);
	FL_OK(fl_future_wait(held.f));
	assert_null(fl_future_result(held.f)); /* of no size */
	let_go(&held);
}

/* Arguments and results with drop hooks that count. */
static unsigned args_dropped, results_dropped, drops_run;

static void count_arg(void *arg)
{
	FL_CHECK(*(int *)arg != 0);
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
	return *arg > 0 ? 0 : *arg;
}

static void begin_drops(void)
{
	SET(&args_dropped, 0);
	SET(&results_dropped, 0);
	SET(&drops_run, 0);
}

POOL_TEST(future_without_a_result_drops_none, 1)
{
	begin_drops();
	struct held held = hold_worker(e);
	fl_future *cancelled = NULL, *failed = NULL;
	FL_OK(future_drops_submit(e, 1, &cancelled));
	FL_OK(future_drops_submit(e, -EIO, &failed));
	FL_OK(fl_future_cancel(cancelled));
	assert_int_equal(LOOK(&args_dropped), 1);
	fl_future_free(cancelled);
	let_go(&held);
	FL_OK(fl_future_wait(failed));
	fl_future_free(failed);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&drops_run), 1);
	assert_int_equal(LOOK(&args_dropped), 2);
	assert_int_equal(LOOK(&results_dropped), 0);
}

POOL_TEST(future_freed_before_the_end_cancels_nothing, 1)
{
	begin_drops();
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
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(future_double_submit(e, 1, &f));
	FL_RC(FL_WAIT_ANY_UNTIL(0, NULL, FL_ON_FUTURE(held.f), FL_ON_FUTURE(f)), -ETIMEDOUT);
	FL_OK(fl_future_cancel(f));
	FL_RC(FL_WAIT_ANY(FL_ON_FUTURE(held.f), FL_ON_FUTURE(f)), 1); /* cancelled is an end */
	fl_event_set(&held.gate->open);
	FL_OK(FL_WAIT_ANY(FL_ON_FUTURE(held.f)));
	FL_OK(FL_WAIT_ANY_UNTIL(0, NULL, FL_ON_FUTURE(held.f), FL_ON_FUTURE(f)));
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
	for (int cancel = 0; cancel <= 1; cancel++) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		struct held held = hold_worker(e);
		fl_future *pending = NULL, *awaited[N];
		FL_OK(future_double_submit(e, 1, &pending));
		fl_thread threads[N];
		for (int i = 0; i < N; i++)
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

FL_TEST(future_with_too_many_references_panics)
{
	enum { MOST = 0xffffff };
	FL_SCOPED(fl_executor) *e = sequential();
	fl_future *volatile f = NULL;
	fl_future *made = NULL;
	FL_OK(future_double_submit(e, 1, &made));
	f = made;
	for (unsigned refs = 1; refs < MOST; refs++)
		assert_ptr_equal(fl_future_ref(f), f);
	FL_PANICS((void)fl_future_ref(f));
	assert_ptr_equal(fl_test_panic.object, f);
	for (unsigned refs = 0; refs < MOST; refs++)
		fl_future_free(f);
}
