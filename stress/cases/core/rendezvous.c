/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of the queue without slots. A put and a get meet, or neither has happened. */
#include "queues.h"
#include <fairlead/stress_lin.h>

/* Each side sees what the other one wrote before, in either order. */
struct rendezvous_data {
	fl_queue *q;
	int of_producer, of_consumer, got;
};

FL_STRESS_SETUP(rendezvous_data)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(rendezvous_data, producer)
{
	s->of_producer = 1;
	queue_put(s->q, 7);
	FL_STRESS_CHECK(s->of_consumer == 1);
}

FL_STRESS_ACTOR(rendezvous_data, consumer)
{
	s->of_consumer = 1;
	OK(fl_queue_get(s->q, &s->got));
	FL_STRESS_CHECK(s->of_producer == 1);
}

FL_STRESS(rendezvous_data, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got == 7, "met");
}

/* A put that gives up has put nothing. A try finds a waiter, or none. */
struct rendezvous_timeout {
	fl_queue *q;
	int put, try, got;
};

FL_STRESS_SETUP(rendezvous_timeout)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(rendezvous_timeout, producer)
{
	s->put = fl_queue_put_until(s->q, &(int){5}, soon(), NULL);
}

FL_STRESS_ACTOR(rendezvous_timeout, consumer)
{
	s->try = fl_queue_try_get(s->q, &s->got);
}

FL_STRESS(rendezvous_timeout, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put == 0 && s->try == 0 && s->got == 5, "met");
	FL_ACCEPTABLE(s->put == -ETIMEDOUT && s->try == -EAGAIN && s->got == 0, "too early, or too late");
}

/* close_misses_waiter: a waiter is told of the close. A pair that has met stays met. */
struct rendezvous_close {
	fl_queue *q;
	int put, get, got;
};

FL_STRESS_SETUP(rendezvous_close)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(rendezvous_close, producer)
{
	s->put = fl_queue_put(s->q, &(int){5});
}

FL_STRESS_ACTOR(rendezvous_close, consumer)
{
	s->get = fl_queue_get(s->q, &s->got);
}

FL_STRESS_ACTOR(rendezvous_close, closer)
{
	fl_queue_close(s->q);
}

FL_STRESS(rendezvous_close, producer, consumer, closer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->put == 0 && s->get == 0 && s->got == 5, "met");
	FL_ACCEPTABLE(s->put == -EPIPE && s->get == -EPIPE && s->got == 0, "closed");
}

/*
 * The getter or the putter may free the queue, whichever side came first, because its partner does
 * not touch the queue any more.
 */
struct rendezvous_free {
	fl_queue *q;
	bool by_putter;
	int got;
};

FL_STRESS_SETUP(rendezvous_free)
{
	s->q = queue_of(FL_RENDEZVOUS);
	s->by_putter = fl_stress_choose(2);
}

FL_STRESS_ACTOR(rendezvous_free, producer)
{
	queue_put(s->q, 1);
	if (s->by_putter)
		fl_queue_free(s->q);
}

FL_STRESS_ACTOR(rendezvous_free, consumer)
{
	int got[2] = {0};
	FL_STRESS_CHECK(MOVED(fl_queue_get_many, s->q, got, 2) == 1);
	s->got = got[0];
	if (s->by_putter)
		return;
	FL_STRESS_CHECK(fl_queue_unfinished(s->q) > 0);
	fl_queue_task_done(s->q);
	OK(fl_queue_join(s->q));
	fl_queue_free(s->q);
}

FL_STRESS(rendezvous_free, producer, consumer)
{
	FL_ACCEPTABLE(s->got == 1, "freed");
}

/*
 * A call for several items meets all waiters, in their order, each once. A call for several items
 * that waits is met by one partner.
 */
struct rendezvous_many {
	fl_queue *q;
	int got[3], other;
};

FL_STRESS_SETUP(rendezvous_many)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(rendezvous_many, producer)
{
	FL_STRESS_CHECK(MOVED(fl_queue_put_many, s->q, (int[]){1, 2}, 2) == 2);
}

FL_STRESS_ACTOR(rendezvous_many, consumer)
{
	size_t got = 0;
	while (got < 2)
		got += MOVED(fl_queue_get_many, s->q, s->got + got, 3 - got);
	if (got < 3)
		OK(fl_queue_get(s->q, &s->got[2]));
}

