/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol between an executor and one worker. Each word has one writer, but for the claim words.
 *
 *   word              written by    means                                           read by
 *   order[].seq       the parent    the order of that number is there, filled in    the worker, which sleeps on it
 *   claim[]           both, CAS     who has the order of that round                 both
 *   reply[].done      the worker    that order has ended, its result is written     the parent
 *   reply[].progress  the worker    elements that have ended, of the slot's latest  the parent, when
 *                                   order that has several                          the worker is dead
 *   replies->asleep   the worker    1 + the slot that it sleeps on, or is about to  the parent, after a post
 *   orders->bell      the parent    not 0: the collector sleeps, or is about to     the worker, after an end
 *   asked[], asks     the parent    that order is to stop; how many were asked, by  the worker and its listener
 *                                   any of its threads (so the count is added to)
 *
 *   claim[slot]       meaning                                    set by                        followed by
 *   of a round before nobody has the order yet                   -                             the two below
 *   seq:RUNNING       the worker has it; it starts once          the worker, take(): CAS       the next round's
 *   seq:REVOKED       the parent has it back; it never starts    the parent, revoke(): CAS     the next round's
 *
 * A worker may find the first of several posted orders by itself, end them, and sleep in their midst before the flush: so it says
 * where it sleeps.
 *
 * Invariants
 *   1. An order starts at most once, and none that was revoked: both sides go from the same old value by one CAS. That is the
 *      linearization point of start, steal and cancel.
 *   2. A slot is filled again only when the worker has passed over its order: `done` has its number. So the parent's writes never
 *      meet a read.
 *   3. Result, then `done`, then the bell. An order whose `done` is there has ended, also when the worker is dead; one whose
 *      claim is RUNNING died with it; any other never started. Of one with several elements that
 *      died, `progress` is its own, since the worker resets it before the claim. The worker stores
 *      it between two elements. So the elements below it have ended, with their results; it is the
 *      number of the element that ran; the elements above it never started.
 *   4. Nobody sleeps over work (Dekker, twice): the worker says `asleep`, fence, looks at `seq`; the parent writes `seq`, fence,
 *      looks at `asleep`. The collector writes `bell`, fence, looks at `done`; the worker writes `done`, fence, looks at `bell`.
 *
 * Progress: all is wait-free but for take(), which waits for an order. A worker that was killed at any step leaves nothing that
 * the parent would wait for: its death is told by the kernel.
 *
 * The worker may write anything into `replies` at any time. The parent reads each word once, acts on its own copy, and believes
 * nothing that follows from it but "this order has ended": numbers, sizes and places are its own.
 */
#include "lane.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/time.h>

enum { RUNNING = 1, REVOKED = 2, STATE_BITS = 2 };

static uint32_t claim_of(uint32_t seq, uint32_t state)
{
	return seq << STATE_BITS |
	       state; /* the highest bits of the number are lost: what is compared is one round apart */
}

static unsigned slot_of(uint32_t seq)
{
	return seq % FL__LANE_DEPTH;
}

/* The parent. */

void fl__lane_init(struct fl__lane *lane, struct fl__orders *orders, struct fl__replies *replies)
{
	*lane = (struct fl__lane){.orders = orders, .replies = replies};
	lane->first = lane->next = lane->flushed = FL__LANE_DEPTH; /* a round after that of zeroed memory */
	orders->magic = FL__LANE_MAGIC;
	orders->size = sizeof *orders;
}

uint32_t fl__lane_post(struct fl__lane *lane)
{
	uint32_t seq = lane->next++;
	unsigned slot = slot_of(seq);
	uint32_t *asked = &lane->orders->asked[slot];
	lane->revoked[slot] = false;
	/* zeroed memory, or a request of 2^32 orders ago. relaxed, both: the store of `seq` publishes it */
	if (fl__load_relaxed(asked) == seq)
		fl__store_relaxed(asked, ~seq);
	fl__store_release(&lane->orders->order[slot].seq, seq); /* the order; pairs with is_there() */
	return seq;
}

void fl__lane_flush(struct fl__lane *lane)
{
	if (lane->flushed == lane->next)
		return;
	lane->flushed = lane->next;
	fl__fence_seq_cst(); /* invariant 4; pairs with that in sleep_until_there() */
	/* relaxed: the fence; a lie of the worker's costs its own wake */
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
	uint32_t done = fl__load_acquire(&there->done); /* pairs with the release in publish() */
	if (done != seq)
		return done == lane->done[slot_of(seq)] ? FL__LANE_NONE : FL__LANE_DAMAGED;
	/* relaxed, all four: `done` orders them; a worker that writes them later is mad, and finds them copied */
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
	/* relaxed: nothing is handed over: what is in the slot stays until the worker has passed over it */
	lane->revoked[slot] = fl__cas_relaxed(&lane->replies->claim[slot], &expected, claim_of(seq, REVOKED));
	return lane->revoked[slot];
}

