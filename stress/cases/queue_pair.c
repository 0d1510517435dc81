/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue for one producer and one consumer: sleeps and closes against calls that have no fence. Each with membarrier(), and
 * as where the system has none.
 */
#include "../../lib/queue/queue.h"
#include "cases.h"
#include <fairlead/select.h>

static void count_drop(void *item, void *arg)
{
	*(int *)arg += *(int *)item;
}

static fl_queue *pair_of(size_t capacity, int *dropped)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int),
	                   &(fl_queue_config){.capacity = capacity,
	                                      .drop = dropped ? count_drop : NULL,
	                                      .drop_arg = dropped,
	                                      .one_producer = true,
	                                      .one_consumer = true}));
	if (fl_stress_choose(2) == 1)
		fl__queue_as_pair(q)->flags |= FL__PAIR_FENCED;
	return q;
}

/* lost_wakeup_dekker: a consumer goes to sleep just when an item is put, which carries what was written before. */
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

/* The same of a producer that goes to sleep just when there is space; one place, and the end of the ring each time. */
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

/* batch_partial: several at once into less space, over the end of the ring; a get takes what is there. */
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

/* Items that are no integers go the longer way: three bytes, two places. */
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

/* close_vs_push: accepted if and only if drained, though who closes is neither side; and a join after the close waits for it. */
struct pair_close_put {
	fl_queue *q;
	int put_rc, first, second, item, joined;
};

FL_STRESS_SETUP(pair_close_put)
{
	s->q = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_close_put, producer)
{
	s->put_rc = fl_queue_put(s->q, &(int){1});
	if (s->put_rc == 0)
		FL_STRESS_CHECK(fl_queue_try_put(s->q, &(int){2}) != 0);
}

FL_STRESS_ACTOR(pair_close_put, closer)
{
	fl_queue_close(s->q);
	s->joined = fl_queue_try_join(s->q);
	s->first = fl_queue_try_get(s->q, &s->item);
	s->second = fl_queue_try_get(s->q, &s->item);
}

FL_STRESS(pair_close_put, producer, closer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->second != -EPIPE, "more than was put");
	FL_ACCEPTABLE(s->put_rc == 0 && s->first == 0 && s->item == 1 && s->joined == -EBUSY, "accepted and drained");
	FL_ACCEPTABLE(s->put_rc == -EPIPE && s->first == -EPIPE && s->joined == 0, "refused");
	FL_FORBIDDEN(1, "accepted and lost, or refused and there");
}

/* A consumer beside a put and a close: once it has been told "closed and drained", no put is accepted that was not got. */
struct pair_close_between {
	fl_queue *q;
	int put_rc, rc, item, data;
};

FL_STRESS_SETUP(pair_close_between)
{
	s->q = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_close_between, producer)
{
	s->put_rc = fl_queue_try_put(s->q, &(int){1});
	FL_STRESS_CHECK(s->put_rc == 0 || s->data == 1);
}

FL_STRESS_ACTOR(pair_close_between, consumer)
{
	s->rc = fl_queue_get(s->q, &s->item);
	FL_STRESS_CHECK(s->rc == -EPIPE || fl_queue_get(s->q, &s->item) == -EPIPE);
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(pair_close_between, closer)
{
	s->data = 1;
	fl_queue_close(s->q);
}

FL_STRESS(pair_close_between, producer, consumer, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put_rc == 0 && s->rc == 0 && s->item == 1, "accepted and got");
	FL_ACCEPTABLE(s->put_rc == -EPIPE && s->rc == -EPIPE, "refused");
	FL_FORBIDDEN(1, "accepted and lost, or refused and there");
}

/* close_misses_waiter: a close ends who sleeps, of either side, and what was done before it is known. */
struct pair_close_sleep {
	fl_queue *q;
	bool puts;
	int rc, data;
};

