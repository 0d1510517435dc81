/* SPDX-License-Identifier: BSD-2-Clause */
/* Select: exactly one of its cases is made, and other waiters in the same queues get on. */
#include "../cases.h"
#include "core/queue/queue.h"
#include <fairlead/queue.h>
#include <fairlead/select.h>

static fl_queue *queue_of(size_t capacity)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = capacity}));
	return q;
}

static void free_both(fl_queue *a, fl_queue *b)
{
	fl_queue_free(a);
	fl_queue_free(b);
}

/* Two producers, two queues: two selects get both items, with what came before them. */
struct select_gets {
	fl_queue *a, *b;
	int data[2], got[2];
};

FL_STRESS_SETUP(select_gets)
{
	s->a = queue_of(1);
	s->b = queue_of(1);
}

FL_STRESS_ACTOR(select_gets, one)
{
	s->data[0] = 1;
	OK(fl_queue_put(s->a, &(int){1}));
}

FL_STRESS_ACTOR(select_gets, two)
{
	s->data[1] = 1;
	OK(fl_queue_put(s->b, &(int){2}));
}

FL_STRESS_ACTOR(select_gets, selects)
{
	for (int i = 0; i < 2; i++) {
		const int which = FL_SELECT(FL_GET(s->a, &s->got[i]), FL_GET(s->b, &s->got[i]));
		FL_STRESS_CHECK(which == s->got[i] - 1);
		FL_STRESS_CHECK(s->data[which] == 1);
	}
}

FL_STRESS(select_gets, one, two, selects)
{
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->got[0] + s->got[1] == 3 && s->got[0] * s->got[1] == 2, "both");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * A get waits beside a select in the queue of a. The select may be woken there and get from b: then
 * it must wake the get, which would otherwise sleep beside an item.
 */
struct select_baton {
	fl_queue *a, *b;
	int got[2];
};

FL_STRESS_SETUP(select_baton)
{
	s->a = queue_of(2);
	s->b = queue_of(2);
}

FL_STRESS_ACTOR(select_baton, producer)
{
	OK(fl_queue_put(s->a, &(int){1}));
	OK(fl_queue_put(s->b, &(int){2}));
	OK(fl_queue_put(s->a, &(int){3}));
}

FL_STRESS_ACTOR(select_baton, selects)
{
	FL_STRESS_CHECK(FL_SELECT(FL_GET(s->a, &s->got[0]), FL_GET(s->b, &s->got[0])) >= 0);
}

FL_STRESS_ACTOR(select_baton, consumer)
{
	OK(fl_queue_get(s->a, &s->got[1]));
}

FL_STRESS(select_baton, producer, selects, consumer)
{
	const size_t left = fl_queue_length(s->a) + fl_queue_length(s->b);
	int rest = 0;
	OK(fl_queue_try_get(s->got[0] == 2 ? s->a : s->b, &rest));
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->got[0] + s->got[1] + rest == 6 && left == 1 && s->got[1] != 2, "each once");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * A get and a put: a queue is filled, or space is made, or the deadline passes. Exactly one has
 * happened.
 */
struct select_either {
	fl_queue *a, *b;
	int which, got, taken;
};

FL_STRESS_SETUP(select_either)
{
	s->a = queue_of(1);
	s->b = queue_of(1);
	OK(fl_queue_try_put(s->b, &(int){8}));
}

FL_STRESS_ACTOR(select_either, selects)
{
	s->which = FL_SELECT_UNTIL(soon(), NULL, FL_GET(s->a, &s->got), FL_PUT(s->b, &(int){9}));
}

FL_STRESS_ACTOR(select_either, producer)
{
	OK(fl_queue_put(s->a, &(int){7}));
}

FL_STRESS_ACTOR(select_either, consumer)
{
	OK(fl_queue_get(s->b, &s->taken));
}

FL_STRESS(select_either, selects, producer, consumer)
{
	const size_t in_a = fl_queue_length(s->a), in_b = fl_queue_length(s->b);
	free_both(s->a, s->b);
	FL_FORBIDDEN(s->taken != 8, "wrong item");
	FL_ACCEPTABLE(s->which == 0 && s->got == 7 && in_a == 0 && in_b == 0, "got");
	FL_ACCEPTABLE(s->which == 1 && s->got == 0 && in_a == 1 && in_b == 1, "put");
	FL_ACCEPTABLE(s->which == -ETIMEDOUT && s->got == 0 && in_a == 1 && in_b == 0, "neither");
	FL_FORBIDDEN(1, "both, or half of one");
}

/* close_misses_waiter: a select returns, and says which queue was closed. */
struct select_close {
	fl_queue *a, *b;
	int which, got;
	bool closed[2];
};

FL_STRESS_SETUP(select_close)
{
	s->a = queue_of(1);
	s->b = queue_of(1);
}

