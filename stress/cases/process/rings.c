/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the rings between a manager thread and a worker. A submission starts once or is
 * taken back, and its end comes with all that it wrote. Neither side sleeps while the other one has
 * posted something for it.
 */
#include "shared_rings.h"

/*
 * Submissions come while the worker goes to sleep, singly or two with one flush. The worker gets
 * each of them, with its argument.
 */
struct rings_post_vs_sleep {
	struct shared_rings l;
	struct doorbell doorbell;
	unsigned taken;
};

FL_STRESS_SETUP(rings_post_vs_sleep)
{
	begin_rings(&s->l, ROUND);
}

FL_STRESS_ACTOR(rings_post_vs_sleep, parent)
{
	if (fl_stress_choose(2)) {
		post_and_flush(&s->l.rings, 1);
		post_and_flush(&s->l.rings, 2);
	} else {
		(void)post(&s->l.rings, 1);
		(void)post(&s->l.rings, 2);
		fl__rings_flush(&s->l.rings);
	}
}

FL_STRESS_ACTOR(rings_post_vs_sleep, worker)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, &s->doorbell);
	for (unsigned i = 1; i <= 2; i++) {
		FL_STRESS_CHECK(take(&w) == i);
		s->taken++;
		end(&w, i);
	}
}

FL_STRESS(rings_post_vs_sleep, parent, worker)
{
	FL_FORBIDDEN(LOOK(&s->doorbell.ring_count) > 0, "rang without a sleeper");
	FL_ACCEPTABLE(s->taken == 2, "got both");
}

/*
 * The manager thread goes to sleep, twice, while submissions end. Each end wakes it, and the
 * doorbell rings at most once in a sleep.
 */
struct rings_end_vs_sleep {
	struct shared_rings l;
	struct doorbell doorbell;
};

FL_STRESS_SETUP(rings_end_vs_sleep)
{
	begin_rings(&s->l, ROUND);
	(void)post(&s->l.rings, 1);
	(void)post(&s->l.rings, 2);
}

FL_STRESS_ACTOR(rings_end_vs_sleep, parent)
{
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 1, &s->doorbell, FL__NEVER));
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 2, &s->doorbell, FL__NEVER));
}

FL_STRESS_ACTOR(rings_end_vs_sleep, worker)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, &s->doorbell);
	for (unsigned i = 1; i <= 2; i++)
		end(&w, take(&w));
}

FL_STRESS(rings_end_vs_sleep, parent, worker)
{
	FL_FORBIDDEN(LOOK(&s->doorbell.ring_count) > s->doorbell.sleeps, "rung for twice in a sleep");
	FL_ACCEPTABLE(LOOK(&s->doorbell.ring_count) == 0, "found both");
	FL_ACCEPTABLE(1, "was woken");
}

/*
 * Both sides wait for each other, over two rounds of one slot. The numbers of the submissions may
 * wrap in between.
 */
struct rings_round_trip {
	struct shared_rings l;
	struct doorbell doorbell;
};

FL_STRESS_SETUP(rings_round_trip)
{
	begin_rings(&s->l, fl_stress_choose(2) ? ROUND : 0u - ROUND);
}

FL_STRESS_ACTOR(rings_round_trip, parent)
{
	post_and_flush(&s->l.rings, 1);
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 1, &s->doorbell, FL__NEVER));
	parent_goes_round(&s->l.rings, 1);
	post_and_flush(&s->l.rings, 2);
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 2, &s->doorbell, FL__NEVER));
}

FL_STRESS_ACTOR(rings_round_trip, worker)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, &s->doorbell);
	for (unsigned i = 1; i <= 2; i++) {
		FL_STRESS_CHECK(take(&w) == i && !fl__rings_stop_requested(&w));
		end(&w, i);
		go_round(&w.next, 1);
	}
}

FL_STRESS(rings_round_trip, parent, worker)
{
	FL_ACCEPTABLE(fl__rings_used(&s->l.rings) == 0, "both");
}
