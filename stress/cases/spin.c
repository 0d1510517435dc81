/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spin lock: one holder at a time, which sees what the previous one wrote, and may free the
 * lock.
 */
#include "cases.h"
#include <fairlead/spin.h>

struct spin_excl {
	fl_spin lock;
	int count;
};

static void count_once(struct spin_excl *s)
{
	FL_SPIN_LOCKED(&s->lock);
	s->count++;
}

FL_STRESS_ACTOR(spin_excl, one)
{
	count_once(s);
}

FL_STRESS_ACTOR(spin_excl, two)
{
	count_once(s);
}

FL_STRESS_ACTOR(spin_excl, three)
{
	count_once(s);
}

FL_STRESS(spin_excl, one, two, three)
{
	FL_FORBIDDEN(fl_spin_destroy(&s->lock) != 0, "left locked");
	FL_ACCEPTABLE(s->count == 3, "exact");
	FL_FORBIDDEN(1, "two at a time");
}

/* A try gets it or not; with it, what was written under it before. */
struct spin_try {
	fl_spin lock;
	int count, missed[2];
};

static void try_once(struct spin_try *s, int *missed)
{
	*missed = fl_spin_try_lock(&s->lock);
	if (*missed != 0)
		return;
	s->count++;
	fl_spin_unlock(&s->lock);
}

FL_STRESS_ACTOR(spin_try, one)
{
	try_once(s, &s->missed[0]);
}

FL_STRESS_ACTOR(spin_try, two)
{
	try_once(s, &s->missed[1]);
}

FL_STRESS(spin_try, one, two)
{
	FL_ACCEPTABLE(s->count == 2 && !s->missed[0] && !s->missed[1], "both");
	FL_ACCEPTABLE(s->count == 1 && s->missed[0] + s->missed[1] == -EBUSY, "one");
	FL_FORBIDDEN(1, "neither, or two at a time");
}

/* The last holder destroys and frees it at once: an unlock ends with the store that releases it. */
struct spin_free {
	fl_spin *lock;
	atomic_int users;
};

FL_STRESS_SETUP(spin_free)
{
	s->lock = make(sizeof *s->lock);
	SET(&s->users, 2);
}

static void leave(struct spin_free *s)
{
	fl_spin_lock(s->lock);
	bool last = atomic_fetch_sub_explicit(&s->users, 1, memory_order_relaxed) == 1;
	fl_spin_unlock(s->lock);
	if (!last)
		return;
	OK(fl_spin_destroy(s->lock));
	free(s->lock);
}

FL_STRESS_ACTOR(spin_free, one)
{
	leave(s);
}

FL_STRESS_ACTOR(spin_free, two)
{
	leave(s);
}

FL_STRESS(spin_free, one, two)
{
	FL_ACCEPTABLE(1, "freed");
}

/*
 * A context that has seen it held, and then finds it free, may free what it guards: the last unlock
 * comes before.
 */
struct spin_destroy {
	fl_spin *lock;
	int data;
	bool gone;
};

FL_STRESS_SETUP(spin_destroy)
{
	s->lock = make(sizeof *s->lock);
}

FL_STRESS_ACTOR(spin_destroy, holder)
{
	fl_spin_lock(s->lock);
	s->data = 1;
	fl_spin_unlock(s->lock);
}

FL_STRESS_ACTOR(spin_destroy, destroyer)
{
	if (fl_spin_destroy(s->lock) == 0)
		return;
	while (fl_spin_destroy(s->lock) != 0)
		fl_stress_relax();
	FL_STRESS_CHECK(s->data == 1);
	free(s->lock);
	s->gone = true;
}

FL_STRESS(spin_destroy, holder, destroyer)
{
	if (!s->gone)
		free(s->lock);
	FL_ACCEPTABLE(s->gone, "freed");
	FL_ACCEPTABLE(!s->gone, "too early, or too late");
}
