/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work of joins of groups that are nested deeply: the files under test are part of this program,
 * and the steps of their walks through tokens are counted.
 */
static unsigned long steps;

#define FL__CANCEL_UP(c) (__atomic_add_fetch(&steps, 1, __ATOMIC_RELAXED), (c) ? (c)->parent_ : 0)
#include "core/exec/group_join.c" /* NOLINT(bugprone-suspicious-include) */
#include "core/exec/run.c"        /* NOLINT(bugprone-suspicious-include) */

#include "fl_pool.h"

FL_TASK_STATIC(steps_descend, int, int)
{
	if (*arg == 0)
		return 0;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int below = 0;
	int rc = steps_descend_group_submit(&g, *arg - 1, &below);
	if (rc == 0)
		rc = fl_group_join(&g);
	*result = below + 1;
	return rc;
}

static unsigned long steps_of(fl_executor *e, int depth)
{
	SET(&steps, 0);
	assert_int_equal(fl_test_result_of(e, &steps_descend, &depth), depth);
	return LOOK(&steps);
}

/* fl_group_join(): each join took steps to the root from each task around it */
POOL_TEST(group_join_takes_few_steps_at_any_depth, 1)
{
	const unsigned long of_50 = steps_of(e, 50), of_400 = steps_of(e, 400);
	assert_true(of_50 >= 50);
	assert_true(of_400 <= 8 * of_50 * 3 / 2);
}
