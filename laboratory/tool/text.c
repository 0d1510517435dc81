/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a test: one line for a pass, and for a failure also its trace. */
#include "tool.h"
#include <math.h>
#include <unistd.h>

const char *grouped(uint64_t n)
{
	static char buffers[8][32];
	static unsigned turn;
	char digits[24], *to = buffers[turn++ % 8], *at = to;
	int length = snprintf(digits, sizeof digits, "%lu", n);
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*at++ = ',';
		*at++ = digits[i];
	}
	*at = '\0';
	return to;
}

const char *const expect_names[] = {"acceptable", "interesting", "forbidden"};

static void text_outcomes(FILE *to, const struct lab_result *r)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < r->n_outcomes; i++)
		sum += r->outcomes[i].count;
	if (r->n_outcomes == 0)
		return;
	fprintf(to, "    %-7s %15s %10s  %-12s %s\n", "RESULT", "SAMPLES", "FREQUENCY", "EXPECT", "DESCRIPTION");
	for (unsigned i = 0; i < r->n_outcomes; i++) {
		const struct lab_outcome *o = &r->outcomes[i];
		const char *word = o->count == 0 ? "-" : o->expect == FL_STRESS_FORBIDDEN ? "FAILED" : "ok";
		double percent = sum > 0 ? 100.0 * (double)o->count / (double)sum : 0;
		char frequency[16];
		snprintf(frequency, sizeof frequency, o->count > 0 && percent < 0.01 ? "<0.01%%" : "%.2f%%", percent);
		fprintf(to, "    %-7s %15s %10s  %-12s %s\n", word, grouped(o->count), frequency,
		        expect_names[o->expect], o->label);
	}
}

/* Writes the bound of PCT: 1/(n k^(d-1)) for n threads and k steps of an execution. */
static void pct_bound(char *to, size_t size, const struct job *job)
{
	const struct lab_result *r = &job->report.result;
	unsigned depth = job->model.depth, threads = actors_of(job->test);
	double runs = (double)(r->executions + r->pruned);
	if (!strstr(r->strategy, "pct") || threads == 0 || runs < 1 || r->steps == 0)
		return;
	double steps = (double)r->steps / runs;
	snprintf(to, size, ": a bug of depth %u in each with p >= 1/(%u*%.0f^%u) = %.1g", depth, threads, steps,
	         depth - 1, 1 / (threads * pow(steps, depth - 1)));
}

/* Adds to a text, after `first`, the limits among `which` that executions met. */
static void limits(char *to, size_t size, const struct lab_result *r, unsigned which, const char *first)
{
	size_t used = 0;
	to[0] = '\0';
	for (unsigned i = 0; i < LAB_LIMITS; i++) {
		if (!(r->limits & which & 1u << i) || used >= size)
			continue;
		used += (size_t)snprintf(to + used, size - used, "%s%s", used ? ", " : first,
		                         lab_limit_text((enum lab_limit)i, r->partial));
	}
}

/* Writes what a search shows that has seen all executions within its bounds. */
static void power_of_all(char *to, size_t size, const struct job *job)
{
	const struct lab_result *r = &job->report.result;
	const bool bounded = r->limits & LAB_BOUNDS;
	const char *const word = job->model.safety ? "proved safe: " : "proved: ";
	char blocked[48] = "", outdated[48] = "", all[160], why[1024];
	if (r->blocked > 0)
		snprintf(blocked, sizeof blocked, ", %s blocked", grouped(r->blocked));
	if (r->outdated > 0)
		snprintf(outdated, sizeof outdated, ", %s outdated", grouped(r->outdated));
	snprintf(all, sizeof all, "all %s execution%s%s%s", grouped(r->complete), r->complete == 1 ? "" : "s", blocked,
	         outdated);
	limits(why, sizeof why, r, ~(unsigned)LAB_BOUNDS, bounded ? "; also: " : "; not proved: ");
	if (bounded)
		snprintf(to, size, "not proved, bounded by %.*s: %s; %s ran in all%s", (int)strcspn(r->strategy, ";"),
		         r->strategy, all, grouped(r->executions), why);
	else
		snprintf(to, size, "%s%s%s", r->proved ? word : "", all, why);
}

const char *power_of(const struct job *job)
{
	static char text[2048];
	const struct lab_result *r = &job->report.result;
	char bound[160] = "";
	if (job->mode == MODE_LIN) {
		char real[96] = "";
		if (r->samples > 0)
			snprintf(real, sizeof real, "; native 0 of %s, so p < %.2g at 95%%", grouped(r->samples),
			         3 / (double)r->samples);
		snprintf(text, sizeof text, "%s programs, %s of them exhausted, %s executions of %s%s",
		         grouped(r->programs), grouped(r->programs_exhausted), grouped(r->executions), r->strategy,
		         real);
	} else if (!in_model(job->mode) && r->executions > 0) {
		snprintf(text, sizeof text, "0 of %s, so p < %.2g at 95%%", grouped(r->executions),
		         3 / (double)r->executions);
	} else if (r->exhausted) {
		power_of_all(text, sizeof text, job);
	} else {
		pct_bound(bound, sizeof bound, job);
		snprintf(text, sizeof text, "not proved, the search has not ended: %s executions of %s%s",
		         grouped(r->executions), r->strategy, bound);
	}
	return text;
}

/* Writes a line on the kills of a pass in mode crash. */
static void text_kills(FILE *to, const struct lab_result *r)
{
	fprintf(to, "    kills: %s steps, each >= %s times; %s in all", grouped(r->kill_steps), grouped(r->kill_least),
	        grouped(r->kills));
	if (r->kill_missed > 0)
		fprintf(to, "; at %u more never", r->kill_missed);
	fputc('\n', to);
}

