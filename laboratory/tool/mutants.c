/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the mutants of memory orders. First, each scenario runs unchanged, which shows which sites
 * it reaches and how long it takes. Then each site that is not relaxed is made one step weaker, and
 * the scenarios that reach it run until one of them fails, or until this mutant's time is over.
 */
#include "mutants.h"

enum { BASELINE_SHARE = 8 }; /* the unchanged runs may take the time divided by this */

bool is_of_interest(const struct options *o, const char *file)
{
	if (!file || (o->file && !strstr(file, o->file)))
		return false;
	/*
	 * In Fairlead's own files, only sites of the library and of its inline functions count. In
	 * files of others, all sites count.
	 */
	return *o->loads || strstr(file, "/lib/") || strncmp(file, "lib/", 4) == 0 || strstr(file, "include/fairlead/");
}

/* --- the unchanged runs --- */

static void make_scenarios(struct hunt *hunt)
{
	const struct options *o = hunt->options;
	size_t n = 0;
	LAB_EACH_TEST (t)
		n += 2;
	hunt->scenarios = zeroed(n, sizeof *hunt->scenarios);
	LAB_EACH_TEST (t) {
		if (!t->test->instrumented || !fits(o, t->test->name))
			continue;
		for (enum mode mode = MODE_MODEL; mode < MODES; mode++) {
			if (!mode_suits(mode, t))
				continue;
			struct job *job = &hunt->scenarios[hunt->n_scenarios++].baseline;
			*job = job_make_model(o, t, mode);
			job->want_sites = job->model.shallow = true;
		}
	}
}

static void run_baselines(struct hunt *hunt, struct pool *pool, struct status *status)
{
	int64_t share = hunt->options->time / BASELINE_SHARE * pool->slots / (int64_t)(hunt->n_scenarios + 1);
	share = share > 3 * SECOND ? 3 * SECOND : share < 50 * MS ? 50 * MS : share;
	size_t next = 0, done = 0;
	while (done < hunt->n_scenarios && !interrupted) {
		struct job *job = next < hunt->n_scenarios ? &hunt->scenarios[next].baseline : NULL;
		if (job && pool_has_room(pool, job)) {
			job->share = share;
			pool_start(pool, job);
			next++;
			continue;
		}
		struct job *ended = pool_wait(pool);
		done += ended != NULL;
		if (ended && job_failed(ended) && !hunt->options->json_only) {
			status_clear(status);
			printf("left out: %s fails as it is (%s)\n", ended->test->test->name, job_verdict(ended));
		}
		status_show(status, "baseline: %zu of %zu scenarios", done, hunt->n_scenarios);
	}
}

static bool has(const struct place *p, uintptr_t pc)
{
	for (size_t i = 0; i < p->n_pcs; i++)
		if (p->pcs[i] == pc)
			return true;
	return false;
}

static bool is_header(const char *file)
{
	return file && matches(file, "*.h");
}

/*
 * Returns whether two places are copies of one operation. An inline function of a header has
 * several copies, and all of them are weakened together.
 */
static bool are_copies(const struct place *a, const struct place *b)
{
	return is_header(a->file) && is_header(b->file) && strcmp(a->file, b->file) == 0 && a->line == b->line &&
	       strcmp(a->operation, b->operation) == 0 && strcmp(a->order, b->order) == 0;
}

static struct place *place_at(struct hunt *hunt, const struct lab_site *site)
{
	struct place *p = hunt->places, *end = p + hunt->n_places;
	struct place new = {.operation = site->operation, .order = site->order, .weaker = site->weaker};
	for (; p < end; p++)
		if (has(p, site->pc))
			return p;
	(void)lab_where(site->pc, &new.file, &new.line, &new.function);
	if (is_header(new.file))
		new.function = lab_inlined(site->pc);
	for (p = hunt->places; p < end && !are_copies(p, &new); p++)
		;
	if (p == end) {
		*p = new;
		p->reached_by = zeroed(hunt->n_scenarios, sizeof *p->reached_by);
		hunt->n_places++;
	}
	p->pcs = grown(p->pcs, p->n_pcs, sizeof *p->pcs);
	p->pcs[p->n_pcs++] = site->pc;
	return p;
}

static int by_source(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int files = strcmp(x->file ? x->file : "", y->file ? y->file : "");
	if (files != 0)
		return files;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->pcs[0] > y->pcs[0]) - (x->pcs[0] < y->pcs[0]);
}

static void make_places(struct hunt *hunt)
{
	size_t n = 0;
	for (size_t i = 0; i < hunt->n_scenarios; i++)
		n += hunt->scenarios[i].baseline.report.n_sites;
	hunt->places = zeroed(n, sizeof *hunt->places);
	for (size_t i = 0; i < hunt->n_scenarios; i++) {
		const struct job *job = &hunt->scenarios[i].baseline;
		for (size_t k = 0; k < job->report.n_sites; k++) {
			struct place *p = place_at(hunt, &job->report.sites[k]);
			const bool again = p->n_reached_by > 0 && p->reached_by[p->n_reached_by - 1] == i;
			if (!job_failed(job) && !again)
				p->reached_by[p->n_reached_by++] = i;
		}
	}
	qsort(hunt->places, hunt->n_places, sizeof *hunt->places, by_source);
}

