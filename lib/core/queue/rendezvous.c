/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of a queue that holds no items. A put and a get meet: the first of the two waits in
 * the wait queue, and the second finds it there, copies the item from the producer's memory to the
 * consumer's, and wakes the first. This is the channel of Hoare's CSP (1978). A wait queue of puts
 * or gets is the dual queue of Scherer, Lea and Scott (2006).
 *
 * Consumers and producers share one wait queue, the oldest first. Until a node is dequeued, its
 * value is its side. Observers (FL_WAIT_ANY()) have a separate wait queue, in which those that wait
 * for a put precede those that wait for a get. They are woken when a partner is enqueued.
 *
 * Invariants, while the buckets are not locked
 *   1. No two waiters that could meet are enqueued, unless one of them has ended its wait, because
 *      a call looks for a partner in the transaction in which it enqueues itself. A select enqueues
 *      all its cases here in one step, and so does not meet itself. So the waiters that have not
 *      ended their waits are all on one side, or they are the cases of one select. Therefore a call
 *      looks only at the first such waiter and, if it belongs to a select, at the other cases of
 *      this select. It dequeues the waiters before it.
 *   2. `closed` changes inside a transaction, so after the close no call meets another one or is
 *      enqueued.
 *   3. A call that meets a waiter has decided the waiter's wait (lot.c, invariant 2), and the
 *      waiter returns only after it is unparked. So the waiter's item or memory exists until the
 *      copy is done. After the transaction neither call touches the queue, because the partner may
 *      free it. Therefore a call for several items meets all its partners in one transaction.
 *   4. `puts`, the number of pairs that have met, is increased inside the transaction. A get
 *      returns after that, so `done` (queue.c) never exceeds `puts`.
 *   5. If an observer of a side is enqueued, `observed` is true for that side, or a context that
 *      has just enqueued a partner is about to wake all observers of that side. `observed` changes
 *      inside a transaction on the wait queue of the calls, in which an observer also checks that
 *      there is no partner and enqueues itself.
 *
 * Linearization. A put and its get linearize together, where the waiter's wait is decided. The
 * answers "no partner" and "closed" linearize in the transaction.
 */
#include "../base/atomic.h"
#include "queue.h"

struct rendezvous {
	FL__WORD64 uint64_t puts;
	bool closed;
	bool observed[2]; /* for each side: invariant 5 */
};

static struct rendezvous *rendezvous_of(fl_queue *q)
{
	return (struct rendezvous *)(void *)q->state;
}

static const void *rendezvous_key(const fl_queue *q)
{
	return fl__queue_wait_key(q, FL__CONSUMERS);
}

static const void *rendezvous_key_of_observers(const fl_queue *q)
{
	return fl__queue_wait_key(q, FL__PRODUCERS);
}

static enum fl__queue_side rendezvous_opposite(enum fl__queue_side side)
{
	return side == FL__CONSUMERS ? FL__PRODUCERS : FL__CONSUMERS;
}

static struct fl__offer *rendezvous_offer(struct fl__node *node)
{
	return (struct fl__offer *)(void *)node;
}

/* Returns the next node that is enqueued in the same step, or NULL. */
static struct fl__node *rendezvous_same_step(struct fl__node *node)
{
	return rendezvous_offer(node)->same_step ? &rendezvous_offer(node)->same_step->node : NULL;
}

/* The functions from here to rendezvous_match() are called in a transaction. */

static bool rendezvous_is_pending(const struct fl__node *node)
{
	/* relaxed: if the waiter gives up after this load, the CAS that dequeues it fails */
	return fl__load_relaxed(&node->wait->decision) == FL__PENDING;
}

/*
 * Dequeues the waiters in front whose waits have ended. Then returns the first waiter that is not
 * away, or, if all are away, the first one. Returns NULL if there are none.
 */
static struct fl__node *rendezvous_first(struct fl__lot *lot)
{
	struct fl__node *node;
	while ((node = fl__lot_next(lot)) != NULL && !rendezvous_is_pending(node))
		fl__lot_remove(lot, node);
	return node;
}

/* Returns the waiter that a call of `side` meets, or NULL (invariant 1). */
static struct fl__node *rendezvous_partner(struct fl__lot *lot, enum fl__queue_side side)
{
	struct fl__node *node = rendezvous_first(lot);
	while (node && node->value != rendezvous_opposite(side))
		node = rendezvous_same_step(node);
	return node;
}

static int rendezvous_can(fl_queue *q, struct fl__lot *lot, enum fl__queue_side side)
{
	if (rendezvous_of(q)->closed)
		return -EPIPE;
	return rendezvous_partner(lot, side) ? 0 : -EAGAIN;
}

/* Dequeues the first waiters of the opposite side, up to `n`. Returns how many. */
static size_t rendezvous_match(fl_queue *q, struct fl__lot *lot, enum fl__queue_side side, size_t n)
{
	struct fl__node *node;
	size_t met = 0;
	while (met < n && (node = rendezvous_partner(lot, side)) != NULL) {
		if (fl__lot_take_node(lot, node, FL__HANDED_OFF)) {
			fl__queue_leave(q);
			met++;
		}
	}
	/* relaxed: the later unparks release the count */
	fl__add_relaxed(&rendezvous_of(q)->puts, (uint64_t)met);
	return met;
}

FL__COLD static int rendezvous_init(void *state, size_t item_size, const fl_queue_config *config)
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
 * Meets up to `n` waiters of the opposite side. A get copies their items to `to`, and a put gives
 * them the items at `from`. When the function returns, the queue may have been freed.
 */
