/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What holds the items of a queue without room: nothing. A put and a get meet: whoever comes second finds the other in line,
 * copies the item from the one's memory to the other's, and only then wakes it; its call is made. (The channel of Hoare's CSP,
 * 1978; the line that holds puts or gets, whichever wait, is the dual queue of Scherer, Lea and Scott, 2006.)
 *
 * There is one line, of getters and putters, oldest first; a node's value says which until it is taken.
 *
 * Invariants, while the lot is shut:
 *   1. No two stand in line that could meet, but for such as give up: who lines up looks for somebody to meet in the same transaction.
 *      A select that gives and takes here does not meet itself.
 *   2. `closed` changes under the lot, so nobody meets, and nobody lines up, after that.
 *   3. Who is met was decided (lot.c, invariant 2) by who meets it, and returns only after its unpark: its item, and where an
 *      item goes, are there as long as the copy needs. It touches the queue no more, which its partner may free.
 *   4. `puts` counts what has met, under the lot: a get returns after that, so `done` (join.c) never exceeds it.
 *
 * Linearization: put and get together, where the one that waits is decided. "Nobody waits" and "closed": under the lot.
 *
 * Observers (fl_wait_any) are woken when somebody lines up whom a call of theirs would meet.
 */
#include "../base/atomic.h"
#include "queue.h"
#include <errno.h>

struct rendezvous {
	uint64_t puts;
	bool closed;
};

static struct rendezvous *state_of(fl_queue *q)
{
	return (struct rendezvous *)(void *)q->state;
}

static void open_line(struct fl__lot *lot, const fl_queue *q)
{
	fl__lot_open(lot, fl__queue_line(q, FL__GETTERS));
}

static enum fl__queue_side other(enum fl__queue_side side)
{
	return side == FL__GETTERS ? FL__PUTTERS : FL__GETTERS;
}

/* Under the lot. */

static bool is_pending(const struct fl__node *node)
{
	/* relaxed: whoever takes it asks again, by compare-and-swap */
	return fl__load_relaxed(&node->wait->decision) == FL__PENDING;
}

/* The first in line of that side, an observer or not, that waits for something else than `wait` does; NULL: none. */
static struct fl__node *first_of(const struct fl__lot *lot, enum fl__queue_side side, bool observer,
                                 const struct fl__wait *wait)
{
	struct fl__node *node = fl__lot_first(lot);
	while (node && (node->value != side || node->observer != observer || node->wait == wait || !is_pending(node)))
		node = fl__lot_behind(node);
	return node;
}

static int can(const fl_queue *q, const struct fl__lot *lot, enum fl__queue_side side, const struct fl__wait *wait)
{
	if (((const struct rendezvous *)(const void *)q->state)->closed)
		return -EPIPE;
	return first_of(lot, other(side), false, wait) ? 0 : -EAGAIN;
}

/* Decides the first in line of the other side; NULL: nobody is there. */
static struct fl__offer *meet(fl_queue *q, struct fl__lot *lot, enum fl__queue_side side)
{
	struct fl__node *node;
	while ((node = first_of(lot, other(side), false, NULL)) != NULL) {
		if (fl__lot_take_this(lot, node, FL__HANDED_OVER)) {
			fl__add_relaxed(&state_of(q)->puts,
			                (uint64_t)1); /* relaxed: what follows the unpark is after it */
			fl__queue_leave(q);
			return (struct fl__offer *)(void *)node;
		}
	}
	return NULL;
}

/* The operations of type.h. */

static int rendezvous_init(void *state, size_t item_size, const fl_queue_config *config)
{
	(void)item_size;
	(void)config;
	*(struct rendezvous *)state = (struct rendezvous){.closed = false};
	return 0;
}

static void rendezvous_fini(void *state)
{
	(void)state;
}

