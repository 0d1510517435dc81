/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of requests to stop a submission. A request reaches that submission, or none. */
#include "shared_rings.h"

/*
 * A request comes when its submission ends. Later submissions, one of them in its slot, never take
 * it for theirs.
 */
struct rings_stop_vs_end {
	struct shared_rings l;
	struct doorbell doorbell;
	uint32_t seq;
	bool asked;
};

FL_STRESS_SETUP(rings_stop_vs_end)
{
	begin_rings(&s->l, fl_stress_choose(2) ? ROUND : 0u - ROUND);
	s->seq = post(&s->l.rings, 1);
	(void)post(&s->l.rings, 2);
}

FL_STRESS_ACTOR(rings_stop_vs_end, parent)
{
	fl__rings_request_stop(&s->l.rings, s->seq);
	collect_spinning(&s->l.rings, 1);
	collect_spinning(&s->l.rings, 2);
	parent_goes_round(&s->l.rings, 2);
	post_and_flush(&s->l.rings, 3);
}

FL_STRESS_ACTOR(rings_stop_vs_end, worker)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, &s->doorbell);
	for (unsigned i = 1; i <= 3; i++) {
		FL_STRESS_CHECK(take(&w) == i);
		bool asked = fl__rings_stop_requested(&w);
		FL_STRESS_CHECK(!asked || i == 1);
		s->asked |= asked;
		end(&w, i);
		if (i == 2)
			go_round(&w.next, 2);
	}
}

FL_STRESS(rings_stop_vs_end, parent, worker)
{
	FL_ACCEPTABLE(s->asked, "in time");
	FL_ACCEPTABLE(1, "too late");
}

/*
 * cancel_vs_complete: a submission is taken back and never runs, or it is asked to stop, or it is
 * done.
 */
struct rings_cancel_vs_complete {
	struct shared_rings l;
	struct doorbell doorbell;
	uint32_t seq;
	bool revoked, stopped;
	int ran;
};

FL_STRESS_SETUP(rings_cancel_vs_complete)
{
	begin_rings(&s->l, ROUND);
	s->seq = post(&s->l.rings, 1);
	(void)post(&s->l.rings, LEAVE);
}

FL_STRESS_ACTOR(rings_cancel_vs_complete, parent)
{
	s->revoked = fl__rings_revoke(&s->l.rings, s->seq);
	if (!s->revoked)
		fl__rings_request_stop(&s->l.rings, s->seq);
	FL_STRESS_CHECK(collect_asleep(&s->l.rings, 1, &s->doorbell, FL__NEVER));
}

FL_STRESS_ACTOR(rings_cancel_vs_complete, worker)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, &s->doorbell);
	for (unsigned arg; (arg = take(&w)) != LEAVE; s->ran++) {
		s->stopped = fl__rings_stop_requested(&w);
		end(&w, arg);
	}
}

FL_STRESS(rings_cancel_vs_complete, parent, worker)
{
	FL_ACCEPTABLE(s->revoked && s->ran == 0, "cancelled");
	FL_ACCEPTABLE(!s->revoked && s->ran == 1 && s->stopped, "told to stop");
	FL_ACCEPTABLE(!s->revoked && s->ran == 1 && !s->stopped, "done");
}

/*
 * A worker's listener does not miss a request while it goes to sleep, and finds the submission that
 * the request is for.
 */
struct rings_stop_vs_listen {
	struct shared_rings l;
};

FL_STRESS_SETUP(rings_stop_vs_listen)
{
	begin_rings(&s->l, ROUND);
	(void)post(&s->l.rings, 1);
}

FL_STRESS_ACTOR(rings_stop_vs_listen, parent)
{
	fl__rings_request_stop(&s->l.rings, s->l.begin);
}

FL_STRESS_ACTOR(rings_stop_vs_listen, listener)
{
	struct fl__worker_rings w;
	/* The worker is at its first submission. This is enough for a listener. */
	begin_worker(&w, &s->l, NULL);
	/* relaxed: fl__rings_stop_requested() orders it */
	while (fl__load_relaxed(&w.submissions->stop_requests) == 0)
		fl__rings_await_stop_request(&w, 0);
	FL_STRESS_CHECK(fl__rings_stop_requested(&w));
}

FL_STRESS(rings_stop_vs_listen, parent, listener)
{
	FL_ACCEPTABLE(1, "told");
}

/*
 * A request of a token comes on the thread of the requester. A worker that sees two requests finds
 * both.
 */
struct rings_stop_from_two {
	struct shared_rings l;
};

FL_STRESS_SETUP(rings_stop_from_two)
{
	begin_rings(&s->l, ROUND);
	(void)post(&s->l.rings, 1);
	(void)post(&s->l.rings, 2);
}

FL_STRESS_ACTOR(rings_stop_from_two, one)
{
	fl__rings_request_stop(&s->l.rings, s->l.begin);
}

FL_STRESS_ACTOR(rings_stop_from_two, two)
{
	fl__rings_request_stop(&s->l.rings, s->l.begin + 1);
}

FL_STRESS_ACTOR(rings_stop_from_two, listener)
{
	struct fl__worker_rings w;
	begin_worker(&w, &s->l, NULL);
	/* relaxed: fl__rings_stop_requested() orders it */
	for (uint32_t asks; (asks = fl__load_relaxed(&w.submissions->stop_requests)) < 2;)
		fl__rings_await_stop_request(&w, asks);
	FL_STRESS_CHECK(fl__rings_stop_requested(&w));
	w.next++;
	FL_STRESS_CHECK(fl__rings_stop_requested(&w));
}

FL_STRESS(rings_stop_from_two, one, two, listener)
{
	FL_ACCEPTABLE(1, "told of both");
}
