/* SPDX-License-Identifier: BSD-2-Clause */
/* The close of a queue: accepted items are drained or dropped, once, and no wait hangs. */
#include "../cases.h"
#include <fairlead/queue.h>

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

/* close_vs_push: accepted if and only if drained. */
struct close_vs_push {
	fl_queue *q;
	int put_rc, first, second, item;
};

FL_STRESS_SETUP(close_vs_push)
{
	s->q = closable(1, NULL, NULL);
}

FL_STRESS_ACTOR(close_vs_push, producer)
{
	s->put_rc = fl_queue_put(s->q, &(int){1});
}

FL_STRESS_ACTOR(close_vs_push, closer)
{
	fl_queue_close(s->q);
	s->first = fl_queue_get(s->q, &s->item);
	s->second = fl_queue_get(s->q, &s->item);
}

FL_STRESS(close_vs_push, producer, closer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->second != -EPIPE, "more than was put");
	FL_ACCEPTABLE(s->put_rc == 0 && s->first == 0 && s->item == 1, "accepted and drained");
	FL_ACCEPTABLE(s->put_rc == -EPIPE && s->first == -EPIPE, "refused");
	FL_FORBIDDEN(1, "accepted and lost, or refused and there");
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

static int get_closed(struct close_vs_blocked_pop *s)
{
	int item, rc = fl_queue_get(s->q, &item);
	FL_STRESS_CHECK(s->data == 1); /* what came before the close */
	return rc;
}

FL_STRESS_ACTOR(close_vs_blocked_pop, one)
{
	s->rc[0] = get_closed(s);
}

FL_STRESS_ACTOR(close_vs_blocked_pop, two)
{
	s->rc[1] = get_closed(s);
}

FL_STRESS_ACTOR(close_vs_blocked_pop, closer)
{
	s->data = 1;
	fl_queue_close(s->q);
}

FL_STRESS(close_vs_blocked_pop, one, two, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc[0] == -EPIPE && s->rc[1] == -EPIPE, "both ended");
	FL_FORBIDDEN(1, "wrong results");
}

/* A close ends a put that waits for space; the item in the queue stays. */
struct close_vs_blocked_push {
	fl_queue *q;
	int rc, got;
};

FL_STRESS_SETUP(close_vs_blocked_push)
{
	s->q = closable(1, NULL, NULL);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(close_vs_blocked_push, producer)
{
	s->rc = fl_queue_put(s->q, &(int){2});
}

FL_STRESS_ACTOR(close_vs_blocked_push, closer)
{
	fl_queue_close(s->q);
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS(close_vs_blocked_push, producer, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == -EPIPE && s->got == 1, "refused");
	FL_FORBIDDEN(1, "put into a closed queue");
}

/* close_now against a get: each item is got or dropped, once; a join waits for the drops. */
struct close_now_vs_get {
	fl_queue *q;
	int dropped, rc, got;
	size_t n;
};

FL_STRESS_SETUP(close_now_vs_get)
{
	s->q = closable(2, count_drop, &s->dropped);
	OK(fl_queue_try_put(s->q, &(int){1}));
	OK(fl_queue_try_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(close_now_vs_get, closer)
{
	s->n = fl_queue_close_now(s->q);
}

FL_STRESS_ACTOR(close_now_vs_get, consumer)
{
	s->rc = fl_queue_get(s->q, &s->got);
	if (s->rc == 0)
		fl_queue_task_done(s->q);
}

FL_STRESS_ACTOR(close_now_vs_get, joiner)
{
	OK(fl_queue_join(s->q));
	FL_STRESS_CHECK(s->dropped > 0);
}

FL_STRESS(close_now_vs_get, closer, consumer, joiner)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0 && s->got == 1 && s->n == 1 && s->dropped == 2, "one got, one dropped");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->n == 2 && s->dropped == 3, "both dropped");
	FL_FORBIDDEN(1, "lost or doubled");
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
	FL_FORBIDDEN(1, "lost or doubled");
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
	OK(fl_queue_try_put(s->b, &(int){1}));
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
	FL_FORBIDDEN(1, "wrong index");
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
	OK(fl_queue_try_put(s->q, &(int){1}));
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
	FL_FORBIDDEN(1, "accepted and left, or refused and there");
}
