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
 * Enqueue against wake: an enqueued waiter is woken with its value and sees what the waker wrote; a
 * late waiter sees the word.
 */
struct lot_add_vs_take {
	unsigned ready;
	int data, seen, rc;
	uint32_t value;
};

FL_STRESS_ACTOR(lot_add_vs_take, waiter)
{
	s->rc = stand(s, &s->ready, FL_FOREVER, &s->value);
	s->seen = s->data;
}

FL_STRESS_ACTOR(lot_add_vs_take, waker)
{
	s->data = 1;
	(void)wake(s, &s->ready, 1, 7);
}

FL_STRESS(lot_add_vs_take, waiter, waker)
{
	FL_FORBIDDEN(!s->seen, "data was not seen");
	FL_ACCEPTABLE(s->rc == 1, "late");
	FL_ACCEPTABLE(s->rc == 0 && s->value == 7, "woken with its value");
	FL_FORBIDDEN(1, "woken otherwise");
}

/*
 * Wake against give up: one CAS decides. A dequeued waiter was woken, another one timed out; and
 * its frame is not used afterwards.
 */
struct lot_take_vs_give_up {
	unsigned ready, never;
	int rc;
	size_t taken;
	uint32_t value;
};

FL_STRESS_ACTOR(lot_take_vs_give_up, waiter)
{
	s->rc = stand(s, &s->never, soon(), &s->value);
}

FL_STRESS_ACTOR(lot_take_vs_give_up, waker)
{
	s->taken = wake(s, &s->ready, 1, 7);
}

FL_STRESS(lot_take_vs_give_up, waiter, waker)
{
	FL_ACCEPTABLE(s->rc == 0 && s->taken == 1 && s->value == 7, "woken");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->taken == 0, "timed out");
	FL_FORBIDDEN(1, "both, or neither");
}

/*
 * A wake that meets a waiter that has given up goes to the next one: permits handed over under the
 * lot are conserved. The waiter with a deadline gives its permit back, so the patient one always
 * gets one.
 */
struct lot_wake_passed_on {
	unsigned permits;
	int brief_rc;
};

static int get(struct lot_wake_passed_on *s, int64_t deadline)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node node = FL__NODE(&wait);
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	bool waits = s->permits == 0;
	if (waits)
		fl__lot_add(&lot, &node);
	else
		s->permits--;
	fl__lot_close(&lot);
	int rc = waits ? fl__wait_sleep(&wait, deadline, FL_SHIELDED) : 0;
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

static void give(struct lot_wake_passed_on *s)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	if (fl__lot_take(&lot, 1, 0) == 0)
		s->permits++;
	fl__lot_close(&lot);
}

FL_STRESS_ACTOR(lot_wake_passed_on, brief)
{
	s->brief_rc = get(s, soon());
	if (s->brief_rc == 0)
		give(s);
}

FL_STRESS_ACTOR(lot_wake_passed_on, patient)
{
	OK(get(s, FL_FOREVER));
}

FL_STRESS_ACTOR(lot_wake_passed_on, giver)
{
	give(s);
}

FL_STRESS(lot_wake_passed_on, brief, patient, giver)
{
	FL_FORBIDDEN(s->permits != 0, "a permit was made or lost");
	FL_ACCEPTABLE(s->brief_rc == 0, "the brief one had it first");
	FL_ACCEPTABLE(s->brief_rc == -ETIMEDOUT, "the brief one gave up");
}

/*
 * One wait in two queues: at most one waker wins; the loser's count shows it, and no node stays
 * enqueued.
 */
struct lot_two_nodes_one_wait {
	char a, b;
	unsigned ready_a, ready_b;
	size_t taken_a, taken_b;
	int rc;
	uintptr_t decision;
	bool is_a, is_b, left;
};

FL_STRESS_ACTOR(lot_two_nodes_one_wait, waiter)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node a = FL__NODE(&wait), b = FL__NODE(&wait);
	struct fl__lot lot;
	fl__lot_open(&lot, &s->a);
	fl__lot_add(&lot, &a);
	fl__lot_close(&lot);
	fl__lot_open(&lot, &s->b);
	fl__lot_add(&lot, &b);
	fl__lot_close(&lot);
	s->rc = fl__wait_sleep(&wait, soon(), FL_SHIELDED);
	s->is_a = wait.decision == (uintptr_t)&a;
	s->is_b = wait.decision == (uintptr_t)&b;
	fl__lot_leave(&a);
	fl__lot_leave(&b);
}

FL_STRESS_ACTOR(lot_two_nodes_one_wait, wake_a)
{
	s->taken_a = wake(&s->a, &s->ready_a, FL__ALL, 1);
}

FL_STRESS_ACTOR(lot_two_nodes_one_wait, wake_b)
{
	s->taken_b = wake(&s->b, &s->ready_b, FL__ALL, 2);
}

