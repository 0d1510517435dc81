/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of selects that meet at rendezvous. They meet each other once and never themselves, and
 * no partner is left waiting.
 */
#include "queues.h"
#include <fairlead/select.h>

/* Two selects can meet at either of two rendezvous, crosswise. They meet at one of them, once. */
struct select_cross {
	fl_queue *a, *b;
	int which[2], got[2];
};

FL_STRESS_SETUP(select_cross)
{
	s->a = queue_of(FL_RENDEZVOUS);
	s->b = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_cross, one)
{
	s->which[0] = FL_SELECT(FL_GET(s->a, &s->got[0]), FL_PUT(s->b, &(int){1}));
}

FL_STRESS_ACTOR(select_cross, two)
{
	s->which[1] = FL_SELECT(FL_PUT(s->a, &(int){2}), FL_GET(s->b, &s->got[1]));
}

FL_STRESS(select_cross, one, two)
{
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->which[0] == 0 && s->which[1] == 0 && s->got[0] == 2 && s->got[1] == 0, "met at a");
	FL_ACCEPTABLE(s->which[0] == 1 && s->which[1] == 1 && s->got[0] == 0 && s->got[1] == 1, "met at b");
}

/* A call meets a case of a select that waits, whichever of the select's cases it is. */
struct select_any_case {
	fl_queue *q;
	bool puts_first;
	int got[2];
};

FL_STRESS_SETUP(select_any_case)
{
	s->puts_first = fl_stress_choose(2);
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_any_case, either)
{
	const int which = s->puts_first ? FL_SELECT(FL_PUT(s->q, &(int){3}), FL_GET(s->q, &s->got[0]))
	                                : FL_SELECT(FL_GET(s->q, &s->got[0]), FL_PUT(s->q, &(int){3}));
	FL_STRESS_CHECK(which == (s->puts_first ? 0 : 1));
}

FL_STRESS_ACTOR(select_any_case, getter)
{
	OK(fl_queue_get(s->q, &s->got[1]));
}

FL_STRESS(select_any_case, either, getter)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 0 && s->got[1] == 3, "met");
}

/*
 * At one rendezvous, each of two selects gives or takes. A select meets the other one, and never
 * itself.
 */
struct select_either_way {
	fl_queue *q;
	int which[2], got[2];
};

FL_STRESS_SETUP(select_either_way)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

static void get_or_put(struct select_either_way *s, int i)
{
	s->which[i] = FL_SELECT(FL_GET(s->q, &s->got[i]), FL_PUT(s->q, &(int){i + 1}));
}

TWO_ACTORS(select_either_way, get_or_put)

FL_STRESS(select_either_way, one, two)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->which[0] == 0 && s->which[1] == 1 && s->got[0] == 2 && s->got[1] == 0, "one takes");
	FL_ACCEPTABLE(s->which[0] == 1 && s->which[1] == 0 && s->got[0] == 0 && s->got[1] == 1, "two takes");
}
