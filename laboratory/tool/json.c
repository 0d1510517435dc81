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
		fprintf(to, "%s{\"state\":", i ? "," : "");
		emit_json_string(to, r->outcomes[i].label);
		fprintf(to, ",\"count\":%lu,\"expect\":\"%s\"}", r->outcomes[i].count,
		        expect_name(r->outcomes[i].expect));
	}
	fputc(']', to);
}

static void steps(FILE *to, const struct lab_result *r, const char *key, unsigned from, unsigned end)
{
	static const char *const edges[] = {"", "reads_from", "synchronizes", "waits_for"};
	fprintf(to, ",\"%s\":[", key);
	for (unsigned i = from; i < end; i++) {
		const struct lab_step *s = &r->trace[i];
		fprintf(to, "%s{\"thread\":", i > from ? "," : "");
		emit_json_string(to, s->thread < r->n_threads ? r->threads[s->thread] : "");
		emit_json_member(to, "what", s->what);
		emit_json_member(to, "value", s->value);
		emit_json_member(to, "file", s->file);
		fprintf(to, ",\"line\":%d", s->line);
		emit_json_member(to, "function", s->function);
		emit_json_member(to, "source", s->source);
		fprintf(to, ",\"preempted\":%s,\"stale\":%s,\"fault\":%s,\"killed\":%s,\"failing\":%s",
		        s->preempted ? "true" : "false", s->stale ? "true" : "false", s->fault ? "true" : "false",
		        s->killed ? "true" : "false", s->failing ? "true" : "false");
		emit_json_member(to, "edge", edges[s->edge]);
		fprintf(to, ",\"from\":%u}", s->edge == LAB_NO_EDGE ? 0 : s->from);
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
		emit_json_string(to, lab_limit_text((enum lab_limit)i));
		between = ",";
	}
	fputc(']', to);
}

void json_job(FILE *to, const struct options *o, const struct run *run, const struct job *job)
{
	const struct lab_result *r = &job->report.result;
	fputs("{\"name\":", to);
	emit_json_string(to, job->test->test->name);
	emit_json_member(to, "mode", mode_name(job->mode));
	fprintf(to, ",\"samples\":%lu,\"executions\":%lu,\"pruned\":%lu,\"steps\":%lu",
	        (job->mode == MODE_LIN ? r->samples : r->executions), r->executions, r->pruned, r->steps);
	fprintf(to, ",\"proved\":%s,\"exhausted\":%s,\"complete\":%lu,\"blocked\":%lu", r->proved ? "true" : "false",
	        r->exhausted && !(r->limits & LAB_BOUNDS) ? "true" : "false", r->complete, r->blocked);
	limits(to, r);
	outcomes(to, r);
	emit_json_member(to, "verdict", job_verdict_key(job));
	emit_json_member(to, "replay", r->replay);
	char *command = job_failed(job) ? reproducer(o, job) : NULL;
	emit_json_member(to, "command", command);
	free(command);
	emit_json_member(to, "message", job->skipped ? job->skipped : r->message);
	emit_json_member(to, "details", r->details);
	emit_json_member(to, "output", job_failed(job) ? job->printed : "");
	emit_json_member(to, "strategy", r->strategy);
	fprintf(to, ",\"seconds\":%.6f,\"found_seconds\":%.6f,\"shrink_seconds\":%.6f,\"hash\":\"%016lx\"",
	        job->seconds, (double)r->found_ns / 1e9, (double)r->shrunk_ns / 1e9, r->hash);
	fprintf(to, ",\"programs\":{\"count\":%u,\"exhausted\":%u}", r->programs, r->programs_exhausted);
	fprintf(to, ",\"kills\":{\"count\":%lu,\"steps\":%u,\"least\":%lu,\"missed\":%u}", r->kills, r->kill_steps,
	        r->kill_least, r->kill_missed);
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
