/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the parking lot, used as a primitive uses it: contexts enqueue, dequeue and give up
 * at the same time.
 */
#include "lots.h"

/*
 * Waiters leave the middle, the head or the tail of a queue while all of it is woken. The counts
 * agree, and the links stay intact.
 */
struct lot_leave_vs_take_all {
	unsigned ready, never;
	int rc[2];
	size_t taken;
};

static void stand_briefly(struct lot_leave_vs_take_all *s, int i)
{
	struct place p;
	(void)stand(&p, s, &s->never);
	s->rc[i] = sleep_there(&p, soon());
}

TWO_ACTORS(lot_leave_vs_take_all, stand_briefly)

FL_STRESS_ACTOR(lot_leave_vs_take_all, waker)
{
	s->taken = wake(s, &s->ready, FL__ALL, 0);
}

FL_STRESS(lot_leave_vs_take_all, one, two, waker)
{
	size_t woken = (size_t)(s->rc[0] == 0) + (s->rc[1] == 0);
	FL_FORBIDDEN(fl__lot_has_waiters_at(s), "a node was left in the queue");
	FL_FORBIDDEN(woken != s->taken, "taken and woken differ");
	FL_ACCEPTABLE(woken == 2, "both woken");
	FL_ACCEPTABLE(woken == 1, "one woken");
	FL_ACCEPTABLE(woken == 0, "none woken");
}

/*
 * An observer is woken together with a waiter, and does not count. There is one permit, and an
 * observer is in the queue before the context that is to get the permit.
 */
struct lot_observer {
	unsigned ready;
	int observer_rc, rc;
	size_t taken;
	uint32_t value;
};

FL_STRESS_ACTOR(lot_observer, observer)
{
	struct place p;
	struct fl__lot lot;
	place_init(&p);
	p.node.observer = true;
	fl__lot_open(&lot, s);
	fl__lot_add(&lot, &p.node);
	fl__lot_close(&lot);
	s->observer_rc = fl__wait_sleep(&p.wait, soon(), FL_SHIELDED);
	fl__lot_leave(&p.node);
}

FL_STRESS_ACTOR(lot_observer, consumer)
{
	struct place p;
	s->rc = stand(&p, s, &s->ready) ? sleep_there(&p, FL_FOREVER) : 1;
	s->value = p.node.value;
}

FL_STRESS_ACTOR(lot_observer, waker)
{
	s->taken = wake(s, &s->ready, 1, 5);
}

FL_STRESS(lot_observer, observer, consumer, waker)
{
	FL_FORBIDDEN((s->rc == 0) != (s->taken == 1), "the observer was counted");
	FL_FORBIDDEN(s->rc == 0 && s->value != 5, "no value");
	FL_ACCEPTABLE(s->observer_rc == 0 && s->taken == 1, "both woken");
	FL_ACCEPTABLE(s->observer_rc == 0, "the observer alone woken");
	FL_ACCEPTABLE(s->taken == 1, "the consumer alone woken");
	FL_ACCEPTABLE(1, "both late");
}

/*
 * The holder of the bucket runs work that signal handlers defer. It does so for both handlers, even
 * if one comes while it does the other's work.
 */
struct lot_serve {
	struct place place; /* in the queue of this state */
	atomic_bool asked[2], served[2];
};

static void serve_asked(struct fl__lot *lot)
{
	struct lot_serve *s = (struct lot_serve *)(uintptr_t)lot->key;
	for (int i = 0; i < 2; i++)
		if (LOOK(&s->asked[i]))
			SET(&s->served[i], true);
}

FL_STRESS_SETUP(lot_serve)
{
	struct fl__lot lot;
	place_init(&s->place);
	s->place.node.serve = serve_asked;
	fl__lot_open(&lot, s);
	fl__lot_add(&lot, &s->place.node);
	fl__lot_close(&lot);
}

FL_STRESS_ACTOR(lot_serve, holder)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	fl__lot_close(&lot);
}

static void ask_to_serve(struct lot_serve *s, int i)
{
	SET(&s->asked[i], true);
	fl__lot_serve_in_handler(s);
}

TWO_ACTORS(lot_serve, ask_to_serve)

FL_STRESS(lot_serve, holder, one, two)
{
	fl__lot_leave(&s->place.node);
	FL_ACCEPTABLE(LOOK(&s->served[0]) && LOOK(&s->served[1]), "both served");
}
