/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the queue that drops the oldest item when it is full. No put waits, and each item
 * comes once.
 */
#include "../lins.h"
#include "queues.h"
#include <fairlead/select.h>

static fl_queue *overwriting(size_t capacity, void (*drop)(void *item, void *arg), void *arg)
{
	return queue_as(
	    (fl_queue_config){.capacity = capacity, .when_full = FL_OVERWRITE, .drop = drop, .drop_arg = arg});
}

/*
 * There are two producers, a consumer, and one slot. Each item is got, dropped, or left. No put
 * waits for space.
 */
struct overwrite_once {
	fl_queue *q;
	int got;
	atomic_int dropped[3];
};

static void overwrite_drop(void *item, void *of)
{
	struct overwrite_once *s = of;
	COUNT(&s->dropped[*(int *)item]);
}

FL_STRESS_SETUP(overwrite_once)
{
	s->q = overwriting(1, overwrite_drop, s);
}

FL_STRESS_ACTOR(overwrite_once, one)
{
	queue_put(s->q, 1);
}

FL_STRESS_ACTOR(overwrite_once, two)
{
	queue_put_now(s->q, 2);
}

FL_STRESS_ACTOR(overwrite_once, consumer)
{
	OK(fl_queue_get(s->q, &s->got));
	fl_queue_task_done(s->q);
}

FL_STRESS(overwrite_once, one, two, consumer)
{
	const int other = 3 - s->got, dropped = LOOK(&s->dropped[other]);
	const size_t left = fl_queue_close_now(s->q);
	FL_STRESS_CHECK(fl_queue_unfinished(s->q) == 0);
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1 && s->got != 2, "wrong item");
	FL_FORBIDDEN(LOOK(&s->dropped[s->got]) != 0 || LOOK(&s->dropped[other]) != 1, "lost or doubled");
	FL_ACCEPTABLE(dropped == 0 && left == 1, "there was room");
	FL_ACCEPTABLE(dropped == 1 && left == 0, "the older made room");
}

/*
 * A wake that is owed for an item is sent before the drop callback of another item runs, because
 * this callback may wait for the woken thread. (The consumer also waits at a rendezvous without
 * partners. So it enqueues without the short wait, whose lock and unlock would cost the model many
 * steps.)
 */
struct overwrite_wakes_first {
	fl_queue *q, *never;
	fl_event got_one;
	int got, dropped;
};

static void wait_for_getter(void *item, void *of)
{
	struct overwrite_wakes_first *s = of;
	s->dropped = *(int *)item;
	OK(fl_event_wait(&s->got_one));
}

FL_STRESS_SETUP(overwrite_wakes_first)
{
	s->q = overwriting(1, wait_for_getter, s);
	s->never = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(overwrite_wakes_first, producer)
{
	FL_STRESS_CHECK(MOVED(fl_queue_put_many, s->q, (int[]){1, 2}, 2) == 2);
}

FL_STRESS_ACTOR(overwrite_wakes_first, consumer)
{
	OK(FL_SELECT(FL_GET(s->q, &s->got), FL_GET(s->never, &s->got)));
	fl_event_set(&s->got_one);
}

FL_STRESS(overwrite_wakes_first, producer, consumer)
{
	const size_t left = fl_queue_length(s->q);
	const int dropped = s->dropped;
	fl_queue_free(s->q);
	fl_queue_free(s->never);
	FL_ACCEPTABLE(s->got == 1 && dropped == 0 && left == 1, "in time");
	FL_ACCEPTABLE(s->got == 2 && dropped == 1 && left == 0, "too late for the first");
}

/* Mode lin. */

/* The specification is a bounded queue whose put removes the oldest item in the same step. */
enum { MOST = 2 };

struct window {
	int64_t items[MOST], n, closed;
};

static void window_shift(struct window *w)
{
	for (int64_t i = 1; i < w->n; i++)
		w->items[i - 1] = w->items[i];
	w->items[--w->n] = 0;
}

static bool window_put(struct window *w, const struct fl_lin_call *c)
{
	if (w->closed)
		return !c->returned || c->result == -EPIPE;
	if (w->n == MOST)
		window_shift(w);
	w->items[w->n++] = c->arg;
	return !c->returned || c->result == 0;
}

static bool window_get(struct window *w, const struct fl_lin_call *c)
{
	if (w->n == 0)
		return !c->returned || c->result == (w->closed ? -EPIPE : -EAGAIN);
	const int64_t first = w->items[0];
	window_shift(w);
	return !c->returned || c->result == first;
}

static bool window_apply(void *state, const struct fl_lin_call *c)
{
	struct window *w = state;
	switch (c->kind) {
	case FL_LIN_PUT:
		return window_put(w, c);
	case FL_LIN_GET:
		return window_get(w, c);
	case FL_LIN_CLOSE:
		w->closed = 1;
		return true;
	default:
		return false;
	}
}

static const struct fl_lin_spec window = {.name = "window", .size = sizeof(struct window), .apply = window_apply};

struct lin_overwrite {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_overwrite)
{
	s->q = overwriting(MOST, NULL, NULL);
}

LIN_PUT(lin_overwrite, fl_queue, .weight = 3)
LIN_GET(lin_overwrite, fl_queue, .weight = 2)
LIN_CLOSE(lin_overwrite, fl_queue)

FL_LIN(lin_overwrite, &window, .before = 3)
{
	fl_queue_free(s->q);
}

/* There are two closes that drop. Each item is dropped once. */
struct overwrite_close_twice {
	fl_queue *q;
	size_t dropped[2];
	atomic_int drops;
};

static void count_drop(void *item, void *drops)
{
	COUNT((atomic_int *)drops);
}

FL_STRESS_SETUP(overwrite_close_twice)
{
	s->q = overwriting(1, count_drop, &s->drops);
	queue_put_now(s->q, 1);
}

static void close_overwritten(struct overwrite_close_twice *s, int i)
{
	s->dropped[i] = fl_queue_close_now(s->q);
}

TWO_ACTORS(overwrite_close_twice, close_overwritten)

FL_STRESS(overwrite_close_twice, one, two)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(LOOK(&s->drops) == 1 && s->dropped[0] + s->dropped[1] == 1, "dropped once");
}
