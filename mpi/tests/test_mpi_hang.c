/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests a rank whose task hangs: gdb and the dump of that rank name what the task waits for. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_job.h"
#include <fairlead/debug.h>

static fl_event never = FL_EVENT_INIT;

static void prepare_rank(const char *role, char **argv)
{
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
}

static int look(void *arg)
{
	char command[512];
	(void)snprintf(command, sizeof command, "python3 " FL_TEST_MPI_SOURCES "/hang_of_rank.py %d", (int)getpid());
	const int rc = system(command);
	(void)raise(SIGQUIT);
	fl_event_set(&never);
	return rc == 0 ? 0 : -EIO;
}

FL_TASK_STATIC(hang, void, void)
{
	fl_thread *t;
	int looked = 0;
	fl_test_go(&t, look, NULL);
	FL_OK(fl_event_wait(&never));
	FL_OK(fl_thread_join(t, &looked));
	return looked;
}

ROLE(hangs)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_mpi_executor_create(&e, &(fl_executor_config){.workers = 1}, NULL));
	FL_OK(hang_submit(e, &f));
	return hang_get(f) == 0 ? 0 : 1;
}

FL_TEST(mpi_rank_that_hangs_says_why)
{
	if (system("gdb --version >/dev/null 2>&1") != 0)
		FL_SKIP("gdb is not installed");
	FL_OK(job("hangs", "2"));
	if (strstr(job_text, "gdb may not attach here"))
		FL_SKIP("gdb may not attach to a process here");
	expect("  worker-0 (");
	expect(") has waited for event never at 0x");
}
#endif
