/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The barrier. Each phase runs in one of two ways.
 *
 *   gated    The usual way. A party arrives by one fetch-and-add on `state_`, and then polls a
 *            gate: a word of the parking lot, outside of the barrier, which only this phase holds.
 *            The last party changes the gate, which lets all others pass. A party that stops
 *            polling sets SLEEPERS in the gate and enqueues itself. If the last party finds
 *            SLEEPERS, it also locks the wait queue, and wakes the enqueued parties.
 *   locked   Each party locks the wait queue, counts itself in `arrived_`, and enqueues itself. All
 *            phases of a barrier are locked if it has an action, one party, or more than
 *            PARTIES_MOST parties. In other barriers, a phase is locked if its first party found no
 *            free gate among the few that it tried.
 *
 * state_
 *
 *   bits    field     meaning                             set by               cleared by
 *   0       BROKEN    every arrival returns -EPIPE        abort; a party that  reset
 *                                                         gives up
 *   1       LOCKED    a locked phase has begun, in a      the first party:     the end or a failure
 *                     barrier whose phases may have       the CAS in           of the phase, abort
 *                     gates                               barrier_begin()      and reset, under the
 *                                                                              queue lock
 *   2       GATED     a gated phase has begun; the        the first party:     a failure of the
 *                     phase may be complete               the CAS in           phase, abort and
 *                                                         barrier_begin()      reset, under the
 *                                                                              queue lock; the CAS
 *                                                                              by which another
 *                                                                              phase begins
 *   3-12    the index of the gate                         with GATED           with GATED
 *   13-40   the number of the phase, in its gate          with GATED           with GATED
 *   41-49   the number of parties                         with GATED           with GATED
 *   50-63   arrivals, modulo 2^14                         an arrival adds 1    with BROKEN, LOCKED
 *                                                                              or GATED; the CAS by
 *                                                                              which a phase begins
 *                                                                              sets 1
 *
 * At most one of BROKEN, LOCKED and GATED is set. Without GATED, bits 3 to 49 are 0. A gated phase
 * is open while fewer parties have arrived than the phase needs. When it passes, state_ keeps GATED
 * until another phase begins, or until an abort or a reset. Nobody reads the arrivals without
 * GATED.
 *
 * A gate
 *
 *   bits    field      set by                               cleared by
 *   0       FAILED     abort, reset, or a party that gives  the party that leaves last, when it
 *                      up, under the queue lock             frees the gate
 *   1       SLEEPERS   a party that stops polling, under    the thread that takes or frees the
 *                      the queue lock                       gate, or sets FAILED
 *   2       HELD       the first party: the CAS in          the last party; after a failure, the
 *                      barrier_take_gate()                  party that leaves last, or the thread
 *                                                           that ends the phase, if all parties are
 *                                                           enqueued; a context that has taken a
 *                                                           gate and not begun a phase
 *   13-40   the number of the phase: the first party adds 1, modulo 2^28
 *   41-49   with FAILED, how many parties have not left: each party subtracts 1 when it leaves
 *
 * Invariants
 *   1. An open phase holds its gate. The phase is over as soon as its gate is not HELD, or is
 *      FAILED, or has another number.
 *   2. After a party has arrived in a gated phase, it touches the barrier only if it knows that the
 *      phase is not over. It knows this if it is the last party, or if it holds the queue lock
 *      while it is enqueued. Therefore the barrier may be freed as soon as one party of each phase
 *      has passed.
 *   3. The last party frees the gate. If a party looks late, another phase may hold the gate by
 *      then, but with another number, unless the gate has been taken 2^28 times since. A failed
 *      phase keeps its gate until all parties that were not enqueued have left. Therefore a party
 *      that finds another number has passed.
 *   4. A gate changes only by read-modify-writes, which continue the release sequence of every
 *      earlier last party. Therefore a party that acquires the gate late, from another phase, still
 *      acquires what the parties of its own phase released.
 *   5. A node of a gated phase is enqueued while the phase is not over, and dequeued in the
 *      transaction in which the phase ends. A node of a locked phase is enqueued only in a barrier
 *      without gates, or while LOCKED is set. The transaction that clears LOCKED dequeues all nodes
 *      of the locked phase.
 *   6. If a context adds 1 to the arrivals while no phase is open, nobody reads what it changed. A
 *      context makes at most three such additions before it begins a phase, arrives in a phase, or
 *      locks the queue: two in fl_barrier_wait_until(), and one in barrier_begin() if the barrier
 *      has become BROKEN or LOCKED. So the arrivals, which are counted modulo 2^14, could wrap only
 *      if at least 2^12 contexts had made such additions and none of these steps yet.
 *   7. BROKEN is set and cleared, and LOCKED is cleared, under the queue lock. The lock also guards
 *      arrived_, acting_ and the nodes.
 *
 * A gated phase linearizes at a read-modify-write of state_: if it passes, at the arrival of the
 * last party; if it fails, at the step by which abort, reset or a party that gives up ends the open
 * phase. A locked phase without an action linearizes in the transaction in which the last party
 * arrives or the phase fails. A locked phase with an action linearizes in the last party's
 * transaction after the action, or in the transaction in which it fails.
 *
 *   arrived_   the number of queued parties of the current locked phase
 *   acting_    ACTING while an action runs, otherwise 0. An abort or a reset during the action adds
 *              CUT.
 *
 * A dequeued waiter finds its result in the value of its node, even after its deadline. It touches
 * the barrier again only if its result is AGAIN.
 *
 * In a complete phase, the last party sets acting_, and then calls the action without the queue
 * lock. What each call does depends on acting_:
 *
 *   acting_             0                    ACTING                       ACTING and CUT
 *   queued nodes        PARTY                PARTY of the complete        LATE
 *                                            phase, and LATE
 *   an arrival          is the last party,   adds a LATE node             adds a LATE node
 *                       or adds a PARTY node
 *   PARTY gives up      all get FAILED       waits again in its place in  -
 *                                            the queue, for its result
 *   LATE gives up       -                    sets BROKEN; other LATE      sets BROKEN; other LATE
 *                                            nodes get FAILED             nodes get FAILED
 *   abort, reset        all get FAILED       all get FAILED; sets CUT     all get FAILED
 *   action returns      -                    PARTY gets PASSED, LATE      LATE gets AGAIN, the last
 *                                            gets AGAIN; acting_ = 0      party -EPIPE; acting_ = 0
 *
 * A LATE context belongs to the next phase. So no two actions run at once, not even after a reset.
 *
 * The gate lies outside of the barrier, because a barrier may be destroyed as soon as one waiter
 * has returned, while others still poll. There are 1,024 gates, one in the cache line of each
 * bucket of the parking lot. docs/decisions/barrier-gates.md has the figures and the alternatives.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include <fairlead/barrier.h>
