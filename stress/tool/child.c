/* SPDX-License-Identifier: BSD-2-Clause */
/* A test's own process: runs it, and leaves the result in the shared memory. */
#include "tool.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct job *the_job;

static void ship(const struct lab_result *result)
{
	struct shared *shared = the_job->shared;
	const struct lab_site *sites = NULL;
	size_t n_sites = the_job->want_sites ? lab_sites(&sites) : 0;
	size_t n = pack(shared->bytes, sizeof shared->bytes, result, sites, n_sites);
	if (n == 0) { /* a trace beyond all measure */
		struct lab_result less = *result;
		less.n_steps = 0;
		n = pack(shared->bytes, sizeof shared->bytes, &less, sites, n_sites);
	}
	atomic_store(&shared->packed, (uint32_t)n);
}

/* Other threads may stand anywhere, so nothing is cleaned up. */
__attribute__((noreturn)) static void abandon(const struct lab_result *result)
{
	ship(result);
	_exit(0);
}

static bool progress(const struct lab_result *so_far, void *arg)
{
	struct native_live *live = arg;
	atomic_store_explicit(&live->samples, so_far->executions, memory_order_relaxed);
	atomic_store_explicit(&live->beats, so_far->steps + so_far->pruned, memory_order_relaxed);
	return true;
}

/* Back to what a program is started with; ends with the parent, and takes the group of its own along when it is killed. */
static void settle_in(const struct job *job)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGCHLD, SIGPIPE};
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		(void)signal(ours[i], SIG_DFL);
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)dup2(nothing, STDIN_FILENO);
	(void)dup2(job->output, STDOUT_FILENO);
	(void)dup2(job->output, STDERR_FILENO);
	char name[16] = "";
	strncpy(name, job->test->test->name, sizeof name - 1);
	(void)prctl(PR_SET_NAME, name);
}

_Noreturn void child_run(struct job *job)
{
	the_job = job;
	settle_in(job);
	if (in_model(job->mode)) {
		job->model.time = job->share;
		ship(lab_model_run(job->test, &job->model, progress, &job->shared->live));
	} else {
		job->native.time = job->share;
		job->native.live = &job->shared->live;
		job->native.abandon = abandon;
		ship(native_run(job->test, &job->native));
	}
	(void)fflush(NULL);
	_exit(0);
}
