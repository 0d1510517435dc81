/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_ON_WORKERS_H
#define FL_TEST_ON_WORKERS_H

/*
 * For tests of fork and join: runs a function as a task. Only one source file of a program may
 * include this header.
 */
#include "fl_test.h"

struct call {
	int (*function)(void *);
	void *arg;
};

FL_TASK_STATIC(call, struct call, void)
{
	return arg->function(arg->arg);
}

/*
 * Runs `function(arg)` as a task of a thread executor with that many workers, and returns its
 * result.
 */
__attribute__((unused)) static int run_on(unsigned workers, int (*function)(void *), void *arg)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = workers);
	return fl_test_run_task(e, &call, &(struct call){function, arg}, NULL);
}

#endif
