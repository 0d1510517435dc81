/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of releases in signal handlers. A handler never waits. To play a handler that has
 * interrupted the holder of the bucket, an actor makes its call while another actor holds the
 * bucket.
 */
#include "../cases.h"
#include <fairlead/sem.h>

/*
 * The limit includes permits that are to be handed over, and does not fail a release because of
 * them.
 */
struct sem_handler_bounded {
	fl_sem permits;
};

FL_STRESS_SETUP(sem_handler_bounded)
{
	OK(fl_sem_init_bounded(&s->permits, 0, 1));
}

static void take_then_give(fl_sem *permits)
{
	OK(fl_sem_acquire(permits));
	fl_sem_release(permits);
}

FL_STRESS_ACTOR(sem_handler_bounded, handler)
{
	fl_sem_release_in_handler(&s->permits);
}

FL_STRESS_ACTOR(sem_handler_bounded, user)
{
	take_then_give(&s->permits);
}

FL_STRESS(sem_handler_bounded, handler, user, user)
{
	FL_ACCEPTABLE(fl_sem_value(&s->permits) == 1, "both had it");
}

/* A waiter for two permits gives up. No permit is lost on the way to it. */
struct sem_handler_give_up {
	fl_sem permits;
	int rc;
};

FL_STRESS_ACTOR(sem_handler_give_up, brief)
{
	s->rc = fl_sem_acquire_n_until(&s->permits, 2, soon(), NULL);
}

FL_STRESS_ACTOR(sem_handler_give_up, patient)
{
	OK(fl_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(sem_handler_give_up, handler)
{
	fl_sem_release_in_handler(&s->permits);
	fl_sem_release_in_handler(&s->permits);
	fl_sem_release_in_handler(&s->permits);
}

FL_STRESS(sem_handler_give_up, brief, patient, handler)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->permits), "left in the queue");
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->permits) == 0, "acquired");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && fl_sem_value(&s->permits) == 2, "timed out");
}