FL_STRESS_ACTOR(rendezvous_many, another)
{
	queue_put(s->q, 5);
}

FL_STRESS(rendezvous_many, producer, consumer, another)
{
	FL_STRESS_CHECK(fl_queue_unfinished(s->q) > 0);
	for (int i = 0; i < 3; i++)
		fl_queue_task_done(s->q);
	FL_STRESS_CHECK(fl_queue_unfinished(s->q) == 0);
	fl_queue_free(s->q);
	const int in_order = s->got[0] * 100 + s->got[1] * 10 + s->got[2];
	FL_ACCEPTABLE(in_order == 125 || in_order == 152 || in_order == 512, "each once");
}

/*
 * A late wake comes, as from a freed queue at the same place. It is a spurious one, and has no
 * effect.
 */
struct rendezvous_late_wake {
	fl_queue *q;
	int got[2];
};

FL_STRESS_SETUP(rendezvous_late_wake)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

static void get_met(struct rendezvous_late_wake *s, int i)
{
	OK(fl_queue_get(s->q, &s->got[i]));
}

TWO_ACTORS(rendezvous_late_wake, get_met)

FL_STRESS_ACTOR(rendezvous_late_wake, producer)
{
	queue_put(s->q, 1);
	queue_put(s->q, 2);
}

FL_STRESS_ACTOR(rendezvous_late_wake, late)
{
	fl__queue_wake(s->q, 0);
}

FL_STRESS(rendezvous_late_wake, one, two, producer, late)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got[0] + s->got[1] == 3 && s->got[0] * s->got[1] == 2, "one each");
}

/* An observer is woken when a partner comes. */
struct rendezvous_observer {
	fl_queue *q;
	int got;
};

FL_STRESS_SETUP(rendezvous_observer)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_STRESS_ACTOR(rendezvous_observer, producer)
{
	queue_put(s->q, 1);
}

FL_STRESS_ACTOR(rendezvous_observer, consumer)
{
	OK(FL_WAIT_ANY(FL_ON_QUEUE(s->q)));
	OK(fl_queue_try_get(s->q, &s->got));
}

FL_STRESS(rendezvous_observer, producer, consumer)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->got == 1, "seen");
}

/* Mode lin. The specification is an object that has an item only between a put and the next get. */

struct meeting {
	int64_t item; /* 0 without an item */
	uint64_t closed;
};

static bool meeting_apply(void *state, const struct fl_lin_call *c)
{
	struct meeting *m = state;
	const bool refused = !c->returned || c->result == -EAGAIN || c->result == -ETIMEDOUT;
	if (m->item) {
		const bool takes = c->kind == FL_LIN_GET && (!c->returned || c->result == m->item);
		m->item = 0;
		return takes;
	}
	if (c->kind == FL_LIN_CLOSE) {
		m->closed = 1;
		return true;
	}
	if (c->kind == FL_LIN_PUT && c->returned && c->result == 0) {
		m->item = c->arg;
		return !m->closed;
	}
	return m->closed ? !c->returned || c->result == -EPIPE : refused;
}

static const struct fl_lin_spec meeting = {
    .name = "rendezvous", .size = sizeof(struct meeting), .apply = meeting_apply};

struct lin_rendezvous {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_rendezvous)
{
	s->q = queue_of(FL_RENDEZVOUS);
}

FL_LIN_OP(lin_rendezvous, put, FL_LIN_PUT)
{
	return fl_queue_put_until(s->q, &(int){(int)arg}, soon(), NULL);
}

FL_LIN_OP(lin_rendezvous, get, FL_LIN_GET)
{
	int item, rc = fl_queue_get_until(s->q, &item, soon(), NULL);
	return rc ? rc : item;
}

FL_LIN_OP(lin_rendezvous, try_put, FL_LIN_PUT)
{
	return fl_queue_try_put(s->q, &(int){(int)arg});
}

FL_LIN_OP(lin_rendezvous, try_get, FL_LIN_GET)
{
	int item, rc = fl_queue_try_get(s->q, &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_rendezvous, close, FL_LIN_CLOSE, .most = 1)
{
	fl_queue_close(s->q);
	return 0;
}

FL_LIN(lin_rendezvous, &meeting)
{
	fl_queue_free(s->q);
}
