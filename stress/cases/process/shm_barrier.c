/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the barrier in shared memory. No party passes early, even after a kill, and
 * generations do not mix.
 */
#include "../cases.h"
#include <fairlead/shm_barrier.h>

enum { NOT_YET = 77 };

/*
 * An abort that is killed anywhere breaks the barrier for all parties or for none. A wait that is
 * complete stays so.
 */
struct shm_barrier_abort {
	fl_shm_barrier b;
	int rc[2], returned;
};

FL_STRESS_SETUP(shm_barrier_abort)
{
	OK(fl_shm_barrier_init(&s->b, 2));
	s->rc[0] = s->rc[1] = NOT_YET;
}

static void wait_for_abort(struct shm_barrier_abort *s, int i)
{
	s->rc[i] = fl_shm_barrier_wait_until(&s->b, fl_after(FL_S(1)), NULL);
}

TWO_ACTORS(shm_barrier_abort, wait_for_abort)

FL_STRESS_ACTOR(shm_barrier_abort, breaker)
{
	OK(fl_shm_barrier_abort(&s->b));
	s->returned = 1;
}

FL_STRESS_PROCESSES(shm_barrier_abort, one, two, breaker)
{
	bool one = s->rc[0] == 0 || s->rc[0] == 1, two = s->rc[1] == 0 || s->rc[1] == 1;
	bool parties = fl_stress_killed("one") || fl_stress_killed("two");
	FL_FORBIDDEN(s->returned && !fl_shm_barrier_is_broken(&s->b), "not broken");
	FL_ACCEPTABLE(one && two, "passed");
	FL_ACCEPTABLE(!one && !two && fl_shm_barrier_is_broken(&s->b), "broken");
	FL_ACCEPTABLE(parties, "the other survived");
}

/*
 * The second breaker breaks the barrier only if it finds it intact. So the first breaker, even if
 * it was killed, has left no waiter asleep at a broken barrier.
 */
struct shm_barrier_stranded {
	fl_shm_barrier b;
	int rc;
};

FL_STRESS_SETUP(shm_barrier_stranded)
{
	OK(fl_shm_barrier_init(&s->b, 2));
	s->rc = NOT_YET;
}

FL_STRESS_ACTOR(shm_barrier_stranded, waiter)
{
	s->rc = fl_shm_barrier_wait(&s->b);
}

FL_STRESS_ACTOR(shm_barrier_stranded, break_if_whole)
{
	if (!fl_shm_barrier_is_broken(&s->b))
		OK(fl_shm_barrier_abort(&s->b));
}

FL_STRESS_PROCESSES(shm_barrier_stranded, waiter, break_if_whole, break_if_whole)
{
	FL_FORBIDDEN(s->rc != -EPIPE && !fl_stress_killed("waiter"), "passed");
	FL_ACCEPTABLE(fl_shm_barrier_is_broken(&s->b), "broken");
}

/* A deadline passes when the last party comes. Both parties pass, or neither. */
struct shm_barrier_timeout {
	fl_shm_barrier b;
	int rc[2];
};

FL_STRESS_SETUP(shm_barrier_timeout)
{
	OK(fl_shm_barrier_init(&s->b, 2));
}

FL_STRESS_ACTOR(shm_barrier_timeout, brief)
{
	s->rc[0] = fl_shm_barrier_wait_until(&s->b, soon(), NULL);
}

FL_STRESS_ACTOR(shm_barrier_timeout, patient)
{
	s->rc[1] = fl_shm_barrier_wait(&s->b);
}

FL_STRESS(shm_barrier_timeout, brief, patient)
{
	FL_ACCEPTABLE(s->rc[0] >= 0 && s->rc[1] >= 0 && !fl_shm_barrier_is_broken(&s->b), "passed");
	FL_ACCEPTABLE(s->rc[0] == -ETIMEDOUT && s->rc[1] == -EPIPE && fl_shm_barrier_is_broken(&s->b), "broken");
}

/* What each party wrote before is seen by the other one afterwards. */
struct shm_barrier_data {
	fl_shm_barrier b;
	int data[2], rc[2];
};

FL_STRESS_SETUP(shm_barrier_data)
{
	OK(fl_shm_barrier_init(&s->b, 2));
}

static void meet(struct shm_barrier_data *s, int i)
{
	s->data[i] = 1;
	s->rc[i] = fl_shm_barrier_wait(&s->b);
	FL_STRESS_CHECK(s->data[!i] == 1);
}

TWO_ACTORS(shm_barrier_data, meet)

FL_STRESS(shm_barrier_data, one, two)
{
	FL_ACCEPTABLE(s->rc[0] + s->rc[1] == 1 && s->rc[0] * s->rc[1] == 0, "met");
}
