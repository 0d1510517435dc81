/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks whether the laboratory finds what it must find. The litmus programs must have the outcomes
 * of C11. Each planted bug must be found within ENOUGH executions, with the right verdict. The
 * replay of its report must be the same execution.
 */
#include "litmus.h"

#define ENOUGH 400000 /* executions, of which most bugs need fewer than 1,000 */
/* The limit is a number of executions, so that slow and busy machines find the same bugs. */
#define NO_HURRY (10 * 60 * SECOND)

struct planted {
	struct job hunt, replay;
	const char *problem; /* NULL if the bug was found and replayed */
};

struct self_test {
	const struct options *options;
	struct litmus_list litmus;
	struct planted *planted;
	size_t n_planted;
	struct pool pool;
	unsigned failed;
};

/* Returns the expected verdict: `lost_wakeup` of `cv_signal_stealing__lost_wakeup`. */
static const char *expected_of(const struct planted *p)
{
	const char *name = p->hunt.test->test->name, *at = strstr(name, "__");
	for (const char *next = at; next; next = strstr(next + 1, "__"))
		at = next;
	return at ? at + 2 : "";
}

/*
 * Whether the verdict is the expected one. The expected words are those of the verdict, or its last
 * ones, such as `race` for "DATA RACE".
 */
static bool is_verdict(const char *expected, enum lab_verdict verdict)
{
	const char *key = verdict_key(lab_verdict_name(verdict));
	size_t n = strlen(key), m = strlen(expected);
	return m > 0 && n >= m && strcmp(key + n - m, expected) == 0 && (n == m || key[n - m - 1] == '_');
}

static const char *problem_of(const struct planted *p)
{
	const struct lab_result *hunt = &p->hunt.report.result, *again = &p->replay.report.result;
	if (!p->hunt.done)
		return "not run";
	if (hunt->verdict == LAB_PASSED)
		return "NOT FOUND";
	if (!is_verdict(expected_of(p), hunt->verdict))
		return "found as something else";
	if (!p->replay.done)
		return "not replayed";
	if (again->verdict != hunt->verdict || again->hash != hunt->hash)
		return "replays differently";
	return NULL;
}

static void begin_replay(struct self_test *self, struct planted *p)
{
	p->replay = job_make_model(self->options, p->hunt.test, p->hunt.mode);
	p->replay.model.strategy = LAB_REPLAY;
	p->replay.model.replay = p->hunt.report.result.replay;
	p->replay.share = NO_HURRY;
	pool_start(&self->pool, &p->replay);
}

static void hunt_all(struct self_test *self, struct status *status)
{
	size_t next = 0, found = 0;
	while ((next < self->n_planted || self->pool.n_running > 0) && !interrupted) {
		struct planted *p = next < self->n_planted ? &self->planted[next] : NULL;
		if (p && pool_has_room(&self->pool, &p->hunt)) {
			pool_start(&self->pool, &p->hunt);
			next++;
			continue;
		}
		struct job *job = pool_wait(&self->pool);
		for (size_t i = 0; job && i < next; i++) {
			if (job == &self->planted[i].hunt && job->report.result.replay[0] && job_failed(job)) {
				found++;
				begin_replay(self, &self->planted[i]);
			}
		}
		status_show(status, "%zu of %zu planted bugs hunted, %zu found", next, self->n_planted, found);
	}
	pool_kill(&self->pool);
	status_clear(status);
}

static void make_planted(struct self_test *self)
{
	size_t n = 0;
	LAB_EACH_TEST (t)
		n++;
	self->planted = zeroed(n, sizeof *self->planted);
	LAB_EACH_TEST (t) {
		if (t->test->instrumented && fits(self->options, t->test->name)) {
			struct planted *p = &self->planted[self->n_planted++];
			p->hunt = job_make_model(self->options, t,
			                         t->test->lin         ? MODE_LIN
			                         : t->test->processes ? MODE_CRASH
			                                              : MODE_MODEL);
			p->hunt.share = NO_HURRY;
			p->hunt.model.max_executions = ENOUGH;
		}
	}
}

