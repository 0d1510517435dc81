/* SPDX-License-Identifier: BSD-2-Clause */
/* The search over many executions, and the handling of the first failure. */
#include "explore.h"
#include "lin_run.h"
#include <time.h>

enum { FIRST_BURST = 300, LAST_BURST = 2000, LOOK_AT_CLOCK = 32 };
enum { SHRINK_TIME = 4 }; /* s */

static struct lab_result result;
static struct lab_schedule found;
static char message[sizeof lab.message], details[sizeof lab.details], replay[LAB_REPLAY_TEXT], strategy_text[160];
static int64_t began, last_progress;
static lab_progress *on_progress;
static void *progress_arg;
static bool stopped;

int64_t lab_clock_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

const char *lab_verdict_name(enum lab_verdict verdict)
{
	static const char *const names[] = {
	    "PASSED",           "FORBIDDEN",      "CHECK",  "PANIC",
	    "DATA RACE",        "USE AFTER FREE", "LEAK",   "DEADLOCK",
	    "LOST WAKEUP",      "LIVELOCK",       "CRASH",  "HANG",
	    "NOT MODELLED",     "NONDETERMINISM", "MISUSE", "EXIT STATUS",
	    "NOT LINEARIZABLE", "DIVERGED",
	};
	return names[verdict];
}

static void keep_texts(void)
{
	memcpy(message, lab.message, sizeof message);
	memcpy(details, lab.details, sizeof details);
	result.message = message;
	result.details = details;
	result.verdict = lab.verdict;
	result.hash = lab.hash;
	result.failure = (struct lab_failure){lab.verdict, lab.signature, lab.at};
}

bool lab_failure_is_known(enum lab_verdict verdict)
{
	for (size_t i = 0; i < lab_config.n_known; i++) {
		const struct lab_failure *known = &lab_config.known[i];
		if (known->verdict == verdict &&
		    (known->address != 0 ? known->address == lab.at : known->signature == lab.signature))
			return true;
	}
	return false;
}

/* --- counting and stopping --- */

/*
 * A leak of a program is the smallest of its failures. The search goes on for some executions, and
 * reports a worse failure in place of the leak.
 */
static struct {
	bool found;
	uint64_t until; /* stop after so many executions */
	struct lab_schedule schedule;
	struct lab_signature signature;
	uint64_t hash;
} leak;

static bool are_enough(void)
{
	return stopped || (leak.found && result.executions >= leak.until) ||
	       (lab_config.max_executions && result.executions >= lab_config.max_executions);
}

static bool is_late(int64_t limit)
{
	int64_t now = lab_clock_ns();
	if (on_progress && now - last_progress > 100000000) {
		last_progress = now;
		result.outcomes = lab_outcomes(&result.n_outcomes);
		stopped = !on_progress(&result, progress_arg);
	}
	return limit && now >= limit;
}

static bool time_is_up(int64_t limit)
{
	if (are_enough())
		return true;
	return (result.executions + result.pruned) % LOOK_AT_CLOCK == 0 && is_late(limit);
}

static bool keep_leak(void)
{
	enum { MORE = 3000 };
	if (!lab.program || lab.verdict != LAB_LEAK)
		return false;
	if (!leak.found) {
		leak.found = true;
		leak.until = result.executions + MORE;
		leak.schedule = lab_taken;
		leak.signature = lab_signature();
		leak.hash = lab.hash;
		result.found_ns = lab_clock_ns() - began;
		keep_texts();
		result.verdict = LAB_PASSED;
	}
	return true;
}

/* Runs one execution; returns false if it failed and the search ends. */
static bool run_one(enum lab_strategy strategy)
{
	lab_choices_begin(strategy);
	lab.counted = true;
	lab_execute();
	lab.counted = false;
	result.steps += lab.steps;
	if (lab.pruned)
		result.pruned++;
	else
		result.executions++;
	if (lab.failed && (lab_failure_is_known(lab.verdict) || keep_leak()))
		return true;
	return !lab.failed || (lab_config.keep_failing && lab.verdict == LAB_FORBIDDEN);
}

/* --- strategies: each returns false when an execution failed --- */

static bool run_dfs(int64_t limit)
{
	lab_dfs_reset();
	do {
		if (!run_one(LAB_DFS))
			return false;
		if (time_is_up(limit))
			return true;
	} while (lab_dfs_next());
	result.exhausted = true;
	return true;
}

static bool run_random(enum lab_strategy which, uint64_t executions, int64_t limit)
{
	static uint64_t drawn;
	for (uint64_t i = 0; i < executions; i++) {
		lab_seed(lab_config.seed, ++drawn);
		enum lab_strategy now = which != LAB_AUTO ? which : drawn % 2 ? LAB_RANDOM : LAB_PCT;
		if (!run_one(now))
			return false;
		if (time_is_up(limit))
			break;
	}
	return true;
}

