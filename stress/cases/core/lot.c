/* SPDX-License-Identifier: BSD-2-Clause */
/* The parking lot, used as a primitive uses it: concurrent enqueue, dequeue and give up. */
#include "core/wait/lot.h"
#include "../cases.h"

/*
 * Waits for `*ready`, which is plain and guarded by the bucket of `key`: returns 1 if it was ready,
 * else as fl__wait_sleep().
 */
static int stand(const void *key, const unsigned *ready, int64_t deadline, uint32_t *value)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node node = FL__NODE(&wait);
	struct fl__lot lot;
	fl__lot_open(&lot, key);
	bool waits = !*ready;
	if (waits)
		fl__lot_add(&lot, &node);
	fl__lot_close(&lot);
	if (!waits)
		return 1;
	int rc = fl__wait_sleep(&wait, deadline, FL_SHIELDED);
	if (rc != 0)
		fl__lot_leave(&node);
	*value = node.value;
	return rc;
}

static size_t wake(const void *key, unsigned *ready, size_t max, uint32_t value)
{
	struct fl__lot lot;
	fl__lot_open(&lot, key);
	size_t n = fl__lot_take(&lot, max, value);
	*ready = 1;
	fl__lot_close(&lot);
	return n;
}

/*
 * Waiters leave the middle, the head or the tail of a queue while all of it is woken: counts agree,
 * links stay intact.
 */
struct lot_leave_vs_take_all {
	unsigned ready, never;
	int rc[2];
	size_t taken;
};

static void stand_briefly(struct lot_leave_vs_take_all *s, int i)
{
	uint32_t value;
	s->rc[i] = stand(s, &s->never, soon(), &value);
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
 * An observer is woken together with a waiter and does not count: one permit, first an observer,
 * then its receiver.
 */
struct lot_observer {
	unsigned ready;
	int observer_rc, rc;
	size_t taken;
	uint32_t value;
};

FL_STRESS_ACTOR(lot_observer, observer)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node node = FL__NODE(&wait);
	node.observer = true;
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	fl__lot_add(&lot, &node);
	fl__lot_close(&lot);
	s->observer_rc = fl__wait_sleep(&wait, soon(), FL_SHIELDED);
	fl__lot_leave(&node);
}

FL_STRESS_ACTOR(lot_observer, consumer)
{
	s->rc = stand(s, &s->ready, FL_FOREVER, &s->value);
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
 * The holder of the bucket runs work that signal handlers defer: for both handlers, also if one
 * comes while the other's work runs.
 */
struct lot_serve {
	struct fl__node node; /* in the queue of this state */
	struct fl__wait wait;
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
	fl__wait_begin(&s->wait, FL__DEBUG_NOTHING, NULL);
	s->node = FL__NODE(&s->wait);
	s->node.serve = serve_asked;
	fl__lot_open(&lot, s);
	fl__lot_add(&lot, &s->node);
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
	fl__lot_leave(&s->node);
	FL_ACCEPTABLE(LOOK(&s->served[0]) && LOOK(&s->served[1]), "both served");
}
