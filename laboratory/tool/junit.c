/* SPDX-License-Identifier: BSD-2-Clause */
/* The results as XML for continuous integration, with a suite for each mode. */
#include "tool.h"

/* Writes the text of a failure, as it is printed. */
static void story(FILE *to, const struct run *run, const struct job *job)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	if (!memory)
		return;
	text_job(memory, run->options, job);
	EACH_JOB (other, run)
		if (other->first == job && job_failed(other))
			text_job(memory, run->options, other);
	fclose(memory);
	emit_xml(to, "%s", text);
	free(text);
}

static void testcase(FILE *to, const struct run *run, const struct job *job)
{
	/* The name of the report's file tells programs of one name apart, such as main.c of two targets. */
	char report[256];
	snprintf(report, sizeof report, "%s", basename(run->options->results[JUNIT]));
	report[strcspn(report, ".")] = '\0';
	emit_xml(to, "    <testcase name=\"%s\" classname=\"fairlead-stress.%s\" time=\"%.3f\">", job->test->test->name,
	         run->options->first ? report : mode_names[job->mode], job->seconds);
	if (job_failed(job)) {
		const char *kind = job->report.result.verdict == LAB_CRASH ? "error" : "failure";
		emit_xml(to, "<%s type=\"%s\" message=\"%s\">", kind, job_verdict_key(job), job->report.result.message);
		story(to, run, job);
		emit_xml(to, "</%s>", kind);
	} else if (job->done) {
		emit_xml(to, "<system-out>%s</system-out>", power_of(job));
	} else {
		emit_xml(to, "<skipped message=\"%s\"/>", job->skipped ? job->skipped : "the run ended before");
	}
	fputs("</testcase>\n", to);
}

void junit_results(FILE *to, const void *results)
{
	const struct run *run = results;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", to);
	for (int mode = 0; mode < MODES; mode++) {
		unsigned tests = 0, failures = 0, errors = 0, skipped = 0;
		double seconds = 0;
		EACH_JOB (job, run) {
			if ((int)job->mode != mode || job->first)
				continue;
			bool crashed = job_failed(job) && job->report.result.verdict == LAB_CRASH;
			tests++;
			errors += crashed;
			failures += job_failed(job) && !crashed;
			skipped += !job->done;
			seconds += job->seconds;
		}
		if (tests == 0)
			continue;
		fprintf(to,
		        "  <testsuite name=\"%s\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" "
		        "time=\"%.3f\">\n",
		        mode_names[mode], tests, failures, errors, skipped, seconds);
		EACH_JOB (job, run)
			if ((int)job->mode == mode && !job->first)
				testcase(to, run, job);
		fputs("  </testsuite>\n", to);
	}
	fputs("</testsuites>\n", to);
}