static bool run_auto(int64_t limit)
{
	uint64_t most = lab_config.max_executions ? lab_config.max_executions : UINT64_MAX;
	if (!run_random(LAB_AUTO, FIRST_BURST, limit))
		return false;
	int64_t half = limit ? began + (limit - began) / 2 : 0;
	lab_config.max_executions = most / 2 + 1;
	bool passed = run_dfs(half);
	lab_config.max_executions = most;
	if (!passed)
		return false;
	return run_random(LAB_AUTO, result.exhausted ? LAST_BURST : UINT64_MAX, limit);
}

static void describe_strategy(void)
{
	char dfs[128], bound[24];
	if (lab_config.stale == LAB_UNBOUNDED)
		snprintf(bound, sizeof bound, "all");
	else
		snprintf(bound, sizeof bound, "%d", lab_config.stale);
	if (lab_config.preemptions == LAB_UNBOUNDED)
		snprintf(dfs, sizeof dfs, "dfs with sleep sets and at most %s stale reads, %d fault%s", bound,
		         lab_config.faults, lab_config.faults == 1 ? "" : "s");
	else
		snprintf(dfs, sizeof dfs, "dfs with at most %d preemptions, %s stale reads, %d fault%s",
		         lab_config.preemptions, bound, lab_config.faults, lab_config.faults == 1 ? "" : "s");
	size_t used = strlen(dfs);
	if (lab_config.kills > 0)
		snprintf(dfs + used, sizeof dfs - used, ", %d kill%s", lab_config.kills,
		         lab_config.kills > 1 ? "s" : "");
	switch (lab_config.strategy) {
	case LAB_DFS:
		snprintf(strategy_text, sizeof strategy_text, "%s", dfs);
		break;
	case LAB_RANDOM:
		snprintf(strategy_text, sizeof strategy_text, "random");
		break;
	case LAB_PCT:
		snprintf(strategy_text, sizeof strategy_text, "pct, depth %u", lab_config.depth);
		break;
	case LAB_REPLAY:
		snprintf(strategy_text, sizeof strategy_text, "replay");
		break;
	default:
		snprintf(strategy_text, sizeof strategy_text, "%s; then random and pct, depth %u", dfs,
		         lab_config.depth);
		break;
	}
	result.strategy = strategy_text;
}

/* --- a program with main(): deeper and deeper, until the time is up or nothing is left --- */

/* The next executions of the round; *done: it has seen all executions within its bounds. */
static bool run_slice(uint64_t executions, int64_t limit, bool *done)
{
	for (uint64_t i = 0; i < executions; i++) {
		if (!run_one(LAB_DFS))
			return false;
		*done = !lab_dfs_next();
		if (*done || time_is_up(limit))
			return true;
	}
	return true;
}

/*
 * Depth first in rounds; each round raises every bound by one. Slices of a round alternate with
 * random executions. If two rounds have the same number of executions, the bounds cut nothing off,
 * and the search has seen all executions.
 */
static bool run_deeper(int64_t limit)
{
	enum { SLICE = 2000, BY_LOT = 500 };
	struct lab_config seen = lab_config;
	uint64_t before = 0, here = 0;
	bool any = false;
	if (!run_random(LAB_AUTO, FIRST_BURST, limit))
		return false;
	lab_dfs_reset();
	while (!are_enough() && !is_late(limit)) {
		const uint64_t begin = result.executions;
		bool done = false;
		if (!run_slice(SLICE, limit, &done))
			return false;
		here += result.executions - begin;
		if (!done) {
			if (!run_random(LAB_AUTO, BY_LOT, limit))
				return false;
			continue;
		}
		seen = lab_config;
		if (any && here == before) {
			result.exhausted = result.proved = true;
			break;
		}
		any = result.exhausted = true;
		before = here;
		here = 0;
		lab_config.preemptions++;
		lab_config.stale++;
		lab_config.faults++;
		lab_dfs_reset();
	}
	lab_config.preemptions = seen.preemptions;
	lab_config.stale = seen.stale;
	lab_config.faults = seen.faults;
	describe_strategy();
	return true;
}

/* --- programs of operations: for each some random executions, then depth first --- */

static unsigned draw_for_program(unsigned n)
{
	return n > 1 ? lab_draw(n) : 0;
}

static bool run_program(int64_t limit, uint64_t executions)
{
	uint64_t most = lab_config.max_executions ? lab_config.max_executions : UINT64_MAX;
	uint64_t until = result.executions + executions;
	lab_config.max_executions = until < most ? until : most;
	bool passed = true;
	result.exhausted = false;
	if (lab_config.strategy == LAB_RANDOM || lab_config.strategy == LAB_PCT)
		passed = run_random(lab_config.strategy, executions, limit);
	else
		passed =
		    (lab_config.strategy == LAB_DFS || run_random(LAB_AUTO, executions / 4, limit)) && run_dfs(limit);
	lab_config.max_executions = most == UINT64_MAX ? 0 : most;
	result.programs_exhausted += result.exhausted;
	result.exhausted = false;
	return passed;
}

