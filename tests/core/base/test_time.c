/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_queued.h"

static int64_t clock_monotonic(void)
{
	struct timespec t;
	FL_OK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t));
	return FL_S(t.tv_sec) + t.tv_nsec;
}

/*
 * This program's own clock_gettime(), which the library uses: the wall clock jumps by an hour, back
 * and forth, at each read; the monotonic clock is the system's.
 */
static uint32_t wall_clock_looks;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, t);
	if (clock == CLOCK_REALTIME)
		t->tv_sec += fl__add_relaxed(&wall_clock_looks, 1) % 2 ? -3600 : 3600;
	return rc;
}

FL_TEST(time_now_is_the_monotonic_clock)
{
	int64_t last = 0;
	for (int i = 0; i < 1000; i++) {
		int64_t before = clock_monotonic();
		fl_time now = fl_now();
		int64_t after = clock_monotonic();
		assert_true(before <= now.ns && now.ns <= after);
		assert_true(now.ns >= last);
		last = now.ns;
	}
}

FL_TEST(time_units_are_nanoseconds)
{
	assert_true(FL_US(3) == 3000);
	assert_true(FL_MS(3) == 3000 * FL_US(1));
	assert_true(FL_S(3) == 3000 * FL_MS(1));
	assert_true(FL_S(1u) == 1000000000);
}

FL_TEST(time_of_all_zero_is_forever)
{
	static const fl_time zero;
	assert_true(FL_FOREVER.ns == zero.ns);
	assert_false(fl_time_is_past(zero));
	assert_true(fl_time_is_past(FL_NO_WAIT));
	assert_true(fl_time_is_past(fl_now()));
	assert_false(fl_time_is_past(fl_after(FL_S(1000))));
}

FL_TEST(time_after_adds)
{
	fl_time before = fl_now();
	fl_time at = fl_after(FL_S(5));
	assert_true(fl_time_diff(at, before) >= FL_S(5));
	assert_true(fl_time_diff(at, fl_after(FL_S(5))) <= 0);
	assert_true(fl_time_is_past(fl_after(0)));
}

FL_TEST(time_after_saturates)
{
	assert_true(fl_after(FL_DURATION_MAX).ns == 0);
	assert_true(fl_after(FL_DURATION_MAX - 1).ns == 0);
	assert_true(fl_after(FL_DURATION_MAX - 2 * fl_now().ns).ns > 0);
	assert_true(fl_time_is_past(fl_after(INT64_MIN)));
	assert_true(fl_time_is_past(fl_after(-1)));
}

FL_TEST(time_after_saturates_at_the_last_nanosecond)
{
	FL_FAULTS();
	fl_test_clock_stands();
	fl_test_time = 1000;
	assert_true(fl_now().ns == 1000);
	assert_true(fl_after(FL_DURATION_MAX - 1001).ns == INT64_MAX - 1);
	assert_true(fl_after(FL_DURATION_MAX - 999).ns == 0);
	assert_true(fl_after(-999).ns == 1);
	assert_true(fl_after(-1000).ns == -1); /* not 0, which would be for ever */
	assert_true(fl_after(-1001).ns == -1);
}

FL_TEST(time_add_keeps_forever_and_saturates)
{
	assert_true(fl_time_add(FL_FOREVER, -FL_S(1)).ns == 0);
	assert_true(fl_time_add(FL_FOREVER, INT64_MIN).ns == 0);
	assert_true(fl_time_add(FL_NO_WAIT, 1).ns == FL_NO_WAIT.ns + 1);
	assert_true(fl_time_add(FL_NO_WAIT, -1).ns == FL_NO_WAIT.ns);
	assert_true(fl_time_add(FL_NO_WAIT, INT64_MIN).ns == FL_NO_WAIT.ns);
	assert_true(fl_time_add(FL__TIME(5), FL_DURATION_MAX).ns == 0);
	assert_true(fl_time_add(FL__TIME(5), -4).ns == 1);
}

