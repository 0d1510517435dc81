/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions that an executor passes to its tasks, for every kind; test_process_pool_task.c has the
 * cases for processes only.
 */
#include "conformance.h"

FL_TASK(adds_in_region, fl_shm_offset, int)
{
	int *there = FL_SHM_AT(fl_task_region(ctx, 1), int, *arg);
	FL_CHECK(there != NULL && fl_task_region(ctx, 0) != NULL);
	FL_CHECK(fl_task_region(ctx, 2) == NULL && fl_task_region(ctx, UINT32_MAX) == NULL);
	*result = fl__add_relaxed(there, 1) + 1; /* relaxed: the executor orders it */
	return 0;
}

FL_TASK(nests_in_region, fl_shm_offset, int)
{
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(adds_in_region, fl_executor_current(), *arg);
	return adds_in_region_get(f, result);
}

FL_TASK(begins_in_region, fl_shm_offset, void)
{
	int *there = FL_SHM_AT(fl_task_region(ctx, 1), int, *arg);
	FL_CHECK(there != NULL);
	fl__add_relaxed(there + 1, 1); /* relaxed: as above */
	return 0;
}

FL_TASK(has_no_region, void, void)
{
	return fl_task_region(ctx, 0) ? -EINVAL : 0;
}

CONFORMANCE(tasks_find_their_regions)
{
	fl_shm *regions[2] = {NULL, NULL};
	FL_OK(fl_shm_create(&regions[0], 4096));
	FL_OK(fl_shm_create(&regions[1], 4096));
	int *counter = fl_shm_block_alloc(regions[1], 2 * sizeof *counter);
	const fl_shm_offset at = fl_shm_offset_of(regions[1], counter);
	const fl_executor_config config = {.workers = 2,
	                                   .regions = regions,
	                                   .n_regions = 2,
	                                   .max_tasks = 3,
	                                   .initialize = &begins_in_region,
	                                   .initialize_arg = &at};
	fl_executor *e = make_of(kind, &config);
	for (int i = 1; i <= 10; i++) {
		assert_int_equal(fl_test_result_of(e, i % 2 ? &adds_in_region : &nests_in_region, &at), i);
	}
	assert_int_equal(fl__load_relaxed(counter), 10); /* relaxed: as above */
	assert_true(fl__load_relaxed(counter + 1) > 0);  /* of the initializers, of replaced workers, too */
	fl_executor_free(e);
	fl_shm_free(regions[1]);
	fl_shm_free(regions[0]);
}

CONFORMANCE_ON(tasks_without_regions_find_none, 1)
{
	FL_OK(fl_test_run_task(e, &has_no_region, NULL, NULL));
}
