/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans the normal run: decides which tests run in which modes and how the time is divided among
 * them, and counts the results.
 */
#include "tool.h"
#include <ctype.h>

const char *const mode_names[] = {"native", "chaos", "model", "crash", "lin", NULL};

bool in_model(enum mode mode)
{
	return mode == MODE_MODEL || mode == MODE_CRASH || mode == MODE_LIN;
}

bool is_real(const struct job *job)
{
	return !in_model(job->mode) ||
	       (job->report.result.strategy && strcmp(job->report.result.strategy, "native") == 0);
}

bool mode_suits(enum mode mode, const struct lab_test *test)
{
	if (test->main)
		return mode == MODE_MODEL;
	if (mode == MODE_LIN || test->test->lin)
		return mode == MODE_LIN && test->test->lin;
	return mode != MODE_CRASH || test->test->processes;
}

unsigned actors_of(const struct lab_test *test)
{
	unsigned n = 0;
	while (n < FL_STRESS_ACTORS && test->test->actors[n].call)
		n++;
	return n;
}

/*
 * Returns a job of `test` with the options' settings. The job is marked as skipped if it cannot
 * run.
 */
static struct job job_make(const struct options *o, const struct lab_test *test, enum mode mode)
{
	const char *name = test->test->name;
	const struct lab_test *instrumented = lab_test_find(name, true), *plain = lab_test_find(name, false);
	struct job job = {.test = instrumented, .mode = mode, .model = o->model, .weight = 1, .hang = o->hang};
	job.model.unseen = compile_left_unseen;
	if (mode == MODE_NATIVE && plain)
		job.test = plain;
	if (!job.test) {
		job.test = test;
		job.skipped = "not instrumented: compile it with -fsanitize=thread -fno-builtin";
	}
	if (job.test->main) {
		char **argv = zeroed(o->argc, sizeof *argv);
		argv[job.model.argc++] = (char *)name;
		for (char **word = o->arguments; *word; word++)
			argv[job.model.argc++] = *word;
		job.model.argv = argv;
		if (job.model.max_steps == LAB_CONFIG_DEFAULT.max_steps)
			job.model.max_steps = PROGRAM_STEPS;
	}
	job.model.kills = mode == MODE_CRASH ? o->kills : 0;
	if (in_model(mode))
		/* The model itself ends most hangs, after 2 s of CPU time. */
		job.hang = 2 * o->hang + 4 * SECOND;
	job.model_only = mode == MODE_LIN && o->model.replay;
	if (mode == MODE_MODEL || mode == MODE_CRASH)
		return job;
	unsigned threads = actors_of(test) * o->copies;
	job.weight = threads < o->jobs ? threads : o->jobs;
	job.native = (struct native_config){.seed = o->model.seed,
	                                    .max_samples = o->model.max_executions,
	                                    .copies = o->copies,
	                                    .chaos = mode == MODE_CHAOS,
	                                    .delays = mode == MODE_CHAOS && o->delays,
	                                    .faults = mode == MODE_CHAOS ? o->model.fault_mask : 0};
	return job;
}

struct job job_make_model(const struct options *o, const struct lab_test *test, enum mode mode)
{
	struct job job = job_make(o, test, mode);
	job.model_only = true;
	job.weight = 1;
	return job;
}

int verdict_status(enum lab_verdict verdict)
{
	switch (verdict) {
	case LAB_PASSED:
		return STATUS_OK;
	case LAB_DEADLOCK:
	case LAB_LOST_WAKEUP:
	case LAB_LIVELOCK:
	case LAB_STEP_LIMIT:
	case LAB_HANG:
		return STATUS_HANG;
	case LAB_CRASH:
		return STATUS_CRASH;
	case LAB_DIVERGED:
		return STATUS_DIVERGED;
	default:
		return STATUS_FAILED;
	}
}

int worse_status(int a, int b)
{
	static const int rank[] = {[STATUS_OK] = 0,   [STATUS_SKIPPED] = 1, [STATUS_DIVERGED] = 2, [STATUS_FAILED] = 3,
	                           [STATUS_HANG] = 4, [STATUS_CRASH] = 5,   [STATUS_USAGE] = 6};
	return rank[a] > rank[b] ? a : b;
}

bool job_failed(const struct job *job)
{
	return job->done && job->report.result.verdict != LAB_PASSED;
}

const char *verdict_key(const char *name)
{
	static char key[32];
	size_t i = 0;
	for (; name[i] && i + 1 < sizeof key; i++)
		key[i] = name[i] == ' ' ? '_' : (char)tolower((unsigned char)name[i]);
	key[i] = '\0';
	return key;
}

const char *job_verdict_key(const struct job *job)
{
	return verdict_key(job_verdict(job));
}

const char *job_verdict(const struct job *job)
{
	return job->done ? lab_verdict_name(job->report.result.verdict) : job->skipped ? "skipped" : "not run";
}

