/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of locks: programs that lock in both orders are reported once, though they never
 * deadlock; others are not reported.
 */
#include "debugging.h"
#include <fairlead/latch.h>

/*
 * lock_inversion: the first mutex before the second, with another lock in between, and in the end
 * the other way round. No two contexts ever wait for one another, and the order is reported once.
 */
struct lock_inversion {
	fl_mutex a, b, between[2];
	fl_latch before;
	struct said said;
};

FL_STRESS_SETUP(lock_inversion)
{
	fl_mutex_init(&s->a);
	fl_mutex_init(&s->b);
	fl_mutex_init(&s->between[0]);
	fl_mutex_init(&s->between[1]);
	OK(fl_latch_init(&s->before, 2));
	listen(FL_DEBUG_LOCKORDER);
}

static void lock_in_order(struct lock_inversion *s, int i)
{
	said = &s->said;
	fl_mutex_lock(&s->a);
	OK(fl_mutex_try_lock(&s->between[i]));
	fl_mutex_lock(&s->b);
	fl_mutex_unlock(&s->b);
	fl_mutex_unlock(&s->between[i]);
	fl_mutex_unlock(&s->a);
	fl_latch_count_down(&s->before, 1);
}

TWO_ACTORS(lock_inversion, lock_in_order)

FL_STRESS_ACTOR(lock_inversion, other_way)
{
	said = &s->said;
	OK(fl_latch_wait(&s->before));
	FL_STRESS_CHECK(LOOK(&s->said.potential) == 0);
	lock_both(&s->b, &s->a);
	FL_STRESS_CHECK(LOOK(&s->said.potential) == 1);
	lock_both(&s->b, &s->a);
}

FL_STRESS(lock_inversion, one, two, other_way)
{
	FL_ACCEPTABLE(LOOK(&s->said.potential) == 1, "reported once");
}

/* A cycle of three: a different actor makes each edge, and the last one finds the cycle. */
struct lock_order_three {
	fl_mutex a, b, c;
	fl_latch before;
	struct said said;
};

FL_STRESS_SETUP(lock_order_three)
{
	fl_mutex_init(&s->a);
	fl_mutex_init(&s->b);
	fl_mutex_init(&s->c);
	OK(fl_latch_init(&s->before, 2));
	listen(FL_DEBUG_LOCKORDER);
}

FL_STRESS_ACTOR(lock_order_three, a_b)
{
	said = &s->said;
	lock_both(&s->a, &s->b);
	fl_latch_count_down(&s->before, 1);
}

FL_STRESS_ACTOR(lock_order_three, b_c)
{
	said = &s->said;
	lock_both(&s->b, &s->c);
	fl_latch_count_down(&s->before, 1);
}

FL_STRESS_ACTOR(lock_order_three, c_a)
{
	said = &s->said;
	OK(fl_latch_wait(&s->before));
	lock_both(&s->c, &s->a);
}

FL_STRESS(lock_order_three, a_b, b_c, c_a)
{
	FL_ACCEPTABLE(LOOK(&s->said.potential) == 1, "reported once");
}

/* No cycle: one lock is only tried, and one is in memory that was another mutex. */
struct lock_order_quiet {
	fl_mutex a, b, other;
	fl_latch before;
	struct said said;
};

FL_STRESS_SETUP(lock_order_quiet)
{
	fl_mutex_init(&s->a);
	fl_mutex_init(&s->b);
	fl_mutex_init(&s->other);
	OK(fl_latch_init(&s->before, 1));
	listen(FL_DEBUG_LOCKORDER);
}

FL_STRESS_ACTOR(lock_order_quiet, one)
{
	said = &s->said;
	lock_both(&s->a, &s->b);
	fl_latch_count_down(&s->before, 1);
}

FL_STRESS_ACTOR(lock_order_quiet, other_way)
{
	said = &s->said;
	OK(fl_latch_wait(&s->before));
	fl_mutex_lock(&s->b);
	OK(fl_mutex_try_lock(&s->a));
	fl_mutex_unlock(&s->a);
	fl_mutex_unlock(&s->b);
	FL_STRESS_CHECK(!fl__mutex_is_busy(&s->a));
	fl_mutex_init(&s->a);
	lock_both(&s->b, &s->a);
}

FL_STRESS_ACTOR(lock_order_quiet, beside)
{
	said = &s->said;
	lock_both(&s->other, &s->b);
}

FL_STRESS(lock_order_quiet, one, other_way, beside)
{
	FL_ACCEPTABLE(LOOK(&s->said.potential) == 0, "nothing is said");
}
