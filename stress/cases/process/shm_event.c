/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the event in shared memory. A set that has returned wakes all waiters. If a process
 * is killed in a set, either all contexts see the event set, or none does.
 */
#include "../cases.h"
#include <fairlead/shm_event.h>

/* Whichever way a context sees that the event is set, it also sees what came before. */
struct shm_event_data {
	fl_shm_event e;
	int data;
};

FL_STRESS_ACTOR(shm_event_data, setter)
{
	s->data = 1;
	OK(fl_shm_event_set(&s->e));
}

FL_STRESS_ACTOR(shm_event_data, waiter)
{
	OK(fl_shm_event_wait(&s->e));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(shm_event_data, looker)
{
	if (fl_shm_event_is_set(&s->e))
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(shm_event_data, setter, waiter, looker)
{
	FL_ACCEPTABLE(fl_shm_event_is_set(&s->e), "set");
}

/*
 * A worker resets the event, checks for work, and then waits. The reset sees what each set before
 * it wrote, or the wait ends.
 */
struct shm_event_reset_and_look {
	fl_shm_event e;
	atomic_int work;
	int found;
};

FL_STRESS_ACTOR(shm_event_reset_and_look, giver)
{
	SET(&s->work, 1);
	OK(fl_shm_event_set(&s->e));
}

FL_STRESS_ACTOR(shm_event_reset_and_look, worker)
{
	while (!s->found) {
		fl_shm_event_reset(&s->e);
		s->found = LOOK(&s->work);
		if (!s->found)
			OK(fl_shm_event_wait(&s->e));
	}
}

FL_STRESS(shm_event_reset_and_look, giver, worker)
{
	FL_ACCEPTABLE(s->found, "found");
}

/*
 * A set that has returned stays visible after any kill. The next scenario tests that its waiters
 * are woken.
 */
struct shm_event_kill {
	fl_shm_event e;
	int rc[2], returned;
};

FL_STRESS_SETUP(shm_event_kill)
{
	s->rc[0] = s->rc[1] = 1;
}

FL_STRESS_ACTOR(shm_event_kill, setter)
{
	OK(fl_shm_event_set(&s->e));
	s->returned = 1;
}

static void wait_for_set(struct shm_event_kill *s, int i)
{
	s->rc[i] = fl_shm_event_wait_until(&s->e, fl_after(FL_S(1)), NULL);
}

TWO_ACTORS(shm_event_kill, wait_for_set)

FL_STRESS_PROCESSES(shm_event_kill, setter, one, two)
{
	bool slept = s->rc[0] == -ETIMEDOUT || s->rc[1] == -ETIMEDOUT;
	FL_FORBIDDEN(s->returned && !fl_shm_event_is_set(&s->e), "a set was lost");
	FL_ACCEPTABLE(slept, "timed out");
	FL_ACCEPTABLE(1, "woken");
}

/* Of two setters one lives, so no deadline is needed. */
struct shm_event_setters {
	fl_shm_event e;
};

FL_STRESS_ACTOR(shm_event_setters, setter)
{
	OK(fl_shm_event_set(&s->e));
}

FL_STRESS_ACTOR(shm_event_setters, waiter)
{
	OK(fl_shm_event_wait(&s->e));
}

FL_STRESS_PROCESSES(shm_event_setters, setter, setter, waiter)
{
	FL_ACCEPTABLE(fl_shm_event_is_set(&s->e), "set");
}

/* A set that has found a waiter ends the wait, however soon the event is reset. */
struct shm_event_pulse {
	fl_shm_event e;
};

FL_STRESS_ACTOR(shm_event_pulse, waiter)
{
	OK(fl_shm_event_wait(&s->e));
}

FL_STRESS_ACTOR(shm_event_pulse, setter)
{
	/* The event is not set, and never was, so a word that is not 0 has WAITERS. */
	bool awaited = __atomic_load_n(&s->e.word_, __ATOMIC_RELAXED) != 0;
	OK(fl_shm_event_set(&s->e));
	if (awaited)
		fl_shm_event_reset(&s->e);
}

FL_STRESS(shm_event_pulse, waiter, setter)
{
	FL_ACCEPTABLE(fl_shm_event_is_set(&s->e), "set");
	FL_ACCEPTABLE(1, "set, and reset");
}
