/* SPDX-License-Identifier: BSD-2-Clause */
/* Lanes: an order starts once or comes back, its end is seen with all that it wrote, and nobody sleeps over either. */
#include "base/atomic.h"
#include "shared_rings.h"

/* Orders come while the worker goes to sleep, singly or two with one flush: it gets each, with its argument. */
struct lane_post_vs_sleep {
	struct shared_lane l;
	struct bell bell;
	unsigned taken;
};

FL_STRESS_SETUP(lane_post_vs_sleep)
{
	begin_lane(&s->l, ROUND);
}

FL_STRESS_ACTOR(lane_post_vs_sleep, parent)
{
	if (fl_stress_choose(2)) {
		post_and_flush(&s->l.lane, 1);
		post_and_flush(&s->l.lane, 2);
	} else {
		(void)post(&s->l.lane, 1);
		(void)post(&s->l.lane, 2);
		fl__lane_flush(&s->l.lane);
	}
}

FL_STRESS_ACTOR(lane_post_vs_sleep, worker)
{
	struct fl__lane_worker w;
	begin_worker(&w, &s->l, &s->bell);
	for (unsigned i = 1; i <= 2; i++) {
		FL_STRESS_CHECK(take(&w) == i);
		s->taken++;
		end(&w, i);
	}
}

FL_STRESS(lane_post_vs_sleep, parent, worker)
{
	FL_FORBIDDEN(LOOK(&s->bell.rings) > 0, "rang, and nobody slept");
	FL_ACCEPTABLE(s->taken == 2, "got both");
	FL_FORBIDDEN(1, "got too few");
}

/* The collector goes to sleep, twice, while orders end: it is woken for each, and rung for once in a sleep at most. */
struct lane_end_vs_sleep {
	struct shared_lane l;
	struct bell bell;
};

FL_STRESS_SETUP(lane_end_vs_sleep)
{
	begin_lane(&s->l, ROUND);
	(void)post(&s->l.lane, 1);
	(void)post(&s->l.lane, 2);
}

FL_STRESS_ACTOR(lane_end_vs_sleep, parent)
{
	FL_STRESS_CHECK(collect_asleep(&s->l.lane, 1, &s->bell, FL_FOREVER));
	FL_STRESS_CHECK(collect_asleep(&s->l.lane, 2, &s->bell, FL_FOREVER));
}

FL_STRESS_ACTOR(lane_end_vs_sleep, worker)
{
	struct fl__lane_worker w;
	begin_worker(&w, &s->l, &s->bell);
	for (unsigned i = 1; i <= 2; i++)
		end(&w, take(&w));
}

FL_STRESS(lane_end_vs_sleep, parent, worker)
{
	FL_FORBIDDEN(LOOK(&s->bell.rings) > s->bell.sleeps, "rung for twice in a sleep");
	FL_ACCEPTABLE(LOOK(&s->bell.rings) == 0, "found both");
	FL_ACCEPTABLE(1, "was woken");
}

/* Both at once: each waits for the other, over two rounds of one slot, whose numbers may go round in between. */
struct lane_round_trip {
	struct shared_lane l;
	struct bell bell;
};

FL_STRESS_SETUP(lane_round_trip)
{
	begin_lane(&s->l, fl_stress_choose(2) ? ROUND : 0u - ROUND);
}

FL_STRESS_ACTOR(lane_round_trip, parent)
{
	post_and_flush(&s->l.lane, 1);
	FL_STRESS_CHECK(collect_asleep(&s->l.lane, 1, &s->bell, FL_FOREVER));
	parent_goes_round(&s->l.lane, 1);
	post_and_flush(&s->l.lane, 2);
	FL_STRESS_CHECK(collect_asleep(&s->l.lane, 2, &s->bell, FL_FOREVER));
}

FL_STRESS_ACTOR(lane_round_trip, worker)
{
	struct fl__lane_worker w;
	begin_worker(&w, &s->l, &s->bell);
	for (unsigned i = 1; i <= 2; i++) {
		FL_STRESS_CHECK(take(&w) == i && !fl__lane_is_asked(&w));
		end(&w, i);
		go_round(&w.next, 1);
	}
}

FL_STRESS(lane_round_trip, parent, worker)
{
	FL_ACCEPTABLE(fl__lane_used(&s->l.lane) == 0, "both");
	FL_FORBIDDEN(1, "one is left");
}

/* The parent takes an order back while the worker takes it: one of them has it, whatever the slot has seen before. */
struct lane_revoke_vs_take {
	struct shared_lane l;
	struct bell bell;
	uint32_t seq;
	bool revoked;
	int ran;
};

