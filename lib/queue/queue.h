/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_QUEUE_H
#define FL_QUEUE_QUEUE_H

#include "../wait/lot.h"
#include "mpmc.h"
#include "type.h"
#include <fairlead/pair_ring.h>
#include <stdalign.h>
#include <stddef.h>

struct fl_queue {
	/* The first two for the inline functions (queue_of.h): of fl__queue_ring, of fl__queue_pair, else NULL. */
	struct fl__mpmc *ring;
	struct fl__pair *pair;
	const struct fl__queue_type *type;
	size_t item_size;
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	uint64_t done;   /* join.c */
	uint32_t inside; /* contexts that sleep, or are on their way out of a sleep; */
	uint32_t forks;  /* in the process that fl__fork_count was this in: a forked child has none of them */
	char lines[6];   /* their addresses: fl__queue_line() */
	alignas(max_align_t) unsigned char state[];
};

_Static_assert(offsetof(struct fl_queue, lines) % 2 == 0, "or its lines have even addresses");

enum { FL__JOINERS = FL__PUTTERS + 1 }; /* a third line, beside those of the sides */

/*
 * Where a line stands in the lot: at an odd address. A wake may come late, when the queue is gone and its memory holds, say, a
 * mutex with a line of its own. That one begins at a word, so the wake does not meet it; nor the line of any but a queue
 * at the same place, which bears a wake too many.
 */
static inline const void *fl__queue_line(const fl_queue *q, int line)
{
	return &q->lines[2 * line + 1];
}

static inline struct fl__mpmc *fl__queue_as_ring(fl_queue *q)
{
	return (struct fl__mpmc *)(void *)q->state;
}

/* Before a wait of that side, in a stream of items: keeps away from the other's cache line for a moment. */
void fl__pair_back_off(struct fl__pair *q, enum fl__queue_side side);

static inline struct fl__pair *fl__queue_as_pair(fl_queue *q)
{
	return (struct fl__pair *)(void *)q->state;
}

static inline fl_queue *fl__queue_of(void *state)
{
	return (fl_queue *)(void *)((unsigned char *)state - offsetof(fl_queue, state));
}

/* A put or a get in line, of one item if it may be met there. */
struct fl__offer {
	struct fl__node node;   /* first */
	const void *from;       /* of a put */
	void *to;               /* of a get */
	struct fl__offer *with; /* of the same select and the same queue: they line up in one step; NULL: none */
};

enum {
	FL__PASSED_ON = 1,
	FL__HANDED_OVER
}; /* the value of a node that was woken with the baton; whose call was made */

/* Counts a context that sleeps or is on its way out of a sleep, in and out. */
void fl__queue_enter(fl_queue *q);
void fl__queue_leave(fl_queue *q);

/* What a call of that side would return, but for -EBUSY. */
int fl__queue_can(fl_queue *q, enum fl__queue_side side);

/* Stands in line, as the first with the baton, which goes to the mark; false: there may be something by now. */
bool fl__queue_line_up(fl_queue *q, enum fl__queue_side side, struct fl__node *node, bool baton);

/* Whoever has the baton is done: wakes the next, or has the mark say that somebody sleeps. The queue is there if somebody does. */
void fl__queue_pass_on(fl_queue *q, enum fl__queue_side side);

/* fl__queue_wake(): wakes the first of those who sleep on a side, after the mark that they do was taken off. */

/* Wakes all who sleep on either side. */
void fl__queue_wake_all(fl_queue *q);

/* Whether somebody sleeps, or is on the way out of a sleep for an item or space. */
bool fl__queue_is_awaited(fl_queue *q);

/* A put or a get that may have to sleep. */
struct fl__queue_call {
	enum fl__queue_side side;
	const void *from; /* of a put */
	void *to;         /* of a get */
	size_t n, count;
};

/* What -EBUSY asks for, for the `round`th time, from 0: lets whoever is in the middle of something run on. */
void fl__queue_pause(unsigned round);

/* Makes the call as the type does, but for -EBUSY; who sleeps on the other side for that is woken. */
int fl__queue_call_now(fl_queue *q, struct fl__queue_call *call);

/*
 * Makes the call, and waits until it can be made: 0, with its count; -EPIPE, -ENOMEM; -ETIMEDOUT, -ECANCELED, when it could not
 * be made at the last moment either.
 */
int fl__queue_make(fl_queue *q, struct fl__queue_call *call, int64_t deadline, fl_cancel *cancel);

/* One more item is dealt with; false: as many as were put are. The queue may be gone after that, unless it has items. */
bool fl__queue_done(fl_queue *q);

/* Fewer may have been put than were counted so far: who waits until all is dealt with looks again. */
void fl__queue_look_again(fl_queue *q);

#endif
