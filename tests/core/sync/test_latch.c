/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

FL_CALL(wait_for)
{
	return fl_latch_wait_until(object, deadline, cancel);
}

FL_TEST(latch_initial_count)
{
	static fl_latch three = FL_LATCH_INIT(3), zero;
	fl_latch l;
	assert_int_equal(fl_latch_count(&three), 3);
	assert_int_equal(fl_latch_count(&zero), 0);
	FL_OK(fl_latch_wait_until(&zero, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_latch_init(&l, FL_LATCH_MAX));
	assert_int_equal(fl_latch_count(&l), FL_LATCH_MAX);
	FL_RC(fl_latch_init(&l, FL_LATCH_MAX + 1), -EINVAL);
	FL_RC(fl_latch_init(&l, UINT32_MAX), -EINVAL);
	assert_int_equal(fl_latch_count(&l), FL_LATCH_MAX);
	FL_OK(fl_latch_init(&l, 0));
	FL_OK(fl_latch_wait(&l));
}

FL_TEST(latch_initializer_with_a_wrong_number_panics)
{
	volatile int64_t count = -1;
	fl_latch l = FL_LATCH_INIT(0);
	FL_PANICS_OF("FL_LATCH_INIT", NULL, l = (fl_latch)FL_LATCH_INIT(count));
	count = FL_LATCH_MAX + INT64_C(1);
	FL_PANICS_OF("FL_LATCH_INIT", NULL, l = (fl_latch)FL_LATCH_INIT(count));
	count = (INT64_C(1) << 32) + 1; /* 1 as an uint32_t */
	FL_PANICS_OF("FL_LATCH_INIT", NULL, l = (fl_latch)FL_LATCH_INIT(count));
	assert_int_equal(fl_latch_count(&l), 0);
	count = 3;
	l = (fl_latch)FL_LATCH_INIT(count);
	assert_int_equal(fl_latch_count(&l), 3);
}

FL_TEST(latch_counts_down)
{
	fl_latch l = FL_LATCH_INIT(5);
	fl_latch_count_down(&l, 0);
	fl_latch_count_down(&l, 1);
	fl_latch_count_down(&l, 3);
	assert_int_equal(fl_latch_count(&l), 1);
	FL_RC(fl_latch_wait_until(&l, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	fl_latch_count_down(&l, 1);
	assert_int_equal(fl_latch_count(&l), 0);
	FL_OK(fl_latch_wait_until(&l, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_latch_wait(&l));
	FL_OK(fl_latch_wait_until(&l, FL_NO_WAIT, NULL));
	fl_latch_count_down(&l, 0);
	FL_OK(fl_latch_wait_until(&l, FL_NO_WAIT, FL_SHIELDED));
}

FL_TEST(latch_counted_below_zero_panics)
{
	fl_latch l = FL_LATCH_INIT(2);
	FL_PANICS_OF("fl_latch_count_down", &l, fl_latch_count_down(&l, 3));
	assert_int_equal(fl_latch_count(&l), 2);
	FL_PANICS(fl_latch_count_down(&l, UINT32_MAX));
	fl_latch_count_down(&l, 2);
	FL_PANICS(fl_latch_count_down(&l, 1));
	assert_int_equal(fl_latch_count(&l), 0);
}

FL_TEST(latch_zero_wakes_all)
{
	enum { N = 5 };
	fl_latch l = FL_LATCH_INIT(3);
	fl_test_caller callers[N];
	fl_test_begin_waits(callers, N, wait_for, &l);
	fl_latch_count_down(&l, 2);
	assert_int_equal(fl_test_queued(&l), N);
	assert_int_equal(fl_latch_count(&l), 1);
	fl_latch_count_down(&l, 1);
	assert_int_equal(fl_test_queued(&l), 0);
	fl_latch_destroy(&l);
	fl_test_calls_end(callers, N);
}
