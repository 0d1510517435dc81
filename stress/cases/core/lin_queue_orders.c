/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks in mode lin of the queues of other orders, and a scenario of their waits. Some order of
 * the calls explains their results.
 */
#include "../lins.h"
#include "queues.h"

static int by_key(const void *a, const void *b, void *compare_arg)
{
	const int64_t x = FL_LIN_KEY(*(const int *)a), y = FL_LIN_KEY(*(const int *)b);
	return (x > y) - (x < y);
}

static int make_ordered(fl_queue **q, fl_queue_order order, size_t capacity)
{
	*q = ordered_as((fl_queue_config){.capacity = capacity, .compare = by_key}, order);
	return 0;
}

/* The newest item comes first. */
LIN_MADE_BY(lin_lifo, fl_queue, make_ordered(&s->q, FL_LIFO, 2))

LIN_ALL(lin_lifo, 0)

LIN_IS(lin_lifo, fl_queue, &fl_lin_lifo, .limit = 2)

/* The least item comes first; of equal items, the oldest. */
LIN_MADE_BY(lin_priority, fl_queue, make_ordered(&s->q, FL_PRIORITY, 3))

LIN_ALL(lin_priority, 3)

LIN_IS(lin_priority, fl_queue, &fl_lin_priority, .limit = 3)

/* close_vs_blocked_push, close_vs_push: a put that waits is refused, or was in before the close. */
struct heap_close_vs_put {
	fl_queue *q;
	int rc, got;
	size_t left;
};

FL_STRESS_SETUP(heap_close_vs_put)
{
	OK(make_ordered(&s->q, FL_LIFO, 1));
	queue_put_now(s->q, 1);
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
