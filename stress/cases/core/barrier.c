/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the barrier. All parties pass a phase, or none does. Phases do not mix, and each
 * party sees what all parties wrote before. The action runs once for each phase, after all parties
 * have arrived and before any party passes.
 */
#include "../cases.h"
#include "core/wait/lot.h"
#include <fairlead/barrier.h>

/*
 * With NO_GATE all gates are held, so that each phase is a locked one. The set-up of a scenario
 * takes the gates, and its outcome gives them back.
 */
enum { ACTS = 1, NO_GATE };

static void hold_all_gates(void)
{
	for (size_t i = 0; i < FL__GATES; i++)
		*fl__lot_gate(i) = FL__GATE_HELD;
}

/* Frees all gates. Returns whether a phase still held a gate. */
static bool a_gate_is_left(void)
{
	bool left = false;
	for (size_t i = 0; i < FL__GATES; i++) {
		const uint64_t word = *fl__lot_gate(i);
		left |= (word & FL__GATE_HELD) && word != FL__GATE_HELD;
		*fl__lot_gate(i) = 0;
	}
	return left;
}

/* Each party sees what all others wrote. The results are the numbers of the arrivals. */
struct barrier_data {
	fl_barrier b;
	int data[3], order[3];
};

FL_STRESS_SETUP(barrier_data)
{
	OK(fl_barrier_init(&s->b, 3));
}

static void meet(struct barrier_data *s, int me)
{
	s->data[me] = 1;
	s->order[me] = fl_barrier_wait(&s->b);
	FL_STRESS_CHECK(s->data[0] + s->data[1] + s->data[2] == 3);
}

THREE_ACTORS(barrier_data, meet)

FL_STRESS(barrier_data, one, two, three)
{
	int bits = 1 << s->order[0] | 1 << s->order[1] | 1 << s->order[2];
	FL_ACCEPTABLE(bits == 7 && fl_barrier_waiting(&s->b) == 0, "three numbers");
}

/*
 * There are two phases. With an action, the action sees what each party wrote before, and each
 * party sees what the action wrote. Without an action (barrier_reuse) each party sees what the
 * other one wrote. The phases do not mix, even when one party arrives for the second phase before
 * the other one has left the first.
 */
struct barrier_action {
	fl_barrier b;
	unsigned kind; /* with NO_GATE each party frees a gate after the first phase */
	bool acts;
	int data[2], acted, order[2][2];
};

static void merge(void *arg)
{
	struct barrier_action *s = arg;
	/*
	 * plain: two simultaneous actions would race, and so would a party that passed before the
	 * action
	 */
	s->acted++;
	FL_STRESS_CHECK(s->data[0] == s->acted && s->data[1] == s->acted);
}

FL_STRESS_SETUP(barrier_action)
{
	s->kind = fl_stress_choose(3);
	s->acts = s->kind == ACTS;
	if (s->kind == NO_GATE)
		hold_all_gates();
	OK(fl_barrier_init_with_action(&s->b, 2, s->acts ? merge : NULL, s));
}

static void take_turns(struct barrier_action *s, int me)
{
	for (int i = 0; i < 2; i++) {
		s->data[me] = i + 1; /* plain: the other party may read it between two waits */
		s->order[me][i] = fl_barrier_wait(&s->b);
		if (s->acts) {
			FL_STRESS_CHECK(s->acted == i + 1);
			continue;
		}
		FL_STRESS_CHECK(s->data[!me] == i + 1);
		uint64_t held = FL__GATE_HELD;
		if (i == 0 && s->kind == NO_GATE)
			(void)fl__cas_relaxed(fl__lot_gate(fl__ctx_get()->id % FL__GATES), &held, 0);
		FL_STRESS_CHECK(fl_barrier_wait(&s->b) >= 0);
	}
}

TWO_ACTORS(barrier_action, take_turns)

FL_STRESS(barrier_action, one, two)
{
	bool right = s->order[0][0] + s->order[1][0] == 1 && s->order[0][1] + s->order[1][1] == 1;
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	FL_FORBIDDEN(s->acted != (s->acts ? 2 : 0), "not an action for each phase");
	FL_ACCEPTABLE(right && !fl__lot_has_waiters_at(&s->b), "two phases");
}