FL_STRESS(lot_two_nodes_one_wait, waiter, wake_a, wake_b)
{
	s->left = fl__lot_has_waiters_at(&s->a) || fl__lot_has_waiters_at(&s->b);
	FL_FORBIDDEN(s->left, "a node was left in the queue");
	FL_FORBIDDEN(s->taken_a + s->taken_b > 1, "taken twice");
	FL_ACCEPTABLE(s->rc == 0 && s->taken_a && s->is_a, "woken through a");
	FL_ACCEPTABLE(s->rc == 0 && s->taken_b && s->is_b, "woken through b");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->taken_a + s->taken_b == 0, "timed out");
	FL_FORBIDDEN(1, "wrong decision");
}

/*
 * Two queues of one bucket do not mix: each waiter gets the value of its own address, in any order
 * of wakes.
 */
struct lot_neighbours {
	char key;
	unsigned ready[2];
	uint32_t value[2];
	int rc[2];
};

/*
 * 28657 is a Fibonacci number: a key and its neighbour at this distance nearly always hash alike.
 * No object is there.
 */
static const void *key_of(const struct lot_neighbours *s, int i)
{
	return (const void *)((uintptr_t)&s->key + (i ? 28657u : 0u));
}

FL_STRESS_ACTOR(lot_neighbours, first)
{
	s->rc[0] = stand(key_of(s, 0), &s->ready[0], FL_FOREVER, &s->value[0]);
}

FL_STRESS_ACTOR(lot_neighbours, second)
{
	s->rc[1] = stand(key_of(s, 1), &s->ready[1], FL_FOREVER, &s->value[1]);
}

FL_STRESS_ACTOR(lot_neighbours, waker)
{
	(void)wake(key_of(s, 0), &s->ready[0], FL__ALL, 10);
	(void)wake(key_of(s, 1), &s->ready[1], FL__ALL, 20);
}

FL_STRESS(lot_neighbours, first, second, waker)
{
	FL_FORBIDDEN(s->rc[0] == 0 && s->value[0] != 10, "the first got another's value");
	FL_FORBIDDEN(s->rc[1] == 0 && s->value[1] != 20, "the second got another's value");
	FL_ACCEPTABLE(s->rc[0] == 0 && s->rc[1] == 0, "both woken");
	FL_ACCEPTABLE(s->rc[0] == 1 && s->rc[1] == 1, "both late");
	FL_ACCEPTABLE(1, "one woken, one late");
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

FL_STRESS_ACTOR(lot_leave_vs_take_all, one)
{
	uint32_t value;
	s->rc[0] = stand(s, &s->never, soon(), &value);
}

FL_STRESS_ACTOR(lot_leave_vs_take_all, two)
{
	uint32_t value;
	s->rc[1] = stand(s, &s->never, soon(), &value);
}

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
 * A context waits for b between the begin of its wait for a and the sleep: neither takes the
 * other's unpark, in either order. Fails if the park word belongs to the context instead of the
 * wait.
 */
struct lot_nested_park {
	char a, b;
	unsigned ready_a, ready_b;
	int rc_a, rc_b, data_a, data_b, seen;
};

FL_STRESS_ACTOR(lot_nested_park, waiter)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node node = FL__NODE(&wait);
	struct fl__lot lot;
	fl__lot_open(&lot, &s->a);
	bool waits = !s->ready_a;
	if (waits)
		fl__lot_add(&lot, &node);
	fl__lot_close(&lot);
	uint32_t value;
	s->rc_b = stand(&s->b, &s->ready_b, FL_FOREVER, &value);
	s->seen = s->data_b;
	s->rc_a = waits ? fl__wait_sleep(&wait, FL_FOREVER, FL_SHIELDED) : 1;
	s->seen += s->data_a;
}

FL_STRESS_ACTOR(lot_nested_park, wake_a)
{
	s->data_a = 1;
	(void)wake(&s->a, &s->ready_a, 1, 0);
}

FL_STRESS_ACTOR(lot_nested_park, wake_b)
{
	s->data_b = 1;
	(void)wake(&s->b, &s->ready_b, 1, 0);
}

FL_STRESS(lot_nested_park, waiter, wake_a, wake_b)
{
	FL_FORBIDDEN(s->seen != 2, "woken before its waker");
	FL_ACCEPTABLE(s->rc_a == 0 && s->rc_b == 0, "woken twice");
	FL_ACCEPTABLE(s->rc_a == 0, "woken from a");
	FL_ACCEPTABLE(s->rc_b == 0, "woken from b");
	FL_ACCEPTABLE(1, "late for both");
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

FL_STRESS_ACTOR(lot_serve, one)
{
	SET(&s->asked[0], true);
	fl__lot_serve_in_handler(s);
}

FL_STRESS_ACTOR(lot_serve, two)
{
	SET(&s->asked[1], true);
	fl__lot_serve_in_handler(s);
}

FL_STRESS(lot_serve, holder, one, two)
{
	fl__lot_leave(&s->node);
	FL_ACCEPTABLE(LOOK(&s->served[0]) && LOOK(&s->served[1]), "both served");
	FL_FORBIDDEN(1, "one is forgotten");
}
