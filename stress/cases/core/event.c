/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the event. No waiter is forgotten, and none is woken without a set. Scenarios of
 * what the waiter sees, and of freeing the event after the wait, are in bugs.c.
 */
#include "../cases.h"
#include <fairlead/event.h>

/*
 * A worker that resets the event, checks for work, and then waits, misses nothing, even if the
 * event was set already: the check finds the work, or the wait returns. The worker sleeps forever
 * if the reset does not acquire, or if setting an event that is already set does nothing.
 */
struct event_reset_look_wait {
	fl_event e;
	atomic_int work;
	bool looked, waited;
};

FL_STRESS_SETUP(event_reset_look_wait)
{
	fl_event_set(&s->e);
}

FL_STRESS_ACTOR(event_reset_look_wait, setter)
{
	SET(&s->work, 1);
	fl_event_set(&s->e);
}

FL_STRESS_ACTOR(event_reset_look_wait, worker)
{
	fl_event_reset(&s->e);
	s->looked = LOOK(&s->work);
	if (s->looked)
		return;
	OK(fl_event_wait(&s->e));
	s->waited = LOOK(&s->work);
}

FL_STRESS(event_reset_look_wait, setter, worker)
{
	FL_ACCEPTABLE(s->looked, "found by the look");
	FL_ACCEPTABLE(s->waited, "found after the wait");
}

/*
 * A wait after a reset is not woken by the set before the reset. There is one set, and the second
 * waiter has seen it, so its own wait times out.
 */
struct event_stale_wake {
	fl_event e;
	int first, second;
};

FL_STRESS_ACTOR(event_stale_wake, setter)
{
	fl_event_set(&s->e);
}

FL_STRESS_ACTOR(event_stale_wake, first)
{
	s->first = fl_event_wait_until(&s->e, soon(), NULL);
}

FL_STRESS_ACTOR(event_stale_wake, second)
{
	s->second = -EAGAIN;
	if (!fl_event_is_set(&s->e))
		return;
	fl_event_reset(&s->e);
	s->second = fl_event_wait_until(&s->e, soon(), NULL);
}

FL_STRESS(event_stale_wake, setter, first, second)
{
	FL_FORBIDDEN(s->second == 0, "woken by an earlier set");
	FL_ACCEPTABLE(s->second == -ETIMEDOUT, "timed out");
	FL_ACCEPTABLE(s->second == -EAGAIN, "too early");
}

/*
 * eintr_storm, spurious_futex: one set wakes all waiters, with and without a deadline. A wait
 * without a deadline returns only for a set, whatever the futex returns.
 */
struct event_wakes_all {
	fl_event e;
	atomic_int set;
	int rc[2];
};

FL_STRESS_ACTOR(event_wakes_all, one)
{
	s->rc[0] = fl_event_wait(&s->e);
	FL_STRESS_CHECK(LOOK(&s->set));
}

FL_STRESS_ACTOR(event_wakes_all, two)
{
	s->rc[1] = fl_event_wait_until(&s->e, soon(), NULL);
}

FL_STRESS_ACTOR(event_wakes_all, setter)
{
	SET(&s->set, 1);
	fl_event_set(&s->e);
}

FL_STRESS(event_wakes_all, one, two, setter)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->e), "left in the queue");
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == 0, "both woken");
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == -ETIMEDOUT, "one timed out");
}

/*
 * The event resets itself. One set lets one wait return, which sees what came before the set. Then
 * the event is not set any more.
 */
struct event_auto_data {
	fl_event e;
	int data, seen;
};

FL_STRESS_SETUP(event_auto_data)
{
	fl_event_init_auto(&s->e);
}

FL_STRESS_ACTOR(event_auto_data, setter)
{
	s->data = 1;
	fl_event_set(&s->e);
}

FL_STRESS_ACTOR(event_auto_data, waiter)
{
	OK(fl_event_wait(&s->e));
	s->seen = s->data;
}

FL_STRESS(event_auto_data, setter, waiter)
{
	FL_FORBIDDEN(fl_event_is_set(&s->e) || fl__lot_has_waiters_at(&s->e), "still set, or a waiter left");
	FL_ACCEPTABLE(s->seen, "data seen");
}

/*
 * There are two sets, and two waits without a deadline. The second set comes after the first one
 * was taken, so it is not lost in the first one.
 */
struct event_auto_queue {
	fl_event e;
	atomic_int returned;
};

FL_STRESS_SETUP(event_auto_queue)
{
	fl_event_init_auto(&s->e);
}

FL_STRESS_ACTOR(event_auto_queue, await_turn)
{
	OK(fl_event_wait(&s->e));
	COUNT(&s->returned);
}

FL_STRESS_ACTOR(event_auto_queue, setter)
{
	fl_event_set(&s->e);
	while (LOOK(&s->returned) == 0)
		fl_stress_relax();
	fl_event_set(&s->e);
}

FL_STRESS(event_auto_queue, await_turn, await_turn, setter)
{
	FL_ACCEPTABLE(!fl_event_is_set(&s->e) && !fl__lot_has_waiters_at(&s->e), "both returned");
}

/* A wait for any of several objects takes no set from a waiter in the same queue. */
struct event_auto_wait_any {
	fl_event e;
	int index;
};

FL_STRESS_SETUP(event_auto_wait_any)
{
	fl_event_init_auto(&s->e);
}

FL_STRESS_ACTOR(event_auto_wait_any, looker)
{
	s->index = FL_WAIT_ANY_UNTIL(soon(), NULL, FL_ON_EVENT(&s->e));
}

FL_STRESS_ACTOR(event_auto_wait_any, waiter)
{
	OK(fl_event_wait(&s->e));
}

FL_STRESS_ACTOR(event_auto_wait_any, setter)
{
	fl_event_set(&s->e);
}

FL_STRESS(event_auto_wait_any, looker, waiter, setter)
{
	FL_FORBIDDEN(fl_event_is_set(&s->e) || fl__lot_has_waiters_at(&s->e), "a set, or a waiter, is left");
	FL_ACCEPTABLE(s->index == 0, "the looker saw it");
	FL_ACCEPTABLE(s->index == -ETIMEDOUT, "the looker saw nothing");
}

/*
 * One wait takes two sets together, and sees what came before both; or it takes one, and the event
 * is still set.
 */
struct event_auto_two_sets {
	fl_event e;
	atomic_int data[2];
	int seen;
};

FL_STRESS_SETUP(event_auto_two_sets)
{
	fl_event_init_auto(&s->e);
}

static void write_and_set(struct event_auto_two_sets *s, int i)
{
	SET(&s->data[i], 1);
	fl_event_set(&s->e);
}

TWO_ACTORS(event_auto_two_sets, write_and_set)

FL_STRESS_ACTOR(event_auto_two_sets, waiter)
{
	OK(fl_event_wait(&s->e));
	s->seen = LOOK(&s->data[0]) + LOOK(&s->data[1]);
}

FL_STRESS(event_auto_two_sets, one, two, waiter)
{
	FL_ACCEPTABLE(s->seen == 2, "both seen");
	FL_ACCEPTABLE(s->seen == 1 && fl_event_is_set(&s->e), "one seen, the other is still set");
}
