/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests the signals of the threads that run tasks in worker ranks, and pthread_cancel() there.
 * test_mpi_launch.c has tasks that end their thread.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi.h"

FL_TASK_STATIC(cancels_its_thread, void, void)
{
	return -pthread_cancel(pthread_self());
}

FL_TASK_STATIC(ends_well, int, int)
{
	*result = *arg + 1;
	return 0;
}

FL_TASK_STATIC(does_nothing, void, void)
{
	return 0;
}

/*
 * Makes an executor with one worker in each rank: the runner; or, with an initializer, a thread of
 * an inner executor.
 */
static fl_executor *make(bool inner)
{
	const fl_executor_config config = {
	    .workers = fl_mpi_ranks() - 1, .name = "inner", .initialize = inner ? &does_nothing : NULL};
	return make_over_mpi(&config, NULL);
}

struct masks {
	char own[64], main[64];
};

static int read_mask(const char *path, char *mask)
{
	char line[128];
	int found = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f))
		found += sscanf(line, "SigBlk: %63s", mask) == 1;
	(void)fclose(f);
	return found == 1 ? 0 : -ENOENT;
}

FL_TASK_STATIC(reads_masks, void, struct masks)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)getpid());
	const int rc = read_mask(path, result->main);
	return rc == 0 ? read_mask("/proc/thread-self/status", result->own) : rc;
}

/*
 * Threads that run tasks have the signals of the rank's main thread, whichever thread makes them.
 */
FL_TEST(mpi_tasks_have_the_signals_of_the_main_thread)
{
	for (int i = 0; i < 2; i++) {
		FL_SCOPED(fl_executor) *e = make(i);
		FL_SCOPED(fl_future) *f = NULL;
		struct masks m;
		FL_OK(reads_masks_submit(e, &f));
		FL_OK(reads_masks_get(f, &m));
		assert_string_equal(m.own, m.main);
	}
}

/* Runs in rank 0, where the thread that submits or waits makes the calls of MPI. */
static void *submit_and_wait(void *arg)
{
	fl_executor *e = arg;
	FL_OK(pthread_cancel(pthread_self()));
	for (int i = 0; i < 100; i++) {
		fl_future *f = NULL;
		int n = 0;
		FL_OK(ends_well_submit(e, i, &f));
		FL_CHECK(ends_well_get(f, &n) == 0 && n == i + 1);
		fl_future_free(f);
	}
	return NULL;
}

FL_TEST(mpi_submits_and_waits_are_no_cancellation_points)
{
	FL_SCOPED(fl_executor) *e = make(false);
	/* PTHREAD_CANCELED would be the result of a cancel */
	assert_null(fl_test_foreign(submit_and_wait, e));
}

/*
 * It is the last case, because later tasks would be cancelled. No function of the library, of what
 * it calls, or of these tasks is a cancellation point.
 */
FL_TEST(mpi_ends_no_thread_outside_of_a_task)
{
	for (int i = 0; i < 2; i++) {
		FL_SCOPED(fl_executor) *e = make(i);
		FL_SCOPED(fl_future) *cancels = NULL;
		FL_OK(cancels_its_thread_submit(e, &cancels));
		FL_OK(fl_future_wait(cancels));
		FL_OK(fl_future_error(cancels));
		for (int n = 0; n < 100; n++) {
			int more = 0;
			FL_OK(fl_test_run_task(e, &ends_well, &(int){n}, &more));
			assert_int_equal(more, n + 1);
		}
	}
}

#endif
