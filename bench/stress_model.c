/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures how fast the laboratory completes executions of a scenario of three threads with ten
 * steps each (stress_ten.c).
 */
#include "../laboratory/engine/lab.h"
#include "shim.h"

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

static void *model_setup(const bench_setting *with)
{
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
		/* less than was asked, if DFS has seen all executions; then it begins again */
		done += result->executions;
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

static const bench_row rows[] = {
    {"stress/model_random", "fairlead", model_setup, random_run, bench_no_teardown},
    {"stress/model_dfs", "fairlead", model_setup, dfs_run, bench_no_teardown},
};
BENCH_ROWS(rows)
