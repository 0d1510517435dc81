/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the bounded queue. Each item comes out once, in the order of its producer, with what
 * came before its put.
 */
#include "pairs.h"

/* An item carries what was written before its put, whether the get waits or not. */
struct queue_data {
	fl_queue *q;
	int data, got;
};

FL_STRESS_SETUP(queue_data)
{
	s->q = queue_of(1);
}

FL_STRESS_ACTOR(queue_data, producer)
{
	s->data = 1;
	queue_put(s->q, 7);
}

FL_STRESS_ACTOR(queue_data, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(queue_data, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got == 7, "got it");
}

/*
 * push_timeout_vs_pop: a put that times out has put nothing, and leaves the space to the next put.
 * Any other put has put once.
 */
struct push_timeout_vs_pop {
	fl_queue *q;
	int rc, got[2];
};

FL_STRESS_SETUP(push_timeout_vs_pop)
{
	s->q = queue_of(1);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(push_timeout_vs_pop, brief)
{
	s->rc = fl_queue_put_until(s->q, &(int){2}, soon(), NULL);
	if (s->rc == 0)
		OK(fl_queue_get(s->q, &s->got[1]));
}

FL_STRESS_ACTOR(push_timeout_vs_pop, patient)
{
	OK(fl_queue_put(s->q, &(int){3}));
}

FL_STRESS_ACTOR(push_timeout_vs_pop, consumer)
{
	OK(fl_queue_get(s->q, &s->got[0]));
}

FL_STRESS(push_timeout_vs_pop, brief, patient, consumer)
{
	int last = 0;
	OK(fl_queue_try_get(s->q, &last));
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got[0] != 1 || last != 3, "wrong item");
	FL_ACCEPTABLE(s->rc == 0 && s->got[1] == 2, "put");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->got[1] == 0, "timed out");
}

/* A get that gives up leaves the item to the next get, so the patient consumer always gets one. */
struct queue_get_timeout {
	fl_queue *q;
	int rc, got;
};

FL_STRESS_SETUP(queue_get_timeout)
{
	s->q = queue_of(1);
}

FL_STRESS_ACTOR(queue_get_timeout, brief)
{
	int item;
	s->rc = fl_queue_get_until(s->q, &item, soon(), NULL);
	if (s->rc == 0)
		OK(fl_queue_put(s->q, &item));
}

FL_STRESS_ACTOR(queue_get_timeout, patient)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS_ACTOR(queue_get_timeout, producer)
{
	queue_put(s->q, 5);
}

FL_STRESS(queue_get_timeout, brief, patient, producer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 5, "wrong item");
	FL_ACCEPTABLE(s->rc == 0, "the brief one had it first");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "the brief one gave up");
}

/*
 * destroy_after_get: a producer that sleeps for space is woken by the get that makes space. The
 * consumer of the last item may free the queue while this producer is still leaving.
 */
struct queue_free_after_late_put {
	fl_queue *q;
	int got;
};

FL_STRESS_SETUP(queue_free_after_late_put)
{
	s->q = any_bounded(1);
	queue_put_now(s->q, 1);
}

FL_STRESS_ACTOR(queue_free_after_late_put, producer)
{
	queue_put(s->q, 2);
}

FL_STRESS_ACTOR(queue_free_after_late_put, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
	FL_STRESS_CHECK(s->got == 1);
	OK(fl_queue_get(s->q, &s->got));
	fl_queue_free(s->q);
}

FL_STRESS(queue_free_after_late_put, producer, consumer)
{
	FL_ACCEPTABLE(s->got == 2, "freed");
}

/*
 * false_empty_after_own_push, false_full_after_own_pop: a thread that has put an item finds one,
 * and a thread that has got one finds space, as long as no thread gets more than it has put.
 */
struct queue_own_item {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(queue_own_item)
{
	s->q = queue_of(2);
}

static void put_and_get_own(struct queue_own_item *s, int i)
{
	queue_put_now(s->q, i + 1);
	OK(fl_queue_try_get(s->q, &s->got[i]));
}

TWO_ACTORS(queue_own_item, put_and_get_own)

FL_STRESS(queue_own_item, one, two)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2, "their own");
	FL_ACCEPTABLE(s->got[0] == 2 && s->got[1] == 1, "each other's");
}

/*
 * A wait for any of several objects takes no wake from a get or a put: the item, or the space,
 * reaches that call.
 */
struct queue_wait_any {
	fl_queue *q;
	bool full;
	int index, got;
};

FL_STRESS_SETUP(queue_wait_any)
{
	s->q = any_bounded(1);
	s->full = fl_stress_choose(2);
	if (s->full)
		queue_put_now(s->q, 1);
}

FL_STRESS_ACTOR(queue_wait_any, looker)
{
	fl_on on = FL_ON_QUEUE(s->q);
	if (s->full)
		on = (fl_on)FL_ON_QUEUE_SPACE(s->q);
	s->index = fl_wait_any_until(&on, 1, soon(), NULL);
}

FL_STRESS_ACTOR(queue_wait_any, getter)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS_ACTOR(queue_wait_any, producer)
{
	queue_put(s->q, s->full ? 2 : 1);
}

FL_STRESS(queue_wait_any, looker, getter, producer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1, "wrong item");
	FL_ACCEPTABLE(s->index == 0, "the looker saw it");
	FL_ACCEPTABLE(s->index == -ETIMEDOUT, "the looker saw nothing");
}
