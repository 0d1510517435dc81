/* SPDX-License-Identifier: BSD-2-Clause */
/* A scenario of the recursive mutex. Only the owner sees itself as the owner. */
#include "../cases.h"
#include <fairlead/rmutex.h>

/*
 * Two contexts lock twice and unlock twice. The first unlock keeps the mutex locked. After the
 * second unlock the context is no longer the owner.
 */
struct rmutex_nested {
	fl_rmutex m;
	int count;
};

static void lock_nested(struct rmutex_nested *s, int i)
{
	fl_rmutex_lock(&s->m);
	fl_rmutex_lock(&s->m);
	s->count++;
	fl_rmutex_unlock(&s->m);
	FL_STRESS_CHECK(fl_rmutex_depth(&s->m) == 1);
	s->count++;
	fl_rmutex_unlock(&s->m);
	FL_STRESS_CHECK(fl_rmutex_depth(&s->m) == 0);
}

TWO_ACTORS(rmutex_nested, lock_nested)

FL_STRESS(rmutex_nested, one, two)
{
	FL_FORBIDDEN(s->count != 4 || fl__mutex_is_busy(&s->m.mutex_), "a lock was lost, or is left");
	FL_ACCEPTABLE(1, "one after the other");
}
