/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the order of locks, with debugging on. Programs that lock in both orders are
 * reported once, though they never deadlock. Other programs are not reported.
 */
#include "debugging.h"
#include <fairlead/latch.h>

struct order {
	fl_mutex a, b, c, between[2];
	fl_latch before; /* the last actor begins when so many have ended */
	struct said said;
};

static void begin(struct order *t, unsigned before)
{
	fl_mutex *const all[] = {&t->a, &t->b, &t->c, &t->between[0], &t->between[1]};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		fl_mutex_init(all[i]);
	OK(fl_latch_init(&t->before, before));
	listen(FL_DEBUG_LOCKORDER);
}

static void end(struct order *t, int reports)
{
	FL_ACCEPTABLE(LOOK(&t->said.potential) == reports, "each order is reported once");
}

#define ORDER(test, before, reports, ...)                                                                              \
	SCENARIO(test, struct order, begin(&s->t, before), end(&s->t, reports), __VA_ARGS__)

static void lock_before(struct order *t, fl_mutex *first, fl_mutex *second)
{
	said = &t->said;
	lock_both(first, second);
	fl_latch_count_down(&t->before, 1);
}

static void a_b(struct order *t)
{
	lock_before(t, &t->a, &t->b);
}

static void b_c(struct order *t)
{
	lock_before(t, &t->b, &t->c);
}

static void lock_in_order(struct order *t, int i)
{
	said = &t->said;
	fl_mutex_lock(&t->a);
	OK(fl_mutex_try_lock(&t->between[i]));
	fl_mutex_lock(&t->b);
	fl_mutex_unlock(&t->b);
	fl_mutex_unlock(&t->between[i]);
	fl_mutex_unlock(&t->a);
	fl_latch_count_down(&t->before, 1);
}

static void a_0_b(struct order *t)
{
	lock_in_order(t, 0);
}

static void a_1_b(struct order *t)
{
	lock_in_order(t, 1);
}

/* The following actors begin after the others. */

static void await_others(struct order *t)
{
	said = &t->said;
	OK(fl_latch_wait(&t->before));
}

static void b_a_twice(struct order *t)
{
	await_others(t);
	FL_STRESS_CHECK(LOOK(&t->said.potential) == 0);
	lock_both(&t->b, &t->a);
	FL_STRESS_CHECK(LOOK(&t->said.potential) == 1);
	lock_both(&t->b, &t->a);
}

static void c_a(struct order *t)
{
	await_others(t);
	lock_both(&t->c, &t->a);
}

static void b_and_new_a(struct order *t)
{
	await_others(t);
	fl_mutex_lock(&t->b);
	OK(fl_mutex_try_lock(&t->a));
	fl_mutex_unlock(&t->a);
	fl_mutex_unlock(&t->b);
	FL_STRESS_CHECK(!fl__mutex_is_busy(&t->a));
	fl_mutex_init(&t->a);
	lock_both(&t->b, &t->a);
}

static void c_b(struct order *t)
{
	said = &t->said;
	lock_both(&t->c, &t->b);
}

/*
 * lock_inversion: two actors lock the first mutex before the second, with another lock in between,
 * and the last actor locks them the other way round. No two contexts ever wait for one another, and
 * the order is reported once.
 */
ORDER(lock_inversion, 2, 1, a_0_b, a_1_b, b_a_twice)

/*
 * lock_order_three: the order is a cycle of three. A different actor makes each edge, and the last
 * one finds the cycle.
 */
ORDER(lock_order_three, 2, 1, a_b, b_c, c_a)

/*
 * lock_order_quiet: the order has no cycle, since one lock is only tried, and one is in memory that
 * was another mutex before.
 */
ORDER(lock_order_quiet, 1, 0, a_b, b_and_new_a, c_b)
