/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_in_loop.h"

#ifdef HAS_ROUNDING
static int keep_rounding(void *arg)
{
	for (unsigned i = *(unsigned *)arg; i < 10; i++) {
		fl_test_round(i % 4);
		fl__fiber_yield();
		FL_CHECK(fl_test_rounding() == i % 4);
	}
	fl_test_round(0);
	return 0;
}

FL_TEST(fiber_rounding_is_its_own)
{
	unsigned numbers[] = {0, 1, 2};
	fl_test_fibers_here(keep_rounding, numbers, sizeof numbers[0], 3);
	assert_int_equal(fl_test_rounding(), 0);
}
#endif

/* Suspend and resume. */
typedef struct resumer {
	struct fl__fiber *f;
	unsigned reached;
} resumer;

static int suspend_thrice(void *arg)
{
	resumer *r = arg;
	r->f = fl__fiber_self();
	for (int i = 0; i < 3; i++) {
		r->reached++;
		fl__fiber_suspend();
	}
	fl__fiber_resume(r->f);
	fl__fiber_resume(r->f);
	fl__fiber_suspend();
	r->reached++;
	fl__fiber_suspend(); /* the two counted as one */
	return 0;
}

static void resume_yielding(resumer *r)
{
	for (unsigned i = 1; i <= 4; i++) {
		while (r->reached != i)
			fl__fiber_yield();
		for (int n = 0; n < 3; n++)
			fl__fiber_yield();
		FL_CHECK(r->reached == i); /* it is suspended until the resume */
		fl__fiber_resume(r->f);
	}
}

FL_LOOP_TEST(fiber_resume_by_a_fiber)
{
	resumer r = {NULL, 0};
	fl_fiber *suspended = fl_test_start(suspend_thrice, &r);
	resume_yielding(&r);
	FL_OK(fl_test_join(suspended));
}

/* backtrace() in a fiber ends: see fl_fiber_switch.h for where. */
static int take_backtrace(void *arg)
{
	void *frames[64];
	return backtrace(frames, 64);
}

FL_TEST(fiber_backtrace_ends)
{
	if (take_backtrace(NULL) < 2)
		FL_SKIP("no unwind information on this machine");
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_IN_RANGE(fl_loop_run(take_backtrace, NULL), 2, 10);
}