#include <fairlead/time.h>
#include <pthread.h>

/*
 * The value of a node. In a locked phase, a queued node has the value PARTY or LATE; in a gated
 * phase, it has bits 0 to 12 of state_, which name the gate. A dequeued node of either kind has a
 * barrier_result.
 */
enum { BARRIER_PARTY, BARRIER_LATE };
enum barrier_result { BARRIER_PASSED = 2, BARRIER_FAILED, BARRIER_AGAIN };

enum { BARRIER_ACTING = 1, BARRIER_CUT = 2 };

/* Bits of state_. */
enum { BARRIER_BROKEN = 1, BARRIER_LOCKED = 2, BARRIER_GATED = FL__GATE_HELD, BARRIER_GATE_ONE = 8 };
#define BARRIER_ONE 0x4000000000000u /* bit 50: an arrival */

/*
 * Bits of a gate. HELD, the number of the phase and the parties are in the same places as GATED,
 * the number and the parties in state_.
 */
enum { GATE_FAILED = 1, GATE_SLEEPERS = 2, GATE_ONE = 0x2000 };
#define GATE_PARTY_ONE 0x20000000000u /* bit 41 */
#define GATE_NUMBER (GATE_PARTY_ONE - GATE_ONE)
#define GATE_SHUT (GATE_NUMBER | FL__GATE_HELD | GATE_FAILED)

enum { BARRIER_PARTIES_MOST = 511, BARRIER_TRIES = 8, BARRIER_POLLS = 64 };

