/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the semaphore in shared memory. Permits are conserved at any kill, and no waiter
 * sleeps beside a permit.
 */
#include "../cases.h"
#include <fairlead/shm_sem.h>

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
}

/* There are two releases and two waiters. Each waiter gets a permit, or a wake was lost. */
struct shm_sem_post_storm {
	fl_shm_sem permits;
};

FL_STRESS_ACTOR(shm_sem_post_storm, taker)
{
	OK(fl_shm_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(shm_sem_post_storm, releaser)
{
	OK(fl_shm_sem_release(&s->permits));
	OK(fl_shm_sem_release(&s->permits));
}

FL_STRESS(shm_sem_post_storm, taker, taker, releaser)
{
	FL_ACCEPTABLE(fl_shm_sem_value(&s->permits) == 0, "both got one");
}

/* A wait for any of several objects sees what came before the release. */
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
}

/* A release that finds a waiter is killed anywhere, and another release comes. */
struct shm_sem_releasers {
	fl_shm_sem permits;
	int rc, returned[2];
};

static void release_one(struct shm_sem_releasers *s, int i)
{
	OK(fl_shm_sem_release(&s->permits));
	s->returned[i] = 1;
}

TWO_ACTORS(shm_sem_releasers, release_one)

FL_STRESS_ACTOR(shm_sem_releasers, waiter)
{
	OK(fl_shm_sem_acquire(&s->permits)); /* one of the two releasers lives */
	s->rc = 1;
}

FL_STRESS_PROCESSES(shm_sem_releasers, one, two, waiter)
{
	int value = (int)fl_shm_sem_value(&s->permits) + (s->rc != 0);
	FL_FORBIDDEN(value + fl_stress_killed("waiter") < s->returned[0] + s->returned[1], "a permit was lost");
	FL_FORBIDDEN(value > 2, "a permit was made");
	FL_FORBIDDEN(!s->rc && !fl_stress_killed("waiter"), "not taken");
	FL_ACCEPTABLE(1, "conserved");
}
