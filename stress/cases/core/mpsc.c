/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queue for one consumer. mpmc_unbounded.c has the scenarios of its producers; this
 * file has the consumer's own steps.
 */
#include "chains.h"

static fl_mpmc_unbounded *mpsc_of(size_t segment, int items)
{
	return chain_of(true, segment, items);
}

/*
 * The shortest case: the thread that appended the last segment has not moved the tail yet, and
 * there is a spare (on real threads a spare with a reused address may be missing by chance). The
 * consumer moves the tail, continues, and frees the segment; between the first step and its check
 * of the hazards there is only the fence of this check.
 */
struct mpsc_retire {
	fl_mpmc_unbounded *q;
	int got;
};

FL_STRESS_SETUP(mpsc_retire)
{
	s->q = mpsc_of(1, 3);
	s->got = unbounded_take(s->q) + unbounded_take(s->q);
	s->q->tail = s->q->head;
}

FL_STRESS_ACTOR(mpsc_retire, late)
{
	OK(fl_mpmc_unbounded_try_put(s->q, &(int){4}));
}

FL_STRESS_ACTOR(mpsc_retire, consumer)
{
	s->got += unbounded_take(s->q);
}

FL_STRESS(mpsc_retire, late, consumer)
{
	int sum = unbounded_end(s->q, 4) + s->got;
	FL_ACCEPTABLE(sum == 10, "each once");
}

/* closed_with_outstanding_reservation: accepted <=> got, by a consumer that gets until the end. */
struct mpsc_close {
	fl_mpmc_unbounded *q;
	int got, rc[2];
};

FL_STRESS_SETUP(mpsc_close)
{
	s->q = mpsc_of(1 + fl_stress_choose(2), (int)fl_stress_choose(2));
	(void)unbounded_take(s->q);
}

FL_STRESS_ACTOR(mpsc_close, producer)
{
	s->rc[0] = fl_mpmc_unbounded_try_put(s->q, &(int){4});
	s->rc[1] = fl_mpmc_unbounded_try_put(s->q, &(int){8});
}

FL_STRESS_ACTOR(mpsc_close, closer)
{
	fl_mpmc_unbounded_close(s->q);
}

FL_STRESS_ACTOR(mpsc_close, consumer)
{
	int item, rc;
	while ((rc = fl_mpmc_unbounded_try_get(s->q, &item)) != -EPIPE) {
		if (rc == 0)
			s->got += item;
		else
			fl_stress_relax();
	}
}

FL_STRESS(mpsc_close, producer, closer, consumer)
{
	int left = unbounded_take(s->q);
	fl_mpmc_unbounded_free(s->q);
	FL_FORBIDDEN(left != 0, "accepted after the end");
	FL_FORBIDDEN((s->rc[0] && s->rc[0] != -EPIPE) || (s->rc[1] && s->rc[1] != -EPIPE), "wrong result");
	int put = (s->rc[0] == 0 ? 4 : 0) + (s->rc[1] == 0 ? 8 : 0);
	FL_FORBIDDEN(put != s->got, "accepted and not got, or got and not accepted");
	FL_ACCEPTABLE(put == 0, "closed before");
	FL_ACCEPTABLE(put == 4, "closed in between");
	FL_ACCEPTABLE(put == 12, "closed after");
}

/*
 * try_blocks_on_stalled_peer: as unbounded_stalled (mpmc_unbounded_peers.c), with the same puts,
 * for the only consumer: it is stopped, or a producer is, and the other one continues.
 */
struct mpsc_stalled {
	fl_mpmc_unbounded *q;
	unsigned peer;
};

FL_STRESS_SETUP(mpsc_stalled)
{
	s->peer = fl_stress_choose(5);
	s->q = mpsc_of(4, 3);
}

FL_STRESS_ACTOR(mpsc_stalled, peer)
{
	unbounded_call(s->q, s->peer);
}

FL_STRESS_ACTOR(mpsc_stalled, tries)
{
	unbounded_call_all(s->q, s->peer, s->peer % 2 == 0);
}

FL_STRESS_PROCESSES(mpsc_stalled, peer, tries)
{
	fl_mpmc_unbounded_free(s->q);
	FL_ACCEPTABLE(1, "returned");
}
