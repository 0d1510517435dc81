/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

FL_TEST(sem_initial_permits)
{
	static fl_sem three = FL_SEM_INIT(3), zero;
	fl_sem s;
	assert_int_equal(fl_sem_value(&three), 3);
	assert_int_equal(fl_sem_value(&zero), 0);
	FL_OK(fl_sem_init(&s, 0));
	assert_int_equal(fl_sem_value(&s), 0);
	FL_OK(fl_sem_init(&s, FL_SEM_MAX));
	assert_int_equal(fl_sem_value(&s), FL_SEM_MAX);
	FL_RC(fl_sem_init(&s, FL_SEM_MAX + 1), -EINVAL);
	FL_RC(fl_sem_init(&s, UINT32_MAX), -EINVAL);
	assert_int_equal(fl_sem_value(&s), FL_SEM_MAX);
}

FL_TEST(sem_initializer_with_a_wrong_number_panics)
{
	volatile int permits = -1;
	fl_sem s = FL_SEM_INIT(0);
	FL_PANICS_OF("FL_SEM_INIT", NULL, s = (fl_sem)FL_SEM_INIT(permits));
	FL_PANICS_OF("FL_SEM_BOUNDED_INIT", NULL, s = (fl_sem)FL_SEM_BOUNDED_INIT(permits));
	permits = 0;
	FL_PANICS_OF("FL_SEM_BOUNDED_INIT", NULL, s = (fl_sem)FL_SEM_BOUNDED_INIT(permits));
	assert_int_equal(fl_sem_value(&s), 0);
	FL_PANICS_OF("FL_SEM_INIT", NULL, (void)fl__number(permits, 1, 3, "FL_SEM_INIT"));
	FL_PANICS_OF("FL_SEM_INIT", NULL, fl__number_panic("FL_SEM_INIT"));
	permits = 3;
	assert_int_equal(fl__number(permits, 1, 3, "FL_SEM_INIT"), 3);
	s = (fl_sem)FL_SEM_BOUNDED_INIT(permits);
	assert_int_equal(fl_sem_value(&s), 3);
}

FL_TEST(sem_takes_what_is_there)
{
	fl_sem s = FL_SEM_INIT(3);
	FL_OK(fl_sem_try_acquire(&s));
	FL_OK(fl_sem_acquire(&s));
	FL_OK(fl_sem_acquire_until(&s, FL_NO_WAIT, NULL));
	assert_int_equal(fl_sem_value(&s), 0);
	FL_RC(fl_sem_try_acquire(&s), -EAGAIN);
	fl_sem_release(&s);
	assert_int_equal(fl_sem_value(&s), 1);
	fl_sem_release_n(&s, 0);
	fl_sem_release_n(&s, 4);
	assert_int_equal(fl_sem_value(&s), 5);
}

FL_TEST(sem_with_too_many_permits_panics)
{
	fl_sem s = FL_SEM_INIT(FL_SEM_MAX);
	FL_PANICS(fl_sem_release(&s));
	assert_ptr_equal(fl_test_panic.object, &s);
	assert_int_equal(strncmp(fl_test_panic.function, "fl_sem_release", 14), 0);
	FL_PANICS(fl_sem_release_n(&s, 1));
	FL_PANICS(fl_sem_release_n(&s, UINT32_MAX));
	assert_int_equal(fl_sem_value(&s), FL_SEM_MAX);
	fl_sem_release_n(&s, 0);

	FL_OK(fl_sem_init(&s, 1));
	FL_PANICS(fl_sem_release_n(&s, FL_SEM_MAX));
	assert_int_equal(fl_sem_value(&s), 1);
	fl_sem_release_n(&s, FL_SEM_MAX - 1);
	assert_int_equal(fl_sem_value(&s), FL_SEM_MAX);
}

