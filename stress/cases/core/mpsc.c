/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queue for one consumer. mpmc_unbounded.c and mpmc_unbounded_peers.c have the
 * scenarios that it shares; this file has the consumer's own steps.
 */
#include "chains.h"

/*
 * The shortest case: the thread that appended the last segment has not moved the tail yet, and
 * there is a spare (on real threads a spare with a reused address may be missing by chance). The
 * consumer moves the tail, continues, and frees the segment; between the first step and its check
 * of the hazards there is only the fence of this check.
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
