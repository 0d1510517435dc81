/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the parking lot in which waiters are woken in place, or moved from one queue to
 * another.
 */
#include "lots.h"

static bool move_one(const void *from_key, const void *to_key)
{
	struct fl__lot from, to;
	fl__lot_open(&from, from_key);
	(void)fl__lot_open_also(&from, &to, to_key);
	const bool moved = fl__lot_has_waiters(&from) && fl__lot_move(&from, &to);
	fl__lot_unlock_also(&from, &to);
	fl__lot_close(&from);
	return moved;
}

/*
 * A waiter that is woken in place is the first, and stays first until it leaves, however often it
 * is woken. Then it wakes the next waiter. A waiter that has given up is skipped.
 */
struct lot_rouse {
	unsigned open;
	int rc;
};

static void go_on(struct lot_rouse *s, struct place *p, bool roused)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	if (roused)
		FL_STRESS_CHECK(fl__lot_first(&lot) == &p->node);
	fl__lot_remove(&lot, &p->node);
	if (roused)
		(void)fl__lot_wake_first(&lot);
	fl__lot_close(&lot);
}

static int wait_to_be_roused(struct lot_rouse *s, fl_time deadline)
{
	struct place p;
	if (!stand(&p, s, &s->open))
		return 1;
	const int rc = fl__wait_sleep(&p.wait, deadline, FL_SHIELDED);
	go_on(s, &p, rc == 0);
	return rc;
}

FL_STRESS_ACTOR(lot_rouse, rouse)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	s->open = 1;
	(void)fl__lot_wake_first(&lot);
	fl__lot_close(&lot);
}

FL_STRESS_ACTOR(lot_rouse, brief)
{
	s->rc = wait_to_be_roused(s, soon());
}

FL_STRESS_ACTOR(lot_rouse, patient)
{
	FL_STRESS_CHECK(wait_to_be_roused(s, FL_FOREVER) >= 0);
}

FL_STRESS(lot_rouse, brief, patient, rouse, rouse)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(s), "a waiter is left");
	FL_ACCEPTABLE(s->rc == 0, "roused");
	FL_ACCEPTABLE(s->rc == 1, "late");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
}

/*
 * Two contexts move waiters in opposite directions, so they lock the two buckets in opposite
 * orders. Then each of them wakes all waiters. Keys at a distance of 28657 bytes nearly always hash
 * alike (lot.c), so the queues may share a bucket, too. The other distance is 2, because in an
 * array of states the place 28657 bytes on is 1 byte behind the key of another state.
 */
struct lot_move_both_ways {
	char key;
	unsigned ready[2];
	bool alike;
	size_t taken[2], waited[2];
};

static const void *key_of(const struct lot_move_both_ways *s, int i)
{
	return (const void *)((uintptr_t)&s->key + (i == 0 ? 0 : s->alike ? 28657 : 2));
}

FL_STRESS_SETUP(lot_move_both_ways)
{
	s->alike = fl_stress_choose(2);
}

static void wait_in(struct lot_move_both_ways *s, int i)
{
	struct place p;
	s->waited[i] = stand(&p, key_of(s, i), &s->ready[i]);
	if (s->waited[i])
		OK(fl__wait_sleep(&p.wait, FL_FOREVER, FL_SHIELDED));
}

static void move_and_take(struct lot_move_both_ways *s, int from)
{
	(void)move_one(key_of(s, from), key_of(s, !from));
	for (int i = 0; i < 2; i++)
		s->taken[from] += wake(key_of(s, i), &s->ready[i], FL__ALL, 0);
}

TWO_ACTORS(lot_move_both_ways, wait_in)

FL_STRESS_ACTOR(lot_move_both_ways, there)
{
	move_and_take(s, 0);
}

FL_STRESS_ACTOR(lot_move_both_ways, back)
{
	move_and_take(s, 1);
}

FL_STRESS(lot_move_both_ways, one, two, there, back)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(key_of(s, 0)) || fl__lot_has_waiters_at(key_of(s, 1)), "a waiter is left");
	FL_ACCEPTABLE(s->taken[0] + s->taken[1] == s->waited[0] + s->waited[1], "all woken once");
}

/*
 * A waiter gives up while it is moved. It leaves the queue that it is in, whether it was woken or
 * not.
 */
struct lot_leave_vs_move {
	char a, b;
	unsigned never, ready;
	int rc;
	size_t taken;
};

FL_STRESS_ACTOR(lot_leave_vs_move, waiter)
{
	struct place p;
	(void)stand(&p, &s->a, &s->never);
	s->rc = sleep_there(&p, soon());
}

FL_STRESS_ACTOR(lot_leave_vs_move, mover)
{
	(void)move_one(&s->a, &s->b);
	s->taken = wake(&s->b, &s->ready, FL__ALL, 0);
}

FL_STRESS(lot_leave_vs_move, waiter, mover)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->a) || fl__lot_has_waiters_at(&s->b), "left in the queue");
	FL_ACCEPTABLE(s->rc == 0 && s->taken == 1, "moved and taken");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->taken == 0, "timed out");
}

/*
 * A waiter that has given up but is still enqueued is dequeued, and not moved. The waiter behind it
 * is moved in its place.
 */
struct lot_move_passes_over {
	char a, b;
	unsigned ready_a, ready_b;
	bool stands; /* guarded by the bucket of a */
	int rc;
};

FL_STRESS_ACTOR(lot_move_passes_over, brief)
{
	struct place p;
	s->rc = stand(&p, &s->a, &s->ready_a) ? sleep_there(&p, soon()) : 1;
}

FL_STRESS_ACTOR(lot_move_passes_over, patient)
{
	struct place p;
	struct fl__lot lot;
	place_init(&p);
	fl__lot_open(&lot, &s->a);
	s->stands = !s->ready_a;
	if (s->stands)
		fl__lot_add(&lot, &p.node);
	const bool waits = s->stands;
	fl__lot_close(&lot);
	if (waits)
		OK(fl__wait_sleep(&p.wait, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_ACTOR(lot_move_passes_over, mover)
{
	struct fl__lot from, to;
	fl__lot_open(&from, &s->a);
	(void)fl__lot_open_also(&from, &to, &s->b);
	bool moved = false;
	while (!moved && fl__lot_has_waiters(&from))
		moved = fl__lot_move(&from, &to);
	FL_STRESS_CHECK(moved || !s->stands);
	FL_STRESS_CHECK(moved == fl__lot_has_waiters(&to));
	fl__lot_unlock_also(&from, &to);
	fl__lot_close(&from);
	(void)wake(&s->a, &s->ready_a, FL__ALL, 0);
	(void)wake(&s->b, &s->ready_b, FL__ALL, 0);
}

FL_STRESS(lot_move_passes_over, brief, patient, mover)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->a) || fl__lot_has_waiters_at(&s->b), "left in the queue");
	FL_ACCEPTABLE(s->rc == 0, "woken");
	FL_ACCEPTABLE(s->rc == 1, "late");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
}
