/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests that no function of the executor over MPI is a cancellation point, though functions of MPI
 * are. A thread with a pending request of pthread_cancel() uses an executor from its create to its
 * end. In every test over MPI, support/fl_cancel_points.c also notes each cancellation point that a
 * call of the library reaches, and tests/run judges these notes.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi.h"

FL_TASK(mpi_cancel_points_add_one, int, int)
{
	*result = *arg + 1;
	return 0;
}

static void use_executor(void)
{
	enum { N = 40 };
	fl_executor *e = make_over_mpi(NULL, NULL);
	fl_future *f = NULL;
	int numbers[N], sums[N], sum = 0;
	FL_EACH (i, numbers)
		numbers[i] = i;
	FL_OK(mpi_cancel_points_add_one_submit(e, 1, &f));
	FL_OK(mpi_cancel_points_add_one_get(f, &sum));
	FL_CHECK(sum == 2);
	fl_future_free(f);
	FL_OK(mpi_cancel_points_add_one_map(e, numbers, N, sums, NULL));
	FL_EACH (i, sums)
		FL_CHECK(sums[i] == (int)i + 1);
	fl_executor_free(e);
}

static void *use_with_a_request_pending(void *self)
{
	FL_OK(pthread_cancel(pthread_self()));
	use_executor();
	return self; /* PTHREAD_CANCELED would be the result of a cancel */
}

FL_TEST(mpi_executor_has_no_cancellation_points)
{
	need_ranks();
	for (int i = 0; i < 20; i++)
		assert_ptr_equal(fl_test_foreign(use_with_a_request_pending, &i), &i);
}

#endif
