/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures what an operation of the thread executor costs, for `./dev stress --traffic`. Each
 * scenario does one kind of work twice: once to use all memory that the work needs, and once more
 * while the traffic is counted. The name of a scenario ends in the number of workers. In the name
 * of `submit_by`, the number of submitting threads comes before that.
 */
#include "scaling.h"
#include <fairlead.h>

enum { TASKS = 20000, FIB = 25, FORKS = 121392, ITEMS = 1 << 18, PAUSES_OF_A_US = 43 };

static fl_executor *pool;
static unsigned threads;
static atomic_uint busy;

FL_TASK(nothing, void, void)
{
	return 0;
}

FL_TASK(one_us, void, void)
{
	for (int i = 0; i < PAUSES_OF_A_US; i++)
		fl_stress_relax();
	return 0;
}

/* A task that runs until each worker runs such a task. */
FL_TASK(be_busy, unsigned, void)
{
	COUNT(&busy);
	while (LOOK(&busy) < *arg)
		fl_stress_relax();
	return 0;
}

static int submit_share(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < TASKS / threads; i++)
		OK(nothing_submit(pool, NULL));
	return 0;
}

static unsigned submit(void)
{
	fl_thread *others[16] = {NULL};
	for (unsigned i = 1; i < threads; i++)
		OK(fl_thread_start(&others[i], submit_share, NULL, NULL));
	(void)submit_share(NULL);
	for (unsigned i = 1; i < threads; i++)
		OK(fl_thread_join(others[i], NULL));
	return TASKS;
}

static unsigned tasks_of_1_us(void)
{
	for (unsigned i = 0; i < TASKS; i++)
		OK(one_us_submit(pool, NULL));
	return TASKS;
}

static unsigned group(void)
{
	fl_group g = FL_GROUP_INIT(pool);
	for (unsigned i = 0; i < TASKS; i++)
		OK(nothing_group_submit(&g));
	OK(fl_group_join(&g));
	return TASKS;
}

static int fib(void *arg)
{
	int *n = arg, less[2] = {*n - 1, *n - 2};
	return *n < 2 ? 0 : fl_parallel_invoke(fib, &less[0], fib, &less[1]);
}

static unsigned fork_join(void)
{
	int n = FIB;
	OK(fib(&n));
	return FORKS;
}

static int pause_each(void *unused, size_t from, size_t to)
{
	(void)unused;
	for (size_t i = from; i < to; i++)
		fl_stress_relax();
	return 0;
}

static unsigned loop(void)
{
	OK(fl_parallel_for(pool, 0, ITEMS, pause_each, NULL, NULL));
	return ITEMS;
}

typedef unsigned work(void);

FL_TASK(do_work, work *, unsigned)
{
	*result = (*arg)();
	return 0;
}

static unsigned once(work *run, bool in_worker)
{
	fl_future *f;
	unsigned operations;
	if (in_worker) {
		OK(do_work_submit(pool, run, &f));
		OK(do_work_get(f, &operations));
		fl_future_free(f);
	} else {
		operations = run();
	}
	OK(fl_executor_wait_idle(pool));
	return operations;
}

static void measure(work *run, bool in_worker, unsigned workers)
{
	OK(fl_thread_executor_create(&pool, &(fl_executor_config){.workers = workers}));
	for (unsigned i = 0; i < workers; i++) {
		OK(be_busy_submit(pool, workers, NULL));
		while (LOOK(&busy) <= i)
			fl_stress_relax();
	}
	(void)once(run, in_worker);
	fl_stress_traffic(0);
	fl_stress_traffic(once(run, in_worker));
	fl_executor_free(pool);
}

#define ROW(name, run, in_worker, workers, submitters)                                                                 \
	TRAFFIC(name, threads = submitters; measure(run, in_worker, workers))

#define ROWS(name, run, in_worker)                                                                                     \
	ROW(name##_01, run, in_worker, 1, 1)                                                                           \
	ROW(name##_02, run, in_worker, 2, 1)                                                                           \
	ROW(name##_04, run, in_worker, 4, 1)                                                                           \
	ROW(name##_08, run, in_worker, 8, 1)                                                                           \
	ROW(name##_16, run, in_worker, 16, 1)

ROWS(submit, submit, false)
ROW(submit_by_02_to_16, submit, false, 16, 2)
ROW(submit_by_04_to_16, submit, false, 16, 4)
ROW(submit_by_08_to_16, submit, false, 16, 8)
ROW(submit_by_16_to_16, submit, false, 16, 16)
ROWS(submit_in_worker, submit, true)
ROWS(tasks_of_1_us, tasks_of_1_us, false)
ROWS(group, group, false)
ROWS(group_in_worker, group, true)
ROWS(fork_join, fork_join, true)
ROWS(loop, loop, false)
