/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests the flight recorder in two ranks. trace_of_ranks.py reads their files. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_job.h"

#define TASKS 20

static void prepare_rank(const char *role, char **argv)
{
}

static int run_tasks(bool processes)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(
	    fl_mpi_executor_create(&e, &(fl_executor_config){.workers = 2}, &(fl_mpi_config){.processes = processes}));
	fl_future *f[TASKS];
	FL_EACH (i, f)
		FL_OK(square_submit(e, i, &f[i]));
	for (int i = 0, result; i < TASKS; i++) {
		FL_OK(square_get(f[i], &result));
		FL_CHECK(result == i * i);
		fl_future_free(f[i]);
	}
	return -fl_trace_write(NULL);
}

ROLE(on_threads)
{
	return run_tasks(false);
}

ROLE(in_processes)
{
	return run_tasks(true);
}

static void expect_files(const char *role)
{
	char folder[] = "/tmp/fairlead-trace-XXXXXX", text[512];
	FL_CHECK(mkdtemp(folder) != NULL);
	(void)snprintf(text, sizeof text, "ring,file=%s/t", folder);
	FL_OK(setenv("FL_TRACE", text, 1));
	FL_OK(job(role, "2"));
	FL_OK(unsetenv("FL_TRACE"));
	(void)snprintf(text, sizeof text, "python3 " FL_TEST_MPI_SOURCES "/trace_of_ranks.py %s %d", folder, TASKS);
	FL_OK(system(text));
	(void)snprintf(text, sizeof text, "rm -r %s", folder);
	FL_OK(system(text));
}

FL_TEST(mpi_trace_of_threads_in_ranks)
{
	expect_files("on_threads");
}

FL_TEST(mpi_trace_of_processes_in_ranks)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	expect_files("in_processes");
}
#endif
