/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue for one producer and one consumer: sleeps against calls without a fence; several items
 * at once; lengths.
 */
#include "pairs.h"
#include <fairlead/select.h>

/*
 * lost_wakeup_dekker: a consumer goes to sleep just when an item is put, with what was written
 * before.
 */
struct pair_sleep {
	fl_queue *q;
	int data, got;
};

FL_STRESS_SETUP(pair_sleep)
{
	s->q = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_sleep, producer)
{
	s->data = 1;
	OK(fl_queue_put(s->q, &(int){7}));
}

FL_STRESS_ACTOR(pair_sleep, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(pair_sleep, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got == 7, "got it");
	FL_FORBIDDEN(1, "wrong item");
}

/*
 * The same for a producer that goes to sleep just when space is made; one slot, at the end of the
 * ring each time.
 */
struct pair_full {
	fl_queue *q;
	int got[3], after;
};

FL_STRESS_SETUP(pair_full)
{
	s->q = pair_of(1, NULL);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(pair_full, producer)
{
	OK(fl_queue_put(s->q, &(int){2}));
	FL_STRESS_CHECK(s->after == 1); /* before the first get, which made the space */
	OK(fl_queue_put(s->q, &(int){3}));
}

FL_STRESS_ACTOR(pair_full, consumer)
{
	s->after = 1;
	for (int i = 0; i < 3; i++)
		OK(fl_queue_get(s->q, &s->got[i]));
}

FL_STRESS(pair_full, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3, "in order");
	FL_FORBIDDEN(1, "lost, doubled or out of order");
}

/*
 * batch_partial: several items at once into less space, across the end of the ring; a get takes
 * what is there.
 */
struct pair_batch {
	fl_queue *q;
	int got[4];
	size_t put, taken;
};

FL_STRESS_SETUP(pair_batch)
{
	int item;
	s->q = pair_of(3, NULL);
	OK(fl_queue_try_put(s->q, &(int){9}));
	OK(fl_queue_try_get(s->q, &item));
}

FL_STRESS_ACTOR(pair_batch, producer)
{
	s->put = fl_queue_put_many(s->q, (const int[]){1, 2, 3, 4}, 4);
}

FL_STRESS_ACTOR(pair_batch, consumer)
{
	while (s->taken < 4) {
		const size_t n = fl_queue_get_many(s->q, s->got + s->taken, 4 - s->taken);
		FL_STRESS_CHECK(n > 0 && n <= 3);
		s->taken += n;
	}
}

FL_STRESS(pair_batch, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put == 4 && s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3 && s->got[3] == 4, "in order");
	FL_FORBIDDEN(1, "lost or out of order");
}

/* Items that are no integers take the slower path: three bytes, two slots. */
struct pair_odd {
	fl_queue *q;
	char got[3][3];
};

FL_STRESS_SETUP(pair_odd)
{
	OK(fl_queue_create(&s->q, 3, &(fl_queue_config){.capacity = 2, .one_producer = true, .one_consumer = true}));
}

FL_STRESS_ACTOR(pair_odd, producer)
{
	for (int i = 1; i <= 3; i++)
		OK(fl_queue_put(s->q, (const char[]){0, 0, (char)i}));
}

FL_STRESS_ACTOR(pair_odd, consumer)
{
	for (int i = 0; i < 3; i++)
		OK(fl_queue_get(s->q, s->got[i]));
}

FL_STRESS(pair_odd, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0][2] == 1 && s->got[1][2] == 2 && s->got[2][2] == 3, "in order");
	FL_FORBIDDEN(1, "lost, doubled or out of order");
}

/*
 * destroy_after_get: the consumer of the last item may free the queue while its producer, which
 * slept for space, is still leaving.
 */
struct pair_free_after_get {
	fl_queue *q;
	int got;
};

