/* SPDX-License-Identifier: BSD-2-Clause */
/* Results that no order of the calls explains. */
#include "lin.h"

/*
 * false_empty: this test has only the flaw of ck's fifo (ck e78c421). It says "empty" because of a
 * head, a tail and a next that are of different moments.
 */
#define fifo_false_empty NAME(fifo_false_empty, not_linearizable)
struct fifo_false_empty {
	struct fifo q;
};

SETUP(fifo_false_empty)
{
	fifo_init(&s->q);
}

OPERATION(fifo_false_empty, put, FL_LIN_PUT)
{
	return fifo_put(&s->q, (int)arg);
}

OPERATION(fifo_false_empty, get, FL_LIN_GET)
{
	return fifo_get(&s->q, BUG(false, true));
}

PROGRAMS(fifo_false_empty, &fl_lin_fifo)
{
}

/* aba_short_tag: the tag is the same again after two pops. */
#define stack_short_tag NAME(stack_short_tag, not_linearizable)
struct stack_short_tag {
	struct stack s;
};

OPERATION(stack_short_tag, push, FL_LIN_PUT)
{
	return stack_push(&s->s, (int)arg);
}

OPERATION(stack_short_tag, pop, FL_LIN_GET)
{
	return stack_pop(&s->s, BUG(2, 1 << 20));
}

PROGRAMS(stack_short_tag, &fl_lin_lifo)
{
}

#ifndef FIXED

#include "ck/depends.h"
#include <ck_fifo.h>

/*
 * The fifo of ck 0.7.1 itself. It says "empty" though there has always been an item, as ck.c
 * explains. And an enqueue that has read the last node may link its own node to it after that node
 * was dequeued and is about to be enqueued anew: the generation in the node begins at 0 again.
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
	ck_fifo_mpmc_enqueue(&s->fifo, &s->nodes[spare_get(s->spares, 1)], (void *)(intptr_t)arg);
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