static void count_action(void *arg)
{
	++*(int *)arg;
}

/*
 * Initializes a barrier that has an action, or phases with a gate, or phases without a gate.
 * Returns whether it has an action, which counts in `acted`.
 */
static bool init_with_or_without(fl_barrier *b, int *acted)
{
	const unsigned kind = fl_stress_choose(3);
	if (kind == NO_GATE)
		hold_all_gates();
	OK(fl_barrier_init_with_action(b, 2, kind == ACTS ? count_action : NULL, acted));
	return kind == ACTS;
}

/*
 * The barrier may be freed as soon as one party has returned with a number, even if the other party
 * ran the action, because leaving parties do not touch it.
 */
struct barrier_free {
	fl_barrier *b;
	bool acts;
	int acted, order[2];
};

FL_STRESS_SETUP(barrier_free)
{
	s->b = make(sizeof *s->b);
	s->acts = init_with_or_without(s->b, &s->acted);
}

FL_STRESS_ACTOR(barrier_free, one)
{
	s->order[0] = fl_barrier_wait(s->b);
	FL_STRESS_CHECK(!fl__lot_has_waiters_at(s->b));
	free(s->b);
}

FL_STRESS_ACTOR(barrier_free, two)
{
	s->order[1] = fl_barrier_wait(s->b);
}

FL_STRESS(barrier_free, one, two)
{
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	FL_FORBIDDEN(s->acted != s->acts, "not one action");
	FL_ACCEPTABLE(s->order[0] == 0 && s->order[1] == 1, "freed by the first");
	FL_ACCEPTABLE(s->order[0] == 1 && s->order[1] == 0, "freed by the last");
}

/*
 * If the deadline of a party passes before the last arrival, the barrier breaks, and no action
 * runs. If it passes after the last arrival, both parties pass, however long the action takes.
 */
struct barrier_action_timeout {
	fl_barrier b;
	bool acts;
	int acted, rc[2];
};

FL_STRESS_SETUP(barrier_action_timeout)
{
	s->acts = init_with_or_without(&s->b, &s->acted);
}

FL_STRESS_ACTOR(barrier_action_timeout, brief)
{
	s->rc[0] = fl_barrier_wait_until(&s->b, soon(), NULL);
}

FL_STRESS_ACTOR(barrier_action_timeout, patient)
{
	s->rc[1] = fl_barrier_wait(&s->b);
}

FL_STRESS(barrier_action_timeout, brief, patient)
{
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	bool broken = fl_barrier_is_broken(&s->b);
	FL_FORBIDDEN(fl_barrier_waiting(&s->b) != 0 || fl__lot_has_waiters_at(&s->b), "a waiter is left");
	FL_ACCEPTABLE(!broken && s->acted == s->acts && s->rc[0] >= 0 && s->rc[0] + s->rc[1] == 1, "passed");
	FL_ACCEPTABLE(broken && s->acted == 0 && s->rc[0] == -ETIMEDOUT && s->rc[1] == -EPIPE, "broken");
}

/* A waiter is cancelled: it wakes, and breaks the barrier. */
struct barrier_cancelled {
	fl_barrier b;
	fl_cancel_token token;
	int rc;
};

FL_STRESS_SETUP(barrier_cancelled)
{
	OK(fl_barrier_init(&s->b, 2));
}

FL_STRESS_ACTOR(barrier_cancelled, waiter)
{
	s->rc = fl_barrier_wait_until(&s->b, FL_FOREVER, &s->token);
}

FL_STRESS_ACTOR(barrier_cancelled, canceller)
{
	fl_cancel_token_request(&s->token);
}

FL_STRESS(barrier_cancelled, waiter, canceller)
{
	FL_ACCEPTABLE(s->rc == -ECANCELED && fl_barrier_is_broken(&s->b) && !fl__lot_has_waiters_at(&s->b),
	              "cancelled");
}

