/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings: a submission starts once or is taken back, its end comes with all that it wrote, and no
 * side sleeps on it.
 */
#include "core/base/atomic.h"
#include "shared_rings.h"

/*
 * Submissions come while the worker goes to sleep, singly or two with one flush: it gets each, with
 * its argument.
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
	FL_FORBIDDEN(1, "got too few");
}

/*
 * The manager goes to sleep, twice, while submissions end: each wakes it, and the doorbell rings at
 * most once in a sleep.
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
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 1, &s->doorbell, FL_FOREVER));
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 2, &s->doorbell, FL_FOREVER));
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
 * Both at once: each side waits for the other, over two rounds of one slot; its numbers may wrap in
 * between.
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
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 1, &s->doorbell, FL_FOREVER));
	parent_goes_round(&s->l.rings, 1);
	post_and_flush(&s->l.rings, 2);
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 2, &s->doorbell, FL_FOREVER));
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
	FL_FORBIDDEN(1, "one is left");
}

/*
 * The parent takes a submission back while the worker takes it: one of them has it, whatever the
 * slot held before.
 */
struct rings_revoke_vs_take {
	struct shared_rings l;
	struct doorbell doorbell;
	uint32_t seq;
	bool revoked;
	int ran;
};

FL_STRESS_SETUP(rings_revoke_vs_take)
{
	begin_rings_with(&s->l, (enum history)fl_stress_choose(HISTORIES));
	s->seq = post(&s->l.rings, 1);
	(void)post(&s->l.rings, LEAVE);
}

FL_STRESS_ACTOR(rings_revoke_vs_take, parent)
{
	s->revoked = fl__rings_revoke(&s->l.rings, s->seq);
	FL_STRESS_CHECK(fl__rings_revoke(&s->l.rings, s->seq) == s->revoked);
	collect_spinning(&s->l.rings, 1);
}

FL_STRESS_ACTOR(rings_revoke_vs_take, worker)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, &s->doorbell);
	for (unsigned arg; (arg = take(&w)) != LEAVE; s->ran++)
		end(&w, arg);
}

FL_STRESS(rings_revoke_vs_take, parent, worker)
{
	FL_ACCEPTABLE(s->revoked && s->ran == 0, "came back");
	FL_ACCEPTABLE(!s->revoked && s->ran == 1, "ran");
	FL_FORBIDDEN(1, "ran and came back, or neither");
}

/*
 * A slot is reused when the worker has passed it, also after a submission that was taken back: no
 * half of another is read.
 */
struct rings_refill {
	struct shared_rings l;
	struct doorbell doorbell;
	uint32_t seq;
	int ran[4];
};

FL_STRESS_SETUP(rings_refill)
{
	begin_rings(&s->l, ROUND);
	s->seq = post(&s->l.rings, 1);
	(void)post(&s->l.rings, 2);
}

FL_STRESS_ACTOR(rings_refill, parent)
{
	bool revoked = fl_stress_choose(2) && fl__rings_revoke(&s->l.rings, s->seq);
	collect_spinning(&s->l.rings, 1);
	collect_spinning(&s->l.rings, 2);
	parent_goes_round(&s->l.rings, 2);
	post_and_flush(&s->l.rings, 3);
	collect_spinning(&s->l.rings, 3);
	FL_STRESS_CHECK(s->ran[1] == !revoked && s->ran[2] == 1 && s->ran[3] == 1);
}

FL_STRESS_ACTOR(rings_refill, worker)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, &s->doorbell);
	for (unsigned arg = 0; arg != 3;) {
		arg = take(&w);
		s->ran[arg]++;
		end(&w, arg);
		if (arg == 2)
			go_round(&w.next, 2);
	}
}

FL_STRESS(rings_refill, parent, worker)
{
	FL_ACCEPTABLE(s->ran[1] == 0, "the first came back");
	FL_ACCEPTABLE(s->ran[1] == 1, "all ran");
}

/* An idle worker gets what a busy one has not started: one of them runs it, once. */
struct rings_steal {
	struct shared_rings busy, idle;
	struct doorbell doorbell;
	uint32_t seq;
	bool stolen;
	int ran[2];
};

FL_STRESS_SETUP(rings_steal)
{
	begin_rings(&s->busy, ROUND);
	begin_rings(&s->idle, ROUND);
	s->seq = post(&s->busy.rings, 1);
}

FL_STRESS_ACTOR(rings_steal, parent)
{
	s->stolen = fl__rings_revoke(&s->busy.rings, s->seq);
	if (s->stolen)
		post_and_flush(&s->idle.rings, 1);
	post_and_flush(&s->idle.rings, LEAVE);
	post_and_flush(&s->busy.rings, LEAVE);
	collect_spinning(&s->busy.rings, 1);
	if (s->stolen)
		collect_spinning(&s->idle.rings, 1);
}

static int serve(struct shared_rings *l, struct doorbell *doorbell)
{
	int ran = 0;
	struct fl__worker_rings w;
	begin_worker(&w, l, doorbell);
	for (unsigned arg; (arg = take(&w)) != LEAVE; ran++)
		end(&w, arg);
	return ran;
}

FL_STRESS_ACTOR(rings_steal, busy)
{
	s->ran[0] = serve(&s->busy, &s->doorbell);
}

FL_STRESS_ACTOR(rings_steal, idle)
{
	s->ran[1] = serve(&s->idle, &s->doorbell);
}

FL_STRESS(rings_steal, parent, busy, idle)
{
	FL_ACCEPTABLE(s->stolen && s->ran[0] == 0 && s->ran[1] == 1, "stolen");
	FL_ACCEPTABLE(!s->stolen && s->ran[0] == 1 && s->ran[1] == 0, "stayed");
	FL_FORBIDDEN(1, "twice, or not at all");
}
