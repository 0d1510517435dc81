/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_PLANTED_LIN_H
#define STRESS_PLANTED_LIN_H

#include "planted.h"
#include <errno.h>
#include <fairlead/stress_lin.h>

#define OPERATION(test, ...) FL_LIN_OP(test, __VA_ARGS__)
#define PROGRAMS(test, ...) FL_LIN(test, __VA_ARGS__)

/*
 * Nodes for each thread of an FL_LIN. A thread gets its freed nodes back, the oldest first; if it
 * has none, an unused one.
 */
enum { NODES = 8, THREADS = FL_STRESS_ACTORS + 1 };

struct spares {
	unsigned n_fresh, n_freed, n_used;
	unsigned freed[64];
};

static inline unsigned spare_get(struct spares *all, unsigned first)
{
	struct spares *own = &all[fl_lin_thread()];
	if (own->n_freed > own->n_used)
		return own->freed[own->n_used++];
	return first + fl_lin_thread() * NODES + own->n_fresh++;
}

static inline void spare_free(struct spares *all, unsigned node)
{
	struct spares *own = &all[fl_lin_thread()];
	own->freed[own->n_freed++] = node;
}

/*
 * A queue of Michael and Scott (1996), whose nodes are numbers. A word is tag x 256 + node. The tag
 * grows with each change, so that a reused node can be told from its earlier use. 0 is no node. The
 * node of the head is a stub.
 */
struct fifo {
	atomic_uint head, tail, next[2 + THREADS * NODES];
	atomic_int item[2 + THREADS * NODES];
	struct spares spares[THREADS];
};

#define NODE(word) ((word) % 256)
#define CHANGED(word, node) (((word) & ~255u) + 256 + (node))

static inline void fifo_init(struct fifo *q)
{
	STORE(&q->head, 1, RLX);
	STORE(&q->tail, 1, RLX);
}

static inline int fifo_put(struct fifo *q, int item)
{
	unsigned node = spare_get(q->spares, 2), tail, next;
	STORE(&q->item[node], item, RLX);
	STORE(&q->next[node], CHANGED(LOAD(&q->next[node], RLX), 0), SEQ);
	for (;;) {
		tail = LOAD(&q->tail, SEQ);
		next = LOAD(&q->next[NODE(tail)], SEQ);
		if (tail != LOAD(&q->tail, SEQ))
			continue;
		if (NODE(next) == 0 && CAS(&q->next[NODE(tail)], &next, CHANGED(next, node), SEQ))
			break;
		if (NODE(next) != 0)
			(void)CAS(&q->tail, &tail, CHANGED(tail, NODE(next)), SEQ);
	}
	(void)CAS(&q->tail, &tail, CHANGED(tail, node), SEQ);
	return 0;
}

/* With `again`, it reads the head once more, so that head, tail and next are of one moment. */
static inline int fifo_get(struct fifo *q, bool again)
{
	int item;
	for (;;) {
		unsigned head = LOAD(&q->head, SEQ), tail = LOAD(&q->tail, SEQ);
		unsigned next = LOAD(&q->next[NODE(head)], SEQ);
		if (again && head != LOAD(&q->head, SEQ))
			continue;
		if (NODE(head) == NODE(tail) && NODE(next) == 0)
			return -EAGAIN;
		if (NODE(head) == NODE(tail)) {
			(void)CAS(&q->tail, &tail, CHANGED(tail, NODE(next)), SEQ);
			continue;
		}
		item = LOAD(&q->item[NODE(next)], RLX);
		if (NODE(next) == 0 || !CAS(&q->head, &head, CHANGED(head, NODE(next)), SEQ))
			continue;
		spare_free(q->spares, NODE(head));
		return item;
	}
}

/*
 * A stack of Treiber (1986), whose nodes are numbers. The tag grows with each pop, and has `tags`
 * values, each 256 apart. After a pop has read the head and its next, others may bring the same
 * head back with the same tag. The old next, which the pop then makes the head, may be free.
 */
struct stack {
	atomic_uint head, next[1 + THREADS * NODES];
	atomic_int item[1 + THREADS * NODES];
	struct spares spares[THREADS];
};

static inline int stack_push(struct stack *s, int item)
{
	unsigned node = spare_get(s->spares, 1), head = LOAD(&s->head, RLX);
	STORE(&s->item[node], item, RLX);
	do
		STORE(&s->next[node], NODE(head), RLX);
	while (!CAS(&s->head, &head, (head & ~255u) + node, REL));
	return 0;
}

static inline int stack_pop(struct stack *s, unsigned tags)
{
	unsigned head, next;
	do {
		head = LOAD(&s->head, ACQ);
		if (NODE(head) == 0)
			return -EAGAIN;
		next = CHANGED(head, LOAD(&s->next[NODE(head)], RLX)) % (tags * 256);
	} while (!CAS(&s->head, &head, next, ACQ_REL));
	int item = LOAD(&s->item[NODE(head)], RLX);
	spare_free(s->spares, NODE(head));
	return item;
}

#endif
