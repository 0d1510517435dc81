/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the storage of queues, of each order: batches, drops, equal items, and arrays that
 * grow and shrink.
 */
#include "queues.h"

static int all_equal(const void *a, const void *b, void *arg)
{
	return 0;
}

/*
 * A batch meets less space, in a queue of each order. The items that fit go in, and the rest when
 * there is space. Each item goes in once.
 */
struct queue_or_heap_batch {
	fl_queue *q;
	int got[3];
	size_t put, taken;
};

FL_STRESS_SETUP(queue_or_heap_batch)
{
	s->q = ordered_as((fl_queue_config){.capacity = 2, .compare = by_value}, any_order());
}

FL_STRESS_ACTOR(queue_or_heap_batch, producer)
{
	s->put = MOVED(fl_queue_put_many, s->q, (const int[]){1, 2, 4}, 3);
}

FL_STRESS_ACTOR(queue_or_heap_batch, consumer)
{
	while (s->taken < 3) {
		size_t n = MOVED(fl_queue_get_many, s->q, s->got + s->taken, 3 - s->taken);
		FL_STRESS_CHECK(n > 0 && n <= 2);
		s->taken += n;
	}
}

FL_STRESS(queue_or_heap_batch, producer, consumer)
{
	const int all = s->got[0] | s->got[1] | s->got[2];
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put == 3 && all == 7, "each once");
}

/* The items that are left in a queue of any order are dropped, each once, and count as done. */
struct queue_or_heap_drop {
	fl_queue *q;
	int dropped, rc, got;
};

FL_STRESS_SETUP(queue_or_heap_drop)
{
	const fl_queue_config config = {
	    .capacity = 2, .compare = by_value, .drop = add_dropped, .drop_arg = &s->dropped};
	s->q = ordered_as(config, any_order());
	FL_STRESS_CHECK(MOVED(fl_queue_try_put_many, s->q, (const int[]){1, 2}, 2) == 2);
}

FL_STRESS_ACTOR(queue_or_heap_drop, closer)
{
	FL_STRESS_CHECK(fl_queue_close_now(s->q) > 0);
}

FL_STRESS_ACTOR(queue_or_heap_drop, consumer)
{
	s->rc = fl_queue_get(s->q, &s->got);
	if (s->rc == 0)
		fl_queue_task_done(s->q);
}

FL_STRESS_ACTOR(queue_or_heap_drop, joiner)
{
	OK(fl_queue_join(s->q));
	FL_STRESS_CHECK(s->dropped > 0);
}

FL_STRESS(queue_or_heap_drop, closer, consumer, joiner)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0 && s->dropped + s->got == 3, "one got, one dropped");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->dropped == 3, "both dropped");
}

/*
 * A full array is replaced by a larger one, beside another put that needs a still larger one. No
 * item is beyond the end of the array.
 */
struct heap_grow_by_two {
	fl_queue *q;
	int sum;
};

enum { ROOM = 16 }; /* the initial size of an array */

static void fill(fl_queue *q, int n)
{
	for (int i = 0; i < n; i++)
		queue_put_now(q, 1);
}

static int drain(fl_queue *q)
{
	int item, sum = 0;
	while (fl_queue_try_get(q, &item) == 0)
		sum += item;
	return sum;
}

FL_STRESS_SETUP(heap_grow_by_two)
{
	s->q = ordered_as((fl_queue_config){.capacity = FL_UNBOUNDED, .compare = all_equal},
	                  fl_stress_choose(2) ? FL_LIFO : FL_PRIORITY);
	fill(s->q, ROOM);
}

FL_STRESS_ACTOR(heap_grow_by_two, one)
{
	queue_put(s->q, 100);
}

FL_STRESS_ACTOR(heap_grow_by_two, many)
{
	int items[ROOM + 1]; /* so that twice the size does not hold all */
	for (int i = 0; i <= ROOM; i++)
		items[i] = 1;
	FL_STRESS_CHECK(MOVED(fl_queue_try_put_many, s->q, items, ROOM + 1) == ROOM + 1);
}

FL_STRESS(heap_grow_by_two, one, many)
{
	const int sum = drain(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(sum == 100 + ROOM + ROOM + 1, "each once");
}

/*
 * An array that has become too large is replaced by a smaller one, if the items of other puts in
 * the meantime fit.
 */
struct heap_shrink_beside_put {
	fl_queue *q;
	int sum;
};

FL_STRESS_SETUP(heap_shrink_beside_put)
{
	s->q = ordered_as((fl_queue_config){.capacity = FL_UNBOUNDED, .compare = all_equal},
	                  fl_stress_choose(2) ? FL_LIFO : FL_PRIORITY);
	fill(s->q, ROOM + 1);
}

FL_STRESS_ACTOR(heap_shrink_beside_put, getter)
{
	int items[ROOM];
	const size_t n = MOVED(fl_queue_try_get_many, s->q, items, ROOM - ROOM / 4);
	for (size_t i = 0; i < n; i++)
		s->sum += items[i];
}

FL_STRESS_ACTOR(heap_shrink_beside_put, putter)
{
	int items[ROOM];
	for (int i = 0; i < ROOM; i++)
		items[i] = 1;
	FL_STRESS_CHECK(MOVED(fl_queue_try_put_many, s->q, items, ROOM) == ROOM);
}

FL_STRESS(heap_shrink_beside_put, getter, putter)
{
	const int sum = s->sum + drain(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(sum == 2 * ROOM + 1, "each once");
}

/*
 * The oldest of equal items comes first, even in an array that grows and shrinks. So the items of
 * one producer come in order.
 */
struct heap_equals_move {
	fl_queue *q;
	int got, wrong;
};

FL_STRESS_SETUP(heap_equals_move)
{
	s->q = ordered_as((fl_queue_config){.capacity = FL_UNBOUNDED, .compare = all_equal}, FL_PRIORITY);
	for (int i = 0; i < ROOM; i++)
		OK(fl_queue_try_put(s->q, &i));
}

FL_STRESS_ACTOR(heap_equals_move, producer)
{
	queue_put(s->q, ROOM);
}

FL_STRESS_ACTOR(heap_equals_move, consumer)
{
	for (int item; s->got <= ROOM; s->got++) {
		OK(fl_queue_get(s->q, &item));
		s->wrong += item != s->got;
	}
}

FL_STRESS(heap_equals_move, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->wrong == 0, "in order");
}
