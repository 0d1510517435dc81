/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where contexts sleep on a queue: getters for items, putters for space, each in a line of the lot. What holds the items has a
 * mark for each side (type.h): "somebody sleeps", set by who goes to sleep, under the lot, only at a moment when there was
 * nothing to have; taken off by the next call of the other side, in the very step that makes something to be had. So that
 * call knows that it owes a wake, and one that finds no mark owes nothing: neither needs a fence, nor a second look.
 *
 * One at a time is woken. Whoever owes a wake gives the duty to the one that it wakes, the baton: that one, when it has got
 * something, wakes the next if there is more, else sets the mark anew; and so when it gives up, or finds that others have taken
 * what it was woken for: then it stands in line again, as the first. While the baton is on its way puts and gets pay nothing, however
 * many they are. (After a trial of a word {sequence, sleepers, a wake in flight} per side; the mark in the position that is
 * claimed anyway needs neither the word nor its fence.)
 *
 * Invariant: somebody stands in a line => the mark is set, or somebody has the baton: who took off the mark and has yet to
 *   open the line; a context that was woken as the one that the wake was for, and has yet to settle(); who closes, and has
 *   yet to open the line.
 *
 * No lost wake: the mark is set and the line joined in one transaction of the lot; whoever takes the mark off opens the lot
 * afterwards, and finds who set it. A mark without sleepers (they gave up) costs one visit.
 *
 * Lifetime: what a put does after its item could be got is in the lot, by the address of a line; the queue may be gone by then, and
 * is there if somebody stands in the line. `inside` counts those who may still touch it after a sleep, but for what a put does last.
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
		(void)fl__wait_sleep(&wait, fl_after(FL_US(50)), FL_SHIELDED); /* in no line: the time alone ends it */
	}
}

int fl__queue_can(fl_queue *q, enum fl__queue_side side)
{
	int rc;
	for (unsigned round = 0; (rc = q->type->can[side](q->state)) == -EBUSY; round++)
		fl__queue_pause(round);
	return rc;
}

int fl__queue_call_now(fl_queue *q, struct fl__queue_call *call)
{
	int rc;
	bool owes_wake = false;
	for (unsigned round = 0;; round++) {
		rc = call->side == FL__GETTERS ? q->type->get(q->state, call->to, call->n, &call->count, &owes_wake)
		                               : q->type->put(q->state, call->from, call->n, &call->count, &owes_wake);
		if (rc != -EBUSY)
			break;
		fl__queue_pause(round);
	}
	if (owes_wake)
		fl__queue_wake(q, call->side == FL__GETTERS ? FL__PUTTERS : FL__GETTERS);
	return rc;
}

void fl__queue_wake(fl_queue *q, int side)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_line(q, side));
	(void)fl__lot_take(&lot, 1, FL__PASSED_ON); /* nobody: they gave up */
	fl__lot_close(&lot);
}

void fl__queue_wake_all(fl_queue *q)
{
	for (int side = 0; side < 2; side++) {
		struct fl__lot lot;
		fl__lot_open(&lot, fl__queue_line(q, side));
		(void)fl__lot_take(&lot, FL__ALL, 0);
		fl__lot_close(&lot);
	}
}

bool fl__queue_is_awaited(fl_queue *q)
{
	/* acquire: who has left has left, as fl__queue_leave() releases */
	return (!fl__is_forked(q->forks) && fl__load_acquire(&q->inside) > 0) ||
	       fl__lot_waited(fl__queue_line(q, FL__GETTERS)) || fl__lot_waited(fl__queue_line(q, FL__PUTTERS)) ||
	       fl__lot_waited(fl__queue_line(q, FL__JOINERS));
}

void fl__queue_pass_on(fl_queue *q, enum fl__queue_side side)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_line(q, side));
	if (fl__lot_more(&lot) && !q->type->line_up && !q->type->mark[side](q->state))
		(void)fl__lot_take(&lot, 1, FL__PASSED_ON);
	fl__lot_close(&lot);
}

bool fl__queue_line_up(fl_queue *q, enum fl__queue_side side, struct fl__node *node, bool baton)
{
	if (q->type->line_up)
		return q->type->line_up(q, side, node);
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_line(q, side));
	const bool marked = q->type->mark[side](q->state);
	if (marked)
		fl__lot_insert(&lot, node, baton ? fl__lot_first(&lot) : NULL);
	fl__lot_close(&lot);
	return marked;
}

