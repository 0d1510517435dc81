/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol between a process executor (the parent) and one worker. Each word has one writer,
 * except the claim words.
 *
 *   word              written by   meaning                                     read by
 *   order[].seq       parent       publishes the order of that number          worker, sleeps on it
 *   claim[]           both, CAS    which side has the order of this round      both
 *   reply[].done      worker       that order ended, its result is written     parent
 *   reply[].progress  worker       elements that ended, of the slot's latest   parent, when the
 *                                  order of several                            worker is dead
 *   replies->asleep   worker       1 + the slot that it sleeps on, or is       parent, after a post
 *                                  about to
 *   orders->bell      parent       not 0: the collector sleeps or is about to  worker, after an end
 *   asked[], asks     parent, any  that order shall stop; the number of such   worker, its listener
 *                     thread       requests, changed by an add
 *
 *   claim[slot]      meaning                                  set by             followed by
 *   of an old round  neither side has the order yet           -                  one of the below
 *   seq:RUNNING      the worker has it; it starts once        claim(), CAS       the next round's
 *   seq:REVOKED      the parent has it back; it never starts  revoke(), CAS      the next round's
 *
 * While the parent posts several orders before a flush, the worker may end the first ones and sleep
 * on the slot of a later one. So `asleep` names the slot for the wake.
 *
 * Invariants
 *   1. An order starts at most once, and never after it was revoked: both sides change the same old
 *      value by one CAS. The CAS is the linearization point of start, steal and cancel.
 *   2. The parent refills a slot only when `done` has the number of the slot's order: the worker
 *      has passed over the order. So the parent's writes never race with a read.
 *   3. The worker writes the result, then `done`, then rings. Of a dead worker's orders, those with
 *      `done` have ended; one that is RUNNING died with the worker; the others never started. Of a
 *      dead order with several elements, `progress` is its own: the worker resets it before the
 *      claim, and stores it between two elements. The elements below `progress` have ended, with
 *      their results; the element of that number was running; the elements above never started.
 *   4. Neither side sleeps over work (Dekker, twice). The worker writes `asleep`, fence, reads
 *      `seq`; the parent writes `seq`, fence, reads `asleep`. The collector writes `bell`, fence,
 *      reads `done`; the worker writes `done`, fence, reads `bell`.
 *
 * Progress: wait-free, except take(), which waits for an order. The parent never waits for a worker
 * that was killed at any step: the kernel reports the death.
 *
 * The worker may write anything into `replies` at any time. The parent reads each word once, acts
 * on its copy, and believes only "this order has ended": numbers, sizes and places are the parent's
 * own.
 */
#include "rings.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/time.h>

enum { RUNNING = 1, REVOKED = 2, STATE_BITS = 2 };

static uint32_t claim_of(uint32_t seq, uint32_t state)
{
	/* Loses the highest bits of the number. Compared words are only one round apart. */
	return seq << STATE_BITS | state;
}

static unsigned slot_of(uint32_t seq)
{
	return seq % FL__LANE_DEPTH;
}

/* The parent. */

void fl__lane_init(struct fl__lane *lane, struct fl__orders *orders, struct fl__replies *replies)
{
	*lane = (struct fl__lane){.orders = orders, .replies = replies};
	/* a round after the zeroed memory */
	lane->first = lane->next = lane->flushed = FL__LANE_DEPTH;
	orders->magic = FL__LANE_MAGIC;
	orders->size = sizeof *orders;
}

uint32_t fl__lane_post(struct fl__lane *lane)
{
	uint32_t seq = lane->next++;
	unsigned slot = slot_of(seq);
	uint32_t *asked = &lane->orders->asked[slot];
	lane->revoked[slot] = false;
	/*
	 * Equal in zeroed memory, or from 2^32 orders ago. relaxed, both: the store of `seq`
	 * publishes it.
	 */
	if (fl__load_relaxed(asked) == seq)
		fl__store_relaxed(asked, ~seq);
	/* release: publishes the order; pairs with is_there() */
	fl__store_release(&lane->orders->order[slot].seq, seq);
	return seq;
}

void fl__lane_flush(struct fl__lane *lane)
{
	if (lane->flushed == lane->next)
		return;
	lane->flushed = lane->next;
	fl__fence_seq_cst(); /* invariant 4; pairs with sleep_until_there() */
	/* relaxed: the fence orders it; a worker that lies here loses its own wake */
	const uint32_t asleep = fl__load_relaxed(&lane->replies->asleep);
	if (asleep)
		(void)fl__sys.shared_wake(&lane->orders->order[slot_of(asleep - 1)].seq, 1);
}