/* Whether a replay runs the test: its string begins with the test's name. */
static bool is_replayed(const struct options *o, const char *name)
{
	size_t n = o->model.replay ? strcspn(o->model.replay, "/") : 0;
	return !o->model.replay || (strlen(name) == n && strncmp(name, o->model.replay, n) == 0);
}

enum { FURTHER = 4 }; /* how many further failures of a program are searched for */

/*
 * Makes the jobs. The model comes first, because the tests that it exhausts leave their time to the
 * other modes, whose samples have no end.
 */
static void make_jobs(struct run *run, const struct options *o)
{
	static const enum mode order[] = {MODE_MODEL, MODE_CRASH, MODE_LIN, MODE_CHAOS, MODE_NATIVE};
	size_t n = 0;
	LAB_EACH_TEST (t)
		n += MODES + (t->main ? FURTHER : 0);
	run->jobs = zeroed(n, sizeof *run->jobs);
	for (unsigned m = 0; m < MODES; m++) {
		const char *last = "";
		for (const struct lab_test *t = lab_tests(); t && o->modes[order[m]]; t = t->next) {
			/* the plain and the instrumented test of a name are neighbours */
			if (strcmp(t->test->name, last) != 0 && fits(o, t->test->name) &&
			    is_replayed(o, t->test->name) && mode_suits(order[m], t))
				run->jobs[run->n_jobs++] = job_make(o, t, order[m]);
			last = t->test->name;
		}
	}
}

/*
 * Returns the share of the time for the next job. The running jobs keep their shares; the waiting
 * jobs divide the remaining time by weight.
 */
static int64_t share_of(const struct run *run, const struct pool *pool, size_t next, int64_t end)
{
	int64_t now = lab_clock_ns(), left = end - now, weights = 0;
	int64_t room = left * pool->slots;
	for (size_t i = 0; i < pool->n_running; i++) {
		const struct job *job = pool->running[i];
		int64_t rest = job->began + job->share - now;
		room -= rest > 0 ? rest * job->weight : 0;
	}
	for (size_t i = next; i < run->n_jobs; i++)
		weights += run->jobs[i].skipped ? 0 : run->jobs[i].weight;
	int64_t share = room / (weights > 0 ? weights : 1);
	share = share < left ? share : left;
	return share > 20 * MS ? share : 20 * MS;
}

/*
 * If time is short, a model run ends after a meaningful number of executions, and leaves its time
 * to slower runs.
 */
static void hurry(struct job *job, const struct options *o)
{
	enum { ENOUGH = 100000, HURRY = 2 };
	if (in_model(job->mode) && job->share < HURRY * SECOND && !o->model.max_executions && !o->model.replay)
		job->model.max_executions = ENOUGH;
}

static void count(struct run *run, struct job *job)
{
	struct totals *totals = &run->totals;
	if (job->done)
		totals->status = worse_status(totals->status, verdict_status(job->report.result.verdict));
	if (job->first)
		return; /* its test is counted already */
	totals->skipped += job->skipped != NULL;
	totals->failed += job_failed(job);
	totals->passed += job->done && !job_failed(job);
	totals->modelled += job->done && job->mode == MODE_MODEL;
	totals->proved += job->mode == MODE_MODEL && !job_failed(job) && job->report.result.proved;
}

static uint64_t samples_so_far(const struct run *run, size_t begun)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < begun; i++) {
		const struct job *job = &run->jobs[i];
		if (job->done)
			sum += job->report.result.executions;
		else if (job->shared)
			sum += atomic_load(&job->shared->live.samples);
	}
	return sum;
}

static void show_status(struct status *status, const struct run *run, const struct pool *pool, size_t begun,
                        int64_t began)
{
	int64_t now = lab_clock_ns(), left = began + run->options->time - now;
	double rate = (double)samples_so_far(run, begun) / ((double)(now - began) / 1e9);
	const struct job *one = pool->n_running > 0 ? pool->running[0] : NULL;
	status_show(status, "%ld s left, %s executions/s, %u passed, %u failed, %zu to go; %s (%s)",
	            left > 0 ? left / SECOND : 0, grouped((uint64_t)rate), run->totals.passed, run->totals.failed,
	            run->n_jobs - begun + pool->n_running, one ? one->test->test->name : "",
	            one ? mode_names[one->mode] : "");
}

/*
 * Whether the job runs a program whose search can go on after the failure, because the failure does
 * not end the process.
 */
static bool leaves_more(const struct job *job)
{
	switch (job->report.result.verdict) {
	case LAB_CHECK:
	case LAB_RACE:
	case LAB_USE_AFTER_FREE:
	case LAB_LEAK:
	case LAB_DEADLOCK:
	case LAB_LOST_WAKEUP:
	case LAB_MISUSE:
	case LAB_EXIT_STATUS:
		return job->done && job->test->main != NULL;
	default:
		return false;
	}
}

/*
 * A program that failed runs once more. Its failures so far are treated as known, as if their bugs
 * were fixed.
 */
