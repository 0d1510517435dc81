/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The barrier: all parties pass a phase or none, phases do not mix, and each party sees what all
 * wrote before.
 */
#include "../cases.h"
#include <fairlead/barrier.h>

/* Each party sees what all others wrote; the results are the numbers of the arrivals. */
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
 * barrier_reuse: two phases do not mix, also when one party arrives for the second before the other
 * has left the first.
 */
struct barrier_reuse {
	fl_barrier b;
	int turn[2], order[2][2];
};

FL_STRESS_SETUP(barrier_reuse)
{
	OK(fl_barrier_init(&s->b, 2));
}

static void take_turns(struct barrier_reuse *s, int me)
{
	for (int i = 0; i < 2; i++) {
		s->turn[me] = i + 1; /* plain: read by the other party between its two waits */
		s->order[me][i] = fl_barrier_wait(&s->b);
		FL_STRESS_CHECK(s->turn[!me] == i + 1);
		FL_STRESS_CHECK(fl_barrier_wait(&s->b) >= 0);
	}
}

TWO_ACTORS(barrier_reuse, take_turns)

FL_STRESS(barrier_reuse, one, two)
{
	bool right = s->order[0][0] + s->order[1][0] == 1 && s->order[0][1] + s->order[1][1] == 1;
	FL_ACCEPTABLE(right && fl_barrier_destroy(&s->b) == 0, "two turns");
}

/*
 * The barrier may be destroyed as soon as one party has returned with a number: leaving parties do
 * not touch it.
 */
struct barrier_free {
	fl_barrier *b;
	int order[2];
};

FL_STRESS_SETUP(barrier_free)
{
	s->b = make(sizeof *s->b);
	OK(fl_barrier_init(s->b, 2));
}

FL_STRESS_ACTOR(barrier_free, one)
{
	s->order[0] = fl_barrier_wait(s->b);
	OK(fl_barrier_destroy(s->b));
	free(s->b);
}

FL_STRESS_ACTOR(barrier_free, two)
{
	s->order[1] = fl_barrier_wait(s->b);
}

FL_STRESS(barrier_free, one, two)
{
	FL_ACCEPTABLE(s->order[0] == 0 && s->order[1] == 1, "freed by the first");
	FL_ACCEPTABLE(s->order[0] == 1 && s->order[1] == 0, "freed by the last");
}

/* An abort finds no party, one or both; a complete phase stays complete. */
struct barrier_abort {
	fl_barrier b;
	int rc[2];
};

FL_STRESS_SETUP(barrier_abort)
{
	OK(fl_barrier_init(&s->b, 2));
}

static void wait_for_abort(struct barrier_abort *s, int i)
{
	s->rc[i] = fl_barrier_wait(&s->b);
}

TWO_ACTORS(barrier_abort, wait_for_abort)

FL_STRESS_ACTOR(barrier_abort, aborter)
{
	fl_barrier_abort(&s->b);
}

FL_STRESS(barrier_abort, one, two, aborter)
{
	FL_FORBIDDEN(!fl_barrier_is_broken(&s->b), "not broken");
	FL_ACCEPTABLE(s->rc[0] >= 0 && s->rc[0] + s->rc[1] == 1, "both passed");
	FL_ACCEPTABLE(s->rc[0] == -EPIPE && s->rc[1] == -EPIPE, "both turned away");
}