enum fl__lane_sight fl__lane_look(const struct fl__lane *lane, struct fl__reply *reply)
{
	uint32_t seq = lane->first;
	if (seq == lane->next)
		return FL__LANE_NONE;
	const struct fl__reply *there = &lane->replies->reply[slot_of(seq)];
	uint32_t done = fl__load_acquire(&there->done); /* acquire: pairs with publish() */
	if (done != seq)
		return done == lane->done[slot_of(seq)] ? FL__LANE_NONE : FL__LANE_DAMAGED;
	/* relaxed, all four: `done` orders them. A later write misses the copy. */
	reply->error = fl__load_relaxed(&there->error);
	reply->flags = fl__load_relaxed(&there->flags);
	reply->count = fl__load_relaxed(&there->count);
	reply->began = fl__load_relaxed(&there->began);
	return FL__LANE_ENDED;
}

void fl__lane_pass(struct fl__lane *lane)
{
	unsigned slot = slot_of(lane->first);
	lane->before[slot] = claim_of(lane->first, lane->revoked[slot] ? REVOKED : RUNNING);
	lane->done[slot] = lane->first;
	lane->first++;
}

bool fl__lane_revoke(struct fl__lane *lane, uint32_t seq)
{
	unsigned slot = slot_of(seq);
	uint32_t expected = lane->before[slot];
	if (lane->revoked[slot])
		return true;
	/*
	 * relaxed: it publishes nothing; the slot stays as it is until the worker has passed over
	 * it
	 */
	lane->revoked[slot] = fl__cas_relaxed(&lane->replies->claim[slot], &expected, claim_of(seq, REVOKED));
	return lane->revoked[slot];
}

enum fl__lane_fate fl__lane_fate(const struct fl__lane *lane, uint32_t seq)
{
	unsigned slot = slot_of(seq);
	/* relaxed: a hint for a living worker; the last value of a dead one */
	uint32_t claim = fl__load_relaxed(&lane->replies->claim[slot]);
	return claim == lane->before[slot] || (lane->revoked[slot] && claim == claim_of(seq, REVOKED))
	           ? FL__LANE_QUEUED
	           : FL__LANE_STARTED;
}

uint32_t fl__lane_progress(const struct fl__lane *lane, uint32_t seq, uint32_t count)
{
	if (count == 1)
		return 0; /* the worker stores none */
	/* relaxed: the death of the worker orders all that it wrote */
	const uint32_t done = fl__load_relaxed(&lane->replies->reply[slot_of(seq)].progress);
	return done < count ? done : count;
}

int64_t fl__lane_began(const struct fl__lane *lane, uint32_t seq)
{
	return fl__load_relaxed(&lane->replies->reply[slot_of(seq)].began); /* relaxed: a hint */
}

void fl__lane_ask(struct fl__lane *lane, uint32_t seq)
{
	/* relaxed: the add publishes it */
	fl__store_relaxed(&lane->orders->asked[slot_of(seq)], seq);
	/* release: pairs with fl__lane_is_asked() and the listener */
	fl__add_release(&lane->orders->asks, 1);
	(void)fl__sys.shared_wake(&lane->orders->asks, 1);
}

void fl__lane_arm(struct fl__lane *lane, uint32_t generation)
{
	fl__store_relaxed(&lane->orders->bell, generation); /* relaxed: the fence orders it */
	fl__fence_seq_cst(); /* invariant 4; pairs with publish(); then the caller looks */
}

void fl__lane_disarm(struct fl__lane *lane)
{
	fl__store_relaxed(&lane->orders->bell, 0); /* relaxed: seen late, costs a vain ring */
}

/* The worker. */

void fl__lane_worker_init(struct fl__lane_worker *w, const struct fl__orders *orders, struct fl__replies *replies)
{
	*w = (struct fl__lane_worker){.orders = orders, .replies = replies, .next = FL__LANE_DEPTH};
}

static bool is_there(const struct fl__lane_worker *w)
{
	/* acquire: pairs with fl__lane_post() */
	return fl__load_acquire(&w->orders->order[slot_of(w->next)].seq) == w->next;
}

/*
 * Polls for a fixed time, with yields. An adaptive time (fl__spin()) would shrink and never grow
 * again where parent and worker share a CPU: each order takes longer than the shortest such time.
 *
 * If they share a CPU, the order arrives during a yield that took as long as another thread's turn.
 * Two threads that spin with yields stay on one CPU, even beside an idle one, since each is always
 * running. A wake from sleep places the worker anew. So it sleeps after SHARED_MOST such yields in
 * a row.
 */
