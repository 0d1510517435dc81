/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sleepers of a queue, of each order: one wake at a time, passed on; the first stays first; a
 * superfluous wake does no harm.
 */
#include "../cases.h"
#include "core/queue/queue.h"
#include <fairlead/queue.h>

static int by_value(const void *a, const void *b, void *arg)
{
	(void)arg;
	return *(const int *)a - *(const int *)b;
}

static fl_queue *ordered(size_t capacity, fl_queue_order order)
{
	fl_queue *q = NULL;
	OK(fl_queue_create(&q, sizeof(int),
	                   &(fl_queue_config){.capacity = capacity,
	                                      .order = order,
	                                      .compare = order == FL_PRIORITY ? by_value : NULL}));
	return q;
}

static fl_queue_order any_order(void)
{
	static const fl_queue_order orders[] = {FL_FIFO, FL_LIFO, FL_PRIORITY};
	return orders[fl_stress_choose(3)];
}

static void until_thread_sleeps(fl_queue *q, enum fl__queue_side side)
{
	while (!fl__lot_has_waiters_at(fl__queue_wait_key(q, side)))
		fl_stress_relax();
}

/* A get wakes the sleeping put. */
struct queue_put_sleeps {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(queue_put_sleeps)
{
	s->q = ordered(1, any_order());
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS_ACTOR(queue_put_sleeps, producer)
{
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(queue_put_sleeps, consumer)
{
	until_thread_sleeps(s->q, FL__PRODUCERS);
	OK(fl_queue_try_get(s->q, &s->got[0]));
	OK(fl_queue_get(s->q, &s->got[1]));
}

FL_STRESS(queue_put_sleeps, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2, "both");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* A get of a batch makes space for two sleepers, and wakes one, which wakes the other. */
struct queue_two_puts_sleep {
	fl_queue *q;
	int got[2], left;
};

FL_STRESS_SETUP(queue_two_puts_sleep)
{
	s->q = ordered(2, any_order());
	FL_STRESS_CHECK(fl_queue_try_put_many(s->q, (const int[]){1, 2}, 2) == 2);
}

FL_STRESS_ACTOR(queue_two_puts_sleep, one)
{
	OK(fl_queue_put(s->q, &(int){3}));
}

FL_STRESS_ACTOR(queue_two_puts_sleep, two)
{
	OK(fl_queue_put(s->q, &(int){4}));
}

FL_STRESS_ACTOR(queue_two_puts_sleep, consumer)
{
	until_thread_sleeps(s->q, FL__PRODUCERS);
	FL_STRESS_CHECK(fl_queue_try_get_many(s->q, s->got, 2) > 0);
}

FL_STRESS(queue_two_puts_sleep, one, two, consumer)
{
	s->left = (int)fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] > 0 && s->got[1] > 0 && s->left == 2, "all");
	FL_FORBIDDEN(1, "lost or doubled");
}

/* Two sleepers, one observer, and two items, one at a time: no thread sleeps on beside an item. */
struct queue_observer_between {
	fl_queue *q;
	int index, got[2];
};

FL_STRESS_SETUP(queue_observer_between)
{
	s->q = ordered(2, any_order());
}

FL_STRESS_ACTOR(queue_observer_between, looker)
{
	s->index = FL_WAIT_ANY(FL_ON_QUEUE(s->q));
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(queue_observer_between, one)
{
	OK(fl_queue_get(s->q, &s->got[0]));
}

FL_STRESS_ACTOR(queue_observer_between, producer)
{
	until_thread_sleeps(s->q, FL__CONSUMERS);
	OK(fl_queue_put(s->q, &(int){1}));
	OK(fl_queue_put(s->q, &(int){3}));
}

FL_STRESS(queue_observer_between, looker, one, producer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->index == 0 && s->got[0] > 0, "seen, and got");
	FL_FORBIDDEN(1, "an error");
}

/*
 * The first sleeper, woken for an item that another thread took, is the first again: the next item
 * is its own.
 */
struct queue_first_stays_first {
	fl_queue *q;
	/* The first of two sleepers; -1: not both sleep, or no item was stolen. */
	int first, item, got[2];
};

FL_STRESS_SETUP(queue_first_stays_first)
{
	s->q = ordered(1, any_order());
}

FL_STRESS_ACTOR(queue_first_stays_first, one)
{
	OK(fl_queue_get(s->q, &s->got[0]));
}

FL_STRESS_ACTOR(queue_first_stays_first, two)
{
	OK(fl_queue_get(s->q, &s->got[1]));
}

static int first_of_two(struct queue_first_stays_first *s)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(s->q, FL__CONSUMERS));
	struct fl__node *first = fl__lot_first(&lot);
	const int which =
	    !first || !fl__lot_node_after(first) ? -1 : ((struct fl__offer *)(void *)first)->to == &s->got[1];
	fl__lot_close(&lot);
	return which;
}

FL_STRESS_ACTOR(queue_first_stays_first, thief)
{
	s->first = first_of_two(s);
	OK(fl_queue_put(s->q, &(int){1}));
	if (fl_queue_try_get(s->q, &s->item) == 0) {
		while (s->first >= 0 && first_of_two(s) < 0)
			fl_stress_relax();
		OK(fl_queue_put(s->q, &(int){1}));
	} else {
		s->first = -1;
	}
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS(queue_first_stays_first, one, two, thief)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got[0] + s->got[1] != 3 || s->got[0] * s->got[1] != 2, "lost or doubled");
	FL_ACCEPTABLE(s->first < 0, "nothing to steal");
	FL_ACCEPTABLE(s->got[s->first] == 1, "still the first");
	FL_FORBIDDEN(1, "overtaken");
}

/*
 * A put, a close, or a thread that has passed a wake on may come back to a queue's wait queues
 * after the queue is gone, and another queue of any kind is in its place: the sleepers there
 * tolerate it.
 */
struct queue_late_wakes {
	fl_queue *q;
	int got;
};

FL_STRESS_SETUP(queue_late_wakes)
{
	const unsigned kind = fl_stress_choose(3);
	s->q = ordered(kind == 0 ? FL_RENDEZVOUS : 1, kind == 2 ? FL_LIFO : FL_FIFO);
}

FL_STRESS_ACTOR(queue_late_wakes, late)
{
	const enum fl__queue_side side = fl_stress_choose(2) == 0 ? FL__CONSUMERS : FL__PRODUCERS;
	switch (fl_stress_choose(3)) {
	case 0:
		fl__queue_wake(s->q, (int)side);
		break;
	case 1:
		fl__queue_pass_baton(s->q, side);
		break;
	default:
		fl__queue_wake_all(s->q);
	}
}

FL_STRESS_ACTOR(queue_late_wakes, producer)
{
	OK(fl_queue_put(s->q, &(int){1}));
	OK(fl_queue_put(s->q, &(int){2}));
}

FL_STRESS_ACTOR(queue_late_wakes, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
	FL_STRESS_CHECK(s->got == 1);
	OK(fl_queue_get(s->q, &s->got));
}

FL_STRESS(queue_late_wakes, late, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got == 2, "both");
	FL_FORBIDDEN(1, "wrong item");
}
