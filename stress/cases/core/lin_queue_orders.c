/* SPDX-License-Identifier: BSD-2-Clause */
/* The queues of other orders: an order of the calls explains the results; and their waits. */
#include "../lins.h"
#include <fairlead/queue.h>

static int by_key(const void *a, const void *b, void *compare_arg)
{
	const int64_t x = FL_LIN_KEY(*(const int *)a), y = FL_LIN_KEY(*(const int *)b);
	(void)compare_arg;
	return (x > y) - (x < y);
}

static fl_queue *ordered(fl_queue_order order, size_t capacity)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(
	    &q, sizeof(int),
	    &(fl_queue_config){.capacity = capacity, .order = order, .compare = order == FL_PRIORITY ? by_key : NULL}));
	return q;
}

/* The newest first. */
struct lin_lifo {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_lifo)
{
	s->q = ordered(FL_LIFO, 2);
}

LIN_PUT(lin_lifo, fl_queue, .weight = 3)
LIN_GET(lin_lifo, fl_queue, .weight = 3)
LIN_CLOSE(lin_lifo, fl_queue)
LIN_LENGTH(lin_lifo, fl_queue)
LIN_PUT_MANY(lin_lifo, fl_queue, .keys = LIN_MOST)
LIN_GET_MANY(lin_lifo, fl_queue, .keys = LIN_MOST)

FL_LIN(lin_lifo, &fl_lin_lifo, .limit = 2)
{
	fl_queue_free(s->q);
}

/* The same without bounds: never full. */
struct lin_lifo_unbounded {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_lifo_unbounded)
{
	s->q = ordered(FL_LIFO, FL_UNBOUNDED);
}

LIN_PUT(lin_lifo_unbounded, fl_queue, .weight = 3)
LIN_GET(lin_lifo_unbounded, fl_queue, .weight = 3)
LIN_CLOSE(lin_lifo_unbounded, fl_queue)
LIN_LENGTH(lin_lifo_unbounded, fl_queue)
LIN_PUT_MANY(lin_lifo_unbounded, fl_queue, .keys = LIN_MOST)
LIN_GET_MANY(lin_lifo_unbounded, fl_queue, .keys = LIN_MOST)

FL_LIN(lin_lifo_unbounded, &fl_lin_lifo)
{
	fl_queue_free(s->q);
}

/* The least first, the oldest of equal items. */
struct lin_priority {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_priority)
{
	s->q = ordered(FL_PRIORITY, 3);
}

LIN_PUT(lin_priority, fl_queue, .weight = 3, .keys = 3)
LIN_GET(lin_priority, fl_queue, .weight = 3)
LIN_CLOSE(lin_priority, fl_queue)
LIN_LENGTH(lin_priority, fl_queue)
LIN_PUT_MANY(lin_priority, fl_queue, .keys = LIN_MOST)
LIN_GET_MANY(lin_priority, fl_queue, .keys = LIN_MOST)

FL_LIN(lin_priority, &fl_lin_priority, .limit = 3)
{
	fl_queue_free(s->q);
}

/* The same without bounds: never full. */
struct lin_priority_unbounded {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_priority_unbounded)
{
	s->q = ordered(FL_PRIORITY, FL_UNBOUNDED);
}

LIN_PUT(lin_priority_unbounded, fl_queue, .weight = 3, .keys = 3)
LIN_GET(lin_priority_unbounded, fl_queue, .weight = 3)
LIN_CLOSE(lin_priority_unbounded, fl_queue)
LIN_LENGTH(lin_priority_unbounded, fl_queue)
LIN_PUT_MANY(lin_priority_unbounded, fl_queue, .keys = LIN_MOST)
LIN_GET_MANY(lin_priority_unbounded, fl_queue, .keys = LIN_MOST)

FL_LIN(lin_priority_unbounded, &fl_lin_priority)
{
	fl_queue_free(s->q);
}

/* close_vs_blocked_push, close_vs_push: a waiting put is refused, or was in before the close. */
struct heap_close_vs_put {
	fl_queue *q;
	int rc, got;
	size_t left;
};

FL_STRESS_SETUP(heap_close_vs_put)
{
	s->q = ordered(FL_LIFO, 1);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(heap_close_vs_put, producer)
{
	s->rc = fl_queue_put(s->q, &(int){2});
}

FL_STRESS_ACTOR(heap_close_vs_put, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS_ACTOR(heap_close_vs_put, closer)
{
	fl_queue_close(s->q);
}

FL_STRESS(heap_close_vs_put, producer, consumer, closer)
{
	s->left = fl_queue_close_now(s->q);
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1, "wrong item");
	FL_ACCEPTABLE(s->rc == 0 && s->left == 1, "in before the close");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->left == 0, "refused");
}

/* A full queue: a waiter for space is woken by the get that makes space. */
struct heap_full {
	fl_queue *q;
	int got;
};

FL_STRESS_SETUP(heap_full)
{
	s->q = ordered(FL_PRIORITY, 1);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(heap_full, producer)
{
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(heap_full, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS(heap_full, producer, consumer)
{
	const size_t left = fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got == 1 && left == 1, "put after the get");
}
