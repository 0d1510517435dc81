/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queues, each against the sequential queue of its order: an order of the calls explains the
 * results.
 */
#include "../lins.h"
#include "core/queue/mpmc_unbounded.h"
#include "core/queue/queue.h"
#include <fairlead/queue.h>

/* Bounded, closable, by one item and by many. */
struct lin_queue {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_queue)
{
	OK(fl_queue_create(&s->q, sizeof(int), &(fl_queue_config){.capacity = 2}));
}

LIN_PUT(lin_queue, fl_queue, .weight = 3)
LIN_GET(lin_queue, fl_queue, .weight = 3)
LIN_CLOSE(lin_queue, fl_queue)
LIN_LENGTH(lin_queue, fl_queue)
LIN_PUT_MANY(lin_queue, fl_queue, .keys = LIN_MOST)
LIN_GET_MANY(lin_queue, fl_queue, .keys = LIN_MOST)

FL_LIN(lin_queue, &fl_lin_fifo, .limit = 2)
{
	fl_queue_free(s->q);
}

/*
 * Unbounded: never full. A batch is not one step there, and the length includes puts that are under
 * way.
 */
struct lin_queue_unbounded {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_queue_unbounded)
{
	OK(fl_queue_create(&s->q, sizeof(int), &(fl_queue_config){.capacity = FL_UNBOUNDED}));
	struct fl__unbounded *c = fl__align_to_line(s->q->state);
	fl__unbounded_end(c);
	*c = (struct fl__unbounded){.on_poison = c->on_poison, .of = c->of};
	/* So that calls reach the end of a segment. */
	OK(fl__unbounded_init(c, sizeof(int), 1 + fl_stress_choose(2)));
}

LIN_PUT(lin_queue_unbounded, fl_queue, .weight = 3)
LIN_GET(lin_queue_unbounded, fl_queue, .weight = 3)
LIN_CLOSE(lin_queue_unbounded, fl_queue)

FL_LIN(lin_queue_unbounded, &fl_lin_fifo)
{
	fl_queue_free(s->q);
}

/* One of the threads is the consumer, as promised. */
struct lin_queue_inbox {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_queue_inbox)
{
	OK(fl_queue_create(&s->q, sizeof(int), &(fl_queue_config){.capacity = FL_UNBOUNDED, .one_consumer = true}));
	struct fl__unbounded *c = fl__align_to_line(s->q->state);
	fl__unbounded_end(c);
	*c = (struct fl__unbounded){.on_poison = c->on_poison, .of = c->of};
	/* So that calls reach the end of a segment. */
	OK(fl__unbounded_init(c, sizeof(int), 1 + fl_stress_choose(2)));
}

LIN_PUT(lin_queue_inbox, fl_queue, .weight = 3)
LIN_GET(lin_queue_inbox, fl_queue, .weight = 3, .by = FL_LIN_THREAD(0))
LIN_CLOSE(lin_queue_inbox, fl_queue)

FL_LIN(lin_queue_inbox, &fl_lin_fifo)
{
	fl_queue_free(s->q);
}
