/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The laboratory: complete executions of a scenario of three threads with ten steps each
 * (stress_ten.h).
 */
#include "../stress/engine/lab.h"
#include "../stress/engine/user.h"
#include "shim.h"
#include "stress_ten.h"

#include <pthread.h>
#include <stdlib.h>

static const struct lab_native_ops no_ops; /* the model has its own */
const struct lab_native_ops *lab_native = &no_ops;

static void load_module(void)
{
	static bool loaded;
	if (loaded)
		return;
	loaded = true;
	char *error = lab_load(BENCH_STRESS_MODULE);
	if (error)
		bench_fail("%s", error);
}

static void *model_setup(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	load_module();
	const struct lab_test *test = lab_test_find("ten", true);
	if (!test)
		bench_fail("the module has no instrumented scenario");
	return (void *)test;
}

static void run_model(bench_thread *t, enum lab_strategy strategy)
{
	struct lab_config config = LAB_CONFIG_DEFAULT;
	config.strategy = strategy;
	for (uint64_t done = 0; done < t->total;) {
		config.max_executions = t->total - done;
		const struct lab_result *result = lab_model_run(t->state, &config, NULL, NULL);
		if (result->verdict != LAB_PASSED || result->executions == 0)
			bench_fail("%s: %s", lab_verdict_name(result->verdict), result->message);
		done += result->executions; /* DFS may have seen all there is: again */
	}
}

static void random_run(bench_thread *t)
{
	run_model(t, LAB_RANDOM);
}

static void dfs_run(bench_thread *t)
{
	run_model(t, LAB_DFS);
}

static void model_teardown(void *state, uint64_t total)
{
	(void)state;
	(void)total;
}

/* The same on threads: one execution with any interleaving. */
struct side {
	struct ten *s;
	int me;
};

static void *side_run(void *arg)
{
	const struct side *side = arg;
	ten_steps(side->s, side->me);
	return NULL;
}

static void *threads_setup(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	return NULL;
}

static void threads_run(bench_thread *t)
{
	for (uint64_t i = 0; i < t->total; i++) {
		struct ten s = {.count = 0};
		struct side sides[3];
		pthread_t threads[3];
		for (int k = 0; k < 3; k++) {
			sides[k] = (struct side){&s, k};
			if (pthread_create(&threads[k], NULL, side_run, &sides[k]) != 0)
				bench_fail("cannot start a thread");
		}
		for (int k = 0; k < 3; k++)
			(void)pthread_join(threads[k], NULL);
		if (s.count != 3)
			bench_fail("a count was lost");
	}
}

static const bench_row rows[] = {
    {"stress/model_random", "fairlead", model_setup, random_run, model_teardown, 0},
    {"stress/model_random", "pthread", threads_setup, threads_run, model_teardown, 0},
    {"stress/model_dfs", "fairlead", model_setup, dfs_run, model_teardown, 0},
    {"stress/model_dfs", "pthread", threads_setup, threads_run, model_teardown, 0},
};
BENCH_ROWS(rows)
