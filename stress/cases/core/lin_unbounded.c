/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks in mode lin: the unbounded queues against a sequential one. Some order of the calls
 * explains their results. Two functions are left out: put_many, since other items may come between
 * its items, and length, which may be outdated. mpmc_unbounded.c has scenarios of both.
 */
#include "../lins.h"
#include "chains.h"

/*
 * The specification is first in, first out. A get of several items may take fewer than there are,
 * but at least one: those of one segment.
 */
static struct fl_lin_spec some_at_least;

static bool some_apply(void *state, const struct fl_lin_call *call)
{
	struct fl_lin_call c = *call;
	const int64_t n = c.result & 15;
	if (c.kind == FL_LIN_GET_MANY && c.returned && n > 0 && n - 1 < FL_LIN_KEY(c.arg))
		c.arg = FL_LIN_ID(c.arg) | (n - 1) << 8;
	return fl_lin_fifo.apply(state, &c);
}

__attribute__((constructor)) static void some_begin(void)
{
	some_at_least = fl_lin_fifo;
	some_at_least.apply = some_apply;
}

LIN_MADE_BY(lin_unbounded, chain, chain_create(&s->q, sizeof(int), &(chain_config){.segment = 1 + fl_stress_choose(2)}))

LIN_PUT(lin_unbounded, chain, .weight = 3)
LIN_GET(lin_unbounded, chain, .weight = 3)
LIN_GET_MANY(lin_unbounded, chain, .keys = LIN_MOST)
LIN_CLOSE(lin_unbounded, chain)

LIN_IS(lin_unbounded, chain, &some_at_least)

/* One of the threads is the consumer. */
LIN_MADE_BY(lin_mpsc, chain,
            chain_create(&s->q, sizeof(int), &(chain_config){.one_consumer = true, .segment = 1 + fl_stress_choose(2)}))

LIN_PUT(lin_mpsc, chain, .weight = 3)
LIN_GET(lin_mpsc, chain, .weight = 3, .by = FL_LIN_THREAD(0))
LIN_GET_MANY(lin_mpsc, chain, .keys = LIN_MOST, .by = FL_LIN_THREAD(0))
LIN_CLOSE(lin_mpsc, chain)

LIN_IS(lin_mpsc, chain, &fl_lin_fifo)
