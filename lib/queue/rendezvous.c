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
 *      A select that gives and takes here lines up for both in one step, and so does not meet itself.
 *   2. `closed` changes under the lot, so nobody meets, and nobody lines up, after that.
 *   3. Who is met was decided (lot.c, invariant 2) by who meets it, and returns only after its unpark: its item, and where an
 *      item goes, are there as long as the copy needs. Neither touches the queue after that, which the other may free: so a call for
 *      several meets them all in one transaction.
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

/* The first in line of that side, an observer or not; NULL: none. */
static struct fl__node *first_of(const struct fl__lot *lot, enum fl__queue_side side, bool observer)
{
	struct fl__node *node = fl__lot_first(lot);
	while (node && (node->value != side || node->observer != observer || !is_pending(node)))
		node = fl__lot_behind(node);
	return node;
}

static int can(const fl_queue *q, const struct fl__lot *lot, enum fl__queue_side side)
{
	if (((const struct rendezvous *)(const void *)q->state)->closed)
		return -EPIPE;
	return first_of(lot, other(side), false) ? 0 : -EAGAIN;
}

/* Decides the first `n` in line of the other side, or as many as there are: who is taken, in that order. How many. */
static size_t meet(fl_queue *q, struct fl__lot *lot, enum fl__queue_side side, size_t n)
{
	struct fl__node *node;
	size_t met = 0;
	while (met < n && (node = first_of(lot, other(side), false)) != NULL) {
		if (fl__lot_take_this(lot, node, FL__HANDED_OVER)) {
			fl__queue_leave(q);
			met++;
		}
	}
	fl__add_relaxed(&state_of(q)->puts, (uint64_t)met); /* relaxed: what follows the unpark is after it */
	return met;
}

static struct fl__offer *offer_of(struct fl__node *node)
{
	return (struct fl__offer *)(void *)node;
}

/* The operations of type.h. */

static int rendezvous_init(void *state, size_t item_size, const fl_queue_config *config)
{
	(void)config;
	if (item_size > PTRDIFF_MAX)
		return -EOVERFLOW;
	*(struct rendezvous *)state = (struct rendezvous){.closed = false};
	return 0;
}

static void rendezvous_fini(void *state)
{
	(void)state;
}

/* Meets up to `n` of the other side, who get what is at `from`, or whose items go to `to`; the queue may be gone after that. */
static int exchange(fl_queue *q, const unsigned char *from, unsigned char *to, size_t n, size_t *count)
{
	const enum fl__queue_side side = to ? FL__GETTERS : FL__PUTTERS;
	const size_t size = q->item_size;
	struct fl__lot lot;
	open_line(&lot, q);
	int rc = can(q, &lot, side);
	*count = rc == 0 ? meet(q, &lot, side, n) : 0;
	fl__lot_shut(&lot);
	struct fl__node *met = lot.taken;
	for (size_t i = 0; i < *count; i++, met = met->then)
		fl__copy(to ? to + i * size : offer_of(met)->to, from ? from + i * size : offer_of(met)->from, size);
	fl__lot_unpark(&lot);
	return rc == 0 && *count == 0 ? -EAGAIN : rc;
}

static int rendezvous_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	(void)owes_wake; /* who is met is woken at once */
	return exchange(fl__queue_of(state), items, NULL, n, count);
}

static int rendezvous_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	(void)owes_wake;
	return exchange(fl__queue_of(state), NULL, items, n, count);
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
	const int rc = can(q, &lot, side);
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

/* The one that lines up in the same step; NULL: none. */
static struct fl__node *with(struct fl__node *node)
{
	return !node->observer && offer_of(node)->with ? &offer_of(node)->with->node : NULL;
}

static void add(struct fl__lot *lot, struct fl__node *node)
{
	struct fl__node *seer;
	while (!node->observer && (seer = first_of(lot, other(node->value), true)) != NULL)
		(void)fl__lot_take_this(lot, seer, 0); /* false: it gave up */
	fl__lot_add(lot, node);
}

static bool rendezvous_line_up(fl_queue *q, enum fl__queue_side side, struct fl__node *first)
{
	struct fl__lot lot;
	bool waits = true;
	open_line(&lot, q);
	for (struct fl__node *node = first; node && waits; node = with(node)) {
		node->value = node == first ? side : offer_of(node)->to ? FL__GETTERS : FL__PUTTERS;
		waits = can(q, &lot, node->value) == -EAGAIN;
	}
	for (struct fl__node *node = first; node && waits; node = with(node))
		add(&lot, node);
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
