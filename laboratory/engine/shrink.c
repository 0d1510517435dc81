/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The minimiser. In mode lin, it begins by dropping calls of the program. Then it searches for the
 * same failure with the smallest bounds of DFS, and takes the shortest execution that it meets.
 * Then it removes tokens, first in large pieces and then in small ones (Zeller, Hildebrandt: ddmin,
 * 2002), as long as the signature stays the same. Finally it tries fewer operations where the
 * scenario has a choice (fl_stress_ops()).
 */
#include "explore.h"
#include "lin_run.h"
#include <limits.h>

enum { DFS_TRIES = 4000 };

static struct lab_schedule best, trial;
static uint32_t best_steps;
static int64_t deadline;

static bool late(void)
{
	return lab_clock_ns() > deadline;
}

static void keep_if_better(void)
{
	if (lab_taken.n < best.n || (lab_taken.n == best.n && lab.steps < best_steps)) {
		best = lab_taken;
		best_steps = lab.steps;
	}
}

/* Runs all executions within these bounds, up to a number. */
static bool search(int tries, int preemptions, int stale, int faults, int kills)
{
	bool any = false;
	lab_config.preemptions = preemptions;
	lab_config.stale = stale;
	lab_config.faults = faults;
	lab_config.kills = kills;
	lab_dfs_reset();
	for (int i = 0; i < tries; i++) {
		lab_choices_begin(LAB_DFS);
		lab_execute();
		if (lab_failed_again()) {
			keep_if_better();
			any = true;
		}
		if (!lab_dfs_next() || (i % 64 == 0 && late()))
			break;
	}
	return any;
}

static bool search_small(int most, int tries)
{
	struct lab_config before = lab_config;
	bool found = false;
	for (int sum = 0; sum <= most; sum++)
		for (int faults = 0; faults <= sum && faults <= before.faults; faults++)
			for (int stale = 0; stale + faults <= sum && stale <= 2; stale++)
				for (int kills = 0; kills + stale + faults <= sum && kills <= before.kills; kills++)
					if (late() ||
					    (found = search(tries, sum - faults - stale - kills, stale, faults, kills)))
						goto done;
done:
	lab_config = before;
	return found;
}

/* Runs random executions. Stops at the first failure. */
static bool search_by_lot(unsigned tries)
{
	for (unsigned i = 0; i < tries; i++) {
		lab_seed(lab_config.seed, i);
		lab_choices_begin(i % 2 ? LAB_RANDOM : LAB_PCT);
		lab_execute();
		if (lab_failed_again()) {
			keep_if_better();
			return true;
		}
		if (i % 64 == 0 && late())
			return false;
	}
	return false;
}

/*
 * Searches for the same failure in the current program. If it is not found, the best schedule
 * stays.
 */
static bool fails_as_well(void)
{
	static struct lab_schedule kept;
	enum { BOUND = 2, TRIES = 1000, LOTS = 1500 };
	uint32_t steps = best_steps;
	kept = best;
	best.n = UINT_MAX;
	if (search_by_lot(LOTS) || search_small(BOUND, TRIES))
		return true;
	best = kept;
	best_steps = steps;
	return false;
}

/* Tries fewer calls, and fewer heard ones, in the program of an FL_LIN. */
static void drop_calls(void)
{
	for (unsigned i = lab_lin_places(); i-- > 0 && !late();) {
		uint8_t pick = lab_lin_program[i];
		lab_lin_program[i] = 0;
		if (pick == 0 || fails_as_well())
			continue;
		lab_lin_program[i] = (uint8_t)(pick - 1);
		if (pick % 2 == 0 && fails_as_well())
			continue;
		lab_lin_program[i] = pick;
	}
}

/* Runs the best schedule without the tokens [from, from + n). Returns true if it still fails. */
static bool without(unsigned from, unsigned n)
{
	trial = best;
	memmove(&trial.tokens[from], &trial.tokens[from + n], (trial.n - from - n) * sizeof trial.tokens[0]);
	trial.n -= n;
	if (!lab_replay_fails(&trial) || lab_taken.n >= best.n)
		return false;
	best = lab_taken;
	best_steps = lab.steps;
	return true;
}

static void drop_tokens(void)
{
	for (unsigned size = best.n; size > 0;) {
		bool any = false;
		for (unsigned from = 0; from + size <= best.n && !late();)
			if (without(from, size))
				any = true;
			else
				from += size;
		if (late())
			return;
		if (!any || size > best.n)
			size = size > best.n ? best.n : size / 2;
	}
}

/* Tries fewer operations where the scenario has a choice. */
static void drop_operations(void)
{
	for (unsigned i = 0; i < lab_n_ops && !late(); i++) {
		if (best.n == LAB_TOKENS)
			return;
		trial = best;
		struct lab_token token = lab_ops[i];
		trial.tokens[trial.n++] = token;
		if (lab_replay_fails(&trial) && lab.steps < best_steps) {
			best = lab_taken;
			best_steps = lab.steps;
		}
	}
}

void lab_shrink(struct lab_schedule *schedule, int64_t until)
{
	deadline = until;
	best = *schedule;
	if (!lab_replay_fails(&best))
		return;
	best_steps = lab.steps;
	if (lab_running->test->lin)
		drop_calls();
	(void)search_small(4, DFS_TRIES);
	drop_tokens();
	drop_operations();
	*schedule = best;
}
