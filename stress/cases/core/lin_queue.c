/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queues, each against the sequential queue of its order: an order of the calls explains the
 * results.
 */
#include "../lins.h"
#include "core/queue/mpmc_unbounded.h"
#include "core/queue/queue.h"

/* Bounded, closable, by one item and by many. */
LIN_MADE_BY(lin_queue, fl_queue, fl_queue_create(&s->q, sizeof(int), &(fl_queue_config){.capacity = 2}))

LIN_ALL(lin_queue, 0)

LIN_IS(lin_queue, fl_queue, &fl_lin_fifo, .limit = 2)

/* Unbounded; calls reach the end of a segment. */
static int make_unbounded(fl_queue **q, bool one_consumer)
{
	OK(fl_queue_create(q, sizeof(int), &(fl_queue_config){.capacity = FL_UNBOUNDED, .one_consumer = one_consumer}));
	fl_mpmc_unbounded *c = fl__align_to_line((*q)->state);
	fl__unbounded_end(c);
	*c = (fl_mpmc_unbounded){.on_poison = c->on_poison, .of = c->of};
	return fl__unbounded_init(c, sizeof(int), 1 + fl_stress_choose(2));
}

/*
 * Never full. A batch is not one step there, and the length includes puts that are under way.
 */
LIN_MADE_BY(lin_queue_unbounded, fl_queue, make_unbounded(&s->q, false))

LIN_PUT(lin_queue_unbounded, fl_queue, .weight = 3)
LIN_GET(lin_queue_unbounded, fl_queue, .weight = 3)
LIN_CLOSE(lin_queue_unbounded, fl_queue)

LIN_IS(lin_queue_unbounded, fl_queue, &fl_lin_fifo)

/* One of the threads is the consumer, as promised. */
LIN_MADE_BY(lin_queue_inbox, fl_queue, make_unbounded(&s->q, true))

LIN_PUT(lin_queue_inbox, fl_queue, .weight = 3)
LIN_GET(lin_queue_inbox, fl_queue, .weight = 3, .by = FL_LIN_THREAD(0))
LIN_CLOSE(lin_queue_inbox, fl_queue)

LIN_IS(lin_queue_inbox, fl_queue, &fl_lin_fifo)
