/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the queue for one producer and one consumer: closes and drops beside calls without a
 * fence.
 */
#include "pairs.h"

/*
 * close_vs_push: an item is accepted if and only if it is drained, though a third thread closes. A
 * join after the close waits for the item.
 */
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
	s->joined = fl_queue_unfinished(s->q) == 0 ? 0 : -EAGAIN;
	s->first = fl_queue_try_get(s->q, &s->item);
	s->second = fl_queue_try_get(s->q, &s->item);
}

FL_STRESS(pair_close_put, producer, closer)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->second != -EPIPE, "more than was put");
	FL_ACCEPTABLE(s->put_rc == 0 && s->first == 0 && s->item == 1 && s->joined == -EAGAIN, "accepted and drained");
	FL_ACCEPTABLE(s->put_rc == -EPIPE && s->first == -EPIPE && s->joined == 0, "refused");
}

/*
 * A consumer runs beside a put and a close. When it is told "closed and drained", every accepted
 * item has been got.
 */
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
}

/* A call that finds the queue closed has acquired what came before the close. */
enum { SEEN_BY_PUT, SEEN_BY_GET, SEEN_BY_QUESTION, WAYS_TO_SEE };
struct pair_close_seen {
	fl_queue *q;
	unsigned way;
	int data;
};

FL_STRESS_SETUP(pair_close_seen)
{
	s->q = pair_of(1, NULL);
	s->way = fl_stress_choose(WAYS_TO_SEE);
	if (s->way != SEEN_BY_GET && fl_stress_choose(2))
		queue_put_now(s->q, 1);
}

FL_STRESS_ACTOR(pair_close_seen, user)
{
	int item = 2;
	if (s->way == SEEN_BY_PUT   ? fl_queue_try_put(s->q, &item) == -EPIPE
	    : s->way == SEEN_BY_GET ? fl_queue_try_get(s->q, &item) == -EPIPE
	                            : fl_queue_is_closed(s->q))
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(pair_close_seen, closer)
{
	s->data = 1;
	FL_IGNORE(fl_queue_close_now(s->q));
}

FL_STRESS(pair_close_seen, user, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(1, "closed before or after");
}

/*
 * A third thread calls close_now. Each item is got or dropped, once, and a join waits for the
 * drops.
 */
struct pair_close_now {
	fl_queue *q;
	int dropped, data, rc[2], got[2];
	size_t n;
};

FL_STRESS_SETUP(pair_close_now)
{
	s->q = pair_of(2, &s->dropped);
	queue_put_now(s->q, 1);
	queue_put_now(s->q, 2);
}

FL_STRESS_ACTOR(pair_close_now, closer)
{
	s->data = 1;
	s->n = fl_queue_close_now(s->q);
	OK(fl_queue_close_now(s->q));
}

FL_STRESS_ACTOR(pair_close_now, consumer)
{
	for (int i = 0; i < 2; i++) {
		s->rc[i] = fl_queue_get(s->q, &s->got[i]);
		if (s->rc[i] == 0)
			fl_queue_task_done(s->q);
		else
			FL_STRESS_CHECK(s->data == 1);
	}
}

FL_STRESS(pair_close_now, closer, consumer)
{
	FL_STRESS_CHECK(fl_queue_unfinished(s->q) == 0);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == 0 && s->n == 0 && s->dropped == 0 && s->got[1] == 2, "both got");
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == -EPIPE && s->n == 1 && s->dropped == 2, "one got, one dropped");
	FL_ACCEPTABLE(s->rc[0] == -EPIPE && s->rc[1] == -EPIPE && s->n == 2 && s->dropped == 3, "both dropped");
}

/*
 * A thread that has dropped the only item may free the queue, even while the producer of the item
 * is still leaving.
 */
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
	FL_IGNORE(fl_queue_try_put(s->q, &(int){1}));
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
}

/* A put sleeps for space when all items are dropped. The put is refused. */
struct pair_close_now_full {
	fl_queue *q;
	int dropped, put;
	size_t n;
};

FL_STRESS_SETUP(pair_close_now_full)
{
	s->q = pair_of(1, &s->dropped);
	queue_put_now(s->q, 1);
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
}

/* There are two closes at once. One of them drops all items. */
struct pair_drops {
	fl_queue *q;
	int dropped;
	size_t n[2];
};

FL_STRESS_SETUP(pair_drops)
{
	s->q = pair_of(2, &s->dropped);
	queue_put_now(s->q, 1);
	queue_put_now(s->q, 2);
}

static void close_pair(struct pair_drops *s, int i)
{
	s->n[i] = fl_queue_close_now(s->q);
}

TWO_ACTORS(pair_drops, close_pair)

FL_STRESS(pair_drops, one, two)
{
	FL_STRESS_CHECK(fl_queue_unfinished(s->q) == 0);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->dropped == 3 && s->n[0] == 2 && s->n[1] == 0, "one had them");
	FL_ACCEPTABLE(s->dropped == 3 && s->n[0] == 0 && s->n[1] == 2, "two had them");
}
