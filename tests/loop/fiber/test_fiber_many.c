/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_in_loop.h"

/* Where guards cut mappings the pieces run out: an error, and all works on. */
FL_TEST(fiber_guards_run_out)
{
	enum { MOST = 40000 };
	FL_FAULTS();
	if (FL_TEST_SANITIZED)
		skip(); /* it would run out of pieces for itself */
	fl__sys.guard = fl__portable_guard;
	struct fl__stack_pool *pool = calloc(1, sizeof *pool);
	struct fl_test_memory *stacks = calloc(MOST, sizeof *stacks);
	assert_non_null(pool);
	assert_non_null(stacks);
	unsigned n = 0;
	int rc = 0;
	fl__stack_pool_init(pool, 0, FL_TEST_BLOCK);
	while (n < MOST && (rc = fl_test_get_memory(pool, &stacks[n])) == 0)
		n++;
	FL_OK_OR(rc, -ENOMEM);
	assert_true(n > 1000);
	fl_test_put_memory(pool, stacks[--n]);
	FL_OK(fl_test_get_memory(pool, &stacks[n]));
	stacks[n].stack.low[0] = 1;
	for (unsigned i = 0; i <= n; i++)
		fl_test_put_memory(pool, stacks[i]);
	fl__stack_pool_end(pool);
	free(stacks);
	free(pool);
}