/* In this file, a parameter `phase` is a state with GATED, unless a comment says otherwise. */
static uint64_t *barrier_gate(uint64_t phase)
{
	return fl__lot_gate(phase / BARRIER_GATE_ONE % FL__GATES);
}

/* Returns how many parties have arrived. */
static int barrier_order(uint64_t phase)
{
	return (int)(phase / BARRIER_ONE);
}

static int barrier_parties(uint64_t phase)
{
	return (int)(phase / GATE_PARTY_ONE % (BARRIER_PARTIES_MOST + 1));
}

static int barrier_missing(uint64_t phase)
{
	return barrier_parties(phase) - barrier_order(phase);
}

static bool barrier_is_open(uint64_t state)
{
	return barrier_missing(state) > 0; /* without GATED, the number of parties is 0 */
}

/* Returns whether the phase is over (invariant 1). */
static bool barrier_is_over(const void *what)
{
	const uint64_t *phase = what;
	/* relaxed: barrier_leave() acquires */
	return ((fl__load_relaxed(barrier_gate(*phase)) ^ *phase) & GATE_SHUT) != 0;
}

static void barrier_require_parties(const char *function, const fl_barrier *b)
{
	if (b->parties_ == 0)
		fl__panic(function, b, "a barrier without parties");
}

static bool barrier_may_have_gates(const fl_barrier *b)
{
	return !b->action_ && b->parties_ - 2 <= BARRIER_PARTIES_MOST - 2;
}

/*
 * Takes a gate. Returns the state of a new phase without arrivals, or LOCKED if none of the
 * BARRIER_TRIES gates that it tried was free.
 */
static uint64_t barrier_take_gate(const fl_barrier *b)
{
	const uint64_t first = fl__ctx_get()->id;
	for (uint64_t i = first; i < first + BARRIER_TRIES; i++) {
		const uint64_t phase = i % FL__GATES * BARRIER_GATE_ONE | BARRIER_GATED;
		/* relaxed: a stale value only makes the CAS below fail, or skips a gate */
		uint64_t seen = fl__load_relaxed(barrier_gate(phase));
		const uint64_t number = (seen + GATE_ONE) & GATE_NUMBER;
		/* relaxed: the CAS on state_ publishes that the gate is held */
		if (!(seen & FL__GATE_HELD) && fl__cas_relaxed(barrier_gate(phase), &seen, number | FL__GATE_HELD))
			return phase | number | b->parties_ * GATE_PARTY_ONE;
	}
	return BARRIER_LOCKED;
}

static void barrier_free_gate(uint64_t phase)
{
	/* release: pairs with the acquire in barrier_leave(). A swap because of invariant 4. */
	fl__swap_release(barrier_gate(phase), phase & GATE_NUMBER);
}

/*
 * Called when no phase is open. Begins a phase, or arrives in one that has begun in the meantime.
 * Returns the state before this arrival. If the state is without GATED, the caller has not arrived,
 * and must lock the queue.
 */
static uint64_t barrier_begin(fl_barrier *b)
{
	barrier_require_parties("fl_barrier_wait", b);
	if (!barrier_may_have_gates(b))
		return 0;
	const uint64_t own = barrier_take_gate(b);
	/* relaxed: a stale value only makes the CAS below fail */
	uint64_t phase, seen = fl__load_relaxed(&b->state_);
	do
		phase = seen & (BARRIER_BROKEN | BARRIER_LOCKED) || barrier_is_open(seen) ? seen : own;
	/* acq_rel: pairs with the arrivals of the other parties, in both directions */
	while (!fl__cas_weak_acq_rel(&b->state_, &seen, phase + BARRIER_ONE));
	if ((own & BARRIER_GATED) && own != phase)
		barrier_free_gate(own);
	return phase;
}

/*
 * Dequeues and wakes the waiters of one kind: PARTY, LATE, or those of a gated phase. Returns how
 * many nodes were dequeued.
 */
static uint64_t barrier_take(struct fl__lot *lot, uint64_t value, enum barrier_result result)
{
	uint64_t taken = 0;
	for (struct fl__node *next, *node = fl__lot_first(lot); node; node = next) {
		next = fl__lot_node_after(node);
		if (node->value == value % GATE_ONE) {
			(void)fl__lot_take_node(lot, node, result);
			taken++;
		}
	}
	return taken;
}

