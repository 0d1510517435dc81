/* SPDX-License-Identifier: BSD-2-Clause */
/* Select: exactly one of its cases is made, and whoever else waits in their lines gets on. */
#include "cases.h"
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
 * A get waits beside a select in the line of a. The select may be woken there and get from b: then it must wake the get, or who
 * waits for nothing but a sleeps on beside an item.
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

/* A get and a put: of a queue that is filled, one that has room made, or a time that passes. Exactly one has happened. */
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

/* close_misses_waiter: a select is told, and says which. */
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

/* Two selects that can meet at either of two places, crosswise: at one of them, once. */
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

/* One place, each gives or takes: a select meets another, and never itself. */
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
	FL_FORBIDDEN(1, "itself, or nobody");
}

/* Three at two places: whom a select leaves standing, the other meets. */
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

/* A ring and a rendezvous: a select that is met, or that gives up, has left the ring's item to the one who waits for it. */
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
