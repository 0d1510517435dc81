/* SPDX-License-Identifier: BSD-2-Clause */
/* The queues, each against the sequential one of its order: whatever is called at once, one after the other explains it. */
#include "cases.h"
#include "queue/chain.h"
#include "queue/queue.h"
#include <fairlead/queue.h>
#include <fairlead/stress_lin.h>
#include <string.h>

/* Bounded, closable, by one and by many. */
struct lin_queue {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_queue)
{
	OK(fl_queue_create(&s->q, sizeof(int), &(fl_queue_config){.capacity = 2}));
}

FL_LIN_OP(lin_queue, put, FL_LIN_PUT, .weight = 3)
{
	return fl_queue_try_put(s->q, &(int){(int)arg});
}

FL_LIN_OP(lin_queue, get, FL_LIN_GET, .weight = 3)
{
	int item, rc = fl_queue_try_get(s->q, &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_queue, close, FL_LIN_CLOSE, .most = 1)
{
	fl_queue_close(s->q);
	return 0;
}

FL_LIN_OP(lin_queue, length, FL_LIN_LENGTH)
{
	return (int64_t)fl_queue_length(s->q);
}

FL_LIN_OP(lin_queue, put_many, FL_LIN_PUT_MANY, .keys = 3)
{
	int items[3];
	for (unsigned i = 0; i < 3; i++)
		items[i] = (int)fl_lin_item(arg, i);
	return (int64_t)fl_queue_try_put_many(s->q, items, (size_t)FL_LIN_KEY(arg) + 1);
}

FL_LIN_OP(lin_queue, get_many, FL_LIN_GET_MANY, .keys = 3)
{
	int items[3];
	int64_t got[3];
	unsigned n = (unsigned)fl_queue_try_get_many(s->q, items, (size_t)FL_LIN_KEY(arg) + 1);
	for (unsigned i = 0; i < n; i++)
		got[i] = items[i];
	return fl_lin_items(n, got);
}

FL_LIN(lin_queue, &fl_lin_fifo, .limit = 2)
{
	fl_queue_free(s->q);
}

/* Unbounded: never full. A batch is not one step there, and the length has puts that are under way. */
struct lin_queue_unbounded {
	fl_queue *q;
};

FL_STRESS_SETUP(lin_queue_unbounded)
{
	OK(fl_queue_create(&s->q, sizeof(int), &(fl_queue_config){.capacity = FL_UNBOUNDED}));
	struct fl__chain *c = fl__at_line(s->q->state);
	fl__chain_end(c);
	memset(c, 0, sizeof *c);
	OK(fl__chain_init(c, sizeof(int), 1 + fl_stress_choose(2))); /* so that it comes to a segment's end */
}

FL_LIN_OP(lin_queue_unbounded, put, FL_LIN_PUT, .weight = 3)
{
	return fl_queue_try_put(s->q, &(int){(int)arg});
}

FL_LIN_OP(lin_queue_unbounded, get, FL_LIN_GET, .weight = 3)
{
	int item, rc = fl_queue_try_get(s->q, &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_queue_unbounded, close, FL_LIN_CLOSE, .most = 1)
{
	fl_queue_close(s->q);
	return 0;
}

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
	struct fl__chain *c = fl__at_line(s->q->state);
	fl__chain_end(c);
	memset(c, 0, sizeof *c);
	OK(fl__chain_init(c, sizeof(int), 1 + fl_stress_choose(2))); /* so that it comes to a segment's end */
}

FL_LIN_OP(lin_queue_inbox, put, FL_LIN_PUT, .weight = 3)
{
	return fl_queue_try_put(s->q, &(int){(int)arg});
}

FL_LIN_OP(lin_queue_inbox, get, FL_LIN_GET, .weight = 3, .by = FL_LIN_THREAD(0))
{
	int item, rc = fl_queue_try_get(s->q, &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_queue_inbox, close, FL_LIN_CLOSE, .most = 1)
{
	fl_queue_close(s->q);
	return 0;
}

FL_LIN(lin_queue_inbox, &fl_lin_fifo)
{
	fl_queue_free(s->q);
}