FL_STRESS_SETUP(pair_free_after_get)
{
	s->q = pair_of(1, NULL);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(pair_free_after_get, producer)
{
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(pair_free_after_get, consumer)
{
	while (s->got != 2)
		OK(fl_queue_get(s->q, &s->got));
	fl_queue_free(s->q);
}

FL_STRESS(pair_free_after_get, producer, consumer)
{
	FL_ACCEPTABLE(s->got == 2, "freed");
	FL_FORBIDDEN(1, "wrong item");
}

/*
 * An observer beside the consumer: it takes nothing, steals no wake, and shares the consumer's
 * mark.
 */
struct pair_observer {
	fl_queue *q;
	int index, got;
};

FL_STRESS_SETUP(pair_observer)
{
	s->q = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_observer, looker)
{
	s->index = FL_WAIT_ANY_UNTIL(soon(), NULL, FL_ON_QUEUE(s->q));
}

FL_STRESS_ACTOR(pair_observer, getter)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS_ACTOR(pair_observer, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
}

FL_STRESS(pair_observer, looker, getter, producer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1, "wrong item");
	FL_ACCEPTABLE(s->index == 0, "the looker saw it");
	FL_ACCEPTABLE(s->index == -ETIMEDOUT, "the looker saw nothing");
	FL_FORBIDDEN(1, "an error");
}

/*
 * The consumer selects over two such queues: an item of either reaches it, and only one is taken.
 */
struct pair_select {
	fl_queue *a, *b;
	int index, item;
};

FL_STRESS_SETUP(pair_select)
{
	s->a = pair_of(1, NULL);
	s->b = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_select, consumer)
{
	s->index = FL_SELECT(FL_GET(s->a, &s->item), FL_GET(s->b, &s->item));
}

FL_STRESS_ACTOR(pair_select, one)
{
	OK(fl_queue_put(s->a, &(int){1}));
}

FL_STRESS_ACTOR(pair_select, two)
{
	OK(fl_queue_put(s->b, &(int){2}));
}

FL_STRESS(pair_select, consumer, one, two)
{
	const size_t left = fl_queue_length(s->a) + 2 * fl_queue_length(s->b);
	fl_queue_free(s->a);
	fl_queue_free(s->b);
	FL_ACCEPTABLE(s->index == 0 && s->item == 1 && left == 2, "the first");
	FL_ACCEPTABLE(s->index == 1 && s->item == 2 && left == 1, "the second");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* A length that a third thread reads is one that the queue had. */
struct pair_length {
	fl_queue *q;
	unsigned form;
	size_t seen;
};

enum { BY_ONE, BY_MANY, LENGTH_FORMS };

FL_STRESS_SETUP(pair_length)
{
	s->q = pair_of(1, NULL);
	s->form = fl_stress_choose(LENGTH_FORMS);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(pair_length, producer)
{
	if (s->form == BY_MANY)
		FL_IGNORE(fl_queue_try_put_many(s->q, &(int){2}, 1));
	else
		FL_IGNORE(fl_queue_try_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(pair_length, consumer)
{
	int item;
	if (s->form == BY_MANY)
		FL_STRESS_CHECK(fl_queue_try_get_many(s->q, &item, 1) == 1);
	else
		OK(fl_queue_try_get(s->q, &item));
}

FL_STRESS_ACTOR(pair_length, looker)
{
	s->seen = fl_queue_length(s->q);
}

FL_STRESS(pair_length, producer, consumer, looker)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->seen == 0, "none");
	FL_ACCEPTABLE(s->seen == 1, "one");
	FL_FORBIDDEN(1, "more than there ever were");
}

/* Nor is it negative when all items that were put during the read have been got. */
struct pair_length_of_none {
	fl_queue *q;
	size_t seen;
};

FL_STRESS_SETUP(pair_length_of_none)
{
	s->q = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_length_of_none, producer)
{
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(pair_length_of_none, consumer)
{
	int item;
	FL_IGNORE(fl_queue_try_get(s->q, &item));
}

FL_STRESS_ACTOR(pair_length_of_none, looker)
{
	s->seen = fl_queue_length(s->q);
}

FL_STRESS(pair_length_of_none, producer, consumer, looker)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->seen == 0, "none");
	FL_ACCEPTABLE(s->seen == 1, "one");
	FL_FORBIDDEN(1, "less than none");
}