static void seek_further(struct run *run, const struct job *job)
{
	const struct options *o = run->options;
	const size_t n = job->model.n_known;
	if (o->fail_fast || o->model.replay || n >= FURTHER || !leaves_more(job))
		return;
	struct lab_failure *known = zeroed(n + 1, sizeof *known);
	memcpy(known, job->model.known, n * sizeof *known);
	known[n] = job->report.result.failure;
	struct job *next = &run->jobs[run->n_jobs++];
	*next = job_make(o, job->test, job->mode);
	next->first = job->first ? job->first : job;
	next->most = SECOND / 5;
	next->model.known = known;
	next->model.n_known = n + 1;
}

static void finish(struct run *run, struct job *job, struct status *status)
{
	if (job->report.result.skipped) {
		job->skipped = job->report.result.skipped;
		job->done = false;
	}
	count(run, job);
	status_clear(status);
	if (!run->options->json_only && (!job->first || job_failed(job)))
		text_job(stdout, run->options, job);
	fflush(stdout);
	seek_further(run, job);
}

static void run_all(struct run *run)
{
	const struct options *o = run->options;
	struct pool pool;
	struct status status;
	int64_t began = lab_clock_ns(), end = began + o->time;
	size_t next = 0;
	pool_init(&pool, o->jobs);
	status_init(&status);
	while ((next < run->n_jobs || pool.n_running > 0) && !interrupted) {
		if (next < run->n_jobs && run->jobs[next].skipped) {
			finish(run, &run->jobs[next++], &status);
			continue;
		}
		if (next < run->n_jobs && pool_has_room(&pool, &run->jobs[next])) {
			struct job *job = &run->jobs[next];
			job->share = share_of(run, &pool, next, end);
			job->share = job->most > 0 && job->share > job->most ? job->most : job->share;
			job->model.jobs = o->jobs / (unsigned)run->n_jobs;
			hurry(job, o);
			pool_start(&pool, job);
			next++;
			continue;
		}
		show_status(&status, run, &pool, next, began);
		struct job *job = pool_wait(&pool);
		if (job)
			finish(run, job, &status);
		if (o->fail_fast && run->totals.failed > 0)
			break;
	}
	pool_kill(&pool);
	status_clear(&status);
	run->seconds = (double)(lab_clock_ns() - began) / 1e9;
}

static int report(const struct run *run)
{
	const struct totals *totals = &run->totals;
	const bool written = write_results(run), silent = run->options->json_only;
	char skipped[32] = "", proved[64] = "";
	if (totals->skipped > 0)
		snprintf(skipped, sizeof skipped, ", %u skipped", totals->skipped);
	if (totals->modelled > 1)
		snprintf(proved, sizeof proved, "; in mode model %u of %u proved", totals->proved, totals->modelled);
	if (!silent)
		printf("%u passed, %u failed%s, %.1f s%s\n", totals->passed, totals->failed, skipped, run->seconds,
		       proved);
	if (!written)
		return worse_status(totals->status, STATUS_FAILED);
	if (interrupted)
		return 128 + 2;
	return totals->passed + totals->failed == 0 ? STATUS_SKIPPED : totals->status;
}

void report_not_built(const struct options *o)
{
	const char *file = o->first ? o->first : *o->loads;
	struct fl_stress_test test = {.name = file, .file = file};
	const struct lab_test built = {.test = &test};
	struct job job = {.test = &built, .mode = MODE_MODEL, .model = o->model, .done = true};
	const struct run run = {.options = o, .jobs = &job, .n_jobs = 1, .totals.failed = 1};
	job.report.result.verdict = LAB_NOT_BUILT;
	job.report.result.message = "it was not compiled, linked or loaded: standard error says why";
	job.report.result.replay = job.report.result.strategy = "";
	if (file && o->action == DO_RUN)
		(void)write_results(&run);
}

static bool agrees(const struct run *run)
{
	const struct options *o = run->options;
	const char *pattern = *o->patterns ? *o->patterns : "";
	const bool crash = o->modes[MODE_CRASH];
	if (run->n_jobs > 0)
		return true;
	if (o->model.replay)
		return complain("--replay: the string is of the test '%.*s', which is not here%s",
		                (int)strcspn(o->model.replay, "/"), o->model.replay, !*o->loads ? ": --load it" : "");
	if (o->first)
		return complain("--mode: a program with main() runs in mode model alone");
	if (o->pick_modes && (crash || o->modes[MODE_LIN]))
		return complain("--mode %s: no test with %s fits%s%s%s; --list shows them", crash ? "crash" : "lin",
		                crash ? "processes" : "operations", pattern[0] ? " '" : "", pattern,
		                pattern[0] ? "'" : "");
	return complain("no test fits '%s'; --list shows what there is", pattern);
}

int run_tests(const struct options *o)
{
	struct run run = {.options = o};
	int status = STATUS_USAGE;
	make_jobs(&run, o);
	if (agrees(&run)) {
		run_all(&run);
		status = report(&run);
	}
	free(run.jobs);
	return status;
}
