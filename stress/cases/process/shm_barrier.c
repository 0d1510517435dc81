/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The barrier in shared memory: no party passes early, also after a kill, and generations do not
 * mix.
 */
#include "../cases.h"
#include <fairlead/shm_barrier.h>

/* What each wrote before is seen by the others after. */
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

FL_STRESS_ACTOR(shm_barrier_data, one)
{
	meet(s, 0);
}

FL_STRESS_ACTOR(shm_barrier_data, two)
{
	meet(s, 1);
}

FL_STRESS(shm_barrier_data, one, two)
{
	FL_ACCEPTABLE(s->rc[0] + s->rc[1] == 1 && s->rc[0] * s->rc[1] == 0, "met");
	FL_FORBIDDEN(1, "wrong numbers");
}

/* Two phases: in the second each sees what the other wrote in both. */
struct shm_barrier_reuse {
	fl_shm_barrier b;
	int turns[2];
};

FL_STRESS_SETUP(shm_barrier_reuse)
{
	OK(fl_shm_barrier_init(&s->b, 2));
}

static void turn(struct shm_barrier_reuse *s, int i)
{
	for (int n = 0; n < 2; n++) {
		if (n % 2 == i)
			s->turns[n] = 1;
		FL_STRESS_CHECK(fl_shm_barrier_wait(&s->b) >= 0);
		FL_STRESS_CHECK(s->turns[n] == 1);
	}
}

FL_STRESS_ACTOR(shm_barrier_reuse, one)
{
	turn(s, 0);
}

FL_STRESS_ACTOR(shm_barrier_reuse, two)
{
	turn(s, 1);
}

FL_STRESS(shm_barrier_reuse, one, two)
{
	FL_ACCEPTABLE(fl_shm_barrier_waiting(&s->b) == 0, "both turns");
	FL_FORBIDDEN(1, "a waiter is left");
}

/*
 * One is killed anywhere: the others pass, or wait until a deadline breaks the barrier; never does
 * one pass and another not.
 */
struct shm_barrier_kill {
	fl_shm_barrier b;
	int begun[3], rc[3];
};

enum { NOT_YET = 77 };

FL_STRESS_SETUP(shm_barrier_kill)
{
	OK(fl_shm_barrier_init(&s->b, 3));
	for (int i = 0; i < 3; i++)
		s->rc[i] = NOT_YET;
}

static void meet_or_break(struct shm_barrier_kill *s, int i)
{
	s->begun[i] = 1;
	s->rc[i] = fl_shm_barrier_wait_until(&s->b, fl_after(FL_S(1)), NULL);
}

FL_STRESS_ACTOR(shm_barrier_kill, one)
{
	meet_or_break(s, 0);
}

FL_STRESS_ACTOR(shm_barrier_kill, two)
{
	meet_or_break(s, 1);
}

FL_STRESS_ACTOR(shm_barrier_kill, three)
{
	meet_or_break(s, 2);
}

FL_STRESS_PROCESSES(shm_barrier_kill, one, two, three)
{
	int passed = 0, failed = 0;
	for (int i = 0; i < 3; i++) {
		passed += s->rc[i] >= 0 && s->rc[i] < 3;
		failed += s->rc[i] == -EPIPE || s->rc[i] == -ETIMEDOUT;
	}
	int killed = fl_stress_killed("one") + fl_stress_killed("two") + fl_stress_killed("three");
	FL_FORBIDDEN(passed > 0 && failed > 0, "passed for some");
	FL_FORBIDDEN(passed > 0 && s->begun[0] + s->begun[1] + s->begun[2] < 3, "passed early");
	FL_FORBIDDEN(failed > 0 && !fl_shm_barrier_is_broken(&s->b), "not broken");
	FL_FORBIDDEN(passed > 0 && fl_shm_barrier_waiting(&s->b) > 0, "a phase that begins with a party in it");
	FL_ACCEPTABLE(passed == 3, "passed");
	FL_ACCEPTABLE(passed == 2, "passed without the dead");
	FL_ACCEPTABLE(failed + killed >= 3, "broken");
	FL_FORBIDDEN(1, "an error");
}

/* A deadline passes when the last party comes: both pass, or neither. */
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
	FL_FORBIDDEN(1, "passed for one");
}

/* An abort, killed anywhere, breaks the barrier for all or for none; a complete wait stays so. */
struct shm_barrier_abort {
	fl_shm_barrier b;
	int rc[2], returned;
};

FL_STRESS_SETUP(shm_barrier_abort)
{
	OK(fl_shm_barrier_init(&s->b, 2));
	s->rc[0] = s->rc[1] = NOT_YET;
}

FL_STRESS_ACTOR(shm_barrier_abort, one)
{
	s->rc[0] = fl_shm_barrier_wait_until(&s->b, fl_after(FL_S(1)), NULL);
}

FL_STRESS_ACTOR(shm_barrier_abort, two)
{
	s->rc[1] = fl_shm_barrier_wait_until(&s->b, fl_after(FL_S(1)), NULL);
}

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
	FL_FORBIDDEN(1, "passed for one");
}

/*
 * The second breaks it only if it finds it intact: so the first, killed anywhere, has left no
 * waiter asleep on a broken one.
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

static void break_if_whole(struct shm_barrier_stranded *s)
{
	if (!fl_shm_barrier_is_broken(&s->b))
		OK(fl_shm_barrier_abort(&s->b));
}

FL_STRESS_ACTOR(shm_barrier_stranded, first)
{
	break_if_whole(s);
}

FL_STRESS_ACTOR(shm_barrier_stranded, second)
{
	break_if_whole(s);
}

FL_STRESS_PROCESSES(shm_barrier_stranded, waiter, first, second)
{
	FL_FORBIDDEN(s->rc != -EPIPE && !fl_stress_killed("waiter"), "passed");
	FL_ACCEPTABLE(fl_shm_barrier_is_broken(&s->b), "broken");
	FL_FORBIDDEN(1, "not broken");
}

/*
 * A late party: its generation broke, and another one may have passed since. Two pass together, or
 * none.
 */
struct shm_barrier_late {
	fl_shm_barrier b;
	int rc[3];
};

FL_STRESS_SETUP(shm_barrier_late)
{
	OK(fl_shm_barrier_init(&s->b, 2));
}

FL_STRESS_ACTOR(shm_barrier_late, early)
{
	s->rc[0] = fl_shm_barrier_wait_until(&s->b, fl_after(FL_S(1)), NULL);
}

FL_STRESS_ACTOR(shm_barrier_late, mender)
{
	OK(fl_shm_barrier_reset(&s->b));
	s->rc[1] = fl_shm_barrier_wait_until(&s->b, fl_after(FL_S(2)), NULL);
}

FL_STRESS_ACTOR(shm_barrier_late, partner)
{
	s->rc[2] = fl_shm_barrier_try_wait(&s->b);
}

FL_STRESS(shm_barrier_late, early, mender, partner)
{
	int passed = (s->rc[0] >= 0) + (s->rc[1] >= 0) + (s->rc[2] >= 0);
	FL_FORBIDDEN(passed == 1 || passed == 3, "mixed up");
	FL_ACCEPTABLE(s->rc[0] == -EPIPE && passed == 2, "broken for the first, and the others passed");
	FL_ACCEPTABLE(passed == 2, "two passed");
	FL_ACCEPTABLE(passed == 0, "none passed");
}
