/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bugs of other queues (docs/bugs.md) without a scenario of that name elsewhere: remains of a wake,
 * or of a select.
 */
#include "../cases.h"
#include <fairlead/queue.h>
#include <fairlead/select.h>

static fl_queue *queue_of(size_t capacity)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = capacity}));
	return q;
}

/*
 * One wake is under way at a time. If its sleeper gives up, the next put wakes again, or the
 * sleeper has passed the wake on: a new sleeper gets an item.
 */
struct wake_in_flight_stuck {
	fl_queue *q;
	int rc, got[2];
};

FL_STRESS_SETUP(wake_in_flight_stuck)
{
	s->q = queue_of(2);
}

FL_STRESS_ACTOR(wake_in_flight_stuck, brief)
{
	s->rc = fl_queue_get_until(s->q, &s->got[0], soon(), NULL);
}

FL_STRESS_ACTOR(wake_in_flight_stuck, patient)
{
	OK(fl_queue_get(s->q, &s->got[1]));
}

FL_STRESS_ACTOR(wake_in_flight_stuck, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS(wake_in_flight_stuck, brief, patient, producer)
{
	const size_t left = fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0 && s->got[0] + s->got[1] == 3 && left == 0, "one each");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->got[0] == 0 && s->got[1] == 1 && left == 1, "one gave up");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * Two queues on which a select waits are closed at once. It returns after the first close: the
 * second close must touch neither its memory, its cases and its queue entry, nor the next wait at
 * the same place.
 */
struct close_vs_select_use_after_free {
	fl_queue *a, *b;
	int got, first;
};

FL_STRESS_SETUP(close_vs_select_use_after_free)
{
	const size_t capacity = fl_stress_choose(2) == 0 ? 1 : FL_RENDEZVOUS;
	s->a = queue_of(capacity);
	s->b = queue_of(capacity);
}

static int select_once(fl_queue *a, fl_queue *b, int *got)
{
	fl_select_case *cases = make(2 * sizeof *cases);
	cases[0] = (fl_select_case)FL_GET(a, got);
	cases[1] = (fl_select_case)FL_GET(b, got);
	FL_STRESS_CHECK(fl_select_until(cases, 2, FL_FOREVER, NULL) == -EPIPE);
	const int closed = cases[0].closed ? 0 : 1;
	FL_STRESS_CHECK(cases[closed].closed && !cases[1 - closed].closed);
	free(cases);
	return closed;
}

FL_STRESS_ACTOR(close_vs_select_use_after_free, selects)
{
	s->first = select_once(s->a, s->b, &s->got);
	FL_STRESS_CHECK(select_once(s->first == 0 ? NULL : s->a, s->first == 0 ? s->b : NULL, &s->got) != s->first);
}

FL_STRESS_ACTOR(close_vs_select_use_after_free, left)
{
	fl_queue_close(s->a);
}

FL_STRESS_ACTOR(close_vs_select_use_after_free, right)
{
	fl_queue_close(s->b);
}

FL_STRESS(close_vs_select_use_after_free, selects, left, right)
{
	fl_queue_free(s->a);
	fl_queue_free(s->b);
	FL_FORBIDDEN(s->got != 0, "something from nowhere");
	FL_ACCEPTABLE(s->first == 0, "the left one first");
	FL_ACCEPTABLE(s->first == 1, "the right one first");
}

/*
 * A select that has an item, or gave up, is in no wait queue any more: the next put is for a new
 * waiter. (A queue that is freed with a waiter panics.)
 */
struct select_leaves_waiter {
	fl_queue *a, *b;
	int which, got[2], rc;
};

FL_STRESS_SETUP(select_leaves_waiter)
{
	const size_t capacity = fl_stress_choose(2) == 0 ? 1 : FL_RENDEZVOUS;
	s->a = queue_of(capacity);
	s->b = queue_of(capacity);
}

FL_STRESS_ACTOR(select_leaves_waiter, selects)
{
	s->which = FL_SELECT_UNTIL(soon(), NULL, FL_GET(s->a, &s->got[0]), FL_GET(s->b, &s->got[0]));
	if (s->which == 0)
		OK(fl_queue_put(s->a, &s->got[0])); /* it was the other's */
}

FL_STRESS_ACTOR(select_leaves_waiter, waits)
{
	OK(fl_queue_get(s->a, &s->got[1]));
}

FL_STRESS_ACTOR(select_leaves_waiter, producer)
{
	s->rc = fl_queue_put_until(s->b, &(int){1}, soon(), NULL);
	OK(fl_queue_put(s->a, &(int){2}));
}

FL_STRESS(select_leaves_waiter, selects, waits, producer)
{
	const size_t left = fl_queue_length(s->a) + fl_queue_length(s->b);
	fl_queue_free(s->a);
	fl_queue_free(s->b);
	FL_FORBIDDEN(s->got[1] != 2, "wrong item");
	FL_FORBIDDEN(left + (s->which == 1 ? 1 : 0) != (s->rc == 0 ? 1 : 0), "lost or doubled");
	FL_ACCEPTABLE(s->which == 0 && s->got[0] == 2, "got the other's");
	FL_ACCEPTABLE(s->which == 1 && s->got[0] == 1, "got one");
	FL_ACCEPTABLE(s->which == -ETIMEDOUT && s->got[0] == 0, "gave up");
}