/* Ends the phase. The caller is the last party. Returns its order of arrival. */
static int barrier_pass(fl_barrier *b, uint64_t phase)
{
	uint64_t shut = phase & GATE_SHUT;
	/* release: pairs with the acquire in barrier_leave() */
	if (!fl__cas_release(barrier_gate(phase), &shut, phase & GATE_NUMBER)) {
		FL__LOT(lot, b);
		barrier_take(&lot, phase, BARRIER_PASSED);
		barrier_free_gate(phase);
	}
	return barrier_order(phase);
}

/* Makes the parties of an open phase fail. The caller has just ended that phase. */
static void barrier_fail(struct fl__lot *lot, uint64_t phase)
{
	const uint64_t left = phase / BARRIER_ONE - barrier_take(lot, phase, BARRIER_FAILED);
	/* relaxed: a failed phase publishes nothing. A swap because of invariant 4. */
	fl__swap_relaxed(barrier_gate(phase),
	                 left == 0 ? phase & GATE_NUMBER : (phase & GATE_SHUT) | GATE_FAILED | left * GATE_PARTY_ONE);
}

/* Called by a party that found the phase over. Returns its order of arrival, or -EPIPE. */
static int barrier_leave(uint64_t phase)
{
	/* acquire: pairs with the release of the last party, in barrier_pass() */
	if (((fl__load_acquire(barrier_gate(phase)) ^ phase) & GATE_SHUT) != GATE_FAILED)
		return barrier_order(phase);
	/* relaxed: only the order of the gate's changes matters, which decides who leaves last */
	if (fl__sub_relaxed(barrier_gate(phase), GATE_PARTY_ONE) / GATE_PARTY_ONE == 1)
		barrier_free_gate(phase);
	return -EPIPE;
}

static void barrier_release_all(struct fl__lot *lot, fl_barrier *b, enum barrier_result result)
{
	fl__store_relaxed(&b->arrived_, 0); /* relaxed: the queue lock orders it */
	barrier_take(lot, BARRIER_PARTY, result);
}

static void barrier_set_acting(fl_barrier *b, uint64_t acting)
{
	fl__store_relaxed(&b->acting_, acting); /* relaxed: the queue lock orders it */
}

/*
 * Arrives in a locked phase.
 *
 *   -EPIPE   the barrier is broken
 *   -EAGAIN  the phase that was locked is over, or reset: the next one may have a gate
 *   -EBUSY   the caller is not the last party
 *   other    the last party's order of arrival: all waiters are woken, or acting_ is set and
 *            the caller must call barrier_run_action()
 */
static int barrier_arrive(struct fl__lot *lot, fl_barrier *b)
{
	/*
	 * relaxed: because the caller holds the queue lock, BROKEN does not change, and LOCKED can
	 * only be set (invariant 7)
	 */
	const uint64_t state = fl__load_relaxed(&b->state_);
	if (state & BARRIER_BROKEN)
		return -EPIPE;
	if (!(state & BARRIER_LOCKED) && barrier_may_have_gates(b))
		return -EAGAIN;
	if (b->acting_ != 0 || b->arrived_ + 1 < b->parties_)
		return -EBUSY;
	if (b->action_) {
		barrier_set_acting(b, BARRIER_ACTING);
	} else {
		/* relaxed: the queue lock orders it */
		fl__store_relaxed(&b->state_, 0);
		barrier_release_all(lot, b, BARRIER_PASSED);
	}
	return (int)b->parties_ - 1;
}

static void barrier_end_phase(struct fl__lot *lot, fl_barrier *b)
{
	barrier_release_all(lot, b, BARRIER_PASSED);
	barrier_take(lot, BARRIER_LATE, BARRIER_AGAIN);
	barrier_set_acting(b, 0); /* the last access: the first party that leaves may free the barrier */
}

/* Ends the phase. Returns the value that acting_ had before. */
static uint64_t barrier_end_action(fl_barrier *b)
{
	FL__LOT(lot, b);
	const uint64_t acting = b->acting_;
	barrier_end_phase(&lot, b);
	return acting;
}