enum fl__lane_fate fl__lane_fate(const struct fl__lane *lane, uint32_t seq)
{
	unsigned slot = slot_of(seq);
	/* relaxed: who asks about a living worker gets a hint; a dead one's last value is all there is */
	uint32_t claim = fl__load_relaxed(&lane->replies->claim[slot]);
	return claim == lane->before[slot] || (lane->revoked[slot] && claim == claim_of(seq, REVOKED))
	           ? FL__LANE_QUEUED
	           : FL__LANE_STARTED;
}

uint32_t fl__lane_progress(const struct fl__lane *lane, uint32_t seq, uint32_t count)
{
	if (count == 1)
		return 0; /* the worker tells nothing */
	/* relaxed: the worker is dead, which orders all that it wrote */
	const uint32_t done = fl__load_relaxed(&lane->replies->reply[slot_of(seq)].progress);
	return done < count ? done : count;
}

int64_t fl__lane_began(const struct fl__lane *lane, uint32_t seq)
{
	return fl__load_relaxed(&lane->replies->reply[slot_of(seq)].began); /* relaxed: a hint */
}

void fl__lane_ask(struct fl__lane *lane, uint32_t seq)
{
	fl__store_relaxed(&lane->orders->asked[slot_of(seq)], seq); /* relaxed: the add publishes it */
	fl__add_release(&lane->orders->asks,
	                1); /* pairs with the acquire in fl__lane_is_asked() and with the listener's */
	(void)fl__sys.shared_wake(&lane->orders->asks, 1);
}

void fl__lane_arm(struct fl__lane *lane, uint32_t generation)
{
	fl__store_relaxed(&lane->orders->bell, generation); /* relaxed: the fence */
	fl__fence_seq_cst(); /* invariant 4; pairs with that in publish(); the caller looks after it */
}

void fl__lane_disarm(struct fl__lane *lane)
{
	fl__store_relaxed(&lane->orders->bell, 0); /* relaxed: who sees it late rings once too often */
}

/* The worker. */

void fl__lane_worker_init(struct fl__lane_worker *w, const struct fl__orders *orders, struct fl__replies *replies)
{
	*w = (struct fl__lane_worker){.orders = orders, .replies = replies, .next = FL__LANE_DEPTH};
}

static bool is_there(const struct fl__lane_worker *w)
{
	/* pairs with the release in fl__lane_post() */
	return fl__load_acquire(&w->orders->order[slot_of(w->next)].seq) == w->next;
}

/*
 * Looks for a fixed time, yielding. Not for one that follows success (fl__spin()): where parent and worker share a CPU each order
 * takes longer than the least of those, which then would never grow again.
 *
 * Who shares a CPU sees it: the order comes in a yield that took as long as another's turn. Two that spin with yields stay
 * together, also beside an idle CPU, since each always runs just now; a wake from sleep places them anew. So after a few such
 * yields in a row it is time for a sleep.
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
	fl__store_relaxed(&w->replies->asleep, slot_of(w->next) + 1); /* relaxed: the fence */
	fl__fence_seq_cst(); /* invariant 4; pairs with that in fl__lane_flush() */
	while (!is_there(w)) {
		uint32_t seen = fl__load_relaxed(seq); /* relaxed: what the kernel compares with */
		if (seen != w->next)
			(void)fl__sys.shared_wait(seq, seen, FL_FOREVER); /* whatever it answers: a new look */
	}
	fl__store_relaxed(&w->replies->asleep, 0); /* relaxed: seen late, it costs the parent a call */
}

/* Makes the end of the order public. */
static void publish(struct fl__lane_worker *w)
{
	fl__store_release(&w->replies->reply[slot_of(w->next)].done, w->next); /* pairs with fl__lane_look() */
	w->next++;
	fl__fence_seq_cst();                                /* invariant 4; pairs with that in fl__lane_arm() */
	uint32_t bell = fl__load_relaxed(&w->orders->bell); /* relaxed: the fence */
	if (bell == 0 || bell == w->rung)
		return;
	w->rung = bell;
	w->ring(w->arg);
}

/* False: the parent has taken it back. */
static bool claim(struct fl__lane_worker *w)
{
	uint32_t *word = &w->replies->claim[slot_of(w->next)];
	uint32_t seen = fl__load_relaxed(word); /* relaxed: the CAS decides */
	/* relaxed: `seq` has ordered the order before this; a claim publishes nothing */
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
	(void)fl__load_acquire(&w->orders->asks); /* pairs with the release in fl__lane_ask() */
	/* relaxed: as above */
	return fl__load_relaxed(&w->orders->asked[slot_of(w->next)]) == w->next;
}

void fl__lane_advance(struct fl__lane_worker *w, uint32_t done)
{
	/*
	 * relaxed: the parent reads it when this process is dead, which orders it. It stands
	 * between the calls of two elements' functions, so the compiler does not move it.
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