static void print_litmus(struct self_test *self)
{
	unsigned wrong = 0, verdicts = 0;
	for (size_t i = 0; i < self->litmus.n; i++) {
		const struct litmus *l = &self->litmus.programs[i];
		verdicts += l->found.verdicts;
		wrong += l->found.problem[0] != '\0';
		if (!self->options->json_only && (l->found.problem[0] || self->options->verbose))
			printf("%-10s %-28s %-28s %s\n", l->found.problem[0] ? "FAILED" : "ok", l->found.name, l->file,
			       l->found.problem);
	}
	self->failed += wrong;
	if (!self->options->json_only)
		printf("litmus: %zu of %zu programs as C11 has them (%u verdicts)\n\n", self->litmus.n - wrong,
		       self->litmus.n, verdicts);
}

static void print_planted(struct self_test *self)
{
	bool silent = self->options->json_only;
	double slowest = 0;
	unsigned wrong = 0;
	if (!silent && self->n_planted > 0)
		printf("%-42s %-16s %10s %11s %6s  %s\n", "PLANTED BUG", "FOUND AS", "TIME", "EXECUTIONS", "STEPS",
		       "REPLAY");
	for (size_t i = 0; i < self->n_planted; i++) {
		struct planted *p = &self->planted[i];
		const struct lab_result *r = &p->hunt.report.result;
		double seconds = (double)r->found_ns / 1e9;
		p->problem = problem_of(p);
		wrong += p->problem != NULL;
		slowest = seconds > slowest ? seconds : slowest;
		if (!silent)
			printf("%-42s %-16s %7.1f ms %11s %6u  %s\n", p->hunt.test->test->name, job_verdict(&p->hunt),
			       1e3 * seconds, p->hunt.done ? grouped(r->executions) : "", r->n_steps,
			       p->problem ? p->problem : "same");
	}
	self->failed += wrong;
	if (!silent)
		printf("planted: %zu of %zu found, slowest %.2f s\n", self->n_planted - wrong, self->n_planted,
		       slowest);
}

static void print_json(FILE *to, const void *results)
{
	const struct self_test *self = results;
	fputs("{\"litmus\":[", to);
	for (size_t i = 0; i < self->litmus.n; i++) {
		const struct litmus *l = &self->litmus.programs[i];
		fputs(i ? ",\n" : "\n", to);
		emit_json(to, "{\"name\":%s,\"file\":%s,\"verdicts\":%u,\"problem\":%s}", l->found.name, l->file,
		          l->found.verdicts, l->found.problem);
	}
	fputs("],\n\"planted\":[", to);
	for (size_t i = 0; i < self->n_planted; i++) {
		const struct planted *p = &self->planted[i];
		fputs(i ? ",\n" : "\n", to);
		emit_json(to, "{\"expected\":%s,\"problem\":%s,\"test\":", expected_of(p), p->problem);
		json_job(to, self->options, NULL, &p->hunt);
		fputc('}', to);
	}
	fprintf(to, "],\n\"failed\":%u}\n", self->failed);
}

int run_self_test(const struct options *o)
{
	struct self_test self = {.options = o};
	struct status status;
	status_init(&status);
	if (!litmus_check(o, &self.litmus)) {
		complain("the litmus programs are not where they should be");
		return STATUS_FAILED;
	}
	make_planted(&self);
	int result = STATUS_USAGE;
	if (self.litmus.n + self.n_planted > 0) {
		print_litmus(&self);
		fflush(stdout);
		pool_init(&self.pool, o->jobs);
		hunt_all(&self, &status);
		print_planted(&self);
		bool good = write_json(o, print_json, &self);
		result = interrupted ? 130 : self.failed > 0 || !good ? STATUS_FAILED : STATUS_OK;
	} else {
		complain("nothing fits '%s'", *o->patterns ? *o->patterns : "");
	}
	free(self.planted);
	free(self.litmus.programs);
	return result;
}
