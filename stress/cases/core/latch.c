/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the latch. A wait sees what was written before each count, and no context touches
 * the latch after it is zero.
 */
#include "../cases.h"
#include <fairlead/latch.h>

/*
 * Each count passes on what came before it, through later counts, to every wait and every check.
 * The last count may be a count of two.
 */
struct latch_counts {
	fl_latch left;
	bool waits;
	int data[2], rc;
};

FL_STRESS_SETUP(latch_counts)
{
	OK(fl_latch_init(&s->left, 3));
	s->waits = fl_stress_choose(2);
}

static void write_and_count(struct latch_counts *s, int i)
{
	s->data[i] = 1;
	fl_latch_count_down(&s->left, (uint32_t)i + 1);
}

TWO_ACTORS(latch_counts, write_and_count)

FL_STRESS_ACTOR(latch_counts, looker)
{
	s->rc = s->waits ? fl_latch_wait(&s->left) : fl_latch_count(&s->left) == 0 ? 0 : -EAGAIN;
	if (s->rc == 0)
		FL_STRESS_CHECK(s->data[0] + s->data[1] == 2);
}

FL_STRESS(latch_counts, one, two, looker)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->left), "left in the queue");
	FL_ACCEPTABLE(s->rc == 0, "zero");
	FL_ACCEPTABLE(s->rc == -EAGAIN && !s->waits, "too early");
}

/*
 * The count that reaches zero does not touch the latch afterwards, so a wait that has returned may
 * free it.
 */
struct latch_free_after_wait {
	fl_latch *left;
};

FL_STRESS_SETUP(latch_free_after_wait)
{
	s->left = make(sizeof *s->left);
	OK(fl_latch_init(s->left, 2));
}

FL_STRESS_ACTOR(latch_free_after_wait, counter)
{
	fl_latch_count_down(s->left, 1);
}

FL_STRESS_ACTOR(latch_free_after_wait, waiter)
{
	OK(fl_latch_wait(s->left));
	FL_STRESS_CHECK(!fl__lot_has_waiters_at(s->left));
	free(s->left);
}

FL_STRESS(latch_free_after_wait, counter, counter, waiter)
{
	FL_ACCEPTABLE(1, "freed");
}

/*
 * A wait that times out has one result. The latch still reaches zero, and wakes the other waiters.
 */
struct latch_vs_timeout {
	fl_latch left;
	int rc, data;
};

FL_STRESS_SETUP(latch_vs_timeout)
{
	OK(fl_latch_init(&s->left, 1));
}

FL_STRESS_ACTOR(latch_vs_timeout, brief)
{
	s->rc = fl_latch_wait_until(&s->left, soon(), NULL);
	if (s->rc == 0)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(latch_vs_timeout, patient)
{
	OK(fl_latch_wait(&s->left));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(latch_vs_timeout, counter)
{
	s->data = 1;
	fl_latch_count_down(&s->left, 1);
}

FL_STRESS(latch_vs_timeout, brief, patient, counter)
{
	FL_FORBIDDEN(fl_latch_count(&s->left) != 0 || fl__lot_has_waiters_at(&s->left),
	             "not zero, or left in the queue");
	FL_ACCEPTABLE(s->rc == 0, "both woken");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "one timed out");
}
