/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of waits for any of several objects: one wait in several queues. */
#include "../cases.h"
#include <fairlead/latch.h>
#include <fairlead/sem.h>

/* A token is among the objects, and another token ends the wait. Each is reported as what it is. */
struct wait_any_cancel {
	fl_cancel_token thing, stop;
	int data[2], index;
};

FL_STRESS_ACTOR(wait_any_cancel, waiter)
{
	s->index = FL_WAIT_ANY_UNTIL(FL_FOREVER, &s->stop, FL_ON_CANCEL_TOKEN(&s->thing));
	FL_STRESS_CHECK(s->data[s->index == 0 ? 0 : 1] == 1);
}

FL_STRESS_ACTOR(wait_any_cancel, request)
{
	s->data[0] = 1;
	fl_cancel_token_request(&s->thing);
}

FL_STRESS_ACTOR(wait_any_cancel, canceller)
{
	s->data[1] = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(wait_any_cancel, waiter, request, canceller)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->thing) || fl__lot_has_waiters_at(&s->stop), "left in the queue");
	FL_ACCEPTABLE(s->index == 0, "requested");
	FL_ACCEPTABLE(s->index == -ECANCELED, "cancelled");
}

/*
 * Two contexts watch the same permit, and acquire it by a try. One of them gets it. The other
 * continues to watch until its deadline.
 */
struct wait_any_two_takers {
	fl_sem permits;
	int rc[2], count;
};

static int look_and_take(fl_sem *permits, fl_time deadline, int *count)
{
	for (;;) {
		int rc = FL_WAIT_ANY_UNTIL(deadline, NULL, FL_ON_SEM(permits));
		if (rc != 0)
			return rc;
		if (fl_sem_try_acquire(permits) == 0) {
			(*count)++;
			return 0;
		}
	}
}

FL_STRESS_ACTOR(wait_any_two_takers, one)
{
	s->rc[0] = look_and_take(&s->permits, FL_FOREVER, &s->count);
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(wait_any_two_takers, two)
{
	s->rc[1] = look_and_take(&s->permits, soon(), &s->count);
	if (s->rc[1] == 0)
		fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(wait_any_two_takers, releaser)
{
	fl_sem_release(&s->permits);
}

FL_STRESS(wait_any_two_takers, one, two, releaser)
{
	FL_FORBIDDEN(s->rc[0] != 0 || fl_sem_value(&s->permits) != 1, "a permit was made or lost");
	FL_ACCEPTABLE(s->rc[1] == 0 && s->count == 2, "both, in turn");
	FL_ACCEPTABLE(s->rc[1] == -ETIMEDOUT && s->count == 1, "one");
}
