/* SPDX-License-Identifier: BSD-2-Clause */
/* The bounded queue: each item once, in its producer's order, with what came before its put. */
#include "../cases.h"
#include <fairlead/queue.h>

static fl_queue *queue_of(size_t capacity)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = capacity}));
	return q;
}

/*
 * An item carries what was written before its put, for a get that waits and for one that does not.
 */
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
	OK(fl_queue_put(s->q, &(int){7}));
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
	FL_FORBIDDEN(1, "wrong item");
}

/* One slot, two items: the producer waits for space; the items come in order. */
struct queue_full {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(queue_full)
{
	s->q = queue_of(1);
}

FL_STRESS_ACTOR(queue_full, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(queue_full, consumer)
{
	OK(fl_queue_get(s->q, &s->got[0]));
	OK(fl_queue_get(s->q, &s->got[1]));
}

FL_STRESS(queue_full, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2, "in order");
	FL_FORBIDDEN(1, "out of order");
}

/* wakeup_stranded: two consumers, two items: each gets one, in any order of wakes. */
struct queue_two_consumers {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(queue_two_consumers)
{
	s->q = queue_of(2);
}

FL_STRESS_ACTOR(queue_two_consumers, one)
{
	OK(fl_queue_get(s->q, &s->got[0]));
}

FL_STRESS_ACTOR(queue_two_consumers, two)
{
	OK(fl_queue_get(s->q, &s->got[1]));
}

FL_STRESS_ACTOR(queue_two_consumers, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS(queue_two_consumers, one, two, producer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2, "first to one");
	FL_ACCEPTABLE(s->got[0] == 2 && s->got[1] == 1, "first to two");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* push_timeout_vs_pop: a put that times out has put nothing, any other has put once. */
struct push_timeout_vs_pop {
	fl_queue *q;
	int rc, got;
};

FL_STRESS_SETUP(push_timeout_vs_pop)
{
	s->q = queue_of(1);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(push_timeout_vs_pop, producer)
{
	s->rc = fl_queue_put_until(s->q, &(int){2}, soon(), NULL);
}

FL_STRESS_ACTOR(push_timeout_vs_pop, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS(push_timeout_vs_pop, producer, consumer)
{
	size_t left = fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1, "wrong item");
	FL_ACCEPTABLE(s->rc == 0 && left == 1, "put");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && left == 0, "timed out");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* A get that gives up leaves the item to the next: the patient consumer always gets one. */
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
	OK(fl_queue_put(s->q, &(int){5}));
}

FL_STRESS(queue_get_timeout, brief, patient, producer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 5, "wrong item");
	FL_ACCEPTABLE(s->rc == 0, "the brief one had it first");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "the brief one gave up");
	FL_FORBIDDEN(1, "another error");
}

/*
 * batch_partial: several items at once into less space; one get takes what is there; no item is
 * lost or out of order.
 */
struct batch_partial {
	fl_queue *q;
	int got[3];
	size_t put, taken;
};

FL_STRESS_SETUP(batch_partial)
{
	s->q = queue_of(2);
}

FL_STRESS_ACTOR(batch_partial, producer)
{
	s->put = fl_queue_put_many(s->q, (const int[]){1, 2, 3}, 3);
}

FL_STRESS_ACTOR(batch_partial, consumer)
{
	while (s->taken < 3) {
		size_t n = fl_queue_get_many(s->q, s->got + s->taken, 3 - s->taken);
		FL_STRESS_CHECK(n > 0);
		s->taken += n;
	}
}

FL_STRESS(batch_partial, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put == 3 && s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3, "all, in order");
	FL_FORBIDDEN(1, "lost or out of order");
}

