/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore in shared memory: permits are conserved at any kill, and no waiter sleeps beside
 * one.
 */
#include "../cases.h"
#include <fairlead/shm_sem.h>

/* An acquire sees what came before the release of its permit. */
struct shm_sem_data {
	fl_shm_sem permits;
	int data, seen;
};

FL_STRESS_ACTOR(shm_sem_data, releaser)
{
	s->data = 1;
	OK(fl_shm_sem_release(&s->permits));
}

FL_STRESS_ACTOR(shm_sem_data, acquirer)
{
	OK(fl_shm_sem_acquire(&s->permits));
	s->seen = s->data;
}

FL_STRESS(shm_sem_data, releaser, acquirer)
{
	FL_FORBIDDEN(fl_shm_sem_value(&s->permits) != 0, "a permit was made");
	FL_ACCEPTABLE(s->seen, "data seen");
	FL_FORBIDDEN(1, "data missed");
}

struct shm_sem_try_data {
	fl_shm_sem permits;
	int data, rc;
};

FL_STRESS_ACTOR(shm_sem_try_data, releaser)
{
	s->data = 1;
	OK(fl_shm_sem_release(&s->permits));
}

FL_STRESS_ACTOR(shm_sem_try_data, tryer)
{
	s->rc = fl_shm_sem_try_acquire(&s->permits);
	if (s->rc == 0)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(shm_sem_try_data, releaser, tryer)
{
	FL_ACCEPTABLE(s->rc == 0 && fl_shm_sem_value(&s->permits) == 0, "taken");
	FL_ACCEPTABLE(s->rc == -EAGAIN && fl_shm_sem_value(&s->permits) == 1, "too early");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/* An observer among several objects sees what came before the release. */
struct shm_sem_any_data {
	fl_shm_sem permits;
	int data, index;
};

FL_STRESS_ACTOR(shm_sem_any_data, releaser)
{
	s->data = 1;
	OK(fl_shm_sem_release(&s->permits));
}

FL_STRESS_ACTOR(shm_sem_any_data, looker)
{
	s->index = FL_WAIT_ANY(FL_ON_SHM_SEM(&s->permits));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(shm_sem_any_data, releaser, looker)
{
	FL_ACCEPTABLE(s->index == 0 && fl_shm_sem_value(&s->permits) == 1, "seen, and left");
	FL_FORBIDDEN(1, "taken");
}

/* Two releases, with two waiters: each gets a permit, or a wake was lost. */
struct shm_sem_post_storm {
	fl_shm_sem permits;
};

FL_STRESS_ACTOR(shm_sem_post_storm, one)
{
	OK(fl_shm_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(shm_sem_post_storm, two)
{
	OK(fl_shm_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(shm_sem_post_storm, releaser)
{
	OK(fl_shm_sem_release(&s->permits));
	OK(fl_shm_sem_release(&s->permits));
}

FL_STRESS(shm_sem_post_storm, one, two, releaser)
{
	FL_ACCEPTABLE(fl_shm_sem_value(&s->permits) == 0, "both got one");
	FL_FORBIDDEN(1, "a permit was made");
}

/* Any of them is killed: permits are conserved. */
struct shm_sem_conserved {
	fl_shm_sem permits;
	int rc[2], released;
};

FL_STRESS_SETUP(shm_sem_conserved)
{
	s->rc[0] = s->rc[1] = 1;
}

FL_STRESS_ACTOR(shm_sem_conserved, one)
{
	s->rc[0] = fl_shm_sem_acquire_until(&s->permits, fl_after(FL_S(1)), NULL);
}

FL_STRESS_ACTOR(shm_sem_conserved, two)
{
	s->rc[1] = fl_shm_sem_acquire_until(&s->permits, fl_after(FL_S(1)), NULL);
}

FL_STRESS_ACTOR(shm_sem_conserved, releaser)
{
	for (; s->released < 2; s->released++)
		OK(fl_shm_sem_release(&s->permits));
}

FL_STRESS_PROCESSES(shm_sem_conserved, one, two, releaser)
{
	int permits = (int)fl_shm_sem_value(&s->permits) + (s->rc[0] == 0) + (s->rc[1] == 0);
	int waiters = fl_stress_killed("one") + fl_stress_killed("two");
	FL_FORBIDDEN(permits + waiters < s->released, "a permit was lost");
	FL_FORBIDDEN(permits > s->released + fl_stress_killed("releaser"), "a permit was made");
	FL_ACCEPTABLE(1, "conserved");
}

/* A release that finds a waiter is killed anywhere, and another release comes. */
struct shm_sem_releasers {
	fl_shm_sem permits;
	int rc, returned[2];
};

FL_STRESS_ACTOR(shm_sem_releasers, left)
{
	OK(fl_shm_sem_release(&s->permits));
	s->returned[0] = 1;
}

FL_STRESS_ACTOR(shm_sem_releasers, right)
{
	OK(fl_shm_sem_release(&s->permits));
	s->returned[1] = 1;
}

FL_STRESS_ACTOR(shm_sem_releasers, waiter)
{
	OK(fl_shm_sem_acquire(&s->permits)); /* one of the two lives */
	s->rc = 1;
}

FL_STRESS_PROCESSES(shm_sem_releasers, left, right, waiter)
{
	int value = (int)fl_shm_sem_value(&s->permits) + (s->rc != 0);
	FL_FORBIDDEN(value + fl_stress_killed("waiter") < s->returned[0] + s->returned[1], "a permit was lost");
	FL_FORBIDDEN(value > 2, "a permit was made");
	FL_FORBIDDEN(!s->rc && !fl_stress_killed("waiter"), "not taken");
	FL_ACCEPTABLE(1, "conserved");
}

/* A wait that times out holds no permit. */
struct shm_sem_timeout {
	fl_shm_sem permits;
	int rc, released;
};

FL_STRESS_ACTOR(shm_sem_timeout, waiter)
{
	s->rc = 1;
	s->rc = fl_shm_sem_acquire_until(&s->permits, soon(), NULL);
}

FL_STRESS_ACTOR(shm_sem_timeout, releaser)
{
	OK(fl_shm_sem_release(&s->permits));
	s->released = 1;
}

FL_STRESS_PROCESSES(shm_sem_timeout, waiter, releaser)
{
	int value = (int)fl_shm_sem_value(&s->permits);
	FL_ACCEPTABLE(fl_stress_killed("waiter") && value <= 1, "one at most is gone");
	FL_FORBIDDEN(value + (s->rc == 0) < s->released, "a permit was lost");
	FL_ACCEPTABLE(s->rc == 0 && value == 0, "acquired");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && value == 1, "timed out");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && !s->released && value == 0, "the releaser died");
	FL_FORBIDDEN(1, "a permit was made");
}
