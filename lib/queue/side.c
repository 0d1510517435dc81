/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting on a queue. Consumers wait for items and producers wait for space. Each side has a wait
 * queue in the wait table (lot.h).
 *
 * The mark. The backend has a mark for each side (type.h), which means "a waiter exists". A waiter
 * sets the mark inside a transaction of the wait table, and only while there is no item (no space).
 * The next call of the opposite side clears the mark, in the same atomic step that adds an item
 * (frees space). A call that clears the mark owes a wake. A call that finds no mark owes nothing.
 * So neither call needs a fence or a second look.
 *
 * The baton. Waiters are woken one at a time. The wake gives the woken waiter the baton: the duty
 * to wake the next waiter. When the holder's call is made, the holder wakes the next waiter if
 * there is more to have, else sets the mark again. A holder that gives up does the same. If other
 * calls took what the holder was woken for, the holder sets the mark and enqueues itself at the
 * front. While the baton is held, puts and gets pay nothing for the waiters, however many there
 * are.
 *
 * Invariant: if a waiter is enqueued, the mark is set, or one of these is about to wake:
 *
 * - a call that has cleared the mark, and has yet to lock the wait queue;
 * - a woken waiter that holds the baton, and has yet to pass it on or to enqueue itself with it;
 * - fl_queue_close(), before it locks the wait queue.
 *
 * No lost wake: the waiter sets the mark and enqueues itself in one transaction. A call that clears
 * the mark locks the wait queue afterwards, and finds the waiter. A mark without waiters (they gave
 * up) costs one visit to the wait table.
 *
 * Lifetime: once a consumer can get the item, the put touches only the wait table, by the address
 * of a wait queue. The queue may be freed by then, but it exists if a waiter is enqueued. `inside`
 * counts the contexts that may still touch the queue after a sleep, except for those last steps of
 * a put.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../debug/debug.h"
#include "../wait/cancel.h"
#include "../wait/lot.h"
#include "queue.h"
#include <errno.h>
#include <fairlead/time.h>

void fl__queue_pause(unsigned round)
{
	enum { DOUBLINGS = 6, YIELDS = 64 };
	if (round < DOUBLINGS) {
		fl__pause(1u << round);
	} else if (round < YIELDS) {
		(void)fl__sys.give_way(fl__sys.now());
	} else {
		struct fl__wait wait;
		fl__wait_begin(&wait);
		/* in no wait queue: only the timeout ends it */
		(void)fl__wait_sleep(&wait, fl_after(FL_US(50)), FL_SHIELDED);
	}
}

int fl__queue_can(fl_queue *q, enum fl__queue_side side)
{
	int rc;
	for (unsigned round = 0; (rc = q->backend->can[side](q->state)) == -EBUSY; round++)
		fl__queue_pause(round);
	return rc;
}

int fl__queue_call_now(fl_queue *q, struct fl__queue_call *call)
{
	int rc;
	bool owes_wake = false;
	for (unsigned round = 0;; round++) {
		rc = call->side == FL__CONSUMERS
		         ? q->backend->get(q->state, call->to, call->n, &call->count, &owes_wake)
		         : q->backend->put(q->state, call->from, call->n, &call->count, &owes_wake);
		if (rc != -EBUSY)
			break;
		fl__queue_pause(round);
	}
	if (owes_wake)
		fl__queue_wake(q, call->side == FL__CONSUMERS ? FL__PRODUCERS : FL__CONSUMERS);
	return rc;
}

void fl__queue_wake(fl_queue *q, int side)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(q, side));
	(void)fl__lot_take(&lot, 1, FL__BATON); /* none: the waiters gave up */
	fl__lot_close(&lot);
}

void fl__queue_wake_all(fl_queue *q)
{
	for (int side = 0; side < 2; side++) {
		struct fl__lot lot;
		fl__lot_open(&lot, fl__queue_wait_key(q, side));
		(void)fl__lot_take(&lot, FL__ALL, 0);
		fl__lot_close(&lot);
	}
}

bool fl__queue_has_waiters(fl_queue *q)
{
	/*
	 * acquire: a context that has left touches the queue no more; pairs with fl__queue_leave()
	 */
	return (!fl__is_forked(q->forks) && fl__load_acquire(&q->inside) > 0) ||
	       fl__lot_waited(fl__queue_wait_key(q, FL__CONSUMERS)) ||
	       fl__lot_waited(fl__queue_wait_key(q, FL__PRODUCERS)) ||
	       fl__lot_waited(fl__queue_wait_key(q, FL__JOINERS));
}

void fl__queue_pass_baton(fl_queue *q, enum fl__queue_side side)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(q, side));
	if (fl__lot_more(&lot) && !q->backend->enqueue && !q->backend->mark[side](q->state))
		(void)fl__lot_take(&lot, 1, FL__BATON);
	fl__lot_close(&lot);
}

bool fl__queue_enqueue(fl_queue *q, enum fl__queue_side side, struct fl__node *node, bool baton)
{
	if (q->backend->enqueue)
		return q->backend->enqueue(q, side, node);
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(q, side));
	const bool marked = q->backend->mark[side](q->state);
	if (marked)
		fl__lot_insert(&lot, node, baton ? fl__lot_first(&lot) : NULL);
	fl__lot_close(&lot);
	return marked;
}