/* Called when the action ends its thread, which counts as an abort of the barrier. */
static void barrier_abandon(void *b)
{
	fl_barrier_abort(b);
	(void)barrier_end_action(b);
}

/*
 * Calls the action. A fiber gets no cleanup frame, because its thread keeps one list of frames for
 * all its fibers.
 */
static void barrier_call_action(fl_barrier *b)
{
	if (fl__ctx_get()->ops != &fl__thread_parker) {
		b->action_(b->action_arg_);
	} else {
		pthread_cleanup_push(barrier_abandon, b);
		b->action_(b->action_arg_);
		pthread_cleanup_pop(0);
	}
}

/* Runs the action. The caller is the last party, which has set acting_. */
static int barrier_run_action(fl_barrier *b)
{
	const int order = (int)b->parties_ - 1;
	barrier_call_action(b);
	return barrier_end_action(b) & BARRIER_CUT ? -EPIPE : order;
}

/* Returns the result of a dequeued waiter. `order` is its order of arrival. */
static int barrier_result_of(const struct fl__node *node, int order)
{
	if (node->value == BARRIER_PASSED)
		return order;
	return node->value == BARRIER_AGAIN ? -EAGAIN : -EPIPE;
}

/*
 * Called after a timeout or a cancel. If the waiter already has a result other than AGAIN, returns
 * that result. If the phase is complete, waits for the result. Otherwise breaks the barrier and
 * returns `rc`. `phase` is the parameter of barrier_wait_once().
 */
static int barrier_give_up(fl_barrier *b, struct fl__node *node, int order, uint64_t phase, int rc)
{
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	const bool queued = node->queued;
	bool complete = queued && node->value == BARRIER_PARTY && b->acting_ != 0;
	if (queued && (phase & BARRIER_GATED)) {
		/* relaxed: the CAS checks it. By invariant 2 the caller may touch the barrier. */
		uint64_t seen = fl__load_relaxed(&b->state_);
		do /* another phase may have begun before the last party of this one locks the queue */
			complete = (seen ^ phase) % BARRIER_ONE != 0 || barrier_missing(seen) <= 0;
		/* relaxed: a failed phase publishes nothing */
		while (!complete && !fl__cas_weak_relaxed(&b->state_, &seen, BARRIER_BROKEN));
		if (!complete)
			barrier_fail(&lot, seen);
	}
	if (complete) {
		/* The waiter keeps its place in the queue. */
		fl__wait_begin(node->wait, FL__DEBUG_BARRIER, b);
	} else if (queued || node->value == BARRIER_AGAIN) {
		fl__lot_remove(&lot, node);
		/* relaxed: the queue lock orders it */
		fl__store_relaxed(&b->state_, BARRIER_BROKEN);
		if (b->acting_ == 0)
			barrier_release_all(&lot, b, BARRIER_FAILED);
		barrier_take(&lot, BARRIER_LATE, BARRIER_FAILED);
	} else {
		rc = barrier_result_of(node, order);
	}
	fl__lot_close(&lot);
	if (!complete)
		return rc;
	/* This returns 0, because there is no deadline and no token. */
	(void)fl__wait_sleep(node->wait, FL_FOREVER, FL_SHIELDED);
	return barrier_result_of(node, order);
}

void fl_barrier_destroy(fl_barrier *b)
{
	/* relaxed, both: no context uses the barrier, unless the program is wrong */
	fl__hook_destroy(b, b,
	                 fl__load_relaxed(&b->acting_) != 0 || fl__lot_has_waiters_at(b) ||
	                     barrier_is_open(fl__load_relaxed(&b->state_)));
}

/*
 * Waits in one phase. `phase` is the state before the caller's arrival in a gated phase. If it is
 * without GATED, the caller has not arrived yet, and arrives here in a locked phase. Returns the
 * result, or -EAGAIN if the caller must arrive again, because it was LATE and the phase is over, or
 * because barrier_arrive() returned -EAGAIN.
 */
