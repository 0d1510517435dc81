/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_POOL_H
#define FL_TEST_POOL_H

/*
 * Executors under control: a worker is held, so that later tasks stay pending.
 *
 *     FL_SCOPED(fl_executor) *e = pool_with(1);
 *     struct held held = hold_worker(e);
 *     ...                                // tasks are pending
 *     let_go(&held);
 *
 * Only one source file of a program may include this header, because everything here is static.
 */
#include "core/exec/executor.h"
#include "fl_seam.h"

struct gate {
	fl_event entered, open;
};

FL_TASK_STATIC(pool_nothing, void, void)
{
	return 0;
}

FL_TASK_STATIC(pool_plus_one, int, int)
{
	*result = *arg + 1;
	return 0;
}

FL_TASK_STATIC(pool_double, int, int)
{
	*result = *arg * 2;
	return 0;
}

FL_TASK_STATIC(pool_set, fl_event *, void)
{
	fl_event_set(*arg);
	return 0;
}

FL_TASK_STATIC(pool_await, fl_event *, void)
{
	return fl_event_wait(*arg);
}

FL_TASK_STATIC(hold, struct gate *, void)
{
	fl_event_set(&(*arg)->entered);
	fl_test_hold_until(&(*arg)->open);
	return 0;
}

/* Does the same, but the worker counts as blocked. */
FL_TASK_STATIC(pool_block, struct gate *, void)
{
	FL_BLOCKING();
	fl_event_set(&(*arg)->entered);
	return fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

FL_TASK_STATIC(pool_block_a_little, void, void)
{
	FL_BLOCKING();
	fl__sys.yield();
	return 0;
}

SEAM_FN fl_executor *pool_of(const fl_executor_config *config)
{
	return fl_test_executor(fl_thread_executor_create, config);
}

SEAM_FN fl_executor *pool_with(unsigned workers)
{
	return pool_of(&(fl_executor_config){.workers = workers});
}

SEAM_FN fl_executor *bounded(unsigned workers, uint32_t backlog, fl_when_full when_full)
{
	return pool_of(&(fl_executor_config){.workers = workers, .backlog = backlog, .when_full = when_full});
}

SEAM_FN fl_stats_executor stats_of(fl_executor *e)
{
	fl_stats_executor stats;
	memset(&stats, 0xff, sizeof stats);
	FL_LOCKED(&e->lock); /* otherwise a count might be seen before its change is done */
	FL_OK(fl_executor_stats(e, &stats));
	return stats;
}

/* Defines a case with an executor `e` of that many workers. */
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
	return fl_test_executor(fl_sequential_executor_create, NULL);
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