struct looked_at {
	fl_queue *q;
	enum fl__queue_side side;
};

static bool has_come(const void *what)
{
	const struct looked_at *at = what;
	if (at->q->type->seems[at->side])
		return at->q->type->seems[at->side](at->q->state);
	const int rc = at->q->type->can[at->side](at->q->state);
	return rc != -EAGAIN && rc != -EBUSY;
}

/*
 * Looks for a while, then sleeps: 0 when the call should be tried again; -ETIMEDOUT, -ECANCELED. Who wants to be met does not look:
 * nobody sees it as long as it is in no line.
 */
static int sleep_once(fl_queue *q, struct fl__queue_call *call, uint32_t *woken_with, int64_t deadline,
                      fl_cancel *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__offer offer = {.node = FL__NODE(&wait), .from = call->from, .to = call->to};
	if ((!q->type->line_up &&
	     fl__wait_look(&wait, has_come, &(struct looked_at){q, call->side}, deadline, cancel)) ||
	    !fl__queue_line_up(q, call->side, &offer.node, *woken_with == FL__PASSED_ON))
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
	fl__add_relaxed(&q->inside, 1u); /* relaxed: a free that is not ordered after this call is misuse */
}

void fl__queue_leave(fl_queue *q)
{
	fl__sub_release(&q->inside, 1u); /* pairs with the acquire in fl__queue_is_awaited() */
}

/*
 * Looks and sleeps until the call can be made; once it is cancelled it makes no call. Whoever gets what a put has put may free the queue: so a putter is out before it puts,
 * and touches afterwards only what fl__queue_pass_on() does. So is a getter where it meets a putter, who knows of the get.
 */
static int make_late(fl_queue *q, struct fl__queue_call *call, int64_t deadline, fl_cancel *cancel)
{
	const bool is_out_first = call->side == FL__PUTTERS || q->type->line_up;
	int rc, waited;
	uint32_t woken_with = 0;
	do {
		fl__queue_enter(q);
		waited = sleep_once(q, call, &woken_with, deadline, cancel);
		if (woken_with == FL__HANDED_OVER) {
			call->count = 1;
			return 0;
		}
		if (is_out_first)
			fl__queue_leave(q);
		rc = waited == -ECANCELED ? -EAGAIN : fl__queue_call_now(q, call);
		if (!is_out_first)
			fl__queue_leave(q);
	} while (rc == -EAGAIN && waited == 0);
	if (woken_with == FL__PASSED_ON)
		fl__queue_pass_on(q, call->side);
	return rc == -EAGAIN ? waited : rc;
}

int fl__queue_make(fl_queue *q, struct fl__queue_call *call, int64_t deadline, fl_cancel *cancel)
{
	if (q->pair)
		fl__pair_back_off(q->pair, call->side);
	else if (q->ring && fl__ctx_get()->ops == &fl__thread_parker) /* a fiber has others to run meanwhile */
		fl__mpmc_back_off(q->ring, call->side == FL__GETTERS);
	int rc = fl__queue_call_now(q, call);
	if (rc != -EAGAIN)
		return rc;
	struct fl__debug_op op;
	fl__debug_wait_begin(&op, q, call->side == FL__GETTERS ? FL__DEBUG_GET : FL__DEBUG_PUT);
	rc = make_late(q, call, deadline, cancel);
	fl__debug_wait_end(&op);
	return rc;
}

/* For fl_wait_any: an observer stands in line under the same mark, and takes nothing. */

static bool side_arm(fl_queue *q, enum fl__queue_side side, struct fl__node *node)
{
	while (fl__queue_can(q, side) == -EAGAIN)
		if (fl__queue_line_up(q, side, node, false))
			return true;
	return false;
}

static bool on_items_ready(void *object)
{
	return fl__queue_can(object, FL__GETTERS) != -EAGAIN;
}

static bool on_items_arm(void *object, struct fl__node *node)
{
	return side_arm(object, FL__GETTERS, node);
}

static bool on_space_ready(void *object)
{
	return fl__queue_can(object, FL__PUTTERS) != -EAGAIN;
}

static bool on_space_arm(void *object, struct fl__node *node)
{
	return side_arm(object, FL__PUTTERS, node);
}

const fl_on_type fl__on_queue = {on_items_ready, on_items_arm, fl__node_disarm, NULL};
const fl_on_type fl__on_queue_space = {on_space_ready, on_space_arm, fl__node_disarm, NULL};
