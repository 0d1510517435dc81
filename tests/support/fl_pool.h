/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_POOL_H
#define FL_TEST_POOL_H

/*
 * Executors under control: a worker is held, so that tasks behind it stay pending.
 *
 *     FL_SCOPED(fl_executor) *e = pool_with(1);
 *     struct gate gate = {0};
 *     fl_future *held = hold_worker(e, &gate);        // it runs
 *     ...                                             // more is pending
 *     let_go(&gate, held);
 *
 * For one source file each: everything here is static.
 */
#include "fl_seam.h"

struct gate {
	fl_event entered, open;
};

FL_TASK_STATIC(hold, struct gate *, void)
{
	fl_event_set(&(*arg)->entered);
	fl_test_hold_until(&(*arg)->open);
	return 0;
}

SEAM_FN fl_executor *pool_with(unsigned workers)
{
	fl_executor *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = workers}));
	return e;
}

SEAM_FN fl_executor *sequential(void)
{
	fl_executor *e = NULL;
	FL_OK(fl_sequential_executor_create(&e, NULL));
	return e;
}

/* Submits a task that holds a worker until the gate opens, and waits until it runs. */
SEAM_FN fl_future *hold_worker(fl_executor *e, struct gate *gate)
{
	fl_future *f = NULL;
	FL_OK(hold_submit(e, gate, &f));
	FL_OK(fl_event_wait(&gate->entered));
	return f;
}

SEAM_FN void let_go(struct gate *gate, fl_future *held)
{
	fl_event_set(&gate->open);
	FL_OK(fl_future_wait(held));
	fl_future_free(held);
}

#endif
