/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the unbounded queue for many producers and consumers, with sleepers and with stopped
 * threads.
 */
#include "chains.h"

/*
 * lost_wakeup_dekker: the put wakes a thread that has marked the empty queue and sleeps, whichever
 * segment the item is in.
 */
struct unbounded_sleeper {
	chain *q;
	fl_event there;
	int got;
};

FL_STRESS_SETUP(unbounded_sleeper)
{
	s->q = unbounded_of(1 + fl_stress_choose(2), (int)fl_stress_choose(2));
	s->got = unbounded_take(s->q);
	fl__hazards_end();
}

static void put_and_wake(struct unbounded_sleeper *s, int i)
{
	bool owes = false;
	/* It is longer than an item, because the compiler checks all possible sizes. */
	int item[4] = {2 * (i + 1)};
	OK(fl__unbounded_put(s->q, item, &owes));
	if (owes)
		fl_event_set(&s->there);
}

TWO_ACTORS(unbounded_sleeper, put_and_wake)

FL_STRESS_ACTOR(unbounded_sleeper, sleeper)
{
	int item;
	while (!(item = unbounded_take(s->q)))
		if (fl__unbounded_mark_empty(s->q) == 0)
			OK(fl_event_wait(&s->there));
	s->got += item;
}

FL_STRESS(unbounded_sleeper, one, two, sleeper)
{
	int sum = s->got;
	for (int item; (item = unbounded_take(s->q));)
		sum += item;
	chain_free(s->q);
	FL_FORBIDDEN(sum != 6 && sum != 7, "lost or doubled");
	FL_ACCEPTABLE(1, "woken");
}

/*
 * The mark of a sleeper is cleared once: by one of the puts, into any segment, or by the append if
 * the mark is at the end of a segment.
 */
struct unbounded_mark {
	chain *q;
	int owed[2];
};

FL_STRESS_SETUP(unbounded_mark)
{
	s->q = unbounded_of(1 + fl_stress_choose(2), (int)fl_stress_choose(2));
	(void)unbounded_take(s->q);
	FL_STRESS_CHECK(fl__unbounded_mark_empty(s->q) == 0);
	fl__hazards_end();
}

static int put_for_a_sleeper(chain *q)
{
	int item[4] = {1}; /* longer than an item, because the compiler checks all sizes */
	bool owes = false;
	OK(fl__unbounded_put(q, item, &owes));
	return owes;
}

FL_STRESS_ACTOR(unbounded_mark, one)
{
	s->owed[0] = put_for_a_sleeper(s->q);
	s->owed[0] += put_for_a_sleeper(s->q);
}

FL_STRESS_ACTOR(unbounded_mark, two)
{
	s->owed[1] = put_for_a_sleeper(s->q);
}

FL_STRESS(unbounded_mark, one, two)
{
	const int late = put_for_a_sleeper(s->q);
	int left = 0;
	while (unbounded_take(s->q) != 0)
		left++;
	chain_free(s->q);
	FL_FORBIDDEN(late, "no thread sleeps");
	FL_FORBIDDEN(left != 4, "lost or doubled");
	FL_ACCEPTABLE(s->owed[0] + s->owed[1] == 1, "one owes the wake");
}

/*
 * try_blocks_on_stalled_peer: in mode crash the peer stops forever at each of its steps in turn.
 * Each call returns within 64 steps of its own. Another segment follows the peer's last slot. No
 * segment is retired, because here each process has its own hazard pointers. In a queue for one
 * consumer, the peer is either this consumer or a producer.
 */
struct unbounded_stalled {
	chain *q;
	unsigned peer;
	bool consumes; /* whether the peer is not the only consumer */
};

FL_STRESS_SETUP(unbounded_stalled)
{
	const bool one_consumer = fl_stress_choose(2);
	s->peer = fl_stress_choose(5);
	s->consumes = !one_consumer || s->peer % 2 == 0;
	s->q = chain_of(one_consumer, 4, 3);
}

FL_STRESS_ACTOR(unbounded_stalled, peer)
{
	unbounded_call(s->q, s->peer);
}

FL_STRESS_ACTOR(unbounded_stalled, tries)
{
	unbounded_call_all(s->q, s->peer, s->consumes);
}

FL_STRESS_PROCESSES(unbounded_stalled, peer, tries)
{
	chain_free(s->q);
	FL_ACCEPTABLE(1, "returned");
}