FL_TEST(time_diff_orders_all_times)
{
	static const fl_time order[] = {{INT64_MIN}, {-INT64_MAX}, {-1}, {1}, {1000}, {INT64_MAX - 1}, {0}};
	FL_EACH (i, order)
		FL_EACH (j, order) {
			const fl_duration d = fl_time_diff(order[i], order[j]);
			assert_true(i < j ? d < 0 : i > j ? d > 0 : d == 0);
		}
	assert_true(fl_time_diff(FL__TIME(1000), FL__TIME(1)) == 999);
	assert_true(fl_time_diff(FL_FOREVER, FL_NO_WAIT) == FL_DURATION_MAX);
	assert_true(fl_time_diff(FL__TRY, FL_FOREVER) == -FL_DURATION_MAX);
}

/*
 * Steps of the wall clock change nothing: the library does not read it, and a timed wait ends by
 * the monotonic clock.
 */
FL_TEST(clock_step)
{
	struct timespec wall;
	FL_OK(clock_gettime(CLOCK_REALTIME, &wall));
	uint32_t looks = fl__load_relaxed(&wall_clock_looks);
	assert_true(looks > 0); /* the function above is the one that is called */

	fl_sem none = FL_SEM_INIT(0);
	fl_cancel_token stop;
	for (int i = 0; i < 5; i++) {
		fl_time deadline = fl_after(FL_MS(2));
		FL_RC(fl_sem_acquire_until(&none, deadline, NULL), -ETIMEDOUT);
		assert_true(clock_monotonic() >= deadline.ns);

		fl_cancel_token_init(&stop, NULL, fl_after(FL_MS(2)));
		FL_RC(fl_sem_acquire_until(&none, FL_FOREVER, &stop), -ECANCELED);
		assert_true(clock_monotonic() >= fl_cancel_token_deadline(&stop).ns);
		fl_cancel_token_destroy(&stop);

		deadline = fl_after(FL_MS(2));
		FL_OK(fl_sleep_until(deadline, NULL));
		assert_true(clock_monotonic() >= deadline.ns);
	}
	assert_int_equal(fl__load_relaxed(&wall_clock_looks), looks);
}

FL_TEST(sleep_lasts)
{
	fl_time before = fl_now();
	FL_OK(fl_sleep(FL_MS(3)));
	assert_true(fl_time_diff(fl_now(), before) >= FL_MS(3));

	fl_time deadline = fl_after(FL_MS(3));
	FL_OK(fl_sleep_until(deadline, FL_SHIELDED));
	assert_true(fl_time_is_past(deadline));
}

FL_TEST(sleep_of_no_time_returns)
{
	FL_OK(fl_sleep(0));
	FL_OK(fl_sleep(-1));
	FL_OK(fl_sleep(INT64_MIN));
	FL_OK(fl_sleep_until(FL_NO_WAIT, NULL));
	FL_OK(fl_sleep_until(FL__TIME(1), NULL));
}

/* What can be done at once is done, even when the token was requested before the call. */
FL_TEST(sleep_of_no_time_is_not_cancelled)
{
	FL_OK(fl_sleep_until(fl_now(), fl_test_requested));
	FL_OK(fl_sleep_until(FL_NO_WAIT, fl_test_requested));
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_OK(fl_sleep(0));
}

FL_TEST(sleep_is_cancelled_before_it_begins)
{
	FL_RC(fl_sleep_until(FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_sleep_until(fl_after(FL_S(1000)), fl_test_requested), -ECANCELED);
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_RC(fl_sleep(FL_DURATION_MAX), -ECANCELED);
	FL_RC(fl_sleep(FL_S(1000)), -ECANCELED);
	FL_OK(fl_sleep_until(fl_test_soon(), FL_SHIELDED));
}

FL_TEST(sleep_is_woken_by_a_request)
{
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller sleeper;
	fl_test_call_queued(&sleeper, fl_test_sleep, NULL, &stop, FL_FOREVER, &stop);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&sleeper), -ECANCELED);
}

FL_TEST(sleep_ends_with_its_tokens_deadline)
{
	fl_cancel_token stop;
	fl_cancel_token_init(&stop, NULL, fl_after(FL_MS(3)));
	FL_RC(fl_sleep_until(FL_FOREVER, &stop), -ECANCELED);
	assert_true(fl_time_is_past(fl_cancel_token_deadline(&stop)));
	fl_cancel_token_destroy(&stop);
}