/* Meets somebody of the other side, who gets `from`, or whose item goes to `to`. The queue may be gone after that. */
static int exchange(fl_queue *q, enum fl__queue_side side, const void *from, void *to)
{
	const size_t size = q->item_size;
	struct fl__lot lot;
	open_line(&lot, q);
	struct fl__offer *met = NULL;
	int rc = can(q, &lot, side, NULL);
	if (rc == 0) {
		met = meet(q, &lot, side);
		rc = met ? 0 : -EAGAIN;
	}
	fl__lot_shut(&lot);
	if (met)
		fl__copy(to ? to : met->to, from ? from : met->from, size);
	fl__lot_unpark(&lot);
	return rc;
}

static int rendezvous_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	fl_queue *q = fl__queue_of(state);
	const unsigned char *item = items;
	const size_t size = q->item_size;
	(void)owes_wake; /* who is met is woken at once */
	int rc = 0;
	size_t put = 0;
	while (put < n && (rc = exchange(q, FL__PUTTERS, item + put * size, NULL)) == 0)
		put++;
	*count = put;
	return put > 0 ? 0 : rc;
}

static int rendezvous_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	fl_queue *q = fl__queue_of(state);
	unsigned char *item = items;
	const size_t size = q->item_size;
	(void)owes_wake;
	int rc = 0;
	size_t got = 0;
	while (got < n && (rc = exchange(q, FL__GETTERS, NULL, item + got * size)) == 0)
		got++;
	*count = got;
	return got > 0 ? 0 : rc;
}

static int rendezvous_discard(fl_queue *q, size_t *count, bool *owes_wake)
{
	(void)q;
	(void)count;
	(void)owes_wake;
	return -EAGAIN; /* nothing is ever in */
}

static int look(void *state, enum fl__queue_side side)
{
	fl_queue *q = fl__queue_of(state);
	struct fl__lot lot;
	open_line(&lot, q);
	const int rc = can(q, &lot, side, NULL);
	fl__lot_close(&lot);
	return rc;
}

static int rendezvous_can_get(void *state)
{
	return look(state, FL__GETTERS);
}

static int rendezvous_can_put(void *state)
{
	return look(state, FL__PUTTERS);
}

static bool rendezvous_line_up(fl_queue *q, enum fl__queue_side side, struct fl__node *node)
{
	struct fl__lot lot;
	open_line(&lot, q);
	const bool waits = can(q, &lot, side, node->wait) == -EAGAIN;
	if (waits) {
		struct fl__node *seer;
		while (!node->observer && (seer = first_of(&lot, other(side), true, node->wait)) != NULL)
			(void)fl__lot_take_this(&lot, seer, 0); /* false: it gave up */
		node->value = side;
		fl__lot_add(&lot, node);
	}
	fl__lot_close(&lot);
	return waits;
}

static void rendezvous_close(void *state)
{
	fl_queue *q = fl__queue_of(state);
	struct fl__lot lot;
	open_line(&lot, q);
	state_of(q)->closed = true;
	fl__lot_close(&lot);
}

static bool rendezvous_is_closed(void *state)
{
	fl_queue *q = fl__queue_of(state);
	struct fl__lot lot;
	open_line(&lot, q);
	const bool closed = state_of(q)->closed;
	fl__lot_close(&lot);
	return closed;
}

static size_t rendezvous_length(void *state)
{
	(void)state;
	return 0;
}

static size_t rendezvous_capacity(const void *state)
{
	(void)state;
	return 0;
}

static uint64_t rendezvous_puts(void *state)
{
	return fl__load_relaxed(&((struct rendezvous *)state)->puts); /* relaxed: invariant 4 */
}

const struct fl__queue_type fl__queue_rendezvous = {
    .size = sizeof(struct rendezvous),
    .init = rendezvous_init,
    .fini = rendezvous_fini,
    .put = rendezvous_put,
    .get = rendezvous_get,
    .discard = rendezvous_discard,
    .can = {rendezvous_can_get, rendezvous_can_put},
    .line_up = rendezvous_line_up,
    .close = rendezvous_close,
    .is_closed = rendezvous_is_closed,
    .length = rendezvous_length,
    .capacity = rendezvous_capacity,
    .puts = rendezvous_puts,
};