FL_TEST(sem_try_release_reports_too_many_permits)
{
	static fl_sem two = FL_SEM_BOUNDED_INIT(2);
	fl_sem s = FL_SEM_INIT(FL_SEM_MAX);
	FL_RC(fl_sem_try_release_n(&s, 1), -EOVERFLOW);
	FL_RC(fl_sem_try_release_n(&s, UINT32_MAX), -EOVERFLOW);
	FL_OK(fl_sem_try_release_n(&s, 0));
	assert_int_equal(fl_sem_value(&s), FL_SEM_MAX);

	FL_RC(fl_sem_try_release_n(&two, 1), -EOVERFLOW);
	FL_OK(fl_sem_acquire_n_until(&two, 2, FL_FOREVER, NULL));
	FL_RC(fl_sem_try_release_n(&two, 3), -EOVERFLOW);
	assert_int_equal(fl_sem_value(&two), 0); /* all or none */
	FL_OK(fl_sem_try_release_n(&two, 1));
	FL_RC(fl_sem_try_release_n(&two, 2), -EOVERFLOW);
	FL_OK(fl_sem_try_release_n(&two, 1));
	assert_int_equal(fl_sem_value(&two), 2);
}

/* Too many at once beside a waiter: it still waits, and is woken by a release that fits. */
FL_TEST(sem_try_release_leaves_the_queue_alone)
{
	fl_sem s;
	FL_OK(fl_sem_init_bounded(&s, 0, 2));
	fl_test_caller c;
	fl_test_begin_wait(&c, fl_test_acquire, &s);
	FL_RC(fl_sem_try_release_n(&s, 3), -EOVERFLOW);
	assert_int_equal(fl_test_queued(&s), 1);
	FL_OK(fl_sem_try_release_n(&s, 2));
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl_sem_value(&s), 1);
}

/* Too many at once beside a waiter: it is not woken, and still waits. */
FL_TEST(sem_panic_leaves_the_queue_alone)
{
	fl_sem s = FL_SEM_INIT(0);
	fl_test_caller c;
	fl_test_begin_wait(&c, fl_test_acquire, &s);
	FL_PANICS(fl_sem_release_n(&s, FL_SEM_MAX + 1));
	assert_int_equal(fl_test_queued(&s), 1);
	fl_sem_release_n(&s, FL_SEM_MAX);
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl_sem_value(&s), FL_SEM_MAX - 1);
}

FL_TEST(sem_serves_in_order)
{
	enum { N = 6 };
	fl_sem s = FL_SEM_INIT(0);
	fl_test_caller callers[N];
	fl_test_begin_waits(callers, N, fl_test_acquire, &s);
	FL_EACH (i, callers) {
		fl_sem_release(&s);
		FL_OK(fl_test_call_end(&callers[i]));
		assert_int_equal(fl_sem_value(&s), 0);
		assert_int_equal(fl_test_queued(&s), N - 1 - i);
	}
}

FL_TEST(sem_bounded_panics_above_its_bound)
{
	static fl_sem two = FL_SEM_BOUNDED_INIT(2);
	fl_sem s;
	FL_PANICS(fl_sem_release(&two));
	assert_ptr_equal(fl_test_panic.object, &two);
	FL_OK(fl_sem_acquire(&two));
	FL_PANICS(fl_sem_release_n(&two, 2));
	fl_sem_release(&two);
	assert_int_equal(fl_sem_value(&two), 2);

	FL_RC(fl_sem_init_bounded(&s, 0, 0), -EINVAL);
	FL_RC(fl_sem_init_bounded(&s, 0, FL_SEM_MAX + 1), -EINVAL);
	FL_RC(fl_sem_init_bounded(&s, 3, 2), -EINVAL);
	FL_OK(fl_sem_init_bounded(&s, 0, 2));
	fl_test_caller c;
	fl_test_begin_wait(&c, fl_test_acquire, &s);
	FL_PANICS(fl_sem_release_n(&s, 3));
	assert_int_equal(fl_test_queued(&s), 1);
	fl_sem_release_n(&s, 2);
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl_sem_value(&s), 1);
}

