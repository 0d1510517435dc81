/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of select. Exactly one of its cases is made, and other waiters in the same queues make
 * progress.
 */
#include "queues.h"
#include <fairlead/select.h>

/*
 * A get waits beside a select in the queue of a. The select may be woken there and get from b. Then
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
	queue_put(s->a, 1);
	queue_put(s->b, 2);
	queue_put(s->a, 3);
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
}

/*
 * The context that gets a select's item may free that queue, in whichever way the select put the
 * item.
 */
struct select_free_after_put {
	fl_queue *never, *full;
	int got[2];
};

FL_STRESS_SETUP(select_free_after_put)
{
	s->never = queue_of(1);
	s->full = queue_of(1);
	queue_put_now(s->full, 1);
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
}

/*
 * The first wake is for an item that is gone again. On its way back into the queues, between those
 * of b and a, the select is woken in b. Whichever item it gets, it passes on both wakes. Otherwise
 * a waiter for only a sleeps beside an item. The addresses of the rendezvous lie between those of
 * the queues. They never have a partner, but an observer that has enqueued checks them.
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
	queue_put(s->a, 1);
	const bool is_back = fl_queue_try_get(s->a, &back) == 0;
	if (is_back)
		OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(s->between)));
	queue_put(s->b, 2);
	queue_put(s->a, 3);
	if (is_back)
		queue_put(s->a, 4);
}

FL_STRESS(select_second_baton, selects, waits, producer)
{
	free_both(s->a, s->b);
	free_both(s->between, s->behind);
	fl_queue_free(s->last);
	FL_ACCEPTABLE(s->got[0] != s->got[1] && s->got[0] != 0 && s->got[1] != 0 && s->got[1] != 2, "one each");
}

/*
 * A waiter at a rendezvous is also enqueued at those with lower addresses, in whatever order they
 * were listed. Otherwise two waiters could miss each other.
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
	queue_put_now(s->low, 1);
}

FL_STRESS(select_order, selects, producer)
{
	free_both(s->low, s->high);
	FL_ACCEPTABLE(s->got == 1, "in both lines");
}

/* A put that is stopped in one queue does not hold up a get from another queue. */
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
	queue_put(s->b, 2);
}

FL_STRESS(select_stalled, selects, producer)
{
	fl__mpmc_fill(fl__queue_as_mpmc(s->a), s->claim.slot, s->claim.at, &(int){1}, sizeof(int));
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->got == 2, "got");
}