FL_STRESS_SETUP(pair_close_sleep)
{
	s->q = pair_of(1, NULL);
	s->puts = fl_stress_choose(2) == 1;
	if (s->puts)
		OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(pair_close_sleep, sleeper)
{
	int item = 2;
	s->rc = s->puts ? fl_queue_put(s->q, &item) : fl_queue_get(s->q, &item);
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(pair_close_sleep, closer)
{
	s->data = 1;
	fl_queue_close(s->q);
}

FL_STRESS(pair_close_sleep, sleeper, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == -EPIPE, "ended");
	FL_FORBIDDEN(1, "wrong result");
}

/* A close at once, by a third: each item is got or dropped, once, and a join waits for the drops. */
struct pair_close_now {
	fl_queue *q;
	int dropped, rc[2], got[2];
	size_t n;
};

FL_STRESS_SETUP(pair_close_now)
{
	s->q = pair_of(2, &s->dropped);
	OK(fl_queue_try_put(s->q, &(int){1}));
	OK(fl_queue_try_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(pair_close_now, closer)
{
	s->n = fl_queue_close_now(s->q);
	OK(fl_queue_close_now(s->q));
}

FL_STRESS_ACTOR(pair_close_now, consumer)
{
	for (int i = 0; i < 2; i++) {
		s->rc[i] = fl_queue_get(s->q, &s->got[i]);
		if (s->rc[i] == 0)
			fl_queue_task_done(s->q);
	}
}

FL_STRESS(pair_close_now, closer, consumer)
{
	OK(fl_queue_try_join(s->q));
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == 0 && s->n == 0 && s->dropped == 0 && s->got[1] == 2, "both got");
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == -EPIPE && s->n == 1 && s->dropped == 2, "one got, one dropped");
	FL_ACCEPTABLE(s->rc[0] == -EPIPE && s->rc[1] == -EPIPE && s->n == 2 && s->dropped == 3, "both dropped");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* drop_vs_send_double_free: a put meets a close at once; the item is dropped, or stays the producer's. */
struct pair_drop_vs_send {
	fl_queue *q;
	int dropped, rc;
};

FL_STRESS_SETUP(pair_drop_vs_send)
{
	s->q = pair_of(1, &s->dropped);
}

FL_STRESS_ACTOR(pair_drop_vs_send, producer)
{
	s->rc = fl_queue_put(s->q, &(int){1});
}

FL_STRESS_ACTOR(pair_drop_vs_send, closer)
{
	(void)fl_queue_close_now(s->q);
}

FL_STRESS(pair_drop_vs_send, producer, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0 && s->dropped == 1, "dropped");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->dropped == 0, "refused");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* destroy_after_get: who got the last item may free the queue while its producer, who slept for the space, is on its way out. */
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

/* So may who has dropped it. */
struct pair_free_after_drop {
	fl_queue *q;
	int dropped;
	bool freed;
};

FL_STRESS_SETUP(pair_free_after_drop)
{
	s->q = pair_of(2, &s->dropped);
}

FL_STRESS_ACTOR(pair_free_after_drop, producer)
{
	(void)!fl_queue_try_put(s->q, &(int){1});
}

FL_STRESS_ACTOR(pair_free_after_drop, closer)
{
	s->freed = fl_queue_close_now(s->q) == 1;
	if (s->freed)
		fl_queue_free(s->q);
}

FL_STRESS(pair_free_after_drop, producer, closer)
{
	if (!s->freed)
		fl_queue_free(s->q);
	FL_ACCEPTABLE(s->freed && s->dropped == 1, "dropped, freed");
	FL_ACCEPTABLE(!s->freed && s->dropped == 0, "refused");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* A putter sleeps for space when all is dropped: it is refused. */
struct pair_close_now_full {
	fl_queue *q;
	int dropped, put;
	size_t n;
};

FL_STRESS_SETUP(pair_close_now_full)
{
	s->q = pair_of(1, &s->dropped);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(pair_close_now_full, producer)
{
	s->put = fl_queue_put(s->q, &(int){2});
}

FL_STRESS_ACTOR(pair_close_now_full, closer)
{
	s->n = fl_queue_close_now(s->q);
}

FL_STRESS(pair_close_now_full, producer, closer)
{
	const int dropped = s->dropped;
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put == -EPIPE && s->n == 1 && dropped == 1, "refused");
	FL_FORBIDDEN(1, "put, or lost");
}

/* A looker beside the consumer: it takes nothing, steals no wake, and stands under the same mark. */
struct pair_looker {
	fl_queue *q;
	int index, got;
};

FL_STRESS_SETUP(pair_looker)
{
	s->q = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_looker, looker)
{
	s->index = FL_WAIT_ANY_UNTIL(soon(), NULL, FL_ON_QUEUE(s->q));
}

FL_STRESS_ACTOR(pair_looker, getter)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS_ACTOR(pair_looker, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
}

FL_STRESS(pair_looker, looker, getter, producer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1, "wrong item");
	FL_ACCEPTABLE(s->index == 0, "the looker saw it");
	FL_ACCEPTABLE(s->index == -ETIMEDOUT, "the looker saw nothing");
	FL_FORBIDDEN(1, "an error");
}

/* A select of the consumer's, over two such queues: an item of either reaches it, one alone is taken. */
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

/* A refused put, though the close is not over, knows what came before it. */
struct pair_refused {
	fl_queue *q;
	int data, rc;
};

FL_STRESS_SETUP(pair_refused)
{
	s->q = pair_of(1, NULL);
}

FL_STRESS_ACTOR(pair_refused, producer)
{
	s->rc = fl_queue_try_put(s->q, &(int){1});
	FL_STRESS_CHECK(s->rc == 0 || s->data == 1);
}

FL_STRESS_ACTOR(pair_refused, closer)
{
	s->data = 1;
	fl_queue_close(s->q);
}

FL_STRESS(pair_refused, producer, closer)
{
	const size_t left = fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0 && left == 1, "accepted");
	FL_ACCEPTABLE(s->rc == -EPIPE && left == 0, "refused");
	FL_FORBIDDEN(1, "accepted and lost, or refused and there");
}

