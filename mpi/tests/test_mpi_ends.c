/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests tasks in worker ranks that end their thread, and the signals of the threads that run tasks.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi.h"

enum how { EXITS, IS_CANCELLED };

FL_TASK_STATIC(ends_by, enum how, int)
{
	*result = 1;
	if (*arg == EXITS)
		pthread_exit(NULL);
	FL_OK(pthread_cancel(pthread_self()));
	pthread_testcancel();
	return 0;
}

struct thread {
	char name[16]; /* the name for debuggers, with which the thread was started */
};

FL_TASK_STATIC(runs_on, void, struct thread)
{
	return -pthread_getname_np(pthread_self(), result->name, sizeof result->name);
}

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

static void expect_thread(fl_executor *e, bool inner)
{
	struct thread t;
	FL_OK(fl_test_run_task(e, &runs_on, NULL, &t));
	if (inner)
		fl_test_contains(t.name, "inner");
	else
		assert_string_equal(t.name, "mpi-runner");
}

static void end_threads(bool inner)
{
	FL_SCOPED(fl_executor) *e = make(inner);
	for (int i = 0; i < 6; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(ends_by_submit(e, i % 2 ? EXITS : IS_CANCELLED, &f));
		FL_OK(fl_future_wait(f));
		FL_RC(fl_future_error(f), -EOWNERDEAD);
		assert_string_equal(fl_future_message(f),
		                    "the task's function ends its thread, by pthread_exit() or pthread_cancel()");
		expect_thread(e, inner);
	}
}

FL_TEST(mpi_ends_the_runner)
{
	end_threads(false);
}

FL_TEST(mpi_ends_the_thread_of_an_inner_worker)
{
	end_threads(true);
}

/* Other tasks, of the same executor and of another one, are on their way meanwhile. */
FL_TEST(mpi_ends_threads_beside_other_tasks)
{
	enum { TASKS = 200 };
	fl_executor *e[2] = {make(false), make(true)};
	fl_future *f[TASKS], *ends[TASKS];
	for (int i = 0; i < TASKS; i++) {
		FL_OK(ends_by_submit(e[i % 2], i % 3 ? EXITS : IS_CANCELLED, &ends[i]));
		FL_OK(ends_well_submit(e[i / 2 % 2], i, &f[i]));
	}
	FL_EACH (i, f) {
		int n = 0;
		FL_OK(ends_well_get(f[i], &n));
		assert_int_equal(n, i + 1);
		FL_OK(fl_future_wait(ends[i]));
		FL_RC(fl_future_error(ends[i]), -EOWNERDEAD);
		fl_future_free(f[i]);
		fl_future_free(ends[i]);
	}
	fl_executor_free(e[0]);
	fl_executor_free(e[1]);
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
	for (int i = 0; i < 6; i++) {
		FL_SCOPED(fl_executor) *e = make(i % 2);
		FL_SCOPED(fl_future) *f = NULL, *ended = NULL;
		struct masks m;
		FL_OK(reads_masks_submit(e, &f));
		FL_OK(reads_masks_get(f, &m));
		assert_string_equal(m.own, m.main);
		FL_OK(ends_by_submit(e, EXITS, &ended)); /* so the next round has another runner */
		FL_OK(fl_future_wait(ended));
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
