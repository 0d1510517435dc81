/* SPDX-License-Identifier: BSD-2-Clause */
/* This file runs what the command line asks for, and writes the reports. */
#include "demo.h"
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	void (*compare)(const struct options *o, struct result *r); /* a job, or: */
	int (*tell)(const struct options *o);                       /* a story */
	bool on_request;                                            /* runs only when named */
} jobs[] = {
    {"primes", primes, NULL, false},         {"album", album, NULL, false},        {"frames", frames, NULL, true},
    {"mandelbrot", NULL, mandelbrot, true},  {"crawler", NULL, crawler, true},     {"threads", NULL, two_threads, true},
    {"barber", NULL, sleeping_barber, true}, {"survivors", NULL, survivors, true}, {"pipeline", NULL, pipeline, true},
};
#define JOB_COUNT (sizeof jobs / sizeof *jobs)

typedef bool report(FILE *out, const struct machine *m, const struct result *results, size_t n);

struct output {
	const char *path; /* NULL means none */
	report *write;
	FILE *file;
};

/* Opened before the work, so that an unwritable file is found at once. */
static bool outputs_open(struct output *outputs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (outputs[i].path == NULL)
			continue;
		outputs[i].file = fopen(outputs[i].path, "we");
		if (outputs[i].file == NULL) {
			complain("cannot write '%s': %s", outputs[i].path, strerror(errno));
			return false;
		}
	}
	return true;
}

static bool output_write(struct output *output, const struct machine *m, const struct result *results, size_t n)
{
	if (output->file == NULL)
		return true;
	bool good = output->write(output->file, m, results, n);
	good = fclose(output->file) == 0 && good;
	output->file = NULL;
	if (!good)
		complain("could not write all of '%s'", output->path);
	return good;
}

static bool write_reports(const struct options *o, struct output *outputs, size_t n, const struct result *results,
                          size_t result_count)
{
	struct machine machine;
	machine_read(&machine);
	report *to_terminal = o->json_only ? report_json : report_text;
	bool good = to_terminal(stdout, &machine, results, result_count);
	good = fflush(stdout) == 0 && good;
	if (!good)
		complain("could not write the results to standard output");
	for (size_t i = 0; i < n; i++)
		good = output_write(&outputs[i], &machine, results, result_count) && good;
	return good;
}

static int compare(const struct options *o)
{
	struct output outputs[] = {{o->json, report_json, NULL}, {o->html, report_html, NULL}};
	struct result results[JOB_COUNT];
	size_t n = 0;
	if (!outputs_open(outputs, 2))
		return 2;
	if (o->json_only)
		progress_quiet();

	bool good = true;
	for (size_t i = 0; i < JOB_COUNT; i++) {
		if (o->job != NULL ? strcmp(o->job, jobs[i].name) != 0 : jobs[i].on_request)
			continue;
		jobs[i].compare(o, &results[n]);
		good = good && !results[n++].failed;
	}
	good = write_reports(o, outputs, 2, results, n) && good;
	for (size_t i = 0; i < n; i++)
		result_free(&results[i]);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int tell(const struct options *o, int (*story)(const struct options *o))
{
	int status = story(o);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	complain("could not write to standard output");
	return EXIT_FAILURE;
}

static int run(const struct options *o)
{
	for (size_t i = 0; o->job != NULL && i < JOB_COUNT; i++)
		if (jobs[i].tell != NULL && strcmp(o->job, jobs[i].name) == 0)
			return tell(o, jobs[i].tell);
	return compare(o);
}

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);   /* worker processes begin and end here */
	(void)setlocale(LC_CTYPE, ""); /* tells whether the terminal can show more than ASCII */
	struct options options;
	int status = options_read(&options, argc, argv);
	if (status < 0 && options.ranks > 0 && !over_mpi_begin(options.ranks, argc, argv))
		status = EXIT_FAILURE;
	if (status < 0)
		status = run(&options);
	options_free(&options);
	(void)fl_trace_write(NULL); /* with FL_TRACE=ring */
	return status;
}