static void make_mutants(struct hunt *hunt)
{
	size_t n = 0;
	for (size_t i = 0; i < hunt->n_places; i++)
		n += hunt->places[i].weaker;
	hunt->mutants = zeroed(n, sizeof *hunt->mutants);
	for (size_t i = 0; i < hunt->n_places; i++) {
		const struct place *p = &hunt->places[i];
		for (unsigned step = 0; step < p->weaker && is_of_interest(hunt->options, p->file); step++)
			hunt->mutants[hunt->n_mutants++] = (struct mutant){.place = p, .step = step};
	}
}

/* --- the runs with a site one step weaker --- */

static const struct hunt *sorting; /* an argument of by_promise(), which qsort() does not pass on */

/* Compares two scenarios. Scenarios that take little time, or have killed mutants, come earlier. */
static int by_promise(const void *a, const void *b)
{
	const struct scenario *x = &sorting->scenarios[*(const size_t *)a],
			      *y = &sorting->scenarios[*(const size_t *)b];
	double left = x->baseline.seconds / (1 + x->kills), right = y->baseline.seconds / (1 + y->kills);
	return (left > right) - (left < right);
}

static void begin_mutant(struct hunt *hunt, struct mutant *m, int64_t budget)
{
	const struct place *p = m->place;
	m->left = budget;
	m->order = zeroed(p->n_reached_by, sizeof *m->order);
	memcpy(m->order, p->reached_by, p->n_reached_by * sizeof *m->order);
	sorting = hunt;
	qsort(m->order, p->n_reached_by, sizeof *m->order, by_promise);
}

/*
 * Starts the next scenario that reaches the site. Returns false if there is none, or if no time is
 * left.
 */
static bool start_next(struct hunt *hunt, struct pool *pool, struct mutant *m)
{
	if (m->next == m->place->n_reached_by || m->left <= 0)
		return false;
	const struct scenario *s = &hunt->scenarios[m->order[m->next++]];
	m->job = job_make_model(hunt->options, s->baseline.test, s->baseline.mode);
	m->job.model.mutants = m->place->pcs;
	m->job.model.n_mutants = m->place->n_pcs;
	m->job.model.mutant_step = m->step;
	m->job.model.no_shrink = m->job.model.shallow = true;
	m->job.user = m;
	int64_t share = (int64_t)(2e9 * s->baseline.seconds) + 100 * MS;
	m->job.share = share < m->left ? share : m->left;
	pool_start(pool, &m->job);
	return true;
}

static void settle(struct hunt *hunt, struct mutant *m)
{
	m->over = true;
	hunt->over++;
	hunt->killed += m->killed;
	hunt->explained += !m->killed && m->explained;
	free(m->order);
	m->order = NULL;
	if (!hunt->options->json_only)
		mutant_print(stdout, hunt, m);
	fflush(stdout);
}

/*
 * Returns whether the failure kills the mutant. A failure that cannot be repeated is not attributed
 * to the mutant.
 */
static bool kills(const struct job *job)
{
	return job_failed(job) && job->report.result.verdict != LAB_NONDETERMINISM &&
	       job->report.result.verdict != LAB_DIVERGED;
}

static void ended(struct hunt *hunt, struct pool *pool, struct job *job)
{
	struct mutant *m = job->user;
	int64_t took = (int64_t)(job->seconds * 1e9);
	m->left -= took;
	m->spent += took;
	if (kills(job)) {
		m->killed = true;
		m->killer = m->order[m->next - 1];
		m->verdict = job->report.result.verdict;
		hunt->scenarios[m->killer].kills++;
	}
	job_free(job);
	if (m->killed || !start_next(hunt, pool, m))
		settle(hunt, m);
}

static void hunt_all(struct hunt *hunt, struct pool *pool, struct status *status, int64_t end)
{
	size_t next = 0;
	while (hunt->over < hunt->n_mutants && !interrupted) {
		struct mutant *m = next < hunt->n_mutants ? &hunt->mutants[next] : NULL;
		if (m && pool->used < pool->slots) {
			/* Most mutants are killed at once, and leave their time to the others. */
			int64_t left = end - lab_clock_ns(),
				share = left * pool->slots / (int64_t)(hunt->n_mutants - next);
			begin_mutant(hunt, m, share > 200 * MS ? 4 * share : 200 * MS);
			if (!start_next(hunt, pool, m))
				settle(hunt, m);
			next++;
			continue;
		}
		struct job *job = pool_wait(pool);
		if (job) {
			status_clear(status);
			ended(hunt, pool, job);
		}
		status_show(status, "%ld s left, %zu of %zu mutants, %zu killed", (end - lab_clock_ns()) / SECOND,
		            hunt->over, hunt->n_mutants, hunt->killed);
	}
}

int run_mutants(const struct options *o)
{
	struct hunt hunt = {.options = o};
	struct pool pool;
	struct status status;
	int64_t began = lab_clock_ns();
	make_scenarios(&hunt);
	if (hunt.n_scenarios == 0) {
		complain("no instrumented test fits '%s'", *o->patterns ? *o->patterns : "");
		free(hunt.scenarios);
		return STATUS_USAGE;
	}
	pool_init(&pool, o->jobs);
	status_init(&status);
	run_baselines(&hunt, &pool, &status);
	make_places(&hunt);
	make_mutants(&hunt);
	int result = STATUS_USAGE;
	if (mutants_explain(&hunt)) {
		hunt_all(&hunt, &pool, &status, began + o->time);
		pool_kill(&pool);
		status_clear(&status);
		hunt.seconds = (double)(lab_clock_ns() - began) / 1e9;
		result = mutants_report(&hunt);
	}
	free(hunt.scenarios);
	free(hunt.places);
	free(hunt.mutants);
	return result;
}