FL_STRESS_ACTOR(select_close, selects)
{
	fl_select_case cases[] = {FL_GET(s->a, &s->got), FL_GET(s->b, &s->got)};
	s->which = fl_select_until(cases, 2, FL_FOREVER, NULL);
	s->closed[0] = cases[0].closed;
	s->closed[1] = cases[1].closed;
}

FL_STRESS_ACTOR(select_close, closer)
{
	fl_queue_close(s->a);
}

FL_STRESS_ACTOR(select_close, producer)
{
	OK(fl_queue_put(s->b, &(int){2}));
}

FL_STRESS(select_close, selects, closer, producer)
{
	const size_t left = fl_queue_length(s->b);
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->which == -EPIPE && s->closed[0] && !s->closed[1] && left == 1, "closed");
	FL_ACCEPTABLE(s->which == 1 && s->got == 2 && !s->closed[0] && !s->closed[1] && left == 0, "got");
	FL_FORBIDDEN(1, "wrong");
}

/*
 * A ring and a rendezvous: a select that met a partner, or gave up, has left the ring's item to the
 * other waiter.
 */
struct select_mixed {
	fl_queue *ring, *meets;
	int which, got, rest;
};

FL_STRESS_SETUP(select_mixed)
{
	s->ring = queue_of(1);
	s->meets = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_mixed, selects)
{
	s->which = FL_SELECT(FL_GET(s->ring, &s->got), FL_GET(s->meets, &s->got));
	OK(s->which == 0 ? fl_queue_get(s->meets, &s->rest) : fl_queue_get(s->ring, &s->rest));
}

FL_STRESS_ACTOR(select_mixed, one)
{
	OK(fl_queue_put(s->ring, &(int){1}));
}

FL_STRESS_ACTOR(select_mixed, two)
{
	OK(fl_queue_put(s->meets, &(int){2}));
}

FL_STRESS(select_mixed, selects, one, two)
{
	free_both(s->ring, s->meets);
	FL_ACCEPTABLE(s->got == s->which + 1 && s->got + s->rest == 3, "each once");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* The getter of a select's item may free that queue, in whichever way the select put the item. */
struct select_free_after_put {
	fl_queue *never, *full;
	int got[2];
};

FL_STRESS_SETUP(select_free_after_put)
{
	s->never = queue_of(1);
	s->full = queue_of(1);
	OK(fl_queue_try_put(s->full, &(int){1}));
}

FL_STRESS_ACTOR(select_free_after_put, selects)
{
	int got;
	FL_STRESS_CHECK(FL_SELECT(FL_GET(s->never, &got), FL_PUT(s->full, &(int){2})) == 1);
}

FL_STRESS_ACTOR(select_free_after_put, consumer)
{
	OK(fl_queue_get(s->full, &s->got[0]));
	OK(fl_queue_get(s->full, &s->got[1]));
	fl_queue_free(s->full);
}

FL_STRESS(select_free_after_put, selects, consumer)
{
	fl_queue_free(s->never);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2, "freed");
	FL_FORBIDDEN(1, "wrong item");
}

/* The same queue more than once, beside a waiter that is there once: each gets one item. */
struct select_same_twice {
	fl_queue *q;
	int got[3];
};

