/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The action of a barrier: runs once for each phase, alone, after all have arrived and before any
 * party passes.
 */
#include "../cases.h"
#include <fairlead/barrier.h>

/*
 * Two phases: the action sees what each party wrote before, and each party sees what the action
 * wrote.
 */
struct barrier_action {
	fl_barrier b;
	int data[2], acted, order[2][2];
};

static void merge(void *arg)
{
	struct barrier_action *s = arg;
	s->acted++; /* plain: a race if two actions ran at once, or if a party passed before */
	FL_STRESS_CHECK(s->data[0] == s->acted && s->data[1] == s->acted);
}

FL_STRESS_SETUP(barrier_action)
{
	OK(fl_barrier_init_with_action(&s->b, 2, merge, s));
}

static void take_turns(struct barrier_action *s, int me)
{
	for (int i = 0; i < 2; i++) {
		s->data[me] = i + 1;
		s->order[me][i] = fl_barrier_wait(&s->b);
		FL_STRESS_CHECK(s->acted == i + 1);
	}
}

TWO_ACTORS(barrier_action, take_turns)

FL_STRESS(barrier_action, one, two)
{
	bool right = s->order[0][0] + s->order[1][0] == 1 && s->order[0][1] + s->order[1][1] == 1;
	FL_ACCEPTABLE(right && s->acted == 2 && fl_barrier_destroy(&s->b) == 0, "two phases");
}

static void count_action(void *arg)
{
	++*(int *)arg;
}

/*
 * The barrier may be freed as soon as one party has returned with a number, also if the other ran
 * the action.
 */
struct barrier_action_free {
	fl_barrier *b;
	int acted, order[2];
};

FL_STRESS_SETUP(barrier_action_free)
{
	s->b = make(sizeof *s->b);
	OK(fl_barrier_init_with_action(s->b, 2, count_action, &s->acted));
}

FL_STRESS_ACTOR(barrier_action_free, one)
{
	s->order[0] = fl_barrier_wait(s->b);
	OK(fl_barrier_destroy(s->b));
	free(s->b);
}

FL_STRESS_ACTOR(barrier_action_free, two)
{
	s->order[1] = fl_barrier_wait(s->b);
}

FL_STRESS(barrier_action_free, one, two)
{
	FL_ACCEPTABLE(s->acted == 1 && s->order[0] + s->order[1] == 1, "freed once");
}

/*
 * A party's deadline before the last arrival breaks the barrier, without an action; after it both
 * pass, however long the action takes.
 */
struct barrier_action_timeout {
	fl_barrier b;
	int acted, rc[2];
};

FL_STRESS_SETUP(barrier_action_timeout)
{
	OK(fl_barrier_init_with_action(&s->b, 2, count_action, &s->acted));
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
	bool broken = fl_barrier_is_broken(&s->b);
	FL_FORBIDDEN(fl_barrier_waiting(&s->b) != 0 || fl_barrier_destroy(&s->b) != 0, "a waiter is left");
	FL_ACCEPTABLE(!broken && s->acted == 1 && s->rc[0] >= 0 && s->rc[0] + s->rc[1] == 1, "passed");
	FL_ACCEPTABLE(broken && s->acted == 0 && s->rc[0] == -ETIMEDOUT && s->rc[1] == -EPIPE, "broken");
}

/* An abort or a reset ends the phase for both, or comes too late; a new phase follows a reset. */
struct barrier_action_cut {
	fl_barrier b;
	bool resets;
	int acted, rc[2];
};

FL_STRESS_SETUP(barrier_action_cut)
{
	OK(fl_barrier_init_with_action(&s->b, 2, count_action, &s->acted));
}

/* Waits again after a reset: the action's plain count shows whether two actions overlap. */
static void wait_uncut(struct barrier_action_cut *s, int i)
{
	while ((s->rc[i] = fl_barrier_wait(&s->b)) == -EPIPE && !fl_barrier_is_broken(&s->b))
		;
}

TWO_ACTORS(barrier_action_cut, wait_uncut)

FL_STRESS_ACTOR(barrier_action_cut, cutter)
{
	s->resets = fl_stress_choose(2);
	if (s->resets)
		fl_barrier_reset(&s->b);
	else
		fl_barrier_abort(&s->b);
}

FL_STRESS(barrier_action_cut, one, two, cutter)
{
	const bool passed = s->rc[0] >= 0 && s->rc[0] + s->rc[1] == 1;
	FL_FORBIDDEN(fl_barrier_is_broken(&s->b) == s->resets || fl_barrier_destroy(&s->b) != 0, "another state");
	FL_ACCEPTABLE(s->resets && passed && (s->acted == 1 || s->acted == 2), "passed after a reset, or before");
	FL_ACCEPTABLE(!s->resets && passed && s->acted == 1, "passed before the abort");
	FL_ACCEPTABLE(!s->resets && s->rc[0] == -EPIPE && s->rc[1] == -EPIPE && s->acted <= 1, "both turned away");
}

/*
 * More contexts than parties: each is a phase of its own, and waits for the end of another's
 * action. A context that gives up before breaks the barrier for later ones, but not the complete
 * phase.
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
	FL_FORBIDDEN(s->acted != passed || fl_barrier_destroy(&s->b) != 0, "an action without a phase");
	FL_ACCEPTABLE(!broken && passed == 3, "one after the other");
	FL_FORBIDDEN(!broken || s->rc[2] != -ETIMEDOUT, "another end");
	FL_FORBIDDEN(passed == 0, "the complete phase was broken");
	for (int i = 0; i < 2; i++)
		FL_FORBIDDEN(s->rc[i] != 0 && s->rc[i] != -EPIPE, "another error");
	FL_ACCEPTABLE(1, "broken by the one that gave up");
}

/*
 * Three contexts for a phase of two: the third may give up while the action runs, and the two pass.
 */
struct barrier_action_three {
	fl_barrier b;
	int acted, rc[3];
};

FL_STRESS_SETUP(barrier_action_three)
{
	OK(fl_barrier_init_with_action(&s->b, 2, count_action, &s->acted));
}

static void wait_briefly(struct barrier_action_three *s, int i)
{
	s->rc[i] = fl_barrier_wait_until(&s->b, soon(), NULL);
}

THREE_ACTORS(barrier_action_three, wait_briefly)

FL_STRESS(barrier_action_three, one, two, three)
{
	int passed = 0, late = 0;
	for (int i = 0; i < 3; i++) {
		passed += s->rc[i] >= 0;
		late += s->rc[i] == -ETIMEDOUT;
		FL_FORBIDDEN(s->rc[i] < 0 && s->rc[i] != -ETIMEDOUT && s->rc[i] != -EPIPE, "another error");
	}
	FL_FORBIDDEN(!fl_barrier_is_broken(&s->b) || fl_barrier_destroy(&s->b) != 0, "another state");
	FL_ACCEPTABLE(s->acted == 1 && passed == 2 && late == 1, "two passed");
	FL_ACCEPTABLE(s->acted == 0 && passed == 0 && late >= 1, "none passed");
}
