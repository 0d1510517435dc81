/* SPDX-License-Identifier: BSD-2-Clause */
/* Results as one page that needs nothing else: the table of tests, and each distinct failure once. */
#include "tool.h"
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n<title>fairlead-stress</title>\n<style>\n"
    ":root{color-scheme:light dark;--line:#8884;--soft:#8881;--bad:#c62828;--good:#2e7d32;--mark:#f9a82533}\n"
    "@media (prefers-color-scheme:dark){:root{--bad:#ef9a9a;--good:#a5d6a7}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1280px;margin:2em auto;padding:0 1em}\n"
    "h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2.5em;border-top:1px solid var(--line);padding-top:1em}\n"
    "table{border-collapse:collapse;margin:1em 0}th{text-align:left}\n"
    "th,td{padding:.2em .8em;border-bottom:1px solid var(--line);vertical-align:top}\n"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:var(--bad)}.good{color:var(--good)}\n"
    "code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:.8em;white-space:pre-wrap;"
    "overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto}.trace td{border-left:1px solid var(--line);min-width:13em}.trace "
    "td.n{min-width:2em;border-left:0}\n"
    ".trace small{display:block;opacity:.7;overflow-wrap:anywhere}.trace .mark{background:var(--mark)}\n"
    "</style>\n</head>\n<body>\n";

static void cell(FILE *to, const char *kind, const char *text)
{
	(void)fprintf(to, "<td%s%s%s>", kind ? " class=\"" : "", kind ? kind : "", kind ? "\"" : "");
	emit_xml(to, text);
	(void)fputs("</td>", to);
}

/* The same failure in two modes is one; the page tells it once. */
static bool is_same(const struct job *a, const struct job *b)
{
	return strcmp(a->test->test->name, b->test->test->name) == 0 &&
	       a->report.result.verdict == b->report.result.verdict &&
	       strcmp(a->report.result.message, b->report.result.message) == 0;
}

/* The one of its kind that is told: the first with a trace, or else the first. */
static bool is_told(const struct run *run, const struct job *job)
{
	const struct job *best = NULL;
	for (size_t i = 0; i < run->n_jobs; i++) {
		const struct job *other = &run->jobs[i];
		if (!job_failed(other) || !is_same(job, other))
			continue;
		if (!best || (best->report.result.n_steps == 0 && other->report.result.n_steps > 0))
			best = other;
	}
	return best == job;
}

static void step(FILE *to, const struct lab_step *s)
{
	(void)fprintf(to, "<td%s>", s->stale || s->fault || s->preempted || s->killed ? " class=\"mark\"" : "");
	emit_xml(to, s->what);
	(void)fputs(" <b>", to);
	emit_xml(to, s->value);
	(void)fputs("</b>", to);
	(void)fputs(s->killed      ? " &#10013; killed"
	            : s->stale     ? " &#9888; older value"
	            : s->fault     ? " &#9889; injected"
	            : s->preempted ? " &#8618; preempts"
	                           : "",
	            to);
	if (s->file || s->function) {
		(void)fputs("<small>", to);
		emit_xml(to, short_path(s->file));
		(void)fprintf(to, ":%d ", s->line);
		emit_xml(to, s->function);
		(void)fputs("</small>", to);
	}
	if (s->source) {
		(void)fputs("<small><code>", to);
		emit_xml(to, s->source + strspn(s->source, " \t"));
		(void)fputs("</code></small>", to);
	}
	(void)fputs("</td>", to);
}

/* Only threads that do something have a column. */
static void trace(FILE *to, const struct lab_result *r)
{
	bool *used = calloc(r->n_threads + 1, sizeof *used);
	for (unsigned i = 0; used && i < r->n_steps; i++)
		used[r->trace[i].thread < r->n_threads ? r->trace[i].thread : r->n_threads] = true;
	(void)fputs("<div class=\"wide\"><table class=\"trace\"><tr><th>#</th>", to);
	for (unsigned t = 0; used && t < r->n_threads; t++) {
		if (!used[t])
			continue;
		(void)fputs("<th>", to);
		emit_xml(to, r->threads[t]);
		(void)fputs("</th>", to);
	}
	(void)fputs("</tr>\n", to);
	for (unsigned i = 0; used && i < r->n_steps; i++) {
		(void)fprintf(to, "<tr><td class=\"n\">%u</td>", i + 1);
		for (unsigned t = 0; t < r->n_threads; t++) {
			if (used[t] && t == r->trace[i].thread)
				step(to, &r->trace[i]);
			else if (used[t])
				(void)fputs("<td></td>", to);
		}
		(void)fputs("</tr>\n", to);
	}
	(void)fputs("</table></div>\n", to);
	free(used);
}

