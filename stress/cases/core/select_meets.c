/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Selects that meet at rendezvous: each other once, never themselves, and no partner is left
 * waiting.
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

static void free_both(fl_queue *a, fl_queue *b)
{
	fl_queue_free(a);
	fl_queue_free(b);
}

/* Two selects that can meet at either of two rendezvous, crosswise: at one of them, once. */
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
	FL_FORBIDDEN(1, "both, or half of one");
}

/* One rendezvous, each gives or takes: a select meets another, and never itself. */
struct select_either_way {
	fl_queue *q;
	int which[2], got[2];
};

FL_STRESS_SETUP(select_either_way)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_either_way, one)
{
	s->which[0] = FL_SELECT(FL_GET(s->q, &s->got[0]), FL_PUT(s->q, &(int){1}));
}

FL_STRESS_ACTOR(select_either_way, two)
{
	s->which[1] = FL_SELECT(FL_GET(s->q, &s->got[1]), FL_PUT(s->q, &(int){2}));
}

FL_STRESS(select_either_way, one, two)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->which[0] == 0 && s->which[1] == 1 && s->got[0] == 2 && s->got[1] == 0, "one takes");
	FL_ACCEPTABLE(s->which[0] == 1 && s->which[1] == 0 && s->got[0] == 0 && s->got[1] == 1, "two takes");
	FL_FORBIDDEN(1, "itself, or none");
}

/* Three at two rendezvous: a partner that one select leaves waiting meets the other. */
struct select_three {
	fl_queue *a, *b;
	int which, got[2], first;
};

FL_STRESS_SETUP(select_three)
{
	s->a = queue_of(FL_RENDEZVOUS);
	s->b = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_three, one)
{
	s->which = FL_SELECT(FL_GET(s->a, &s->got[0]), FL_GET(s->b, &s->got[0]));
}

FL_STRESS_ACTOR(select_three, two)
{
	s->first = FL_SELECT(FL_PUT(s->a, &(int){1}), FL_PUT(s->b, &(int){2}));
	OK(s->first == 0 ? fl_queue_put(s->b, &(int){2}) : fl_queue_put(s->a, &(int){1}));
}

FL_STRESS_ACTOR(select_three, three)
{
	FL_STRESS_CHECK(FL_SELECT(FL_GET(s->b, &s->got[1]), FL_GET(s->a, &s->got[1])) >= 0);
}

FL_STRESS(select_three, one, two, three)
{
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->got[0] + s->got[1] == 3 && s->got[0] * s->got[1] == 2 && s->got[0] == s->which + 1,
	              "one each");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * Three at three rendezvous, each of which could meet either other: two do, at one of them, and the
 * third finds no partner.
 */
struct select_triangle {
	fl_queue *q[3];
	int which[3], got[3];
};

FL_STRESS_SETUP(select_triangle)
{
	for (int i = 0; i < 3; i++)
		s->q[i] = queue_of(FL_RENDEZVOUS);
}

/* Puts at its own, or gets at the next one. */
static void at_corner(struct select_triangle *s, int i)
{
	s->which[i] =
	    FL_SELECT_UNTIL(soon(), NULL, FL_PUT(s->q[i], &(int){i + 1}), FL_GET(s->q[(i + 1) % 3], &s->got[i]));
}

FL_STRESS_ACTOR(select_triangle, one)
{
	at_corner(s, 0);
}

FL_STRESS_ACTOR(select_triangle, two)
{
	at_corner(s, 1);
}

FL_STRESS_ACTOR(select_triangle, three)
{
	at_corner(s, 2);
}

FL_STRESS(select_triangle, one, two, three)
{
	int alone = 0, pairs = 0;
	for (int i = 0; i < 3; i++) {
		fl_queue_free(s->q[i]);
		alone += s->which[i] == -ETIMEDOUT && s->got[i] == 0;
		pairs += s->which[i] == 1 && s->which[(i + 1) % 3] == 0 && s->got[i] == (i + 1) % 3 + 1 &&
		         s->got[(i + 1) % 3] == 0;
	}
	FL_ACCEPTABLE(alone == 1 && pairs == 1, "two met");
	FL_ACCEPTABLE(alone == 3, "too late for each other");
	FL_FORBIDDEN(1, "both, or half of one");
}

/* An observer is woken by a select that waits for a partner, and finds it. */
struct select_observed {
	fl_queue *a, *b;
	int which, got;
};

FL_STRESS_SETUP(select_observed)
{
	s->a = queue_of(FL_RENDEZVOUS);
	s->b = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_observed, selects)
{
	s->which = FL_SELECT(FL_PUT(s->a, &(int){1}), FL_PUT(s->b, &(int){2}));
}

FL_STRESS_ACTOR(select_observed, looks)
{
	const int seen = FL_WAIT_ANY(FL_ON_QUEUE(s->a), FL_ON_QUEUE(s->b));
	OK(fl_queue_get(seen == 0 ? s->a : s->b, &s->got));
}

FL_STRESS(select_observed, selects, looks)
{
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->got == s->which + 1, "seen and met");
	FL_FORBIDDEN(1, "wrong item");
}

/*
 * close_misses_waiter, and a pair that has met stays met: a select and a get, at a rendezvous that
 * is closed in the meantime.
 */
struct select_meets_close {
	fl_queue *a, *b;
	int which, rc, got;
	bool closed[2];
};

FL_STRESS_SETUP(select_meets_close)
{
	s->a = queue_of(FL_RENDEZVOUS);
	s->b = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(select_meets_close, selects)
{
	fl_select_case cases[] = {FL_PUT(s->a, &(int){1}), FL_GET(s->b, &s->got)};
	s->which = fl_select_until(cases, 2, FL_FOREVER, NULL);
	s->closed[0] = cases[0].closed;
	s->closed[1] = cases[1].closed;
}

FL_STRESS_ACTOR(select_meets_close, gets)
{
	s->rc = fl_queue_get(s->a, &s->got);
}

FL_STRESS_ACTOR(select_meets_close, closer)
{
	fl_queue_close(s->a);
}

FL_STRESS(select_meets_close, selects, gets, closer)
{
	free_both(s->a, s->b);
	FL_ACCEPTABLE(s->which == 0 && s->rc == 0 && s->got == 1 && !s->closed[0], "met");
	FL_ACCEPTABLE(s->which == -EPIPE && s->rc == -EPIPE && s->got == 0 && s->closed[0] && !s->closed[1], "closed");
	FL_FORBIDDEN(1, "one of them alone");
}
