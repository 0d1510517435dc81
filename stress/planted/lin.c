/* SPDX-License-Identifier: BSD-2-Clause */
/* Results that no order of the calls explains. stress/cases/fixed_lin.c has the fixed versions. */
#include "lin.h"

#include "ck/depends.h"
#include <ck_fifo.h>

/*
 * ck 0.7.1's fifo itself. It says "empty" though there has always been an item (see ck.c). And an
 * enqueue that has read the last node may link its own node to it after that node was dequeued and
 * is about to be enqueued anew: the generation in the node begins at 0 again.
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

/*
 * false_empty: only ck's flaw (ck e78c421): "empty" from a head, a tail and a next of different
 * moments.
 */
struct fifo_false_empty__not_linearizable {
	struct fifo q;
};

FL_STRESS_SETUP(fifo_false_empty__not_linearizable)
{
	fifo_init(&s->q);
}

FL_LIN_OP(fifo_false_empty__not_linearizable, put, FL_LIN_PUT)
{
	return fifo_put(&s->q, (int)arg);
}

FL_LIN_OP(fifo_false_empty__not_linearizable, get, FL_LIN_GET)
{
	return fifo_get(&s->q, false);
}

FL_LIN(fifo_false_empty__not_linearizable, &fl_lin_fifo)
{
}

/* aba_short_tag: after two pops the tag is the same again. */
struct stack_short_tag__not_linearizable {
	struct stack s;
};

FL_LIN_OP(stack_short_tag__not_linearizable, push, FL_LIN_PUT)
{
	return stack_push(&s->s, (int)arg);
}

FL_LIN_OP(stack_short_tag__not_linearizable, pop, FL_LIN_GET)
{
	return stack_pop(&s->s, 2);
}

FL_LIN(stack_short_tag__not_linearizable, &fl_lin_lifo)
{
}