static void outcomes(FILE *to, const struct lab_result *r)
{
	(void)fputs("<table><tr><th>Outcome</th><th>Samples</th><th>Expected</th></tr>\n", to);
	for (unsigned i = 0; i < r->n_outcomes; i++) {
		const struct lab_outcome *o = &r->outcomes[i];
		bool bad = o->expect == FL_STRESS_FORBIDDEN && o->count > 0;
		(void)fputs("<tr>", to);
		cell(to, bad ? "bad" : NULL, o->label);
		cell(to, "n", grouped(o->count));
		cell(to, NULL, expect_name(o->expect));
		(void)fputs("</tr>\n", to);
	}
	(void)fputs("</table>\n", to);
}

static void block(FILE *to, const char *title, const char *text)
{
	if (!text || !text[0])
		return;
	(void)fprintf(to, "<p>%s</p>\n<pre>", title);
	emit_xml(to, text);
	(void)fputs("</pre>\n", to);
}

static void failure(FILE *to, const struct run *run, const struct job *job, size_t number)
{
	const struct lab_result *r = &job->report.result;
	(void)fprintf(to, "<h2 id=\"f%zu\"><span class=\"bad\">%s</span> ", number, job_verdict(job));
	emit_xml(to, job->test->test->name);
	(void)fputs("</h2>\n<p>", to);
	emit_xml(to, r->message);
	(void)fprintf(to, "</p>\n<p>%s; found after %s %s, %.3g s. ", mode_name(job->mode),
	              grouped(job->mode == MODE_LIN && is_real(job) ? r->samples : r->executions),
	              is_real(job) ? "samples" : "executions", (double)r->found_ns / 1e9);
	emit_xml(to, r->strategy);
	(void)fputs("</p>\n", to);
	if (r->n_outcomes > 0)
		outcomes(to, r);
	if (r->n_steps > 0)
		trace(to, r);
	block(to, "Who waits on what, and the rest:", r->details);
	block(to, "It printed:", job->printed);
	char *command = reproducer(run->options, job);
	block(to, r->replay[0] ? "The same again:" : "To try again:", command);
	free(command);
}

static void summary(FILE *to, const struct run *run)
{
	(void)fputs(
	    "<table><tr><th>Test</th><th>Mode</th><th>Result</th><th>Samples</th><th>Seconds</th><th></th></tr>\n", to);
	for (size_t i = 0; i < run->n_jobs; i++) {
		const struct job *job = &run->jobs[i];
		char seconds[32];
		(void)snprintf(seconds, sizeof seconds, "%.2f", job->seconds);
		char *power = job->done && !job_failed(job) ? power_of(job) : NULL;
		(void)fputs("<tr>", to);
		cell(to, NULL, job->test->test->name);
		cell(to, NULL, mode_name(job->mode));
		cell(to, job_failed(job) ? "bad" : job->done ? "good" : NULL, job_verdict(job));
		cell(to, "n", grouped(job->report.result.executions));
		cell(to, "n", seconds);
		cell(to, NULL,
		     power          ? power
		     : job->skipped ? job->skipped
		     : job->done    ? job->report.result.message
		                    : "");
		(void)fputs("</tr>\n", to);
		free(power);
	}
	(void)fputs("</table>\n", to);
}

void html_write(FILE *to, const struct run *run)
{
	size_t number = 0;
	(void)fprintf(to, "%s<h1>fairlead-stress</h1>\n<p>%u passed, %u failed, %u skipped, %.1f s</p>\n", head,
	              run->totals.passed, run->totals.failed, run->totals.skipped, run->seconds);
	for (size_t i = 0; i < run->n_jobs; i++) {
		if (job_failed(&run->jobs[i]) && is_told(run, &run->jobs[i]))
			failure(to, run, &run->jobs[i], ++number);
	}
	(void)fputs("<h2>All tests</h2>\n", to);
	summary(to, run);
	(void)fputs("</body>\n</html>\n", to);
}
