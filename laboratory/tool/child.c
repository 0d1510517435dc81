/* SPDX-License-Identifier: BSD-2-Clause */
/* The process of a test: it runs the test, and leaves the result in the shared memory. */
#include "tool.h"
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct job *the_job;

static void ship(const struct lab_result *result)
{
	struct shared *shared = the_job->shared;
	const struct lab_site *sites = NULL;
	size_t n_sites = the_job->want_sites ? lab_sites(&sites) : 0;
	size_t n = pack(shared->bytes, sizeof shared->bytes, result, sites, n_sites);
	if (n == 0) { /* the result does not fit, since the trace is too long */
		struct lab_result less = *result;
		less.n_steps = less.n_waiting = 0;
		n = pack(shared->bytes, sizeof shared->bytes, &less, sites, n_sites);
	}
	atomic_store(&shared->packed, (uint32_t)n);
}

/* Leaves a result and ends the process. Other threads may be anywhere, so nothing is cleaned up. */
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

/*
 * Restores what a program is started with, such as signals. The process is killed when its parent
 * ends. It gets its own process group, which is killed with it.
 */
static void settle_in(const struct job *job)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGCHLD, SIGPIPE};
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	LAB_EACH (i, ours)
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

/* --- mode lin: the model first, since its reports have more details; then real threads --- */

static const struct lab_result *model_half;

static uint64_t count_of(const struct lab_result *result, const char *label)
{
	for (unsigned i = 0; i < result->n_outcomes; i++)
		if (strcmp(result->outcomes[i].label, label) == 0)
			return result->outcomes[i].count;
	return 0;
}

static const struct lab_result *both(const struct lab_result *real)
{
	static struct lab_result result;
	static struct lab_outcome outcomes[64];
	result = real->verdict == LAB_PASSED ? *model_half : *real;
	for (unsigned i = 0; i < result.n_outcomes && i < 64; i++) {
		outcomes[i] = result.outcomes[i];
		outcomes[i].count = count_of(real, outcomes[i].label) + count_of(model_half, outcomes[i].label);
	}
	result.outcomes = outcomes;
	result.executions = model_half->executions;
	result.programs = model_half->programs;
	result.programs_exhausted = model_half->programs_exhausted;
	result.steps = model_half->steps;
	result.samples = real->executions;
	return &result;
}

__attribute__((noreturn)) static void abandon_both(const struct lab_result *real)
{
	abandon(both(real));
}

static void run_lin(struct job *job)
{
	int64_t began = lab_clock_ns();
	const struct lab_test *plain = lab_test_find(job->test->test->name, false);
	const int64_t real = job->model_only ? 0 : job->share / 4; /* its part for real threads */
	job->model.time = job->share - real;
	model_half = lab_model_run(job->test, &job->model, progress, &job->shared->live);
	if (model_half->verdict != LAB_PASSED || job->model_only) {
		ship(model_half);
		return;
	}
	int64_t left = job->share - (lab_clock_ns() - began);
	job->native.time = left < real ? left : real;
	job->native.live = &job->shared->live;
	/* from here on, the samples are those of real threads */
	atomic_store(&job->native.live->samples, 0);
	job->native.abandon = abandon_both;
	ship(both(native_run(plain ? plain : job->test, &job->native)));
}

_Noreturn void child_run(struct job *job)
{
	the_job = job;
	settle_in(job);
	if (job->mode == MODE_LIN) {
		run_lin(job);
	} else if (in_model(job->mode)) {
		job->model.time = job->share;
		ship(lab_model_run(job->test, &job->model, progress, &job->shared->live));
	} else {
		job->native.time = job->share;
		job->native.live = &job->shared->live;
		job->native.abandon = abandon;
		ship(native_run(job->test, &job->native));
	}
	fflush(NULL);
	_exit(0);
}
