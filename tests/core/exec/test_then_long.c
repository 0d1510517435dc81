/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work of a worker that waits for a long chain: the file under test is part of this program,
 * and its steps are counted.
 */
#include "core/base/atomic.h"
#include "core/future/future.h"

static unsigned long looks;

static bool counted_has_ended(const fl_future *f)
{
	fl__add_relaxed(&looks, 1ul);
	return fl__future_has_ended(f);
}

#define fl__future_has_ended counted_has_ended
#include "core/exec/then.c" /* NOLINT(bugprone-suspicious-include) */
#undef fl__future_has_ended

#include "fl_pool.h"

/* Waits for a chain of `*arg` stages, which no other worker can run. */
FL_TASK(then_long_wait, int, int)
{
	fl_executor *e = fl_executor_current();
	fl_future *f = FL_SUBMITTED(pool_plus_one, e, 0);
	for (int i = 1; i < *arg; i++) {
		fl_future *next = NULL;
		FL_OK(fl_future_then(f, e, &pool_plus_one, &next));
		fl_future_free(f);
		f = next;
	}
	fl__store_relaxed(&looks, 0);
	const int rc = pool_plus_one_get(f, result);
	fl_future_free(f);
	return rc;
}

static unsigned long looks_of(fl_executor *e, int stages)
{
	assert_int_equal(fl_test_result_of(e, &then_long_wait, &stages), stages);
	return looks;
}

/* fl_future_then() */
POOL_TEST(then_wait_for_a_long_chain_looks_at_few, 1)
{
	const unsigned long of_1000 = looks_of(e, 1000), of_16000 = looks_of(e, 16000);
	assert_true(of_1000 >= 1000);
	assert_true(of_16000 <= 2ul * 16 * of_1000); /* O(log n) for each of 16 times as many stages */
}
