/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The action --traffic: runs one execution of each test, in a process of its own, and counts its
 * traffic.
 */
#include "tool.h"
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_STEPS = 50000000 };

static int traffic_of(const struct options *o, const struct lab_test *test)
{
	struct job job = job_make_model(o, test, MODE_MODEL);
	job.model.strategy = LAB_RANDOM;
	job.model.max_executions = 1;
	job.model.max_steps = MOST_STEPS;
	job.model.faults = 0;
	job.model.no_leaks = job.model.no_shrink = job.model.traffic = true;
	const struct lab_result *result = lab_model_run(job.test, &job.model, NULL, NULL);
	printf("%-20s", test->test->name);
	if (result->verdict == LAB_PASSED)
		lab_traffic_print(stdout, o->verbose);
	else
		printf("  %s: %s\n", lab_verdict_name(result->verdict), result->message);
	return fflush(stdout) == 0 ? verdict_status(result->verdict) : STATUS_FAILED;
}

int run_traffic(const struct options *o)
{
	int worst = STATUS_OK, status;
	printf("%-20s %8s %8s %8s %8s\n", "an operation of", "ns", "locked", "misses", "calls");
	LAB_EACH_TEST (test) {
		if (!test->test->instrumented || !fits(o, test->test->name))
			continue;
		fflush(stdout);
		const pid_t child = fork();
		if (child == 0)
			_exit(traffic_of(o, test));
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
			return STATUS_CRASH;
		worst = worse_status(worst, WEXITSTATUS(status));
	}
	return worst;
}
