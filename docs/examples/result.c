/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a job in each model, and compares the answers. */
#include "demo.h"
#include <stdarg.h>
#include <stdlib.h>

/*
 * The models. A new kind of executor is one more row here. No job changes, since a task does not
 * depend on its executor.
 */
static const struct model models[] = {
    {"sequential", NULL, true, false},
    {"threads", fl_thread_executor_create, false, false},
    {"processes", fl_process_executor_create, false, false},
    {"mpi", over_mpi_create, false, true},
    {"async", fl_loop_executor_create, true, false},
};
#define MODEL_COUNT (sizeof models / sizeof *models)
_Static_assert(MODEL_COUNT <= RUNS_MAX, "a result has no place for every model");

/* Takes ownership of `line`. Drops it when out of memory. */
static void append(char ***lines, size_t *count, char *line)
{
	char **more = line != NULL ? realloc(*lines, (*count + 1) * sizeof *more) : NULL;
	if (more == NULL) {
		free(line);
		return;
	}
	*lines = more;
	more[(*count)++] = line;
}

void result_fail(struct result *r, const char *model, const char *format, ...)
{
	char *why = NULL, *line = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&why, format, args) < 0)
		why = NULL;
	va_end(args);
	if (asprintf(&line, "%s (%s): %s", r->job, model, why != NULL ? why : "failed, and no memory to say why") < 0)
		line = NULL;
	free(why);
	complain("%s", line != NULL ? line : "out of memory");
	r->failed = true;
	append(&r->failures, &r->failure_count,
	       line); /* it was printed, and it counts, even if the reports cannot repeat it */
}

void result_note(struct result *r, const char *format, ...)
{
	char *line = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		line = NULL;
	va_end(args);
	append(&r->notes, &r->note_count, line);
}

static void free_lines(char **lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	free(lines);
}

void result_free(struct result *r)
{
	free_lines(r->failures, r->failure_count);
	free_lines(r->notes, r->note_count);
	for (size_t i = 0; i < r->thumbnail_count; i++)
		free(r->thumbnails[i].data);
	*r = (struct result){0};
}

/*
 * Adds how long other processes have used the CPUs since `before`. Only of a model that runs in
 * this process: the CPU time of worker processes is not known here.
 */
static void add_others(double *others, double *all, const struct cpu_times *before)
{
	struct cpu_times now;
	if (!cpu_times_read(&now))
		return;
	const double busy = now.busy - before->busy - (now.mine - before->mine);
	*others += busy > 0 ? busy : 0;
	*all += now.all - before->all;
}

/* Several CPUs were slower than one: other processes may be the reason. */
static void note_others(struct result *r, double others, double all)
{
	bool slower = false;
	for (size_t i = 1; i < r->run_count; i++)
		slower = slower || (r->runs[i].workers > 1 && r->runs[i].speedup < 1);
	if (slower && all > 0)
		result_note(
		    r, "a speedup below one: meanwhile other processes kept the CPUs busy for %.0f %% of their time",
		    100 * others / all);
}

void compare_models(struct result *r, unsigned workers, run_in_model *run_job, void *job)
{
	double others = 0, all = 0;
	for (size_t i = 0; i < MODEL_COUNT; i++) {
		const struct model *model = &models[i];
		struct cpu_times before;
		if (model->over_mpi && !r->over_mpi)
			continue;
		struct run run = {.model = model->name, .workers = model->one_thread ? 1 : workers};
		peak_rss_reset();
		const bool timed = cpu_times_read(&before);
		if (run_job(job, model, &run) != 0) {
			if (i == 0)
				return; /* no reference for the other models */
			continue;
		}
		run.peak_rss_kib = peak_rss_kib();
		if (timed && model->create != fl_process_executor_create && !model->over_mpi)
			add_others(&others, &all, &before);
		r->runs[r->run_count++] = run;

		struct run *first = &r->runs[0], *last = &r->runs[r->run_count - 1];
		last->speedup = last->seconds > 0 ? first->seconds / last->seconds : 1;
		if (last->answer != first->answer)
			result_fail(r, last->model, "its answer differs from that of %s", first->model);
	}
	note_others(r, others, all);
}
