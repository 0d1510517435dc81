/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks in mode lin: the rings that never wait, against the sequential queue. */
#include "../lins.h"
#include "pairs.h"
#include <fairlead/spsc.h>

/*
 * The specification is first in, first out. Calls for several items may move fewer than possible,
 * because they count the items before other threads can see the effect.
 */
static struct fl_lin_spec fewer;

static bool fewer_apply(void *state, const struct fl_lin_call *call)
{
	struct fl_lin_call c = *call;
	const bool several = c.kind == FL_LIN_PUT_MANY || c.kind == FL_LIN_GET_MANY;
	const int64_t n = c.result & 15;
	if (several && c.returned && n == 0)
		return true;
	if (several && c.returned && n - 1 < FL_LIN_KEY(c.arg))
		c.arg = FL_LIN_ID(c.arg) | (n - 1) << 8;
	return fl_lin_fifo.apply(state, &c);
}

__attribute__((constructor)) static void fewer_begin(void)
{
	fewer = fl_lin_fifo;
	fewer.apply = fewer_apply;
}

/*
 * mpmc_linearizable: the calls for one item, the close, and those for many. Refusals (full, empty,
 * closed) have one order, too. -EBUSY comes only during other calls.
 */
LIN_MADE_BY(lin_mpmc, fl_mpmc, fl_mpmc_create(&s->q, sizeof(int), 2))

LIN_PUT(lin_mpmc, fl_mpmc, .weight = 3)
LIN_GET(lin_mpmc, fl_mpmc, .weight = 3)
LIN_CLOSE(lin_mpmc, fl_mpmc)
LIN_PUT_MANY(lin_mpmc, fl_mpmc, .keys = LIN_MOST)
LIN_GET_MANY(lin_mpmc, fl_mpmc, .keys = LIN_MOST)

LIN_IS(lin_mpmc, fl_mpmc, &fewer, .limit = 2)

/* The ring has one slot, which is every position. */
LIN_MADE_BY(lin_mpmc_one, fl_mpmc, fl_mpmc_create(&s->q, sizeof(int64_t), 1))

LIN_PUT(lin_mpmc_one, fl_mpmc, .weight = 1)
LIN_GET(lin_mpmc_one, fl_mpmc, .weight = 1)

LIN_IS(lin_mpmc_one, fl_mpmc, &fl_lin_fifo, .limit = 1)

/*
 * There is one producer and one consumer. The put is not a fence, so no common order explains the
 * refusals of both sides.
 */
LIN_MADE_BY(lin_spsc, fl_spsc, fl_spsc_create(&s->q, sizeof(int), 2))

LIN_PUT(lin_spsc, fl_spsc, .by = FL_LIN_THREAD(0))
LIN_PUT_MANY(lin_spsc, fl_spsc, .keys = LIN_MOST, .by = FL_LIN_THREAD(0))
LIN_GET(lin_spsc, fl_spsc, .by = FL_LIN_THREAD(1))
LIN_GET_MANY(lin_spsc, fl_spsc, .keys = LIN_MOST, .by = FL_LIN_THREAD(1))

LIN_IS(lin_spsc, fl_spsc, &fewer, .limit = 2, .threads = 2, .refusals_apart = true)

/* The queue for one producer and one consumer, which any thread may close. */
struct lin_pair {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_pair)
{
	s->q = pair_of(2, NULL);
}

LIN_PUT(lin_pair, fl_queue, .by = FL_LIN_THREAD(0))
LIN_PUT_MANY(lin_pair, fl_queue, .keys = LIN_MOST, .by = FL_LIN_THREAD(0))
LIN_GET(lin_pair, fl_queue, .by = FL_LIN_THREAD(1))
LIN_GET_MANY(lin_pair, fl_queue, .keys = LIN_MOST, .by = FL_LIN_THREAD(1))
LIN_CLOSE(lin_pair, fl_queue)

LIN_IS(lin_pair, fl_queue, &fewer, .limit = 2, .threads = 3, .refusals_apart = true)