struct queue_look {
	fl_queue *q;
	enum fl__queue_side side;
};

static bool queue_may_be_ready(const void *what)
{
	const struct queue_look *at = what;
	if (at->q->backend->may_be_ready[at->side])
		return at->q->backend->may_be_ready[at->side](at->q->state);
	const int rc = at->q->backend->can[at->side](at->q->state);
	return rc != -EAGAIN && rc != -EBUSY;
}

/*
 * Spins for a while, then sleeps. Returns 0 when the call should be tried again, -ETIMEDOUT, or
 * -ECANCELED. At a rendezvous the caller does not spin: the opposite side can meet a waiter only in
 * the wait queue.
 */
static int queue_sleep(fl_queue *q, struct fl__queue_call *call, uint32_t *woken_with, int64_t deadline,
                       fl_cancel_token *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__offer offer = {.node = FL__NODE(&wait), .from = call->from, .to = call->to};
	if ((!q->backend->enqueue &&
	     fl__wait_look(&wait, queue_may_be_ready, &(struct queue_look){q, call->side}, deadline, cancel)) ||
	    !fl__queue_enqueue(q, call->side, &offer.node, *woken_with == FL__BATON))
		return fl__cancel_ends(cancel, wait.ctx) ? -ECANCELED : 0;
	*woken_with = 0;
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&offer.node);
	else
		*woken_with = offer.node.value;
	return rc;
}

void fl__queue_enter(fl_queue *q)
{
	/* relaxed: a free that is not ordered after this call is misuse */
	fl__add_relaxed(&q->inside, 1u);
}

void fl__queue_leave(fl_queue *q)
{
	/* release: pairs with the acquire in fl__queue_has_waiters() */
	fl__sub_release(&q->inside, 1u);
}

/*
 * Waits until the call can be made. Makes no call after a cancelled wait. The consumer of an item
 * may free the queue once the item is put. So a producer leaves `inside` before it puts, and
 * touches afterwards only what fl__queue_pass_baton() touches. At a rendezvous a consumer leaves
 * first, too: the producer that it meets knows of the get, and may free the queue.
 */
static int queue_wait_and_call(fl_queue *q, struct fl__queue_call *call, int64_t deadline, fl_cancel_token *cancel)
{
	const bool is_out_first = call->side == FL__PRODUCERS || q->backend->enqueue;
	int rc, waited;
	uint32_t woken_with = 0;
	do {
		fl__queue_enter(q);
		waited = queue_sleep(q, call, &woken_with, deadline, cancel);
		if (woken_with == FL__HANDED_OFF) {
			call->count = 1;
			return 0;
		}
		if (is_out_first)
			fl__queue_leave(q);
		rc = waited == -ECANCELED ? -EAGAIN : fl__queue_call_now(q, call);
		if (!is_out_first)
			fl__queue_leave(q);
	} while (rc == -EAGAIN && waited == 0);
	if (woken_with == FL__BATON)
		fl__queue_pass_baton(q, call->side);
	return rc == -EAGAIN ? waited : rc;
}

int fl__queue_call_until(fl_queue *q, struct fl__queue_call *call, int64_t deadline, fl_cancel_token *cancel)
{
	/* A fiber does not back off from a ring: its thread has other fibers to run. */
	if (q->spsc)
		fl__queue_spsc_back_off(q->spsc, call->side);
	else if (q->mpmc && fl__ctx_get()->ops == &fl__thread_parker)
		fl__mpmc_back_off(q->mpmc, call->side == FL__CONSUMERS);
	int rc = fl__queue_call_now(q, call);
	if (rc != -EAGAIN)
		return rc;
	struct fl__debug_op op;
	fl__debug_wait_begin(&op, q, call->side == FL__CONSUMERS ? FL__DEBUG_GET : FL__DEBUG_PUT);
	rc = queue_wait_and_call(q, call, deadline, cancel);
	fl__debug_wait_end(&op);
	return rc;
}

/*
 * For fl_wait_any. An observer is enqueued under the same mark as other waiters, and takes nothing.
 */

static bool queue_arm(fl_queue *q, enum fl__queue_side side, struct fl__node *node)
{
	while (fl__queue_can(q, side) == -EAGAIN)
		if (fl__queue_enqueue(q, side, node, false))
			return true;
	return false;
}

static bool queue_on_items_ready(void *object)
{
	return fl__queue_can(object, FL__CONSUMERS) != -EAGAIN;
}

static bool queue_on_items_arm(void *object, struct fl__node *node)
{
	return queue_arm(object, FL__CONSUMERS, node);
}

static bool queue_on_space_ready(void *object)
{
	return fl__queue_can(object, FL__PRODUCERS) != -EAGAIN;
}

static bool queue_on_space_arm(void *object, struct fl__node *node)
{
	return queue_arm(object, FL__PRODUCERS, node);
}

const fl_on_type fl__on_queue = {queue_on_items_ready, queue_on_items_arm, fl__node_disarm, NULL};
const fl_on_type fl__on_queue_space = {queue_on_space_ready, queue_on_space_arm, fl__node_disarm, NULL};
