/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The failures as SARIF 2.1.0, which code scanning reads: a rule for each verdict, and a result for
 * each failure. The location of a result is the first of the failing steps, and the others are
 * related locations.
 */
#include "tool.h"
#include <limits.h>
#include <unistd.h>

/*
 * Writes a path in a git repository as a reference from its root, as code scanning wants it. Any
 * other path becomes a URI. The root is that of the outermost repository, because a submodule is
 * part of the project.
 */
static void emit_uri(FILE *to, const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
	char whole[PATH_MAX];
	const char *inside = realpath(path, whole) ?: path;
	for (const char *slash = inside; inside == whole && (slash = strchr(slash + 1, '/')) != NULL;) {
		char git[PATH_MAX];
		snprintf(git, sizeof git, "%.*s/.git", (int)(slash - whole), whole);
		if (access(git, F_OK) == 0)
			inside = slash + 1;
	}
	fputs(inside[0] == '/' ? "\"file://" : "\"", to);
	for (; *inside; inside++)
		fprintf(to, strchr(plain, *inside) ? "%c" : "%%%02X", (unsigned char)*inside);
	fputc('"', to);
}

static void emit_location(FILE *to, const char *file, int line, const char *text)
{
	fputs("{\"physicalLocation\":{\"artifactLocation\":{\"uri\":", to);
	emit_uri(to, file);
	emit_json(to, "},\"region\":{\"startLine\":%d}},\"message\":{\"text\":%s}}", line > 0 ? line : 1, text);
}

/*
 * Writes the place of a failure without steps: the source that its message names, otherwise the
 * first file.
 */
static void emit_place(FILE *to, const struct options *o, const struct job *job)
{
	const struct fl_stress_test *test = job->test->test;
	const char *file = o->first ? o->first : test->file;
	int line = test->line;
	for (char **source = o->sources; *source; source++) {
		const char *at = strstr(job->report.result.message, basename(*source));
		if (at && sscanf(at, "%*[^:]:%d", &line) == 1)
			file = *source;
	}
	emit_location(to, file, line, test->name);
}

static void emit_result(FILE *to, const struct run *run, const struct job *job)
{
	const struct lab_result *r = &job->report.result;
	const char *between = "";
	emit_json(to, "{\"level\":\"error\",\"ruleId\":%s,\"message\":{\"text\":%s},\"locations\":[",
	          job_verdict_key(job), r->message);
	for (unsigned i = 0; i < r->n_steps + r->n_waiting; i++) {
		const struct lab_step *s = &r->trace[i];
		if (!s->failing || !s->file)
			continue;
		fputs(between, to);
		emit_location(to, s->file, s->line, s->what);
		between = between[0] ? "," : "],\"relatedLocations\":[";
	}
	if (!between[0])
		emit_place(to, run->options, job);
	fputs("]}", to);
}

void sarif_results(FILE *to, const void *results)
{
	const struct run *run = results;
	const char *between = "";
	char name[256];
	fputs("{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[\n"
	      "{\"tool\":{\"driver\":{\"name\":\"fairlead-stress\",\"version\":\"" STRESS_VERSION "\",\"rules\":[",
	      to);
	for (enum lab_verdict v = LAB_FORBIDDEN; v <= LAB_NOT_BUILT; v++) {
		fputs(between, to);
		emit_json(to, "\n{\"id\":%s,\"shortDescription\":{\"text\":%s}}", verdict_key(lab_verdict_name(v)),
		          lab_verdict_name(v));
		between = ",";
	}
	fputs("]}},\n\"results\":[", to);
	between = "\n";
	EACH_JOB (job, run) {
		if (!job_failed(job))
			continue;
		fputs(between, to);
		emit_result(to, run, job);
		between = ",\n";
	}
	/*
	 * GitHub distinguishes the reports of a commit by this name, and refuses two reports of the
	 * same name.
	 */
	snprintf(name, sizeof name, "%s/", basename(run->options->results[SARIF]));
	emit_json(to, "],\"automationDetails\":{\"id\":%s}}]}\n", name);
}
