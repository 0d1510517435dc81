/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of a queue without room, which holds no items. A put and a get meet. The call that
 * comes second finds the first in the wait queue, copies the item from one caller's memory to the
 * other caller's, and only then wakes the first call, which is made. (The channel of Hoare's CSP,
 * 1978; a wait queue that holds puts or gets, whichever wait, is the dual queue of Scherer, Lea and
 * Scott, 2006.)
 *
 * There is one wait queue for consumers and producers, oldest first. A node's value is its side
 * until the node is taken.
 *
 * Invariants, while the bucket is not locked:
 * 1. No two waiters that could meet are enqueued, except waiters that give up: a call looks for a
 *    partner in the transaction in which it enqueues itself. A select that puts and gets here
 *    enqueues both cases in one step, and so does not meet itself.
 * 2. `closed` changes inside a transaction, so no call meets or is enqueued after that.
 * 3. A call that meets a waiter has decided the waiter's wait (lot.c, invariant 2), and the waiter
 *    returns only after its unpark. So the waiter's item, or the place for an item, exists as long
 *    as the copy needs it. Neither call touches the queue after that, since its partner may free
 *    the queue. So a call for several items meets all partners in one transaction.
 * 4. `puts` counts what has met, inside the transaction. A get returns after that, so `done`
 *    (join.c) never exceeds `puts`.
 *
 * Linearization: put and get together, where the waiter's wait is decided. "No partner" and
 * "closed": the transaction.
 *
 * Observers (fl_wait_any) are woken when a partner for their call is enqueued.
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

/* Inside a transaction of the wait table. */

static bool is_pending(const struct fl__node *node)
{
	/* relaxed: the call that takes the node checks again, by CAS */
	return fl__load_relaxed(&node->wait->decision) == FL__PENDING;
}

/* Returns the first waiter of `side`, or the first observer if `observer`; NULL: none. */
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

/*
 * Decides, in order, the waits of the first `n` waiters of the opposite side, or of as many as
 * there are, and takes them. Returns how many.
 */
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
	/* relaxed: what follows the unpark is after it */
	fl__add_relaxed(&state_of(q)->puts, (uint64_t)met);
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

/*
 * Meets up to `n` waiters of the opposite side. They get the items at `from`, or their items go to
 * `to`. The queue may be freed after that.
 */
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
	(void)owes_wake; /* a met waiter is woken at once */
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
	return -EAGAIN; /* there is never an item */
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

/* Returns the node that is enqueued in the same step; NULL: none. */
static struct fl__node *with(struct fl__node *node)
{
	return !node->observer && offer_of(node)->with ? &offer_of(node)->with->node : NULL;
}

static void add(struct fl__lot *lot, struct fl__node *node)
{
	struct fl__node *seer;
	while (!node->observer && (seer = first_of(lot, other(node->value), true)) != NULL)
		(void)fl__lot_take_this(lot, seer, 0); /* false: the observer gave up */
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