FL_STRESS_SETUP(select_same_twice)
{
	s->q = queue_of(fl_stress_choose(2) == 0 ? 1 : FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_same_twice, selects)
{
	const int which = FL_SELECT(FL_GET(s->q, &s->got[0]), FL_GET(s->q, &s->got[1]));
	FL_STRESS_CHECK(which >= 0 && s->got[which] != 0 && s->got[1 - which] == 0);
}

FL_STRESS_ACTOR(select_same_twice, waits)
{
	OK(fl_queue_get(s->q, &s->got[2]));
}

FL_STRESS_ACTOR(select_same_twice, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS(select_same_twice, selects, waits, producer)
{
	fl_queue_free(s->q);
	const int first = s->got[0] + s->got[1];
	FL_ACCEPTABLE(first + s->got[2] == 3 && first * s->got[2] == 2, "one each");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * Two wakes: a select may be woken in one queue after another, and gets at most one item, or gives
 * up. No waiter in either queue has lost a wake to it.
 */
struct select_two_batons {
	fl_queue *a, *b;
	int got[3];
};

FL_STRESS_SETUP(select_two_batons)
{
	s->a = queue_of(2);
	s->b = queue_of(2);
}

FL_STRESS_ACTOR(select_two_batons, selects)
{
	if (FL_SELECT_UNTIL(soon(), NULL, FL_GET(s->a, &s->got[0]), FL_GET(s->b, &s->got[0])) >= 0)
		OK(s->got[0] < 3 ? fl_queue_put(s->a, &s->got[0]) : fl_queue_put(s->b, &s->got[0]));
}

FL_STRESS_ACTOR(select_two_batons, of_a)
{
	OK(fl_queue_get(s->a, &s->got[1]));
}

FL_STRESS_ACTOR(select_two_batons, of_b)
{
	OK(fl_queue_get(s->b, &s->got[2]));
}

FL_STRESS_ACTOR(select_two_batons, producer)
{
	OK(fl_queue_put(s->a, &(int){1}));
	OK(fl_queue_put(s->b, &(int){3}));
}

FL_STRESS(select_two_batons, selects, of_a, of_b, producer)
{
	free_both(s->a, s->b);
	FL_FORBIDDEN(s->got[1] != 1 || s->got[2] != 3, "wrong item");
	FL_ACCEPTABLE(s->got[0] == 1 || s->got[0] == 3, "it had one");
	FL_ACCEPTABLE(s->got[0] == 0, "it gave up");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * The first wake is for an item that is gone again. On its way back into the queues, between those
 * of b and a, the select is woken in b. Whichever item it gets, it passes on both wakes; otherwise
 * a waiter for a alone sleeps beside an item. The rendezvous have addresses between the queues':
 * they never have a partner, but an observer that has enqueued checks them.
 */
struct select_second_baton {
	fl_queue *b, *between, *a, *behind, *last;
	int got[2];
};

FL_STRESS_SETUP(select_second_baton)
{
	s->b = queue_of(2);
	s->between = queue_of(FL_RENDEZVOUS);
	s->a = queue_of(2);
	s->behind = queue_of(FL_RENDEZVOUS);
	s->last = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_second_baton, selects)
{
	int *got = &s->got[0];
	FL_STRESS_CHECK(
	    FL_SELECT(FL_GET(s->b, got), FL_GET(s->between, got), FL_GET(s->a, got), FL_GET(s->behind, got)) >= 0);
}

FL_STRESS_ACTOR(select_second_baton, waits)
{
	OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(s->behind)));
	OK(FL_SELECT(FL_GET(s->a, &s->got[1]), FL_GET(s->last, &s->got[1])));
}

FL_STRESS_ACTOR(select_second_baton, producer)
{
	int back;
	OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(s->last)));
	OK(fl_queue_put(s->a, &(int){1}));
	const bool is_back = fl_queue_try_get(s->a, &back) == 0;
	if (is_back)
		OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(s->between)));
	OK(fl_queue_put(s->b, &(int){2}));
	OK(fl_queue_put(s->a, &(int){3}));
	if (is_back)
		OK(fl_queue_put(s->a, &(int){4}));
}

FL_STRESS(select_second_baton, selects, waits, producer)
{
	free_both(s->a, s->b);
	free_both(s->between, s->behind);
	fl_queue_free(s->last);
	FL_ACCEPTABLE(s->got[0] != s->got[1] && s->got[0] != 0 && s->got[1] != 0 && s->got[1] != 2, "one each");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * A waiter at a rendezvous is also enqueued at those with lower addresses, in whatever order they
 * were listed; otherwise two could miss each other.
 */
struct select_order {
	fl_queue *listed[2], *low, *high;
	int got;
};

FL_STRESS_SETUP(select_order)
{
	fl_queue *one = queue_of(FL_RENDEZVOUS), *other = queue_of(FL_RENDEZVOUS);
	s->low = (uintptr_t)one < (uintptr_t)other ? one : other;
	s->high = s->low == one ? other : one;
	const unsigned first = fl_stress_choose(2) != 0;
	s->listed[first] = s->low;
	s->listed[1 - first] = s->high;
}

FL_STRESS_ACTOR(select_order, selects)
{
	FL_STRESS_CHECK(FL_SELECT(FL_GET(s->listed[0], &s->got), FL_GET(s->listed[1], &s->got)) >= 0);
}

FL_STRESS_ACTOR(select_order, producer)
{
	OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(s->high)));
	OK(fl_queue_try_put(s->low, &(int){1}));
}

FL_STRESS(select_order, selects, producer)
{
	free_both(s->low, s->high);
	FL_ACCEPTABLE(s->got == 1, "in both lines");
	FL_FORBIDDEN(1, "wrong item");
}

/* A put that is stopped in one queue does not hold up a get from another. */
struct select_stalled {
	fl_queue *a, *b;
	int got;
	struct fl__mpmc_claim claim;
};

FL_STRESS_SETUP(select_stalled)
{
	s->a = queue_of(1);
	s->b = queue_of(1);
	OK(fl__mpmc_claim_space(fl__queue_as_mpmc(s->a), 1, &s->claim));
}

FL_STRESS_ACTOR(select_stalled, selects)
{
	FL_STRESS_CHECK(FL_SELECT(FL_GET(s->a, &s->got), FL_GET(s->b, &s->got)) == 1);
}

FL_STRESS_ACTOR(select_stalled, producer)
{
	OK(fl_queue_put(s->b, &(int){2}));
}

FL_STRESS(select_stalled, selects, producer)
{
	fl__mpmc_fill(fl__queue_as_mpmc(s->a), s->claim.at, &(int){1}, sizeof(int));
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->got == 2, "got");
	FL_FORBIDDEN(1, "wrong item");
}
