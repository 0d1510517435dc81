/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the close of a queue. Accepted items are drained or dropped, once, and no wait
 * hangs.
 */
#include "queues.h"

/* close_vs_blocked_pop, close_misses_waiter: a close ends every get that waits, and every put. */
struct close_vs_blocked_pop {
	fl_queue *q;
	bool full;
	int rc[2], data;
};

FL_STRESS_SETUP(close_vs_blocked_pop)
{
	s->q = ordered_as((fl_queue_config){.capacity = 1, .compare = by_value}, any_order());
	s->full = fl_stress_choose(2);
	if (s->full)
		queue_put_now(s->q, 1);
}

static void wait_until_closed(struct close_vs_blocked_pop *s, int i)
{
	int item = 2;
	s->rc[i] = s->full ? fl_queue_put(s->q, &item) : fl_queue_get(s->q, &item);
	FL_STRESS_CHECK(s->data == 1); /* it sees what came before the close */
}

TWO_ACTORS(close_vs_blocked_pop, wait_until_closed)

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
 * select_leaves_waiter: a close ends a wait for any of the items and the space of two queues, and
 * leaves no queue entry.
 */
struct close_vs_wait_any {
	fl_queue *a, *b;
	int index;
};

FL_STRESS_SETUP(close_vs_wait_any)
{
	s->a = queue_of(1);
	s->b = queue_of(1);
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

/*
 * drop_vs_send_double_free: a put meets close_now. Either the queue drops the item, once, or the
 * producer keeps it. Items that are still being put are dropped, too, and the close waits for them.
 */
struct queue_close_now_beside_put {
	fl_queue *q;
	int put_rc, dropped, in_time;
	size_t n;
};

FL_STRESS_SETUP(queue_close_now_beside_put)
{
	s->q = queue_as((fl_queue_config){.capacity = 2, .drop = add_dropped, .drop_arg = &s->dropped});
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
	FL_FORBIDDEN(s->dropped != s->in_time, "dropped again");
	FL_ACCEPTABLE(s->put_rc == 0 && s->n == 2 && s->in_time == 3, "accepted and dropped");
	FL_ACCEPTABLE(s->put_rc == -EPIPE && s->n == 1 && s->in_time == 1, "refused");
}