static int barrier_wait_once(fl_barrier *b, uint64_t phase, fl_time deadline, fl_cancel_token *cancel)
{
	FL__WAIT(wait, node, FL__DEBUG_BARRIER, b);
	/*
	 * While yields are barred, the parties poll only in a barrier of two. In a larger one a poll
	 * would keep this CPU from a missing party.
	 */
	if ((phase & BARRIER_GATED) && (barrier_parties(phase) == 2 || !fl__yields_are_barred(fl__sys.now())) &&
	    fl__wait_spin(&wait, barrier_is_over, &phase, deadline, cancel))
		return barrier_leave(phase);
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	int rc, order = barrier_order(phase);
	uint64_t acting = 0;
	if (phase & BARRIER_GATED) {
		/*
		 * relaxed: barrier_leave() acquires. In a later phase of this gate the bit does no
		 * harm.
		 */
		fl__or_relaxed(barrier_gate(phase), GATE_SLEEPERS);
		rc = barrier_is_over(&phase) ? barrier_leave(phase) : -EBUSY;
		node.value = (uint32_t)phase % GATE_ONE;
	} else {
		rc = barrier_arrive(&lot, b);
		order = (int)b->arrived_;
		acting = b->acting_;
		node.value = acting != 0 ? BARRIER_LATE : BARRIER_PARTY;
		if (rc == -EBUSY && acting == 0)
			/* relaxed: the queue lock orders it */
			fl__store_relaxed(&b->arrived_, b->arrived_ + 1);
	}
	if (rc == -EBUSY)
		fl__lot_add_together(&lot, &node);
	fl__lot_close(&lot);
	if (rc != -EBUSY)
		return rc >= 0 && acting != 0 ? barrier_run_action(b) : rc;

	rc = fl__wait_sleep(&wait, deadline, cancel);
	return rc != 0 ? barrier_give_up(b, &node, order, phase, rc) : barrier_result_of(&node, order);
}

int fl_barrier_wait_until(fl_barrier *b, fl_time deadline, fl_cancel_token *cancel)
{
	int rc;
	do {
		/*
		 * acq_rel: pairs with the arrivals of the other parties. It releases what this
		 * party has done, and lets the last party acquire what all others have done.
		 */
		uint64_t phase = fl__add_acq_rel(&b->state_, BARRIER_ONE);
		if ((phase & BARRIER_GATED) && barrier_missing(phase) < 0) {
			/*
			 * The context that found the phase complete is about to begin another one.
			 * relaxed: the arrival below acquires
			 */
			for (int i = 0; i < BARRIER_POLLS && !barrier_is_open(fl__load_relaxed(&b->state_)); i++)
				fl__sys.relax();
			/*
			 * acq_rel: pairs with the arrivals of the other parties, in both directions
			 */
			phase = fl__add_acq_rel(&b->state_, BARRIER_ONE);
		}
		if (!barrier_is_open(phase))
			phase = barrier_begin(b);
		if (barrier_missing(phase) == 1)
			return barrier_pass(b, phase);
		rc = barrier_wait_once(b, phase, deadline, cancel);
	} while (rc == -EAGAIN);
	return rc;
}

static void barrier_break_or_reset(fl_barrier *b, uint64_t broken)
{
	FL__LOT(lot, b);
	/* relaxed: the queue lock orders it, and a failed phase publishes nothing */
	const uint64_t seen = fl__swap_relaxed(&b->state_, broken);
	if (barrier_is_open(seen))
		barrier_fail(&lot, seen);
	if (b->acting_ != 0)
		barrier_set_acting(b, b->acting_ | BARRIER_CUT);
	barrier_release_all(&lot, b, BARRIER_FAILED);
	barrier_take(&lot, BARRIER_LATE, BARRIER_FAILED);
}

void fl_barrier_abort(fl_barrier *b)
{
	barrier_break_or_reset(b, BARRIER_BROKEN);
}

void fl_barrier_reset(fl_barrier *b)
{
	barrier_break_or_reset(b, 0);
}

uint32_t fl_barrier_waiting(const fl_barrier *b)
{
	/* relaxed: may be stale at once */
	const uint64_t seen = fl__load_relaxed(&b->state_);
	return barrier_is_open(seen) ? (uint32_t)barrier_order(seen) : fl__load_relaxed(&b->arrived_);
}
