/* SPDX-License-Identifier: BSD-2-Clause */
/* The close of a queue: accepted items are drained or dropped, once, and no wait hangs. */
#include "queues.h"

static fl_queue *closable(size_t capacity, void (*drop)(void *item, void *arg), void *arg)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = capacity, .drop = drop, .drop_arg = arg}));
	return q;
}

static void count_drop(void *item, void *arg)
{
	*(int *)arg += *(int *)item;
}

/* close_vs_blocked_pop, close_misses_waiter: a close ends every get that waits. */
struct close_vs_blocked_pop {
	fl_queue *q;
	int rc[2], data;
};

FL_STRESS_SETUP(close_vs_blocked_pop)
{
	s->q = closable(1, NULL, NULL);
}

static void get_until_closed(struct close_vs_blocked_pop *s, int i)
{
	int item;
	s->rc[i] = fl_queue_get(s->q, &item);
	FL_STRESS_CHECK(s->data == 1); /* what came before the close */
}

TWO_ACTORS(close_vs_blocked_pop, get_until_closed)

FL_STRESS_ACTOR(close_vs_blocked_pop, closer)
{
	s->data = 1;
	fl_queue_close(s->q);
}

FL_STRESS(close_vs_blocked_pop, one, two, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc[0] == -EPIPE && s->rc[1] == -EPIPE, "both ended");
}

/*
 * drop_vs_send_double_free: a put meets close_now; the queue drops the item, or the producer keeps
 * it, not both.
 */
struct drop_vs_send {
	fl_queue *q;
	int dropped, rc;
};

FL_STRESS_SETUP(drop_vs_send)
{
	s->q = closable(1, count_drop, &s->dropped);
}

FL_STRESS_ACTOR(drop_vs_send, producer)
{
	s->rc = fl_queue_put(s->q, &(int){1});
}

FL_STRESS_ACTOR(drop_vs_send, closer)
{
	(void)fl_queue_close_now(s->q);
}

FL_STRESS(drop_vs_send, producer, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0 && s->dropped == 1, "dropped");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->dropped == 0, "refused");
}

/*
 * select_leaves_waiter: a close ends a wait for any of items and space of a queue, and leaves no
 * queue entry.
 */
struct close_vs_wait_any {
	fl_queue *a, *b;
	int index;
};

FL_STRESS_SETUP(close_vs_wait_any)
{
	s->a = closable(1, NULL, NULL);
	s->b = closable(1, NULL, NULL);
	queue_put_now(s->b, 1);
}

FL_STRESS_ACTOR(close_vs_wait_any, waiter)
{
	s->index = FL_WAIT_ANY(FL_ON_QUEUE(s->a), FL_ON_QUEUE_SPACE(s->b));
	fl_queue_free(s->b);
}

FL_STRESS_ACTOR(close_vs_wait_any, closer)
{
	fl_queue_close(s->a);
}

FL_STRESS(close_vs_wait_any, waiter, closer)
{
	fl_queue_free(s->a);
	FL_ACCEPTABLE(s->index == 0, "closed");
}

/* Items that are on their way in when all is dropped are dropped, too: the close waits for them. */
struct queue_close_now_beside_put {
	fl_queue *q;
	int put_rc, dropped, in_time;
	size_t n;
};

FL_STRESS_SETUP(queue_close_now_beside_put)
{
	s->q = closable(2, count_drop, &s->dropped);
	queue_put_now(s->q, 1);
}

FL_STRESS_ACTOR(queue_close_now_beside_put, producer)
{
	s->put_rc = fl_queue_put(s->q, &(int){2});
}

FL_STRESS_ACTOR(queue_close_now_beside_put, closer)
{
	s->n = fl_queue_close_now(s->q);
	s->in_time = s->dropped;
}

FL_STRESS(queue_close_now_beside_put, producer, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put_rc == 0 && s->n == 2 && s->in_time == 3, "accepted and dropped");
	FL_ACCEPTABLE(s->put_rc == -EPIPE && s->n == 1 && s->in_time == 1, "refused");
}
