/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of the unbounded queue that waits: its sleepers, joins and close. */
#include "queues.h"

/* Makes a queue for one consumer, which was promised to the queue, or not. */
static fl_queue *for_one(size_t slots, int items)
{
	return unbounded_as((fl_queue_config){.one_consumer = fl_stress_choose(2) == 1}, slots, items);
}

/* One batch serves two waiters. */
struct growing_batch {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(growing_batch)
{
	s->q = unbounded(1 + fl_stress_choose(2), 0);
}

static void get_of_batch(struct growing_batch *s, int i)
{
	OK(fl_queue_get(s->q, &s->got[i]));
}

TWO_ACTORS(growing_batch, get_of_batch)

FL_STRESS_ACTOR(growing_batch, producer)
{
	FL_STRESS_CHECK(MOVED(fl_queue_try_put_many, s->q, (const int[]){1, 2}, 2) == 2);
}

FL_STRESS(growing_batch, one, two, producer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] + s->got[1] == 3 && s->got[0] * s->got[1] == 2, "one each");
}

/* close_misses_waiter: all sleepers learn of the close, and accepted items are got. */
struct growing_close {
	fl_queue *q;
	int put, rc[2], got[2];
};

FL_STRESS_SETUP(growing_close)
{
	s->q = unbounded(1 + fl_stress_choose(2), 0);
}

static void get_before_close(struct growing_close *s, int i)
{
	s->rc[i] = fl_queue_get(s->q, &s->got[i]);
}

TWO_ACTORS(growing_close, get_before_close)

FL_STRESS_ACTOR(growing_close, producer)
{
	s->put = fl_queue_put(s->q, &(int){3});
}

FL_STRESS_ACTOR(growing_close, closer)
{
	fl_queue_close(s->q);
}

FL_STRESS(growing_close, one, two, producer, closer)
{
	fl_queue_free(s->q);
	const int n = (s->rc[0] == 0) + (s->rc[1] == 0);
	FL_FORBIDDEN((s->rc[0] != 0 && s->rc[0] != -EPIPE) || (s->rc[1] != 0 && s->rc[1] != -EPIPE), "wrong result");
	FL_ACCEPTABLE(s->put == 0 && n == 1 && s->got[0] + s->got[1] == 3, "accepted and got");
	FL_ACCEPTABLE(s->put == -EPIPE && n == 0, "refused");
}

/*
 * destroy_after_get: the consumer of the last item may free the queue while the item's producer,
 * which may have appended a segment, is still leaving.
 */
struct growing_free_after_get {
	fl_queue *q;
	int got, last;
	bool many;
};

FL_STRESS_SETUP(growing_free_after_get)
{
	const int before = (int)fl_stress_choose(2);
	s->many = fl_stress_choose(2) == 1;
	s->last = s->many ? 12 : 10;
	s->q = for_one(1 + fl_stress_choose(2), before);
}

FL_STRESS_ACTOR(growing_free_after_get, producer)
{
	if (s->many)
		FL_STRESS_CHECK(MOVED(fl_queue_put_many, s->q, (const int[]){11, 12}, 2) == 2);
	else
		queue_put(s->q, 10);
}

FL_STRESS_ACTOR(growing_free_after_get, consumer)
{
	while (s->got != s->last)
		OK(fl_queue_get(s->q, &s->got));
	fl_queue_free(s->q);
}

FL_STRESS(growing_free_after_get, producer, consumer)
{
	FL_ACCEPTABLE(s->got == s->last, "freed");
}

/* drop_vs_send_double_free: each item is got or dropped, once, and then all are done. */
struct growing_drop {
	fl_queue *q;
	int put, got, dropped;
	size_t n;
};

FL_STRESS_SETUP(growing_drop)
{
	s->q =
	    unbounded_as((fl_queue_config){.drop = add_dropped, .drop_arg = &s->dropped}, 1 + fl_stress_choose(2), 2);
}

FL_STRESS_ACTOR(growing_drop, producer)
{
	s->put = fl_queue_put(s->q, &(int){4}) == 0 ? 4 : 0;
}

FL_STRESS_ACTOR(growing_drop, consumer)
{
	int item;
	while (fl_queue_try_get(s->q, &item) == 0) {
		fl_queue_task_done(s->q);
		s->got += item;
	}
}

FL_STRESS_ACTOR(growing_drop, closer)
{
	s->n = fl_queue_close_now(s->q);
}

FL_STRESS(growing_drop, producer, consumer, closer)
{
	const int over = fl_queue_unfinished(s->q) == 0 ? 0 : -EAGAIN;
	fl_queue_free(s->q);
	FL_FORBIDDEN(over != 0, "not all dealt with");
	FL_FORBIDDEN(s->got + s->dropped != 3 + s->put, "lost, or dropped twice");
	FL_ACCEPTABLE(s->n == 0, "all got");
	FL_ACCEPTABLE(s->n > 0, "dropped");
}

/*
 * A thread that drops an item uses another queue before it reads the item, so that its hazard
 * pointers change. The item is still there. The first removed segment becomes the spare, and the
 * second is freed.
 */
struct growing_drop_busily {
	fl_queue *q, *other;
	int got, dropped;
};

static void drop_busily(void *item, void *arg)
{
	struct growing_drop_busily *s = arg;
	int moved;
	queue_put_now(s->other, 1);
	OK(fl_queue_try_get(s->other, &moved));
	s->dropped += *(int *)item;
}

FL_STRESS_SETUP(growing_drop_busily)
{
	s->other = unbounded(8, 0);
	s->q = unbounded_as((fl_queue_config){.drop = drop_busily, .drop_arg = s}, 1, 3);
}

FL_STRESS_ACTOR(growing_drop_busily, consumer)
{
	int item;
	if (fl_queue_try_get(s->q, &item) == 0)
		s->got = item;
}

FL_STRESS_ACTOR(growing_drop_busily, closer)
{
	(void)fl_queue_close_now(s->q);
}

FL_STRESS(growing_drop_busily, consumer, closer)
{
	fl_queue_free(s->q);
	fl_queue_free(s->other);
	FL_ACCEPTABLE(s->got + s->dropped == 6, "each once");
}
