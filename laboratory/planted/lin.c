/* SPDX-License-Identifier: BSD-2-Clause */
/* Results that no order of the calls explains. */
#include "planted.h"
#include <errno.h>
#include <fairlead/stress_lin.h>

#define OPERATION(test, ...) FL_LIN_OP(test, __VA_ARGS__)
#define PROGRAMS(test, ...) FL_LIN(test, __VA_ARGS__)

/*
 * Nodes for each thread of an FL_LIN. A thread gets its freed nodes back, the oldest first. If it
 * has no freed node, it gets an unused one.
 */
enum { NODES = 8, THREADS = FL_STRESS_ACTORS + 1 };

struct spares {
	unsigned n_fresh, n_freed, n_used;
	unsigned freed[64];
};

static unsigned spare_get(struct spares *all)
{
	struct spares *own = &all[fl_lin_thread()];
	if (own->n_freed > own->n_used)
		return own->freed[own->n_used++];
	return 1 + fl_lin_thread() * NODES + own->n_fresh++;
}

static void spare_free(struct spares *all, unsigned node)
{
	struct spares *own = &all[fl_lin_thread()];
	own->freed[own->n_freed++] = node;
}

/*
 * aba_short_tag: a stack of Treiber (1986), whose nodes are numbers. Its head is tag x 256 + node,
 * where node 0 means that there is none. The tag grows with each pop. After a pop has read the head
 * and its next, other threads may bring the same head back. If the tag is also the same again, the
 * old next becomes the head, although it may be free. The fix is a tag with more bits.
 */
#define stack_short_tag NAME(stack_short_tag, not_linearizable)
struct stack_short_tag {
	atomic_uint head, next[1 + THREADS * NODES];
	atomic_int item[1 + THREADS * NODES];
	struct spares spares[THREADS];
};

OPERATION(stack_short_tag, push, FL_LIN_PUT)
{
	unsigned node = spare_get(s->spares), head = LOAD(&s->head, RLX);
	STORE(&s->item[node], (int)arg, RLX);
	do
		STORE(&s->next[node], head % 256, RLX);
	while (!CAS(&s->head, &head, (head & ~255u) + node, REL));
	return 0;
}

OPERATION(stack_short_tag, pop, FL_LIN_GET)
{
	unsigned head, next;
	do {
		head = LOAD(&s->head, ACQ);
		if (head % 256 == 0)
			return -EAGAIN;
		next = ((head & ~255u) + 256 + LOAD(&s->next[head % 256], RLX)) % (BUG(2, (1 << 20)) * 256);
	} while (!CAS(&s->head, &head, next, ACQ_REL));
	int item = LOAD(&s->item[head % 256], RLX);
	spare_free(s->spares, head % 256);
	return item;
}

PROGRAMS(stack_short_tag, &fl_lin_lifo)
{
}

#ifndef FIXED

#include "ck/depends.h"
#include <ck_fifo.h>

/*
 * The fifo of ck 0.7.1 itself. It says "empty" though there has always been an item. A
 * ck_fifo_mpmc_dequeue() reads head, tail and head->next, and says "empty" if head == tail and
 * there is no next. However, if the head node was dequeued and has become the tail again, the three
 * values are from different moments, and there may be any number of items. ck e78c421 (June 2026)
 * reads the head once more. There is a second bug: an enqueue that has read the last node may link
 * its own node to it after that node was dequeued and is about to be enqueued again, because the
 * generation in the node begins at 0 again.
 */
struct ck_fifo_mpmc__not_linearizable {
	ck_fifo_mpmc_t fifo;
	ck_fifo_mpmc_entry_t nodes[1 + THREADS * NODES];
	struct spares spares[THREADS];
};

FL_STRESS_SETUP(ck_fifo_mpmc__not_linearizable)
{
	ck_fifo_mpmc_init(&s->fifo, &s->nodes[0]);
}

FL_LIN_OP(ck_fifo_mpmc__not_linearizable, put, FL_LIN_PUT)
{
	ck_fifo_mpmc_enqueue(&s->fifo, &s->nodes[spare_get(s->spares)], (void *)(intptr_t)arg);
	return 0;
}

FL_LIN_OP(ck_fifo_mpmc__not_linearizable, get, FL_LIN_GET)
{
	void *item;
	ck_fifo_mpmc_entry_t *node;
	if (!ck_fifo_mpmc_dequeue(&s->fifo, &item, &node))
		return -EAGAIN;
	spare_free(s->spares, (unsigned)(node - s->nodes));
	return (intptr_t)item;
}

FL_LIN(ck_fifo_mpmc__not_linearizable, &fl_lin_fifo)
{
}

#endif