/*
 * An abort or a reset ends the phase for both parties, or comes too late. A new phase follows a
 * reset. An abort may come before the reset. The barrier has an action, or none.
 */
struct barrier_action_cut {
	fl_barrier b;
	bool acts, resets;
	int acted, rc[2];
};

FL_STRESS_SETUP(barrier_action_cut)
{
	s->acts = init_with_or_without(&s->b, &s->acted);
	s->resets = fl_stress_choose(2);
}

/*
 * Waits, and waits again after a reset. The plain count of the action shows whether two actions
 * overlap.
 */
static void wait_uncut(struct barrier_action_cut *s, int i)
{
	while ((s->rc[i] = fl_barrier_wait(&s->b)) == -EPIPE && s->resets)
		fl_stress_relax();
}

TWO_ACTORS(barrier_action_cut, wait_uncut)

FL_STRESS_ACTOR(barrier_action_cut, cutter)
{
	if (!s->resets || fl_stress_choose(2))
		fl_barrier_abort(&s->b);
	if (s->resets)
		fl_barrier_reset(&s->b);
}

FL_STRESS(barrier_action_cut, one, two, cutter)
{
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	const bool passed = s->rc[0] >= 0 && s->rc[0] + s->rc[1] == 1;
	FL_FORBIDDEN(!s->acts && s->acted != 0, "an action from nowhere");
	FL_FORBIDDEN(fl_barrier_is_broken(&s->b) == s->resets || fl__lot_has_waiters_at(&s->b), "another state");
	FL_ACCEPTABLE(s->resets && passed && s->acted >= s->acts && s->acted <= 2, "passed after a reset, or before");
	FL_ACCEPTABLE(!s->resets && passed && s->acted == s->acts, "passed before the abort");
	FL_ACCEPTABLE(!s->resets && s->rc[0] == -EPIPE && s->rc[1] == -EPIPE && s->acted <= 1, "both turned away");
}

/*
 * There are more contexts than parties. Each context forms a phase by itself, and waits until the
 * action of another phase has ended. A context that gives up meanwhile breaks the barrier for later
 * phases, but not for the complete one.
 */
struct barrier_action_late {
	fl_barrier b;
	int acted, rc[3];
};

FL_STRESS_SETUP(barrier_action_late)
{
	OK(fl_barrier_init_with_action(&s->b, 1, count_action, &s->acted));
}

static void wait_for_own(struct barrier_action_late *s, int i)
{
	s->rc[i] = fl_barrier_wait(&s->b);
}

TWO_ACTORS(barrier_action_late, wait_for_own)

FL_STRESS_ACTOR(barrier_action_late, brief)
{
	s->rc[2] = fl_barrier_wait_until(&s->b, soon(), NULL);
}

FL_STRESS(barrier_action_late, one, two, brief)
{
	const bool broken = fl_barrier_is_broken(&s->b);
	const int passed = (s->rc[0] == 0) + (s->rc[1] == 0) + (s->rc[2] == 0);
	FL_FORBIDDEN(s->acted != passed || fl__lot_has_waiters_at(&s->b), "an action without a phase");
	FL_ACCEPTABLE(!broken && passed == 3, "one after the other");
	FL_FORBIDDEN(!broken || s->rc[2] != -ETIMEDOUT, "another end");
	FL_FORBIDDEN(passed == 0, "the complete phase was broken");
	for (int i = 0; i < 2; i++)
		FL_FORBIDDEN(s->rc[i] != 0 && s->rc[i] != -EPIPE, "another error");
	FL_ACCEPTABLE(1, "broken by the one that gave up");
}

/*
 * There are three contexts for a phase of two. The third context may give up, even while the
 * action, if any, is running; the other two pass.
 */
struct barrier_action_three {
	fl_barrier b;
	bool acts;
	int acted, rc[3];
};

FL_STRESS_SETUP(barrier_action_three)
{
	s->acts = init_with_or_without(&s->b, &s->acted);
}

static void wait_briefly(struct barrier_action_three *s, int i)
{
	s->rc[i] = fl_barrier_wait_until(&s->b, soon(), NULL);
}

