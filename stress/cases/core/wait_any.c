/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits for any of several objects: one wait in several queues. */
#include "../cases.h"
#include "core/wait/lot.h"
#include <fairlead/event.h>
#include <fairlead/latch.h>
#include <fairlead/sem.h>

/*
 * wait_any_all: two objects become ready at once; one is reported, with what came before it, and no
 * queue entry is left.
 */
struct wait_any_all {
	fl_event a, b;
	int data[2], index;
};

FL_STRESS_ACTOR(wait_any_all, waiter)
{
	s->index = FL_WAIT_ANY(FL_ON_EVENT(&s->a), FL_ON_EVENT(&s->b));
	if (s->index >= 0)
		FL_STRESS_CHECK(s->data[s->index] == 1);
}

FL_STRESS_ACTOR(wait_any_all, set_a)
{
	s->data[0] = 1;
	fl_event_set(&s->a);
}

FL_STRESS_ACTOR(wait_any_all, set_b)
{
	s->data[1] = 1;
	fl_event_set(&s->b);
}

FL_STRESS(wait_any_all, waiter, set_a, set_b)
{
	FL_FORBIDDEN(fl_event_destroy(&s->a) != 0 || fl_event_destroy(&s->b) != 0, "left in the queue");
	FL_ACCEPTABLE(s->index == 0, "the first");
	FL_ACCEPTABLE(s->index == 1, "the second");
	FL_FORBIDDEN(1, "an error");
}

/* An object that was not ready may be freed as soon as the wait has returned. */
struct wait_any_other_freed {
	fl_event *e;
	fl_sem *permits;
	int index;
};

FL_STRESS_SETUP(wait_any_other_freed)
{
	s->e = make(sizeof *s->e);
	s->permits = make(sizeof *s->permits);
}

FL_STRESS_ACTOR(wait_any_other_freed, waiter)
{
	s->index = FL_WAIT_ANY(FL_ON_SEM(s->permits), FL_ON_EVENT(s->e));
	OK(fl_sem_destroy(s->permits));
	free(s->permits);
	OK(fl_event_destroy(s->e));
	free(s->e);
}

FL_STRESS_ACTOR(wait_any_other_freed, setter)
{
	fl_event_set(s->e);
}

FL_STRESS(wait_any_other_freed, waiter, setter)
{
	FL_ACCEPTABLE(s->index == 1, "the event");
	FL_FORBIDDEN(1, "wrong result");
}

/* An object that is ready at the moment of a timeout counts; -ETIMEDOUT means that none was. */
struct wait_any_timeout {
	fl_latch done;
	fl_event never;
	int index, data;
};

FL_STRESS_SETUP(wait_any_timeout)
{
	OK(fl_latch_init(&s->done, 1));
}

FL_STRESS_ACTOR(wait_any_timeout, waiter)
{
	int64_t deadline = soon();
	s->index = FL_WAIT_ANY_UNTIL(deadline, NULL, FL_ON_LATCH(&s->done), FL_ON_EVENT(&s->never));
	if (s->index == 0)
		FL_STRESS_CHECK(s->data == 1);
	else
		FL_STRESS_CHECK(fl_now() >= deadline);
}

FL_STRESS_ACTOR(wait_any_timeout, counter)
{
	s->data = 1;
	fl_latch_count_down(&s->done, 1);
}

FL_STRESS(wait_any_timeout, waiter, counter)
{
	FL_FORBIDDEN(fl_latch_destroy(&s->done) != 0 || fl_event_destroy(&s->never) != 0, "left in the queue");
	FL_ACCEPTABLE(s->index == 0, "counted");
	FL_ACCEPTABLE(s->index == -ETIMEDOUT, "timed out");
	FL_FORBIDDEN(1, "wrong result");
}

/* A token among the objects, and one that ends the wait: each is reported as what it is. */
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
	FL_FORBIDDEN(1, "wrong result");
}

/*
 * Two watch the same permit and acquire it by the try form: one gets it, the other watches on,
 * until its deadline.
 */
struct wait_any_two_takers {
	fl_sem permits;
	int rc[2], count;
};

static int look_and_take(fl_sem *permits, int64_t deadline, int *count)
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
	FL_FORBIDDEN(1, "wrong result");
}

/*
 * An object with an arm() that waits for something else: the outer wait and the inner one do not
 * mix.
 */
struct wait_any_nested {
	fl_event first;
	fl_sem inner;
	int index, data;
};

static bool never_ready(void *object)
{
	(void)object;
	return false;
}

static bool arm_waiting(void *object, struct fl__node *node)
{
	struct wait_any_nested *s = object;
	OK(fl_sem_acquire(&s->inner));
	FL_STRESS_CHECK(s->data == 1);
	struct fl__lot lot;
	fl__lot_open(&lot, &s->data);
	fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return true;
}

static void disarm(void *object, struct fl__node *node)
{
	(void)object;
	fl__lot_leave(node);
}

static const fl_on_type waiting_type = {never_ready, arm_waiting, disarm, NULL};

FL_STRESS_ACTOR(wait_any_nested, waiter)
{
	fl_on on[] = {FL_ON_EVENT(&s->first), FL__ON(waiting_type, s)};
	s->index = fl_wait_any_until(on, 2, FL_FOREVER, NULL);
}

FL_STRESS_ACTOR(wait_any_nested, setter)
{
	fl_event_set(&s->first);
}

FL_STRESS_ACTOR(wait_any_nested, releaser)
{
	s->data = 1;
	fl_sem_release(&s->inner);
}

FL_STRESS(wait_any_nested, waiter, setter, releaser)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->first) || fl__lot_has_waiters_at(&s->data), "left in the queue");
	FL_ACCEPTABLE(s->index == 0 && fl_sem_value(&s->inner) == 0, "waited inside");
	FL_ACCEPTABLE(s->index == 0, "ready before");
	FL_FORBIDDEN(1, "wrong result");
}