FL_STRESS_SETUP(lane_revoke_vs_take)
{
	begin_lane_with(&s->l, (enum history)fl_stress_choose(HISTORIES));
	s->seq = post(&s->l.lane, 1);
	(void)post(&s->l.lane, LEAVE);
}

FL_STRESS_ACTOR(lane_revoke_vs_take, parent)
{
	s->revoked = fl__lane_revoke(&s->l.lane, s->seq);
	FL_STRESS_CHECK(fl__lane_revoke(&s->l.lane, s->seq) == s->revoked);
	collect_spinning(&s->l.lane, 1);
}

FL_STRESS_ACTOR(lane_revoke_vs_take, worker)
{
	struct fl__lane_worker w;
	begin_worker(&w, &s->l, &s->bell);
	for (unsigned arg; (arg = take(&w)) != LEAVE; s->ran++)
		end(&w, arg);
}

FL_STRESS(lane_revoke_vs_take, parent, worker)
{
	FL_ACCEPTABLE(s->revoked && s->ran == 0, "came back");
	FL_ACCEPTABLE(!s->revoked && s->ran == 1, "ran");
	FL_FORBIDDEN(1, "ran and came back, or neither");
}

/* A slot is filled again when the worker has passed it, also that of an order that came back: it reads no half of another. */
struct lane_refill {
	struct shared_lane l;
	struct bell bell;
	uint32_t seq;
	int ran[4];
};

FL_STRESS_SETUP(lane_refill)
{
	begin_lane(&s->l, ROUND);
	s->seq = post(&s->l.lane, 1);
	(void)post(&s->l.lane, 2);
}

FL_STRESS_ACTOR(lane_refill, parent)
{
	bool revoked = fl_stress_choose(2) && fl__lane_revoke(&s->l.lane, s->seq);
	collect_spinning(&s->l.lane, 1);
	collect_spinning(&s->l.lane, 2);
	parent_goes_round(&s->l.lane, 2);
	post_and_flush(&s->l.lane, 3);
	collect_spinning(&s->l.lane, 3);
	FL_STRESS_CHECK(s->ran[1] == !revoked && s->ran[2] == 1 && s->ran[3] == 1);
}

FL_STRESS_ACTOR(lane_refill, worker)
{
	struct fl__lane_worker w;
	begin_worker(&w, &s->l, &s->bell);
	for (unsigned arg = 0; arg != 3;) {
		arg = take(&w);
		s->ran[arg]++;
		end(&w, arg);
		if (arg == 2)
			go_round(&w.next, 2);
	}
}

FL_STRESS(lane_refill, parent, worker)
{
	FL_ACCEPTABLE(s->ran[1] == 0, "the first came back");
	FL_ACCEPTABLE(s->ran[1] == 1, "all ran");
}

/* An idle worker gets what a busy one has not started: it runs with one of them, once. */
struct lane_steal {
	struct shared_lane busy, idle;
	struct bell bell;
	uint32_t seq;
	bool stolen;
	int ran[2];
};

FL_STRESS_SETUP(lane_steal)
{
	begin_lane(&s->busy, ROUND);
	begin_lane(&s->idle, ROUND);
	s->seq = post(&s->busy.lane, 1);
}

FL_STRESS_ACTOR(lane_steal, parent)
{
	s->stolen = fl__lane_revoke(&s->busy.lane, s->seq);
	if (s->stolen)
		post_and_flush(&s->idle.lane, 1);
	post_and_flush(&s->idle.lane, LEAVE);
	post_and_flush(&s->busy.lane, LEAVE);
	collect_spinning(&s->busy.lane, 1);
	if (s->stolen)
		collect_spinning(&s->idle.lane, 1);
}

static int serve(struct shared_lane *l, struct bell *bell)
{
	int ran = 0;
	struct fl__lane_worker w;
	begin_worker(&w, l, bell);
	for (unsigned arg; (arg = take(&w)) != LEAVE; ran++)
		end(&w, arg);
	return ran;
}

FL_STRESS_ACTOR(lane_steal, busy)
{
	s->ran[0] = serve(&s->busy, &s->bell);
}

FL_STRESS_ACTOR(lane_steal, idle)
{
	s->ran[1] = serve(&s->idle, &s->bell);
}

FL_STRESS(lane_steal, parent, busy, idle)
{
	FL_ACCEPTABLE(s->stolen && s->ran[0] == 0 && s->ran[1] == 1, "stolen");
	FL_ACCEPTABLE(!s->stolen && s->ran[0] == 1 && s->ran[1] == 0, "stayed");
	FL_FORBIDDEN(1, "twice, or not at all");
}
