/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_POOL_H
#define FL_TEST_POOL_H

/*
 * Executors under control: a worker is held, so that tasks behind it stay pending.
 *
 *     FL_SCOPED(fl_executor) *e = pool_with(1);
 *     struct held held = hold_worker(e);
 *     ...                                // tasks are pending
 *     let_go(&held);
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

SEAM_FN fl_executor *pool_of(const fl_executor_config *config)
{
	fl_executor *e = NULL;
	FL_OK(fl_thread_executor_create(&e, config));
	return e;
}

SEAM_FN fl_executor *pool_with(unsigned workers)
{
	return pool_of(&(fl_executor_config){.workers = workers});
}

/* A case with an executor `e` of that many workers. */
#define POOL_TEST(name, workers)                                                                                       \
	static void name##_in(fl_executor *e);                                                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = pool_with(workers);                                                        \
		name##_in(e);                                                                                          \
	}                                                                                                              \
	static void name##_in(fl_executor *e)

SEAM_FN fl_executor *sequential(void)
{
	fl_executor *e = NULL;
	FL_OK(fl_sequential_executor_create(&e, NULL));
	return e;
}

struct held {
	struct gate *gate;
	fl_future *f;
};

/* Submits a task that holds a worker until let_go(), and waits until it runs. */
SEAM_FN struct held hold_worker(fl_executor *e)
{
	struct held held = {.gate = calloc(1, sizeof *held.gate)};
	FL_CHECK(held.gate != NULL);
	FL_OK(hold_submit(e, held.gate, &held.f));
	FL_OK(fl_event_wait(&held.gate->entered));
	return held;
}

SEAM_FN void let_go(struct held *held)
{
	fl_event_set(&held->gate->open);
	FL_OK(fl_future_wait(held->f));
	fl_future_free(held->f);
	free(held->gate);
}

SEAM_FN void hold_workers(fl_executor *e, struct held *held, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		held[i] = hold_worker(e);
}

SEAM_FN void let_all_go(struct held *held, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		let_go(&held[i]);
}

#endif
