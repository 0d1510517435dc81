/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * primes: which numbers below a limit are prime?
 *
 * Pure computation, with a list as its result: each number, and whether it is prime. With Fairlead
 * the numbers are cut into ranges, and a map runs a task for each range on as many threads as there
 * are CPUs. Each task returns the list of its range.
 */
#include "demo.h"

/* Many more than workers: large numbers take longer, so a few large ranges would end late. */
#define PARTS 256

struct range {
	uint64_t from, to; /* `to` is excluded */
};

struct checked {
	uint64_t number : 63, prime : 1;
};

static bool is_prime(uint64_t n)
{
	if (n < 3 || n % 2 == 0)
		return n == 2;
	for (uint64_t d = 3; d * d <= n; d += 2)
		if (n % d == 0)
			return false;
	return true;
}

/* Plain C, but for the list. */
static int check_range(const struct range *r, fl_bytes *list)
{
	int rc = fl_bytes_alloc(list, r->to - r->from, sizeof(struct checked));
	struct checked *next = list->data;
	for (uint64_t n = r->from; rc == 0 && n < r->to; n++)
		*next++ = (struct checked){n, is_prime(n)};
	return rc;
}

/* The task: `arg` and `result` are in scope; it returns 0 or an error. */
FL_TASK(check, struct range, fl_bytes)
{
	return check_range(arg, result);
}

/* The same task on any executor: model->create() makes threads, processes or a loop. */
static int check_on_executor(const struct model *model, unsigned workers, const struct range *parts, fl_bytes *lists)
{
	FL_SCOPED(fl_executor) *pool = NULL; /* its threads are joined when this function returns */
	int rc = model->create(&pool, &(fl_executor_config){.workers = workers, .name = "primes"});
	return rc != 0 ? rc : check_map(pool, parts, PARTS, lists, &(fl_map_config){.chunk = 1});
}

struct job {
	struct result *result;
	uint64_t limit;
};

static int run_primes(void *data, const struct model *model, struct run *run)
{
	struct job *job = data;
	struct progress progress;
	struct range parts[PARTS];
	fl_bytes lists[PARTS] = {0};
	for (size_t i = 0; i < PARTS; i++)
		parts[i] = (struct range){job->limit * i / PARTS, job->limit * (i + 1) / PARTS};
	progress_begin(&progress, 0, "primes, %s", model->name);
	int rc = 0;
	fl_time start = fl_now();
	if (model->create != NULL)
		rc = check_on_executor(model, run->workers, parts, lists);
	else
		for (size_t i = 0; rc == 0 && i < PARTS; i++)
			rc = check_range(&parts[i], &lists[i]);
	run->seconds = (double)fl_time_diff(fl_now(), start) / 1e9;
	progress_end();
	for (size_t i = 0; i < PARTS; i++) {
		FL_BYTES_EACH (const struct checked, c, lists[i])
			run->answer += c->prime;
		fl_bytes_free(&lists[i]);
	}
	if (rc != 0)
		result_fail(job->result, model->name, "cannot check: %s", fl_error_text(rc));
	return rc;
}

void primes(const struct options *o, struct result *r)
{
	static char question[80];
	char limit[32];
	group_digits(limit, o->limit);
	(void)snprintf(question, sizeof question, "how many primes are there below %s?", limit);
	*r = (struct result){.job = "primes", .question = question, .over_mpi = o->ranks > 0};
	if (r->over_mpi)
		result_note(r, "mpi: %u ranks, of which all but one run tasks", o->ranks);
	struct job job = {r, o->limit};
	compare_models(r, o->workers != 0 ? o->workers : fl_cpu_count(), run_primes, &job);
}
