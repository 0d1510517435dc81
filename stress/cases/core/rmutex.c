/* SPDX-License-Identifier: BSD-2-Clause */
/* The recursive mutex: only the owner sees itself as the owner. */
#include "../cases.h"
#include <fairlead/rmutex.h>

/* Exclusion and order hold over nested locks: only the last unlock releases it. */
struct rmutex_nested {
	fl_rmutex m;
	int count;
};

static void count_nested(struct rmutex_nested *s)
{
	fl_rmutex_lock(&s->m);
	s->count++;
	fl_rmutex_lock(&s->m);
	s->count++;
	fl_rmutex_unlock(&s->m);
	FL_STRESS_CHECK(fl_rmutex_depth(&s->m));
	s->count++;
	fl_rmutex_unlock(&s->m);
	FL_STRESS_CHECK(!fl_rmutex_depth(&s->m));
}

FL_STRESS_ACTOR(rmutex_nested, one)
{
	count_nested(s);
}

FL_STRESS_ACTOR(rmutex_nested, two)
{
	count_nested(s);
}

FL_STRESS(rmutex_nested, one, two)
{
	FL_ACCEPTABLE(s->count == 6 && fl_rmutex_destroy(&s->m) == 0, "all counted");
	FL_FORBIDDEN(1, "a count was lost, or it is held");
}

/* No other context ever counts as the owner; a try and a timed lock hold it, or do not. */
struct rmutex_try {
	fl_rmutex m;
	int count, tried, timed;
};

FL_STRESS_ACTOR(rmutex_try, owner)
{
	fl_rmutex_lock(&s->m);
	OK(fl_rmutex_try_lock(&s->m));
	s->count++;
	fl_rmutex_unlock(&s->m);
	fl_rmutex_unlock(&s->m);
}

FL_STRESS_ACTOR(rmutex_try, tryer)
{
	FL_STRESS_CHECK(!fl_rmutex_depth(&s->m));
	s->tried = fl_rmutex_try_lock(&s->m);
	FL_STRESS_CHECK((s->tried == 0) == fl_rmutex_depth(&s->m));
	if (s->tried != 0)
		return;
	s->count++;
	fl_rmutex_unlock(&s->m);
}

FL_STRESS_ACTOR(rmutex_try, timed)
{
	s->timed = fl_rmutex_lock_until(&s->m, soon(), NULL);
	if (s->timed != 0)
		return;
	s->count++;
	fl_rmutex_unlock(&s->m);
}

FL_STRESS(rmutex_try, owner, tryer, timed)
{
	FL_FORBIDDEN(s->count != 1 + (s->tried == 0) + (s->timed == 0), "a count was lost");
	FL_ACCEPTABLE(s->tried == 0 && s->timed == 0, "all held it");
	FL_ACCEPTABLE(s->tried == -EBUSY && s->timed == 0, "one was busy");
	FL_ACCEPTABLE(s->timed == -ETIMEDOUT, "one timed out");
	FL_FORBIDDEN(1, "another error");
}

/* recursive_overflow: at the last depth the owner is refused, and no other context gets in. */
struct recursive_overflow {
	fl_rmutex m;
	int rc, count;
};

FL_STRESS_ACTOR(recursive_overflow, owner)
{
	fl_rmutex_lock(&s->m);
	s->m.depth_ = UINT32_MAX - 1; /* locked that often */
	FL_STRESS_CHECK(fl_rmutex_try_lock(&s->m) == -EAGAIN);
	s->m.depth_ = 0;
	s->count++;
	fl_rmutex_unlock(&s->m);
}

FL_STRESS_ACTOR(recursive_overflow, other)
{
	s->rc = fl_rmutex_try_lock(&s->m);
	if (s->rc != 0)
		return;
	s->count++;
	fl_rmutex_unlock(&s->m);
}

FL_STRESS(recursive_overflow, owner, other)
{
	FL_FORBIDDEN(s->count != 1 + (s->rc == 0), "a count was lost");
	FL_ACCEPTABLE(s->rc == 0, "both held it");
	FL_ACCEPTABLE(s->rc == -EBUSY, "the other was refused");
	FL_FORBIDDEN(1, "another error");
}

/* Its last owner may free it, while the previous one is still leaving. */
struct rmutex_free_after_unlock {
	struct owned {
		fl_rmutex m;
		int refs;
	} * object;
};

FL_STRESS_SETUP(rmutex_free_after_unlock)
{
	s->object = make(sizeof *s->object);
	s->object->refs = 2;
}

static void drop_owned(struct owned *object)
{
	fl_rmutex_lock(&object->m);
	bool last = --object->refs == 0;
	fl_rmutex_unlock(&object->m);
	if (last)
		free(object);
}

FL_STRESS_ACTOR(rmutex_free_after_unlock, one)
{
	drop_owned(s->object);
}

FL_STRESS_ACTOR(rmutex_free_after_unlock, two)
{
	drop_owned(s->object);
}

FL_STRESS(rmutex_free_after_unlock, one, two)
{
	FL_ACCEPTABLE(1, "freed once");
}

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
	FL_FORBIDDEN(1, "another error");
}
