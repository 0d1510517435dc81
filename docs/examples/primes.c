/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * primes: how many primes are there below a limit?
 *
 * Pure computation. The sequential program is a plain loop. With Fairlead the same function becomes
 * a task, the numbers are cut into ranges, and a map runs the task for each range on as many
 * threads as there are CPUs.
 */
#include "demo.h"

/* Many more than workers: large numbers take longer, so a few large ranges would end late. */
#define PARTS 256

struct range {
	uint64_t from, to; /* `to` is excluded */
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

static uint64_t primes_in(struct range r)
{
	uint64_t count = 0;
	for (uint64_t n = r.from; n < r.to; n++)
		count += is_prime(n);
	return count;
}

/* The task: `arg` and `result` are in scope; it returns 0 or an error. */
FL_TASK(count_primes, struct range, uint64_t)
{
	*result = primes_in(*arg);
	return 0;
}

/* The same task on any executor: model->create() makes threads, processes or a loop. */
static int count_on_executor(const struct model *model, unsigned workers, uint64_t limit, uint64_t *sum)
{
	FL_SCOPED(fl_executor) *pool = NULL; /* its threads are joined when this function returns */
	int rc = model->create(&pool, &(fl_executor_config){.workers = workers, .name = "primes"});
	if (rc != 0)
		return rc;

	struct range parts[PARTS];
	uint64_t counts[PARTS];
	for (size_t i = 0; i < PARTS; i++)
		parts[i] = (struct range){limit * i / PARTS, limit * (i + 1) / PARTS};
	rc = count_primes_map(pool, parts, PARTS, counts, &(fl_map_config){.chunk = 1});
	if (rc != 0)
		return rc;

	*sum = 0;
	for (size_t i = 0; i < PARTS; i++)
		*sum += counts[i];
	return 0;
}

struct job {
	struct result *result;
	uint64_t limit;
};

static int run_primes(void *data, const struct model *model, struct run *run)
{
	struct job *job = data;
	struct progress progress;
	progress_begin(&progress, 0, "primes, %s", model->name);
	int rc = 0;
	int64_t start = fl_now();
	if (model->create == NULL)
		run->answer = primes_in((struct range){0, job->limit});
	else
		rc = count_on_executor(model, run->workers, job->limit, &run->answer);
	run->seconds = (double)(fl_now() - start) / 1e9;
	progress_end();
	if (rc != 0)
		result_fail(job->result, model->name, "cannot count: %s", fl_error_text(rc));
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
