/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the unbounded queue for one consumer: the steps that only its consumer makes.
 * mpmc_unbounded.c and mpmc_unbounded_peers.c have the scenarios that this queue shares with the
 * one for many.
 */
#include "chains.h"

/*
 * The thread that appended the last segment has not moved the tail yet, and there is a spare. (On
 * real threads a spare with a reused address may be missing by chance.) The consumer moves the
 * tail, continues, and frees the segment. Between the consumer's first step and its check of the
 * hazard pointers there is only the fence of this check. This is the shortest such case.
 */
struct mpsc_retire {
	chain *q;
	int got;
};

FL_STRESS_SETUP(mpsc_retire)
{
	s->q = chain_of(true, 1, 3);
	s->got = unbounded_take(s->q) + unbounded_take(s->q);
	s->q->tail = s->q->head;
}

FL_STRESS_ACTOR(mpsc_retire, late)
{
	OK(chain_try_put(s->q, &(int64_t){4}));
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
