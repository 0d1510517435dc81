/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions of <fairlead/stress.h>. During an execution they belong to the model; otherwise
 * they call the native runner's functions.
 */
#include "user.h"
#include "interpose.h"
#include "steer.h"

static struct lab_outcome outcomes[LAB_OUTCOMES];
static unsigned n_outcomes;

const struct lab_outcome *lab_outcomes(unsigned *n)
{
	*n = n_outcomes;
	return outcomes;
}

void lab_outcomes_reset(void)
{
	n_outcomes = 0;
}

/*
 * The macros of a test come in the same order each time, so the search begins at the outcome after
 * the last one found. That outcome is nearly always the right one.
 */
struct lab_outcome *lab_outcome_of(enum fl_stress_expect expect, const char *label)
{
	static const char too_many[] = "more than 64 outcomes";
	static unsigned next;
	for (unsigned i = 0; i < n_outcomes; i++) {
		struct lab_outcome *o = &outcomes[next++ % n_outcomes];
		if (o->label == label || strcmp(o->label, label) == 0)
			return o;
	}
	if (n_outcomes == LAB_OUTCOMES && !lab.active)
		native_give_up(LAB_CHECK, too_many);
	if (n_outcomes == LAB_OUTCOMES)
		lab_fail(LAB_CHECK, too_many);
	outcomes[n_outcomes] = (struct lab_outcome){label, expect, 0};
	return &outcomes[n_outcomes++];
}

void lab_outcomes_add(const struct lab_outcome *more, unsigned n)
{
	for (const struct lab_outcome *o = more; o < more + n; o++)
		lab_outcome_of(o->expect, o->label)->count += o->count;
}

void lab_outcome_forbidden(const char *label)
{
	lab.outcome = lab_outcome_of(FL_STRESS_FORBIDDEN, label);
}

EXPORTED bool fl_stress_outcome(enum fl_stress_expect expect, bool holds, const char *label)
{
	if (!lab.active)
		return native_outcome(expect, holds, label);
	struct lab_outcome *outcome = lab_outcome_of(expect, label);
	if (!holds)
		return false;
	lab.outcome = outcome;
	lab.signature = (uintptr_t)label;
	if (expect == FL_STRESS_FORBIDDEN)
		lab_fail(LAB_FORBIDDEN, "%s", label);
	return true;
}

EXPORTED void fl_stress_fail(const char *file, int line, const char *what)
{
	if (!lab.active) {
		native_fail(file, line, what);
		return;
	}
	lab.signature = (uintptr_t)what;
	lab_fail(LAB_CHECK, "%s fails in %s at %s:%d", what, lab.self->name, file, line);
}

unsigned lab_input(unsigned n, uintptr_t pc)
{
	unsigned pick = lab_choose(LAB_PICK_INPUT, n);
	lab_hash(pick);
	lab_event((struct lab_op){.kind = LAB_INPUT, .pc = pc})->value = pick;
	return pick;
}

EXPORTED unsigned fl_stress_choose(unsigned n)
{
	if (!lab.active)
		return native_choose(n);
	if (n > 255)
		lab_fail(LAB_CHECK, "fl_stress_choose(%u): no more than 255", n);
	return lab_input(n, PC);
}

EXPORTED void fl_stress_assume(bool condition)
{
	if (!lab.active || condition)
		return;
	if (lab.steered)
		lab_steer_block();
	lab_block_forever();
}

EXPORTED unsigned fl_stress_ops(unsigned n)
{
	return lab.active ? n - lab_choose(LAB_PICK_OPS, n + 1) : n;
}

EXPORTED void fl_stress_relax(void)
{
	if (lab.active)
		lab_relax(PC);
	else
		native_relax();
}

EXPORTED int fl_stress_futex_wait(const void *word, uint32_t expected, int64_t deadline)
{
	return lab.active ? lab_futex_wait((uintptr_t)word, expected, deadline, PC)
	                  : native_wait(word, expected, deadline);
}

EXPORTED int fl_stress_futex_wake(const void *word, int n)
{
	return lab.active ? lab_futex_wake((uintptr_t)word, n, PC) : native_wake(word, n);
}

/* If an actor calls this, the call is a step that commutes with no other step. */
EXPORTED bool fl_stress_killed(const char *actor)
{
	if (!lab.active)
		return false;
	if (lab.acting)
		lab_point((struct lab_op){.kind = LAB_RELAX, .pc = PC});
	const struct fl_stress_function *actors = lab_running->test->actors;
	unsigned first = 0;
	while (actors[first].call && strcmp(actors[first].name, actor) != 0)
		first++;
	for (unsigned i = first; actors[i].call; i++)
		if (actors[i].call == actors[first].call && lab.killed >> (i + 1) & 1)
			return true;
	if (actors[first].call)
		return false;
	lab_fail(LAB_CHECK, "fl_stress_killed(\"%.40s\"): there is no such actor", actor);
}

EXPORTED uint32_t fl_stress_steps(void)
{
	return lab.active ? lab.self->view.at[lab.self->id].hb : 0;
}

EXPORTED int64_t fl_stress_now(void)
{
	if (!lab.active)
		return lab_clock_ns();
	lab_met(LAB_MET_INPUT);
	return lab.now;
}
