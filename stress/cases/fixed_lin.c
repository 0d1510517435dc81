/* SPDX-License-Identifier: BSD-2-Clause */
/* The algorithms of stress/planted/lin.c, fixed: an order of the calls explains each result. */
#include "../planted/lin.h"

/* A dequeue that checks the head again before it uses what it has read. */
struct fixed_fifo_empty {
	struct fifo q;
};

FL_STRESS_SETUP(fixed_fifo_empty)
{
	fifo_init(&s->q);
}

FL_LIN_OP(fixed_fifo_empty, put, FL_LIN_PUT)
{
	return fifo_put(&s->q, (int)arg);
}

FL_LIN_OP(fixed_fifo_empty, get, FL_LIN_GET)
{
	return fifo_get(&s->q, true);
}

FL_LIN(fixed_fifo_empty, &fl_lin_fifo)
{
}

/* A tag that no program wraps around. */
struct fixed_stack_tag {
	struct stack s;
};

FL_LIN_OP(fixed_stack_tag, push, FL_LIN_PUT)
{
	return stack_push(&s->s, (int)arg);
}

FL_LIN_OP(fixed_stack_tag, pop, FL_LIN_GET)
{
	return stack_pop(&s->s, 1 << 20);
}

FL_LIN(fixed_stack_tag, &fl_lin_lifo)
{
}
