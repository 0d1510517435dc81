/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The barrier: the lock of its wait queue, in the parking lot (wait/lot.h), guards all fields.
 * fl_barrier_is_broken() and fl_barrier_destroy() read without it.
 *
 *   arrived_   the queued parties of the present phase; above 0 with an empty queue only in a
 *              forked child
 *   broken_    0 or 1
 *   acting_    0, or ACTING with the fork count, by the last party; perhaps CUT, by abort and reset
 *
 * A dequeued waiter learns its result from the value of its node, even after its deadline, and
 * touches the barrier again only for AGAIN. So the barrier may be destroyed while its parties are
 * still leaving. Linearization: the transaction in which the last party arrives, or the barrier
 * breaks; with an action, the last party's after the action.
 *
 * The last party calls the action without the queue lock, in a complete phase, with acting_ set:
 *
 *   acting_             0                    ACTING                       ACTING and CUT
 *   queued nodes        PARTY                PARTY of the complete        LATE
 *                                            phase, and LATE
 *   an arrival          is the last party,   adds a LATE node             adds a LATE node
 *                       or adds a PARTY node
 *   fl_barrier_try_wait is the last party,   -EAGAIN                      -EAGAIN
 *                       or -EAGAIN
 *   PARTY gives up      all get BROKEN       waits again in its place in  -
 *                                            the queue, and gets PASSED
 *   LATE gives up       -                    sets broken_; other LATE     sets broken_; other LATE
 *                                            nodes get BROKEN             nodes get BROKEN
 *   abort, reset        all get BROKEN       all get BROKEN; sets CUT     all get BROKEN
 *   action returns      -                    PARTY gets PASSED, LATE      LATE gets AGAIN, the last
 *                                            gets AGAIN; acting_ = 0      party -EPIPE; acting_ = 0
 *
 * A LATE context belongs to the next phase. So no two actions run at once, not even after a reset.
 *
 * In a forked child, inherited arrived_ and acting_ count as 0, as the number of forks in acting_
 * tells. A child that the action itself forks returns from the action, and finds acting_ unchanged,
 * unless another context of the child has used the barrier.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/barrier.h>
#include <fairlead/time.h>
#include <pthread.h>

/* Of a queued node; of a dequeued node. */
enum { BARRIER_PARTY, BARRIER_LATE };
enum barrier_result { BARRIER_PASSED = 2, BARRIER_BROKEN, BARRIER_AGAIN };

enum { BARRIER_ACTING = 1, BARRIER_CUT = 2, BARRIER_FORK = 4 };

static void barrier_release_all(struct fl__lot *lot, fl_barrier *b, enum barrier_result result)
{
	fl__store_relaxed(&b->arrived_, 0); /* the queue lock orders it */
	fl__lot_take(lot, FL__ALL, result);
}

static void barrier_set_broken(fl_barrier *b, uint32_t broken)
{
	fl__store_relaxed(&b->broken_, broken); /* as above */
}

static void barrier_set_acting(fl_barrier *b, uint32_t acting)
{
	fl__store_relaxed(&b->acting_, acting); /* as above */
}

/* Whether an action runs in this process. */
static bool barrier_acts_here(uint32_t acting)
{
	return (acting & ~(uint32_t)BARRIER_CUT) == (fl__fork_count * BARRIER_FORK | BARRIER_ACTING);
}

/* A forked child lacks the parent's parties. */
static void barrier_forget_parent(const struct fl__lot *lot, fl_barrier *b)
{
	if (b->acting_ != 0 ? barrier_acts_here(b->acting_) : fl__lot_has_waiters(lot))
		return;
	barrier_set_acting(b, 0);
	fl__store_relaxed(&b->arrived_, 0); /* as above */
}

/*
 *   -EPIPE   the barrier is broken
 *   -EAGAIN  the caller is not the last party
 *   else     the last party's order of arrival: all waiters are woken, or acting_ is set and
 *            the caller must call barrier_run_action()
 */
static int barrier_arrive(struct fl__lot *lot, fl_barrier *b)
{
	if (b->broken_)
		return -EPIPE;
	if (b->acting_ != 0 || b->arrived_ > 0)
		barrier_forget_parent(lot, b);
	if (b->acting_ != 0 || b->arrived_ + 1 < b->parties_)
		return -EAGAIN;
	if (b->action_)
		/* as above */
		barrier_set_acting(b, fl__fork_count * BARRIER_FORK | BARRIER_ACTING);
	else
		barrier_release_all(lot, b, BARRIER_PASSED);
	return (int)b->parties_ - 1;
}

static void barrier_end_phase(struct fl__lot *lot, fl_barrier *b)
{
	struct fl__node *node;
	while ((node = fl__lot_first(lot)) != NULL)
		(void)fl__lot_take_node(lot, node, node->value == BARRIER_LATE ? BARRIER_AGAIN : BARRIER_PASSED);
	fl__store_relaxed(&b->arrived_, 0); /* as above */
	barrier_set_acting(b, 0);           /* the last access: the first that leaves may free it */
}

/* Only if acting_ is still of that action. Returns acting_ before. */
static uint32_t barrier_end_action(fl_barrier *b, uint32_t acting)
{
	FL__LOT(lot, b);
	const uint32_t now = b->acting_;
	if ((now & ~(uint32_t)BARRIER_CUT) == acting)
		barrier_end_phase(&lot, b);
	return now;
}