static int rendezvous_exchange(fl_queue *q, const unsigned char *from, unsigned char *to, size_t n, size_t *count)
{
	const enum fl__queue_side side = to ? FL__CONSUMERS : FL__PRODUCERS;
	const size_t size = q->item_size;
	struct fl__lot lot;
	fl__lot_open(&lot, rendezvous_key(q));
	const int rc = rendezvous_of(q)->closed ? -EPIPE : 0;
	*count = rc == 0 ? rendezvous_match(q, &lot, side, n) : 0;
	fl__lot_unlock(&lot);
	struct fl__node *met = lot.taken;
	for (size_t i = 0; i < *count; i++, met = met->then)
		fl__copy(to ? to + i * size : rendezvous_offer(met)->to,
		         from ? from + i * size : rendezvous_offer(met)->from, size);
	fl__lot_unpark(&lot);
	return rc == 0 && *count == 0 ? -EAGAIN : rc;
}

static int rendezvous_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	(void)owes_wake; /* the waiters that the put has met are already woken */
	return rendezvous_exchange(fl__queue_of_state(state), items, NULL, n, count);
}

static int rendezvous_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	(void)owes_wake;
	return rendezvous_exchange(fl__queue_of_state(state), NULL, items, n, count);
}

static int rendezvous_discard(fl_queue *q, size_t *count, bool *owes_wake)
{
	(void)q;
	(void)count;
	(void)owes_wake;
	return -EAGAIN; /* there is never an item */
}

static int rendezvous_can_now(void *state, enum fl__queue_side side)
{
	fl_queue *q = fl__queue_of_state(state);
	FL__LOT(lot, rendezvous_key(q));
	return rendezvous_can(q, &lot, side);
}

/*
 * Enqueues an observer, unless what it waits for may be ready. fl__lot_open_also() may unlock the
 * wait queue of the calls for a moment. This does not matter, because that queue is read only when
 * both are locked.
 */
static bool rendezvous_observe(fl_queue *q, enum fl__queue_side side, struct fl__node *node)
{
	struct fl__lot lot, observers;
	fl__lot_open(&lot, rendezvous_key(q));
	(void)fl__lot_open_also(&lot, &observers, rendezvous_key_of_observers(q));
	const bool waits = rendezvous_can(q, &lot, side) == -EAGAIN;
	if (waits) {
		rendezvous_of(q)->observed[side] = true;
		node->value = side;
		fl__lot_insert(&observers, node, side == FL__CONSUMERS ? fl__lot_first(&observers) : NULL);
	}
	fl__lot_unlock_also(&lot, &observers);
	fl__lot_close(&lot);
	return waits;
}

/*
 * Wakes all observers of `side`. Does not touch the queue, which may be freed as soon as the waiter
 * for which they are woken has met a partner.
 */
static void rendezvous_wake_observers(const fl_queue *q, enum fl__queue_side side)
{
	struct fl__node *node;
	FL__LOT(lot, rendezvous_key_of_observers(q));
	while ((node = fl__lot_first(&lot)) != NULL) {
		if (side == FL__PRODUCERS)
			node = node->prev; /* the last one */
		if (node->value != side)
			break;
		(void)fl__lot_take_node(&lot, node, 0); /* fails if the observer gave up */
	}
}

/* Enqueues a call. Returns whether the observers of the opposite side must be woken. */
static bool rendezvous_add(fl_queue *q, struct fl__lot *lot, struct fl__node *node)
{
	bool *observed = &rendezvous_of(q)->observed[rendezvous_opposite(node->value)];
	const bool wakes = *observed;
	*observed = false;
	fl__queue_count_wait(q, (int)node->value);
	fl__lot_add(lot, node);
	return wakes;
}

static bool rendezvous_enqueue(fl_queue *q, enum fl__queue_side side, struct fl__node *first)
{
	if (first->observer)
		return rendezvous_observe(q, side, first);
	bool waits = true;
	bool wakes[2] = {false, false}; /* for each side, whether to wake its observers */
	struct fl__lot lot;
	fl__lot_open(&lot, rendezvous_key(q));
	for (struct fl__node *node = first; node && waits; node = rendezvous_same_step(node)) {
		node->value = rendezvous_offer(node)->to ? FL__CONSUMERS : FL__PRODUCERS;
		waits = rendezvous_can(q, &lot, node->value) == -EAGAIN;
	}
	for (struct fl__node *node = first; node && waits; node = rendezvous_same_step(node))
		wakes[rendezvous_opposite(node->value)] |= rendezvous_add(q, &lot, node);
	fl__lot_close(&lot);
	for (int of = 0; of < 2; of++)
		if (wakes[of])
			rendezvous_wake_observers(q, of);
	return waits;
}

static void rendezvous_close(void *state)
{
	fl_queue *q = fl__queue_of_state(state);
	FL__LOT(lot, rendezvous_key(q));
	rendezvous_of(q)->closed = true;
}

static size_t rendezvous_length(void *state)
{
	(void)state;
	return 0;
}

static uint64_t rendezvous_puts(void *state)
{
	/* relaxed: a caller that compares the count has acquired `done`, and with it the puts */
	return fl__load_relaxed(&((struct rendezvous *)state)->puts);
}

const struct fl__queue_backend fl__backend_rendezvous = {
    .size = sizeof(struct rendezvous),
    .init = rendezvous_init,
    .fini = rendezvous_fini,
    .put = rendezvous_put,
    .get = rendezvous_get,
    .discard = rendezvous_discard,
    .can = rendezvous_can_now,
    .enqueue = rendezvous_enqueue,
    .close = rendezvous_close,
    .length = rendezvous_length,
    .puts = rendezvous_puts,
};