/* Writes a word, quoted for a shell, behind the text `before`. */
static void quote(FILE *to, const char *before, const char *word)
{
	fputs(before, to);
	if (word[0] &&
	    word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,=+@%")] == '\0') {
		fputs(word, to);
		return;
	}
	fputc('\'', to);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", to);
		else
			fputc(*word, to);
	}
	fputc('\'', to);
}

/* Writes each word, quoted for a shell, behind the text `before`. */
static void quote_all(FILE *to, const char *before, char **words)
{
	for (; *words; words++)
		quote(to, before, *words);
}

const char *reproducer(const struct options *o, const struct job *job)
{
	static char *text;
	size_t size;
	const struct lab_config *c = &job->model;
	free(text);
	text = NULL;
	FILE *to = open_memstream(&text, &size);
	if (!to)
		return "";
	const char *wrapped = getenv("FAIRLEAD_STRESS_COMMAND"); // NOLINT(concurrency-mt-unsafe)
	/* ./dev stress has started the program */
	if (wrapped)
		fputs(wrapped, to);
	else
		quote(to, "", o->program);
	if (!o->first)
		fprintf(to, " %s --mode %s", job->test->test->name, mode_names[job->mode]);
	quote_all(to, " ", o->flags);
	quote_all(to, " ", o->inputs);
	quote_all(to, " ", o->sources);
	quote_all(to, " --load ", o->loads);
	if (o->planted || o->action == DO_SELF_TEST)
		fputs(" --planted", to);
	if (job->mode == MODE_CRASH && c->kills != 1)
		fprintf(to, " --kills %d", c->kills);
	if (in_model(job->mode) && c->max_steps != (job->test->main ? PROGRAM_STEPS : LAB_CONFIG_DEFAULT.max_steps))
		fprintf(to, " --steps %u", c->max_steps);
	if (in_model(job->mode) && job->report.result.replay[0]) {
		quote(to, " --replay ", job->report.result.replay);
	} else if (in_model(job->mode) && strcmp(job->report.result.strategy, "execution graphs") == 0) {
		fputs(" --strategy graphs", to);
	} else if (is_real(job)) {
		fprintf(to, " --seed %lu", job->native.seed);
		if (job->native.copies > 1)
			fprintf(to, " --oversubscribe %u", job->native.copies);
	}
	if (c->no_leaks)
		fputs(" --no-leaks", to);
	if (c->sc)
		fputs(" --model sc", to);
	if (c->one_cpu)
		fputs(" --one-cpu", to);
	if (c->safety)
		fputs(" --safety", to);
	if (o->picks_std)
		fputs(c->rmw_sequences ? " --std c++20" : " --std c11", to);
	if (job->test->main && *o->arguments)
		fputs(" --", to);
	if (job->test->main)
		quote_all(to, " ", o->arguments);
	fclose(to);
	return text;
}

const char *folder(void)
{
	static char name[4096];
	return getcwd(name, sizeof name) ? name : "?";
}

/* Writes each line of `text`, indented. */
static void text_lines(FILE *to, const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		fprintf(to, "    %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void text_failure(FILE *to, const struct options *o, const struct job *job)
{
	const struct lab_result *r = &job->report.result;
	fprintf(to, "%s %s (%s): %s\n", job_verdict(job), job->test->test->name, mode_names[job->mode], r->message);
	const uint64_t found = job->mode == MODE_LIN && is_real(job) ? r->samples : r->executions;
	fprintf(to, "    found after %s %s%s, %.3g s", grouped(found), is_real(job) ? "sample" : "execution",
	        found == 1 ? "" : "s", (double)r->found_ns / 1e9);
	if (r->shrunk_ns > 0)
		fprintf(to, "; shrunk to %u step%s in %.3g s", r->n_steps, r->n_steps == 1 ? "" : "s",
		        (double)r->shrunk_ns / 1e9);
	fprintf(to, r->strategy[0] ? "; the search: %s\n" : "\n", r->strategy);
	text_outcomes(to, r);
	if (r->n_steps > 0) {
		fputc('\n', to);
		text_trace(to, r, o->verbose);
	}
	if (r->details && r->details[0]) {
		fputc('\n', to);
		text_lines(to, r->details);
	}
	if (job->n_printed > 0) {
		fputs("\n    It printed:\n", to);
		text_lines(to, job->printed);
	}
	fprintf(to, "\n    %s: %s\n", r->replay[0] ? "The same again" : "To try again", reproducer(o, job));
	if (to != stdout || !isatty(STDOUT_FILENO))
		fprintf(to, "    in the folder %s\n", folder());
	fputc('\n', to);
}

void text_job(FILE *to, const struct options *o, const struct job *job)
{
	if (job_failed(job)) {
		text_failure(to, o, job);
		return;
	}
	fprintf(to, "%-8s %-28s %-7s %s\n", job_verdict_key(job), job->test->test->name, mode_names[job->mode],
	        job->done      ? power_of(job)
	        : job->skipped ? job->skipped
	                       : "");
	if (!job->done || !o->verbose)
		return;
	if (job->mode == MODE_CRASH && !job->report.result.replay[0])
		text_kills(to, &job->report.result);
	text_outcomes(to, &job->report.result);
}

void text_list(const struct options *o)
{
	LAB_EACH_TEST (t) {
		const char *name = t->test->name;
		bool plain = lab_test_find(name, false) != NULL, model = lab_test_find(name, true) != NULL;
		if (!fits(o, name) || (t->test->instrumented && plain))
			continue;
		printf("%-36s %-24s  %s:%d\n", name,
		       t->test->lin         ? "lin"
		       : t->main            ? "model"
		       : !model             ? "native"
		       : t->test->processes ? "native,chaos,model,crash"
		                            : "native,chaos,model",
		       short_path(t->test->file), t->test->line);
	}
}
