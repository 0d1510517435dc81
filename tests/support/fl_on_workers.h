/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_ON_WORKERS_H
#define FL_TEST_ON_WORKERS_H

/* For tests of fork and join: a function that runs as a task. For one source file each. */
#include "fl_test.h"

struct call {
	int (*function)(void *);
	void *arg;
};

FL_TASK_STATIC(call, struct call, void)
{
	return arg->function(arg->arg);
}

/* Runs `function(arg)` as a task of a thread executor with so many workers; its result. */
__attribute__((unused)) static int run_on(unsigned workers, int (*function)(void *), void *arg)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = workers);
	return fl_test_run_task(e, &call, &(struct call){function, arg}, NULL);
}

#endif
