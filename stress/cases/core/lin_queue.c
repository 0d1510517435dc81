/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks in mode lin: queues against the sequential queue of their order. Some order of the calls
 * explains their results.
 */
#include "../lins.h"
#include "queues.h"

/* A bounded queue, which may be closed, with calls for one item and for many. */
LIN_MADE_BY(lin_queue, fl_queue, fl_queue_create(&s->q, sizeof(int), &(fl_queue_config){.capacity = 2}))

LIN_ALL(lin_queue, 0)

LIN_IS(lin_queue, fl_queue, &fl_lin_fifo, .limit = 2)

/* Makes an unbounded queue whose calls reach the end of a segment. */
static int make_unbounded(fl_queue **q, bool one_consumer)
{
	*q = unbounded_as((fl_queue_config){.one_consumer = one_consumer}, 1 + fl_stress_choose(2), 0);
	return 0;
}

/*
 * An unbounded queue is never full. A batch is not one step there, and the length includes puts
 * that are under way, so both are left out.
 */
LIN_MADE_BY(lin_queue_unbounded, fl_queue, make_unbounded(&s->q, false))

LIN_PUT(lin_queue_unbounded, fl_queue, .weight = 3)
LIN_GET(lin_queue_unbounded, fl_queue, .weight = 3)
LIN_CLOSE(lin_queue_unbounded, fl_queue)

LIN_IS(lin_queue_unbounded, fl_queue, &fl_lin_fifo)

/* One of the threads is the consumer, as was promised. */
LIN_MADE_BY(lin_queue_inbox, fl_queue, make_unbounded(&s->q, true))

LIN_PUT(lin_queue_inbox, fl_queue, .weight = 3)
LIN_GET(lin_queue_inbox, fl_queue, .weight = 3, .by = FL_LIN_THREAD(0))
LIN_CLOSE(lin_queue_inbox, fl_queue)

LIN_IS(lin_queue_inbox, fl_queue, &fl_lin_fifo)