/* The action ends its thread: as if it had aborted the barrier. */
static void barrier_abandon(void *barrier)
{
	fl_barrier *const b = barrier;
	fl_barrier_abort(b);
	(void)barrier_end_action(b, b->acting_ & ~(uint32_t)BARRIER_CUT);
}

/* No cleanup frame in a fiber: the thread keeps one list of them for all its fibers. */
static void barrier_call_action(fl_barrier *b)
{
	if (fl__ctx_get()->ops != &fl__thread_parker) {
		b->action_(b->action_arg_);
		return;
	}
	pthread_cleanup_push(barrier_abandon, b);
	b->action_(b->action_arg_);
	pthread_cleanup_pop(0);
}

/* For the last party, which has set acting_ to `acting`. */
static int barrier_run_action(fl_barrier *b, uint32_t acting)
{
	const int order = (int)b->parties_ - 1;
	barrier_call_action(b);
	const uint32_t now = barrier_end_action(b, acting);
	return now == (acting | BARRIER_CUT) ? -EPIPE : order;
}

/* Breaks the barrier, but not a complete phase. */
static void barrier_break_phase(struct fl__lot *lot, fl_barrier *b)
{
	barrier_set_broken(b, 1);
	if (b->acting_ == 0) {
		barrier_release_all(lot, b, BARRIER_BROKEN);
		return;
	}
	for (struct fl__node *next, *node = fl__lot_first(lot); node; node = next) {
		next = fl__lot_node_after(node);
		if (node->value == BARRIER_LATE)
			(void)fl__lot_take_node(lot, node, BARRIER_BROKEN);
	}
}

/* `order`: a party's order of arrival. */
static int barrier_result_of(const struct fl__node *node, int order)
{
	if (node->value == BARRIER_PASSED)
		return order;
	return node->value == BARRIER_AGAIN ? -EAGAIN : -EPIPE;
}

/*
 * After a timeout or cancel: breaks the barrier and returns `rc`, unless the waiter has a result,
 * or, in a complete phase, waits for it.
 */
static int barrier_give_up(fl_barrier *b, struct fl__node *node, int order, int rc)
{
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	const bool complete = node->queued && node->value == BARRIER_PARTY && b->acting_ != 0;
	if (complete) {
		/* in its place in the queue */
		fl__wait_begin(node->wait, FL__DEBUG_BARRIER, b);
	} else if (node->queued || node->value == BARRIER_AGAIN) {
		fl__lot_remove(&lot, node);
		barrier_break_phase(&lot, b);
	} else {
		rc = barrier_result_of(node, order);
	}
	fl__lot_close(&lot);
	if (!complete)
		return rc;
	(void)fl__wait_sleep(node->wait, FL_FOREVER, FL_SHIELDED); /* always 0 */
	return barrier_result_of(node, order);
}

void fl_barrier_destroy(fl_barrier *b)
{
	/* relaxed: the caller knows that no action runs */
	fl__hook_destroy(b, b, barrier_acts_here(fl__load_relaxed(&b->acting_)) || fl__lot_has_waiters_at(b));
}

static void barrier_require_parties(const char *function, const fl_barrier *b)
{
	if (b->parties_ == 0)
		fl__panic(function, b, "a barrier without parties");
}

/* -EAGAIN: the caller was LATE, and the phase is over. */
static int barrier_wait_once(fl_barrier *b, fl_time deadline, fl_cancel_token *cancel)
{
	FL__WAIT(wait, node, FL__DEBUG_BARRIER, b);
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	int rc = barrier_arrive(&lot, b);
	const int order = (int)b->arrived_;
	const uint32_t acting = b->acting_;
	if (rc == -EAGAIN) {
		node.value = acting != 0 ? BARRIER_LATE : BARRIER_PARTY;
		if (acting == 0)
			/* the queue lock orders it */
			fl__store_relaxed(&b->arrived_, b->arrived_ + 1);
		fl__lot_add_together(&lot, &node);
	}
	const uint32_t missing = b->parties_ - b->arrived_;
	fl__lot_close(&lot);
	if (rc != -EAGAIN)
		return rc >= 0 && acting != 0 ? barrier_run_action(b, acting) : rc;
	wait.no_spin = wait.no_spin && missing > 1;

	rc = fl__wait_sleep(&wait, deadline, cancel);
	return rc != 0 ? barrier_give_up(b, &node, order, rc) : barrier_result_of(&node, order);
}

int fl_barrier_wait_until(fl_barrier *b, fl_time deadline, fl_cancel_token *cancel)
{
	barrier_require_parties("fl_barrier_wait", b);
	int rc;
	do
		rc = barrier_wait_once(b, deadline, cancel);
	while (rc == -EAGAIN);
	return rc;
}

int fl_barrier_try_wait(fl_barrier *b)
{
	barrier_require_parties("fl_barrier_try_wait", b);
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	const int rc = barrier_arrive(&lot, b);
	const uint32_t acting = b->acting_;
	fl__lot_close(&lot);
	return rc >= 0 && acting != 0 ? barrier_run_action(b, acting) : rc;
}

static void barrier_break_or_reset(fl_barrier *b, uint32_t broken)
{
	FL__LOT(lot, b);
	barrier_set_broken(b, broken);
	if (b->acting_ != 0)
		barrier_set_acting(b, b->acting_ | BARRIER_CUT);
	barrier_release_all(&lot, b, BARRIER_BROKEN);
}

void fl_barrier_abort(fl_barrier *b)
{
	barrier_break_or_reset(b, 1);
}

void fl_barrier_reset(fl_barrier *b)
{
	barrier_break_or_reset(b, 0);
}