FL_TEST(sem_takes_several_or_none)
{
	fl_sem s = FL_SEM_INIT(3), bounded = FL_SEM_BOUNDED_INIT(3);
	FL_OK(fl_sem_acquire_n_until(&s, 0, FL_FOREVER, NULL));
	FL_OK(fl_sem_acquire_n_until(&s, 2, FL_FOREVER, NULL));
	FL_RC(fl_sem_acquire_n_until(&s, 2, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_sem_acquire_n_until(&s, 2, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_sem_acquire_n_until(&s, 2, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_sem_acquire_n_until(&s, 2, FL_FOREVER, NULL));
	assert_int_equal(s.word_, 1); /* and no waiter is left behind */
	FL_OK(fl_sem_acquire_n_until(&s, 1, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_sem_acquire_n_until(&s, 0, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_sem_acquire_n_until(&s, 0, FL_NO_WAIT, NULL));
	FL_RC(fl_sem_acquire_n_until(&s, FL_SEM_MAX + 1, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_sem_acquire_n_until(&bounded, 4, FL_NO_WAIT, FL_SHIELDED), -EINVAL);
	FL_RC(fl_sem_acquire_n_until(&bounded, 4, FL_NO_WAIT, NULL), -EINVAL);
	FL_OK(fl_sem_acquire_n_until(&bounded, 3, FL_FOREVER, NULL));
}

FL_CALL(acquire_three)
{
	return fl_sem_acquire_n_until(object, 3, deadline, cancel);
}

/* A waiter for three permits is not starved by waiters behind it that want one, nor by a try. */
FL_TEST(sem_several_are_not_starved)
{
	fl_sem s = FL_SEM_INIT(0);
	fl_test_caller big, small;
	fl_test_begin_wait(&big, acquire_three, &s);
	fl_test_begin_wait(&small, fl_test_acquire, &s);
	fl_sem_release_n(&s, 2);
	assert_int_equal(fl_sem_value(&s), 2);
	assert_int_equal(fl_test_queued(&s), 2);
	FL_RC(fl_sem_try_acquire(&s), -EAGAIN);
	FL_RC(fl_sem_acquire_until(&s, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SEM(&s)), -ETIMEDOUT);
	assert_int_equal(fl_test_queued(&s), 2);
	fl_sem_release(&s);
	FL_OK(fl_test_call_end(&big));
	assert_int_equal(fl_test_queued(&s), 1);
	fl_sem_release(&s);
	FL_OK(fl_test_call_end(&small));
	assert_int_equal(s.word_, 0);
}

/* A waiter for three that gave up leaves the two available permits to the waiters behind it. */
FL_TEST(sem_several_that_give_up_serve_those_behind)
{
	fl_sem s = FL_SEM_INIT(2);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller big, small, smaller;
	fl_test_call_queued(&big, acquire_three, &s, &s, FL_FOREVER, &stop);
	fl_test_begin_wait(&small, fl_test_acquire, &s);
	fl_test_begin_wait(&smaller, fl_test_acquire, &s);
	assert_int_equal(fl_sem_value(&s), 2);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&big), -ECANCELED);
	FL_OK(fl_test_call_end(&small));
	FL_OK(fl_test_call_end(&smaller));
	assert_int_equal(s.word_, 0);
}

FL_CALL(look)
{
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_SEM((fl_sem *)object));
}

/* An observer is woken when the waiter before it, which wanted more than there is, has left. */
FL_TEST(sem_several_that_give_up_serve_an_observer)
{
	fl_sem s = FL_SEM_INIT(2);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller big, looker;
	fl_test_call_queued(&big, acquire_three, &s, &s, FL_FOREVER, &stop);
	fl_test_begin_wait(&looker, look, &s);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&big), -ECANCELED);
	FL_OK(fl_test_call_end(&looker));
	assert_int_equal(s.word_, 2);
}