/* A length that a third asks for is one that was. */
struct pair_length {
	fl_queue *q;
	unsigned form;
	size_t seen;
};

enum { BY_ONE, BY_MANY, TWICE, LENGTH_FORMS };

FL_STRESS_SETUP(pair_length)
{
	s->q = pair_of(1, NULL);
	s->form = fl_stress_choose(LENGTH_FORMS);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(pair_length, producer)
{
	if (s->form == BY_MANY)
		(void)!fl_queue_try_put_many(s->q, &(int){2}, 1);
	else
		(void)!fl_queue_try_put(s->q, &(int){2});
}

FL_STRESS_ACTOR(pair_length, consumer)
{
	int item;
	if (s->form == BY_MANY)
		FL_STRESS_CHECK(fl_queue_try_get_many(s->q, &item, 1) == 1);
	else
		OK(fl_queue_try_get(s->q, &item));
	if (s->form == TWICE)
		(void)!fl_queue_try_get(s->q, &item);
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

/* Two who close at once: one of them has all that is in. */
struct pair_drops {
	fl_queue *q;
	int dropped;
	size_t n[2];
};

FL_STRESS_SETUP(pair_drops)
{
	s->q = pair_of(2, &s->dropped);
	OK(fl_queue_try_put(s->q, &(int){1}));
	OK(fl_queue_try_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(pair_drops, one)
{
	s->n[0] = fl_queue_close_now(s->q);
}

FL_STRESS_ACTOR(pair_drops, two)
{
	s->n[1] = fl_queue_close_now(s->q);
}

FL_STRESS(pair_drops, one, two)
{
	OK(fl_queue_try_join(s->q));
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->dropped == 3 && s->n[0] == 2 && s->n[1] == 0, "one had them");
	FL_ACCEPTABLE(s->dropped == 3 && s->n[0] == 0 && s->n[1] == 2, "two had them");
	FL_FORBIDDEN(1, "lost or doubled");
}