static bool run_programs(int64_t limit)
{
	enum { SMALL = 24, EXECUTIONS = 400, MORE = 32 };
	do {
		lab_seed(lab_config.seed, UINT64_MAX - result.programs);
		lab_lin_draw(lab_lin_program, result.programs < SMALL, draw_for_program);
		result.programs++;
		if (!run_program(limit, EXECUTIONS + EXECUTIONS * (uint64_t)(result.programs / MORE)))
			return false;
	} while (!is_late(limit) && !are_enough());
	return true;
}

static bool run_strategy(int64_t limit)
{
	if (lab_running->test->lin)
		return run_programs(limit);
	switch (lab_config.strategy) {
	case LAB_DFS:
		return run_dfs(limit);
	case LAB_RANDOM:
	case LAB_PCT:
		return run_random(lab_config.strategy, UINT64_MAX, limit);
	default:
		return lab_running->main ? run_deeper(limit) : run_auto(limit);
	}
}

/* --- replay --- */

bool lab_replay(const struct lab_schedule *schedule)
{
	lab_follow(schedule);
	lab_choices_begin(LAB_REPLAY);
	lab_execute();
	return lab.failed;
}

bool lab_replay_fails(const struct lab_schedule *schedule, struct lab_signature signature)
{
	return lab_replay(schedule) && lab.verdict == signature.verdict && lab.signature == signature.what;
}

/* --- a failure --- */

/* Records the execution that is reported, with its steps. */
static void record(const struct lab_schedule *schedule)
{
	lab.recording = true;
	(void)lab_replay(schedule);
	lab_trace(&result); /* adds to the details */
	keep_texts();
	lab_schedule_print(schedule, result.hash, replay);
	result.replay = lab_config.n_known > 0 ? "" : replay; /* a replay would end at the first of them */
	lab.recording = false;
}

static void not_again(void)
{
	char first[sizeof lab.message];
	memcpy(first, message, sizeof first);
	result.verdict = LAB_NONDETERMINISM;
	snprintf(message, sizeof message,
	         "%.400s was not seen again with the same choices (something that the model does not control)", first);
}

static void fail_with(const struct lab_schedule *schedule, struct lab_signature signature, uint64_t hash)
{
	found = *schedule;
	lab.recording = false;
	if (result.verdict == LAB_NONDETERMINISM || result.verdict == LAB_HANG || found.overflow) {
		lab_schedule_print(&found, result.hash, replay);
		result.replay = result.verdict == LAB_HANG ? replay : "";
		return;
	}
	if (!lab_replay_fails(&found, signature) || lab.hash != hash) {
		not_again();
		return;
	}
	int64_t start = lab_clock_ns();
	if (!lab_config.no_shrink)
		lab_shrink(&found, signature,
		           start + (lab.program ? SHRINK_TIME / 4 : SHRINK_TIME) * (int64_t)1000000000);
	result.shrunk_ns = lab_clock_ns() - start;
	record(&found);
}

static void fail_with_taken(void)
{
	result.found_ns = lab_clock_ns() - began;
	keep_texts();
	fail_with(&lab_taken, lab_signature(), lab.hash);
}

static void fail_with_leak(void)
{
	result.verdict = LAB_LEAK;
	fail_with(&leak.schedule, leak.signature, leak.hash);
}

static void run_replay(void)
{
	uint64_t hash;
	if (!lab_schedule_parse(lab_config.replay, &found, &hash)) {
		result.verdict = LAB_DIVERGED;
		result.message = "not a replay string";
		return;
	}
	record(&found);
	result.executions = 1;
	if (lab.failed && lab.hash == hash)
		return;
	char got[sizeof lab.message];
	memcpy(got, message, sizeof got);
	result.verdict = LAB_DIVERGED;
	snprintf(message, sizeof message, "the replay went another way, and ended with: %.400s",
	         lab.failed ? got : "no failure");
}

/* --- the whole --- */

static void begin_run(const struct lab_test *test, const struct lab_config *config)
{
	lab_sys_install(lab_door_of(test->module)); /* before the module's variables are saved */
	lab_module_use(test->module, test->main != NULL);
	lab_running = test;
	lab_lin_use(test);
	lab_config = *config;
	result = (struct lab_result){.message = "", .details = "", .replay = ""};
	stopped = leak.found = false;
	began = last_progress = lab_clock_ns();
	lab_outcomes_reset();
	lab_kills_reset();
	describe_strategy();
}

const struct lab_result *lab_model_run(const struct lab_test *test, const struct lab_config *config,
                                       lab_progress *progress, void *arg)
{
	begin_run(test, config);
	on_progress = progress;
	progress_arg = arg;
	lab_watch(true);
	if (config->strategy == LAB_REPLAY)
		run_replay();
	else if (!run_strategy(config->time ? began + config->time : 0))
		fail_with_taken();
	else if (leak.found)
		fail_with_leak();
	lab_watch(false);
	lab_kills_count(&result);
	result.outcomes = lab_outcomes(&result.n_outcomes);
	return &result;
}
