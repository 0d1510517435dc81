/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of a bug of other queues (tests/bugs.md) that has no scenario of that name elsewhere: a
 * close still uses a select that has returned.
 */
#include "queues.h"
#include <fairlead/select.h>

/*
 * Two queues on which a select waits are closed at once. The select returns after the first close.
 * The second close must touch neither the select's memory, its cases and its queue entry, nor the
 * next wait at the same place.
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
