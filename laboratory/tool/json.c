/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The results as JSON: one object for each test and mode. A field without a value is empty, never
 * missing.
 */
#include "tool.h"

static void outcomes(FILE *to, const struct lab_result *r)
{
	fputs(",\"outcomes\":[", to);
	for (unsigned i = 0; i < r->n_outcomes; i++) {
		const struct lab_outcome *o = &r->outcomes[i];
		fputs(i ? "," : "", to);
		emit_json(to, "{\"state\":%s,\"count\":%lu,\"expect\":%s}", o->label, o->count,
		          expect_names[o->expect]);
	}
	fputc(']', to);
}

const char *const edge_names[] = {"", "reads_from", "synchronizes", "waits_for"};

static void steps(FILE *to, const struct lab_result *r, const char *key, unsigned from, unsigned end)
{
	fprintf(to, ",\"%s\":[", key);
	for (unsigned i = from; i < end; i++) {
		const struct lab_step *s = &r->trace[i];
		fputs(i > from ? "," : "", to);
		emit_json(
		    to, "{\"thread\":%s,\"what\":%s,\"value\":%s,\"file\":%s,\"line\":%d,\"function\":%s,\"source\":%s",
		    s->thread < r->n_threads ? r->threads[s->thread] : "", s->what, s->value, s->file, s->line,
		    s->function, s->source);
		fprintf(to, ",\"preempted\":%s,\"stale\":%s,\"fault\":%s,\"killed\":%s,\"failing\":%s",
		        s->preempted ? "true" : "false", s->stale ? "true" : "false", s->fault ? "true" : "false",
		        s->killed ? "true" : "false", s->failing ? "true" : "false");
		emit_json(to, ",\"edge\":%s,\"from\":%u}", edge_names[s->edge], s->edge == LAB_NO_EDGE ? 0 : s->from);
	}
	fputc(']', to);
}

/* Writes the other failures of the test. */
static void further(FILE *to, const struct run *run, const struct job *job)
{
	const char *between = "";
	fputs(",\"further\":[", to);
	for (size_t i = 0; run && i < run->n_jobs; i++) {
		if (run->jobs[i].first != job || !job_failed(&run->jobs[i]))
			continue;
		fputs(between, to);
		json_job(to, run->options, NULL, &run->jobs[i]);
		between = ",\n";
	}
	fputc(']', to);
}

static void limits(FILE *to, const struct lab_result *r)
{
	const char *between = "";
	fputs(",\"limits\":[", to);
	for (unsigned i = 0; i < LAB_LIMITS; i++) {
		if (!(r->limits & 1u << i))
			continue;
		fputs(between, to);
		emit_json(to, "%s", lab_limit_text((enum lab_limit)i, r->partial));
		between = ",";
	}
	fputc(']', to);
}

void json_job(FILE *to, const struct options *o, const struct run *run, const struct job *job)
{
	const struct lab_result *r = &job->report.result;
	emit_json(to, "{\"name\":%s,\"mode\":%s,\"samples\":%lu,\"executions\":%lu,\"pruned\":%lu,\"steps\":%lu",
	          job->test->test->name, mode_names[job->mode], job->mode == MODE_LIN ? r->samples : r->executions,
	          r->executions, r->pruned, r->steps);
	fprintf(to, ",\"proved\":%s,\"exhausted\":%s,\"complete\":%lu,\"blocked\":%lu,\"outdated\":%lu",
	        r->proved ? "true" : "false", r->exhausted && !(r->limits & LAB_BOUNDS) ? "true" : "false", r->complete,
	        r->blocked, r->outdated);
	limits(to, r);
	outcomes(to, r);
	emit_json(
	    to,
	    ",\"verdict\":%s,\"replay\":%s,\"command\":%s,\"message\":%s,\"details\":%s,\"output\":%s,\"strategy\":%s"
	    ",\"seconds\":%.6f,\"found_seconds\":%.6f,\"shrink_seconds\":%.6f,\"hash\":\"%016lx\""
	    ",\"programs\":{\"count\":%u,\"exhausted\":%u}"
	    ",\"kills\":{\"count\":%lu,\"steps\":%u,\"least\":%lu,\"missed\":%u}",
	    job_verdict_key(job), r->replay, job_failed(job) ? reproducer(o, job) : "",
	    job->skipped ? job->skipped : r->message, r->details, job_failed(job) ? job->printed : "", r->strategy,
	    job->seconds, (double)r->found_ns / 1e9, (double)r->shrunk_ns / 1e9, r->hash, r->programs,
	    r->programs_exhausted, r->kills, r->kill_steps, r->kill_least, r->kill_missed);
	steps(to, r, "trace", 0, r->n_steps);
	steps(to, r, "waiting", r->n_steps, r->n_steps + r->n_waiting);
	further(to, run, job);
	fputc('}', to);
}

void json_results(FILE *to, const void *results)
{
	const struct run *run = results;
	fputs("{\"tests\":[", to);
	EACH_JOB (job, run) {
		if (job->first)
			continue;
		fputs(job > run->jobs ? ",\n" : "\n", to);
		json_job(to, run->options, run, job);
	}
	fprintf(to, "\n],\"passed\":%u,\"failed\":%u,\"skipped\":%u,\"proved\":%u,\"seconds\":%.3f}\n",
	        run->totals.passed, run->totals.failed, run->totals.skipped, run->totals.proved, run->seconds);
}