THREE_ACTORS(barrier_action_three, wait_briefly)

FL_STRESS(barrier_action_three, one, two, three)
{
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	int passed = 0, late = 0;
	for (int i = 0; i < 3; i++) {
		passed += s->rc[i] >= 0;
		late += s->rc[i] == -ETIMEDOUT;
		FL_FORBIDDEN(s->rc[i] < 0 && s->rc[i] != -ETIMEDOUT && s->rc[i] != -EPIPE, "another error");
	}
	FL_FORBIDDEN(!fl_barrier_is_broken(&s->b) || fl__lot_has_waiters_at(&s->b), "another state");
	FL_ACCEPTABLE(s->acted == s->acts && passed == 2 && late == 1, "two passed");
	FL_ACCEPTABLE(s->acted == 0 && passed == 0 && late >= 1, "none passed");
}

/*
 * A party looks late at the gate of its phase, and finds that another phase has held the gate since
 * then, and has even failed. The party still sees what the last party wrote.
 */
struct barrier_late {
	fl_barrier first, next;
	int data, rc[3], failed;
};

FL_STRESS_SETUP(barrier_late)
{
	OK(fl_barrier_init(&s->first, 3));
	OK(fl_barrier_init(&s->next, 2));
}

FL_STRESS_ACTOR(barrier_late, holder)
{
	s->rc[0] = fl_barrier_wait(&s->first);
	s->failed = fl_barrier_wait_until(&s->next, soon(), NULL);
}

FL_STRESS_ACTOR(barrier_late, late)
{
	s->rc[1] = fl_barrier_wait(&s->first);
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(barrier_late, last)
{
	s->data = 1;
	s->rc[2] = fl_barrier_wait(&s->first);
}

FL_STRESS(barrier_late, holder, late, last)
{
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	FL_ACCEPTABLE(s->failed == -ETIMEDOUT && s->rc[0] + s->rc[1] + s->rc[2] == 3, "passed, then failed");
}

/*
 * One of three parties may give up. Either all pass, and the first to arrive frees the barrier; or
 * none passes. Parties that leave do not touch the barrier, and the last of them frees the gate.
 */
struct barrier_free_three {
	fl_barrier *b;
	int rc[3], brief;
};

FL_STRESS_SETUP(barrier_free_three)
{
	s->b = make(sizeof *s->b);
	s->brief = (int)fl_stress_choose(3);
	OK(fl_barrier_init(s->b, 3));
}

static void wait_and_free(struct barrier_free_three *s, int i)
{
	s->rc[i] = fl_barrier_wait_until(s->b, s->brief == i ? soon() : FL_FOREVER, NULL);
	if (s->rc[i] == 0)
		free(s->b);
}

THREE_ACTORS(barrier_free_three, wait_and_free)

FL_STRESS(barrier_free_three, one, two, three)
{
	const int passed = (s->rc[0] >= 0) + (s->rc[1] >= 0) + (s->rc[2] >= 0);
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	if (passed == 0)
		free(s->b);
	FL_ACCEPTABLE(passed == 3 || (passed == 0 && s->rc[s->brief] == -ETIMEDOUT), "all or none");
}

/*
 * There are four contexts at a barrier of two, and one of the contexts tries first. They form two
 * phases, in any order.
 */
struct barrier_four {
	fl_barrier b;
	int rc[4];
};

FL_STRESS_SETUP(barrier_four)
{
	OK(fl_barrier_init(&s->b, 2));
}

static void wait_in_four(struct barrier_four *s, int i)
{
	s->rc[i] = fl_barrier_wait(&s->b);
}

THREE_ACTORS(barrier_four, wait_in_four)

FL_STRESS_ACTOR(barrier_four, four)
{
	wait_in_four(s, 3);
}

FL_STRESS(barrier_four, one, two, three, four)
{
	FL_FORBIDDEN(a_gate_is_left(), "a gate is left");
	FL_ACCEPTABLE(s->rc[0] + s->rc[1] + s->rc[2] + s->rc[3] == 2 && !fl__lot_has_waiters_at(&s->b), "two phases");
}