static bool look_on(struct fl__lane_worker *w)
{
	enum { LOOKS = 32, SPIN = 50000 /* ns */, TURN = 1000 /* ns */, SHARED_MOST = 8 };
	for (int i = 0; i < LOOKS; i++) {
		if (is_there(w))
			return true;
		fl__sys.relax();
	}
	if (w->shared >= SHARED_MOST) {
		w->shared = 0;
		return false;
	}
	const int64_t begin = fl__sys.now();
	for (int64_t before = begin, now; before < begin + SPIN; before = now) {
		now = fl__sys.give_way(before);
		if (!is_there(w))
			continue;
		w->shared = now - before > TURN ? w->shared + 1 : 0;
		return true;
	}
	return false;
}

static void sleep_until_there(struct fl__lane_worker *w)
{
	const uint32_t *seq = &w->orders->order[slot_of(w->next)].seq;
	/* relaxed: the fence orders it */
	fl__store_relaxed(&w->replies->asleep, slot_of(w->next) + 1);
	fl__fence_seq_cst(); /* invariant 4; pairs with fl__lane_flush() */
	while (!is_there(w)) {
		uint32_t seen = fl__load_relaxed(seq); /* relaxed: the kernel compares it */
		if (seen != w->next)
			/* Whatever the call returns, the loop looks again. */
			(void)fl__sys.shared_wait(seq, seen, FL_FOREVER);
	}
	fl__store_relaxed(&w->replies->asleep, 0); /* relaxed: seen late, costs a vain wake */
}

/* Publishes the end of the order. */
static void publish(struct fl__lane_worker *w)
{
	/* release: pairs with fl__lane_look() */
	fl__store_release(&w->replies->reply[slot_of(w->next)].done, w->next);
	w->next++;
	/* invariant 4; pairs with fl__lane_arm() */
	fl__fence_seq_cst();
	/* relaxed: the fence orders it */
	uint32_t bell = fl__load_relaxed(&w->orders->bell);
	if (bell == 0 || bell == w->rung)
		return;
	w->rung = bell;
	w->ring(w->arg);
}

/* False: the parent has revoked it. */
static bool claim(struct fl__lane_worker *w)
{
	uint32_t *word = &w->replies->claim[slot_of(w->next)];
	uint32_t seen = fl__load_relaxed(word); /* relaxed: the CAS decides */
	/*
	 * relaxed: the acquire of `seq` ordered the content before this; a claim publishes nothing
	 */
	return seen != claim_of(w->next, REVOKED) && fl__cas_relaxed(word, &seen, claim_of(w->next, RUNNING));
}

static void answer(struct fl__lane_worker *w, int32_t error, uint32_t flags, uint32_t count)
{
	struct fl__reply *reply = &w->replies->reply[slot_of(w->next)];
	/* relaxed, all three: publish() orders them */
	fl__store_relaxed(&reply->error, error);
	fl__store_relaxed(&reply->flags, flags);
	fl__store_relaxed(&reply->count, count);
	publish(w);
}

const struct fl__order *fl__lane_take(struct fl__lane_worker *w)
{
	for (;;) {
		if (!look_on(w))
			sleep_until_there(w);
		const struct fl__order *order = &w->orders->order[slot_of(w->next)];
		if (order->count > 1)
			fl__lane_advance(w, 0); /* before the claim: invariant 3 */
		if (claim(w))
			return order;
		if (w->revoked)
			w->revoked(w->arg, order);
		answer(w, 0, FL__REPLY_SKIPPED, 0);
	}
}

bool fl__lane_is_asked(const struct fl__lane_worker *w)
{
	(void)fl__load_acquire(&w->orders->asks); /* acquire: pairs with fl__lane_ask() */
	/* relaxed: after that acquire */
	return fl__load_relaxed(&w->orders->asked[slot_of(w->next)]) == w->next;
}

void fl__lane_advance(struct fl__lane_worker *w, uint32_t done)
{
	/*
	 * relaxed: the parent reads it after the death of this process, which orders it. The
	 * compiler does not move it across the calls of the elements' functions.
	 */
	fl__store_relaxed(&w->replies->reply[slot_of(w->next)].progress, done);
}

void fl__lane_end(struct fl__lane_worker *w, int32_t error, uint32_t flags, uint32_t count)
{
	answer(w, error, flags, count);
}

void fl__lane_listen(const struct fl__lane_worker *w, uint32_t asks)
{
	(void)fl__sys.shared_wait(&w->orders->asks, asks, FL_FOREVER);
}
