/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of locals. Each context has its own value, and at its end the right destructor runs.
 */
#include "../cases.h"
#include <fairlead/thread.h>

/*
 * Two threads set one local for the first time. It gets one id, and each thread sees the destructor
 * of the thread that made the id. The ids of a process are limited: if none is free, nothing is
 * tested.
 */
struct local_first_set {
	fl_local local;
	atomic_int destroyed;
	int rc[2];
	bool mixed;
};

static void destroy(void *value)
{
	COUNT((atomic_int *)value);
}

static int set_and_get(void *arg)
{
	struct local_first_set *s = arg;
	int rc = fl_local_set(&s->local, &s->destroyed);
	if (rc == 0)
		FL_STRESS_CHECK(fl_local_get(&s->local) == &s->destroyed);
	return rc;
}

FL_STRESS_SETUP(local_first_set)
{
	s->local = (fl_local)FL_LOCAL_INIT(destroy);
}

static void set_first(struct local_first_set *s, int i)
{
	fl_thread *t;
	OK(fl_thread_start(&t, set_and_get, s, NULL));
	OK(fl_thread_join(t, &s->rc[i]));
}

TWO_ACTORS(local_first_set, set_first)

FL_STRESS(local_first_set, one, two)
{
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == 0 && LOOK(&s->destroyed) == 2, "two values, two ends");
	FL_ACCEPTABLE(s->rc[0] == -ENOSPC && s->rc[1] == -ENOSPC, "no more locals");
}
