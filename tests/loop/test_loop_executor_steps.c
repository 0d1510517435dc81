/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work of a cancel of an executor with many running tasks: the file under test is part of this
 * program, and the steps of its walks through lists are counted.
 */
#include "core/base/list.h"

static unsigned long steps;

#undef FL__EACH
/* NOLINTNEXTLINE(bugprone-macro-parentheses): the name of a variable */
#define FL__EACH(type, member, first) for (type *member = (first); member; steps++, member = member->next)
#include "core/exec/shutdown.c" /* NOLINT(bugprone-suspicious-include) */

#include "fl_in_loop.h"
#include "fl_seam.h"

enum { RUNNING = 300 };

FL_TASK_STATIC(run_until_asked, unsigned *, void)
{
	fl_event never = FL_EVENT_INIT;
	COUNT(*arg);
	return fl_event_wait_until(&never, FL_FOREVER, fl_task_token(ctx));
}

/* fl_executor_cancel(): the look for each running task passed all that were requested before. */
FL_TEST(executor_cancel_takes_few_steps_for_each_running_task)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(loop, .workers = RUNNING);
	fl_future *f[RUNNING];
	unsigned begun = 0;
	FL_EACH (i, f)
		FL_OK(run_until_asked_submit(e, &begun, &f[i]));
	FL_WAIT_FOR(LOOK(&begun) == RUNNING);
	steps = 0;
	assert_int_equal(fl_executor_cancel(e), 0);
	assert_in_range(steps, 0, 2 * RUNNING);
	FL_OK(fl_executor_join(e));
	FL_EACH (i, f)
		FL_RC(fl_future_error(f[i]), -ECANCELED);
	fl_test_futures_free(f, RUNNING);
}
