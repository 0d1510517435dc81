/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the ring for many producers and consumers: several items at once, the close, and
 * stopped peers.
 */
#include "mpmcs.h"

/*
 * batch_partial: a put of several items finds less space, and a get takes what is there. No item is
 * lost or out of order.
 */
struct mpmc_batch {
	fl_mpmc *q;
	int got[3];
};

FL_STRESS_SETUP(mpmc_batch)
{
	OK(fl_mpmc_create(&s->q, sizeof(int), 2));
}

FL_STRESS_ACTOR(mpmc_batch, producer)
{
	const int items[] = {1, 2, 3};
	for (size_t put = 0; put < 3;) {
		const size_t n = MOVED(fl_mpmc_try_put_many, s->q, items + put, 3 - put);
		if (n == 0)
			fl_stress_relax();
		put += n;
	}
}

FL_STRESS_ACTOR(mpmc_batch, consumer)
{
	for (size_t got = 0; got < 3;) {
		const size_t n = MOVED(fl_mpmc_try_get_many, s->q, s->got + got, 3 - got);
		if (n == 0)
			fl_stress_relax();
		got += n;
	}
}

FL_STRESS(mpmc_batch, producer, consumer)
{
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(s->got[0] == 1 && s->got[1] == 2 && s->got[2] == 3, "all, in order");
}

/*
 * closed_with_outstanding_reservation: accepted items come out before any thread is told "closed
 * and drained". A thread that sees the close sees what was done before. The calls are for one item,
 * or for several.
 */
struct mpmc_close {
	fl_mpmc *q;
	bool many;
	size_t put, got;
	int data;
};

FL_STRESS_SETUP(mpmc_close)
{
	s->many = fl_stress_choose(2);
	s->q = ring_of(s->many ? 2 : 1);
}

FL_STRESS_ACTOR(mpmc_close, producer)
{
	const int64_t items[] = {1, 2};
	s->put = s->many ? MOVED(fl_mpmc_try_put_many, s->q, items, 2) : fl_mpmc_try_put(s->q, items) == 0;
	if (s->put == 0)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(mpmc_close, closer)
{
	s->data = 1;
	fl_mpmc_close(s->q);
}

FL_STRESS_ACTOR(mpmc_close, consumer)
{
	int64_t items[2];
	int rc = 0;
	if (s->many) {
		while (!fl_mpmc_is_closed(s->q))
			fl_stress_relax();
		FL_STRESS_CHECK(s->data == 1);
	}
	while (rc != -EPIPE) {
		const size_t n = s->many ? MOVED(fl_mpmc_try_get_many, s->q, items, 2) : 0;
		rc = n > 0 ? 0 : fl_mpmc_try_get(s->q, items);
		if (rc == 0)
			s->got += n > 0 ? n : 1;
		else
			fl_stress_relax();
	}
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(mpmc_close, producer, closer, consumer)
{
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(s->put == (s->many ? 2 : 1) && s->got == s->put, "accepted, and got");
	FL_ACCEPTABLE(s->put == 0 && s->got == 0, "refused");
}

/*
 * try_blocks_on_stalled_peer: in mode crash the peer stops forever at each of its steps in turn.
 * Every call then returns within 64 steps of its own.
 */
struct mpmc_stalled {
	fl_mpmc *q;
	unsigned peer;
};

FL_STRESS_SETUP(mpmc_stalled)
{
	s->q = ring_of(2);
	s->peer = fl_stress_choose(5);
	OK(fl_mpmc_try_put(s->q, &(int64_t){1}));
}

FL_STRESS_ACTOR(mpmc_stalled, peer)
{
	int64_t items[2] = {2, 3};
	switch (s->peer) {
	case 0:
		FL_IGNORE(fl_mpmc_try_put(s->q, items));
		break;
	case 1:
		FL_IGNORE(fl_mpmc_try_get(s->q, items));
		break;
	case 2:
		(void)MOVED(fl_mpmc_try_put_many, s->q, items, 2);
		break;
	case 3:
		(void)MOVED(fl_mpmc_try_get_many, s->q, items, 2);
		break;
	default:
		fl_mpmc_close(s->q);
	}
}

FL_STRESS_ACTOR(mpmc_stalled, tries)
{
	int64_t item = 9, items[3];
	uint32_t since = fl_stress_steps();
	FL_IGNORE(fl_mpmc_try_put(s->q, &item));
	within_64(&since);
	FL_IGNORE(fl_mpmc_try_get(s->q, &item));
	within_64(&since);
	(void)MOVED(fl_mpmc_try_put_many, s->q, items, 3);
	within_64(&since);
	(void)MOVED(fl_mpmc_try_get_many, s->q, items, 3);
	within_64(&since);
	FL_STRESS_CHECK(fl_mpmc_length(s->q) <= 2);
	within_64(&since);
	fl_mpmc_close(s->q);
	within_64(&since);
	FL_STRESS_CHECK(fl_mpmc_is_closed(s->q));
	within_64(&since);
}

FL_STRESS_PROCESSES(mpmc_stalled, peer, tries)
{
	fl_mpmc_free(s->q);
	FL_ACCEPTABLE(1, "returned");
}