/* One batch serves two waiters, one item each. */
struct batch_wakes_two {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(batch_wakes_two)
{
	s->q = queue_of(2);
}

FL_STRESS_ACTOR(batch_wakes_two, one)
{
	OK(fl_queue_get(s->q, &s->got[0]));
}

FL_STRESS_ACTOR(batch_wakes_two, two)
{
	OK(fl_queue_get(s->q, &s->got[1]));
}

FL_STRESS_ACTOR(batch_wakes_two, producer)
{
	FL_STRESS_CHECK(fl_queue_try_put_many(s->q, (const int[]){1, 2}, 2) == 2);
}

FL_STRESS(batch_wakes_two, one, two, producer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] + s->got[1] == 3 && s->got[0] * s->got[1] == 2, "one each");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * destroy_after_get: the consumer of the last item may free the queue while its producer is still
 * leaving.
 */
struct queue_free_after_get {
	fl_queue *q;
	int got;
};

FL_STRESS_SETUP(queue_free_after_get)
{
	s->q = queue_of(1);
}

FL_STRESS_ACTOR(queue_free_after_get, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(queue_free_after_get, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
	fl_queue_free(s->q);
}

FL_STRESS(queue_free_after_get, producer, consumer)
{
	FL_ACCEPTABLE(s->got == 1, "freed");
	FL_FORBIDDEN(1, "wrong item");
}

/* The same for a producer that slept for space. */
struct queue_free_after_late_put {
	fl_queue *q;
	int got;
};

FL_STRESS_SETUP(queue_free_after_late_put)
{
	s->q = queue_of(1);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(queue_free_after_late_put, producer)
{
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(queue_free_after_late_put, consumer)
{
	while (s->got != 2)
		OK(fl_queue_get(s->q, &s->got));
	fl_queue_free(s->q);
}

FL_STRESS(queue_free_after_late_put, producer, consumer)
{
	FL_ACCEPTABLE(s->got == 2, "freed");
	FL_FORBIDDEN(1, "wrong item");
}

/*
 * false_empty_after_own_push, false_full_after_own_pop: a thread that has put an item finds one, a
 * thread that has got one finds space, while no thread gets more than it has put.
 */
struct queue_own_item {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(queue_own_item)
{
	s->q = queue_of(2);
}

static int put_and_get(fl_queue *q, int item)
{
	int got = 0;
	OK(fl_queue_try_put(q, &item));
	OK(fl_queue_try_get(q, &got));
	return got;
}

FL_STRESS_ACTOR(queue_own_item, one)
{
	s->got[0] = put_and_get(s->q, 1);
}

FL_STRESS_ACTOR(queue_own_item, two)
{
	s->got[1] = put_and_get(s->q, 2);
}

FL_STRESS(queue_own_item, one, two)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2, "their own");
	FL_ACCEPTABLE(s->got[0] == 2 && s->got[1] == 1, "each other's");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* A join returns when every item is done, and sees the work on them. */
struct queue_join {
	fl_queue *q;
	int done;
};

FL_STRESS_SETUP(queue_join)
{
	s->q = queue_of(1);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(queue_join, worker)
{
	int item;
	OK(fl_queue_get(s->q, &item));
	s->done = item;
	fl_queue_task_done(s->q);
}

FL_STRESS_ACTOR(queue_join, joiner)
{
	OK(fl_queue_join(s->q));
	FL_STRESS_CHECK(s->done == 1);
}

FL_STRESS(queue_join, worker, joiner)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->done == 1, "dealt with");
	FL_FORBIDDEN(1, "not dealt with");
}

/* A wait for any of several takes no wake from a get: the item reaches the get. */
struct queue_wait_any {
	fl_queue *q;
	int index, got;
};

FL_STRESS_SETUP(queue_wait_any)
{
	s->q = queue_of(1);
}

FL_STRESS_ACTOR(queue_wait_any, looker)
{
	s->index = FL_WAIT_ANY_UNTIL(soon(), NULL, FL_ON_QUEUE(s->q));
}

FL_STRESS_ACTOR(queue_wait_any, getter)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS_ACTOR(queue_wait_any, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
}

FL_STRESS(queue_wait_any, looker, getter, producer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1, "wrong item");
	FL_ACCEPTABLE(s->index == 0, "the looker saw it");
	FL_ACCEPTABLE(s->index == -ETIMEDOUT, "the looker saw nothing");
	FL_FORBIDDEN(1, "an error");
}
