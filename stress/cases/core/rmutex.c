/* SPDX-License-Identifier: BSD-2-Clause */
/* The recursive mutex: only the owner sees itself as the owner. */
#include "../cases.h"
#include <fairlead/rmutex.h>

/*
 * A condition wait releases all nested locks in one step, and restores them. At the same time
 * another context locks and unlocks. The waiter is woken, or times out; in either case it owns the
 * mutex as often as before.
 */
struct rmutex_cond {
	fl_rmutex m;
	fl_cond changed;
	int ready, rc;
};

FL_STRESS_ACTOR(rmutex_cond, waiter)
{
	fl_rmutex_lock(&s->m);
	fl_rmutex_lock(&s->m);
	const int64_t deadline = fl_stress_choose(2) ? FL_FOREVER : soon();
	while (!s->ready && s->rc == 0)
		s->rc = fl_cond_wait_rmutex_until(&s->changed, &s->m, deadline, NULL);
	FL_STRESS_CHECK(s->ready || s->rc == -ETIMEDOUT);
	fl_rmutex_unlock(&s->m);
	FL_STRESS_CHECK(fl_rmutex_depth(&s->m));
	s->ready++;
	fl_rmutex_unlock(&s->m);
}

FL_STRESS_ACTOR(rmutex_cond, signaller)
{
	fl_rmutex_lock(&s->m);
	s->ready++;
	fl_cond_signal(&s->changed);
	FL_STRESS_CHECK(fl_rmutex_depth(&s->m));
	fl_rmutex_unlock(&s->m);
	FL_STRESS_CHECK(!fl_rmutex_depth(&s->m));
}

FL_STRESS(rmutex_cond, waiter, signaller)
{
	FL_FORBIDDEN(s->ready != 2 || fl_rmutex_destroy(&s->m) != 0, "a lock was lost, or is left");
	FL_ACCEPTABLE(s->rc == 0, "woken, or it need not wait");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
}
