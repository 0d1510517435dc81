/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bounded ring for many producers and many consumers. It is Dmitry Vyukov's ring, with the
 * {lap, index} positions of crossbeam's ArrayQueue. The end of this file contains fl_mpmc and the
 * backend of fl_queue.
 *
 * A position is a 64-bit number {lap, index, flags}. The lowest two bits are the flags, followed by
 * the index, with as many bits as the capacity needs, and then by the lap. The position after the
 * last index of a lap is the first index of the next lap. The lap wraps after 2^62/n laps, where n
 * is the capacity rounded up to a power of two.
 *
 *   word             holds                      changed by
 *   tail             where the next item goes   claim of a put, by CAS: on by one, or by several
 *     CLOSED (2)     no put is accepted         set by fl_mpmc_close(), by OR; never cleared
 *     WAIT (1)       a consumer waits           set by fl__mpmc_mark_empty(), by CAS, while
 *                                               tail == head; cleared by the claim of a put
 *   head             where the oldest item is   claim of a get, by CAS: on by one, or by several
 *     WAIT (1)       a producer waits           set by fl__mpmc_mark_full(), by CAS, while
 *                                               tail == head + a lap; cleared by the claim of a get
 *
 * Each slot has a stamp. In the slot of position p, the stamp takes these values one after another:
 *
 *   stamp            meaning                    written by
 *   p                free, or being written     fl__mpmc_drain() of the lap before; in the first
 *                                               lap fl__mpmc_init()
 *   p | ITEM (1)     has an item, or is read    fl__mpmc_fill()
 *   p + a lap        free for the next lap      fl__mpmc_drain()
 *
 * Invariants
 *   1. Without their flags, head <= tail <= head + a lap, and both only grow, for these reasons. A
 *      put claims p when the stamp of the slot is p. The get of p - a lap has written that stamp,
 *      so the head was beyond p - a lap. (In the first lap fl__mpmc_init() has written the stamp,
 *      and the head begins beyond p - a lap.) A get claims p when the stamp is p | ITEM. The put of
 *      p has written that stamp, so the tail was beyond p.
 *   2. The stamp of a slot only grows. Only the put that has claimed p writes p | ITEM, and only
 *      the get that has claimed p then writes p + a lap. Between a claim and that store only the
 *      claimer uses the slot.
 *   3. Once the tail is CLOSED, no CAS on it succeeds, because each CAS expects a tail without
 *      CLOSED. So every accepted put came before the close, and a get that finds CLOSED and tail ==
 *      head in one load of the tail knows that all accepted items are claimed.
 *   4. WAIT is set only at a moment when the ring is empty (full). A waiter for an item has read
 *      the head as h, and its CAS finds the tail at h. The head is never beyond the tail, so it is
 *      still h. A waiter for space has read the tail as t, and its CAS finds the head at t - a lap.
 *      The tail is never beyond head + a lap, so it is still t. The next claim of the opposite side
 *      is a CAS on the word with WAIT, and only that claim finds WAIT. So the waiter need not look
 *      at the ring again, and puts and gets need no fence.
 *
 * Linearization points
 *   put, get            The CAS of the claim.
 *   "full"              The load of the tail, t, in the last round. The head, loaded later, is t -
 *                       one lap. When the tail was loaded, the head was at least that, by invariant
 *                       1, and it only grows. So the ring was full at that load.
 *   "empty", "closed    The load of the tail that finds the tail at h, where h is the head that
 *   and empty"          this round has loaded. The head only grows, and is never beyond the tail.
 *                       So it is still h at the load of the tail, and the ring is empty.
 *
 * The first load of a round acquires, so the later loads see at least what the writer of the loaded
 * word had seen. -EBUSY means that a call of the opposite side has claimed the slot but not
 * published it yet. So behind a put that has stopped, the ring is never "empty".
 *
 * Progress: each call is lock-free. A claim repeats a round in four cases: another call has changed
 * the word since it was loaded; the weak CAS failed spuriously; a load got an old value; or
 * fl__mpmc_refuse() has made a pause. But a put that has stopped hides its item and the items
 * behind it, so gets return -EBUSY. In the same way, a get that has stopped keeps its slot, so puts
 * return -EBUSY.
 *
 * Lifetime: the store of the last stamp is a put's last access to the ring.
 *
 * Each call claims its slot by a CAS on one word. From about eight threads on, the contention for
 * this word limits the speed. docs/decisions/bounded-ring-claims.md describes three other designs,
 * which were measured and rejected.
 */
#include "mpmc.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "queue.h"

FL__COLD int fl__mpmc_init(struct fl_mpmc *q, size_t item_size, size_t capacity, uint64_t lap)
{
	enum { AHEAD = 8, AHEAD_CAPACITY = 64 };
	const size_t offset = fl__mpmc_offset(item_size);
	size_t slot, bytes;
	if (item_size == 0 || capacity == 0)
		return -EINVAL;
	if (__builtin_add_overflow(item_size, offset + FL__MPMC_STAMP - 1, &slot))
		return -EOVERFLOW;
	slot -= slot % FL__MPMC_STAMP;
	if (__builtin_mul_overflow(capacity, slot, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	unsigned char *slots = fl__alloc(1, bytes);
	if (!slots)
		return -ENOMEM;
	uint64_t indices = 1;
	while (indices < capacity)
		indices *= 2;
	*q = (struct fl_mpmc){
	    .slots = slots,
	    .mask = (indices - 1) * FL__MPMC_STEP,
	    .last = (uint64_t)(capacity - 1) * FL__MPMC_STEP,
	    .unit = slot / FL__MPMC_STEP,
	    .offset = offset,
	    .item_size = item_size,
	    .capacity = capacity,
	    .ahead = item_size > FL__MPMC_SMALL && capacity >= AHEAD_CAPACITY ? AHEAD : 0,
	};
	q->head = q->tail = q->put_paused = q->get_paused = lap * fl__mpmc_lap(q);
	for (uint64_t at = q->head; capacity > 0; capacity--, at += FL__MPMC_STEP)
		*fl__mpmc_stamp(fl__mpmc_slot(q, at)) = at;
	return 0;
}

void fl__mpmc_fini(struct fl_mpmc *q)
{
	fl__free(q->slots);
}

void fl_mpmc_close(fl_mpmc *q)
{
	/*
	 * release: pairs with the loads that find CLOSED, for what was done before the close.
	 * seq_cst: the close, the claims, and the loads that return a length or "empty" have one
	 * total order.
	 */
	(void)fl__or_seq_cst(&q->tail, (uint64_t)FL__MPMC_CLOSED);
}

bool fl_mpmc_is_closed(const fl_mpmc *q)
{
	/* acquire: pairs with the release in fl_mpmc_close() */
	return (fl__load_acquire(&q->tail) & FL__MPMC_CLOSED) != 0;
}

static uint64_t mpmc_index(const struct fl_mpmc *q, uint64_t at)
{
	return (at & q->mask) / FL__MPMC_STEP;
}

uint64_t fl__mpmc_puts(struct fl_mpmc *q)
{
	/*
	 * relaxed: a caller that compares this count has first loaded the count of done items with
	 * acquire, so it sees the puts of those items
	 */
	const uint64_t tail = fl__load_relaxed(&q->tail);
	return tail / fl__mpmc_lap(q) * q->capacity + mpmc_index(q, tail);
}

/* A put in progress counts. */
size_t fl_mpmc_length(const fl_mpmc *q)
{
	const uint64_t flags = FL__MPMC_FLAGS;
	uint64_t head, tail;
	do {
		/*
		 * All three loads pair with the CAS of a claim. acquire: the tail, loaded next, is
		 * not older than this head. seq_cst: the length takes its place in the total order
		 * of the claims.
		 */
		head = fl__load_acquire(&q->head) & ~flags;
		tail = fl__load_seq_cst(&q->tail) & ~flags;
	} while ((fl__load_seq_cst(&q->head) & ~flags) != head);
	const uint64_t laps = (tail & ~q->mask) - (head & ~q->mask);
	return (size_t)(mpmc_index(q, tail) + (laps ? q->capacity : 0) - mpmc_index(q, head));
}

/* Returns -EAGAIN (full) or -EBUSY for `at`, whose slot the previous lap still uses. */
static int mpmc_no_space(struct fl_mpmc *q, uint64_t at)
{
	/*
	 * seq_cst: pairs with the CAS of a get's claim. "Full" takes its place in the total order
	 * of the claims of all rings.
	 */
	const uint64_t head = fl__load_seq_cst(&q->head) & ~(uint64_t)FL__MPMC_FLAGS;
	return head == at - fl__mpmc_lap(q) ? -EAGAIN : -EBUSY;
}

/* Returns why there is no item at `at`: -EAGAIN, -EBUSY or -EPIPE. */
static int mpmc_no_item(struct fl_mpmc *q, uint64_t at)
{
	/*
	 * seq_cst: pairs with the CAS of a put's claim. "Empty" takes its place in the total order
	 * of the claims of all rings. As an acquire, the load also pairs with fl_mpmc_close(), for
	 * what came before the close.
	 */
	const uint64_t tail = fl__load_seq_cst(&q->tail);
	if ((tail & ~(uint64_t)FL__MPMC_FLAGS) != at)
		return -EBUSY;
	return tail & FL__MPMC_CLOSED ? -EPIPE : -EAGAIN;
}

/*
 * All pauses of this file are multiplied by this factor. The model checker defines it as 0, because
 * it would take each iteration of a pause as a step of a waiting loop.
 */
#ifndef FL__MPMC_TURNS
#define FL__MPMC_TURNS 1
#endif

/*
 * Pauses after the `failed`-th failed CAS of a claim. Each failed CAS has taken the cache line from
 * threads whose CAS would have succeeded. Between the load of the word and the CAS, a claim has two
 * cache misses, at the word and at the stamp. So a pause must last as long as several claims of
 * other threads. Then one thread makes several claims in a row, whose slots share a line.
 * docs/decisions/bounded-ring-claims.md has the figures.
 */
void fl__mpmc_back_off(unsigned failed)
{
	enum { SHORTEST = 8, DOUBLINGS = 5 };
	fl__pause((FL__MPMC_TURNS * SHORTEST) << FL__MIN(failed - 1, DOUBLINGS));
}

bool fl__mpmc_fall_behind(uint64_t *caught_up, uint64_t at)
{
	/*
	 * The pause grows with the number of positions passed since the last call, up to ITEMS
	 * positions.
	 */
	enum { SEVERAL = 4, TURNS_PER_ITEM = 8, ITEMS = 8 };
	/* relaxed: a wrong guess only costs time. `passed` is negative if `at` is old. */
	const int64_t passed = (int64_t)(at - fl__load_relaxed(caught_up));
	if (passed != 0) /* otherwise callers that poll would take the line from each other */
		fl__store_relaxed(caught_up, at);
	if (passed < SEVERAL)
		return false;
	fl__pause(FL__MPMC_TURNS * TURNS_PER_ITEM * (unsigned)FL__MIN(passed, ITEMS));
	return true;
}

/*
 * Called by a put, or with `gets` by a get, that finds its slot at `at` not ready. Either pauses
 * and returns 0, so that the caller looks again, or returns the reason: -EAGAIN, -EBUSY or -EPIPE.
 * It pauses first because finding the reason takes from the opposite side the cache line that its
 * next call changes.
 */
int fl__mpmc_refuse(struct fl_mpmc *q, uint64_t at, bool gets)
{
	if (fl__mpmc_fall_behind(gets ? &q->get_paused : &q->put_paused, at / FL__MPMC_STEP))
		return 0;
	return gets ? mpmc_no_item(q, at) : mpmc_no_space(q, at);
}

/*
 * fl__mpmc_can_put() and fl__mpmc_can_get() make the loads of a claim without the CAS. The load of
 * tail or head acquires, so that the later loads are not older ("Linearization points"). The load
 * of the stamp is relaxed, because nothing in the slot is touched.
 */
int fl__mpmc_can_put(struct fl_mpmc *q)
{
	for (;;) {
		const uint64_t tail = fl__load_acquire(&q->tail), at = tail & ~(uint64_t)FL__MPMC_FLAGS;
		if (tail & FL__MPMC_CLOSED)
			return -EPIPE;
		const uint64_t stamp = fl__load_relaxed(fl__mpmc_stamp(fl__mpmc_slot(q, at)));
		if (stamp == at)
			return 0;
		if (!fl__mpmc_later(stamp, at))
			return mpmc_no_space(q, at);
	}
}

int fl__mpmc_can_get(struct fl_mpmc *q)
{
	for (;;) {
		const uint64_t at = fl__load_acquire(&q->head) & ~(uint64_t)FL__MPMC_FLAGS;
		const uint64_t stamp = fl__load_relaxed(fl__mpmc_stamp(fl__mpmc_slot(q, at)));
		if (stamp == at + FL__MPMC_ITEM)
			return 0;
		if (!fl__mpmc_later(stamp, at))
			return mpmc_no_item(q, at);
	}
}

bool fl__mpmc_mark_empty(struct fl_mpmc *q)
{
	/* relaxed, both: the CAS on the tail confirms tail and head (invariant 4) */
	const uint64_t head = fl__load_relaxed(&q->head) & ~(uint64_t)FL__MPMC_FLAGS;
	uint64_t tail = fl__load_relaxed(&q->tail);
	do {
		if ((tail & ~(uint64_t)FL__MPMC_WAIT) != head)
			return false;
		/*
		 * release: pairs with the CAS in fl__mpmc_claim_slots(), for what was done before.
		 * The CAS is made even if WAIT is set, because it confirms that WAIT is still set.
		 */
	} while (!fl__cas_weak_release(&q->tail, &tail, tail | FL__MPMC_WAIT));
	return true;
}

bool fl__mpmc_mark_full(struct fl_mpmc *q)
{
	/* relaxed, both: the CAS on the head confirms head and tail (invariant 4) */
	const uint64_t tail = fl__load_relaxed(&q->tail) & ~(uint64_t)FL__MPMC_WAIT;
	uint64_t head = fl__load_relaxed(&q->head);
	do {
		if ((head & ~(uint64_t)FL__MPMC_WAIT) + fl__mpmc_lap(q) != tail)
			return false;
		/*
		 * release: pairs with the CAS in fl__mpmc_claim_slots(), for what was done before
		 */
	} while (!fl__cas_weak_release(&q->head, &head, head | FL__MPMC_WAIT));
	return true;
}

int fl_mpmc_create(fl_mpmc **made, size_t item_size, size_t capacity)
{
	fl_mpmc *q = fl__alloc(1, sizeof *q);
	int rc = q ? fl__mpmc_init(q, item_size, capacity, 0) : -ENOMEM;
	if (rc != 0)
		fl__free(q);
	else
		*made = q;
	return rc;
}

void fl_mpmc_free(fl_mpmc *q)
{
	if (!q)
		return;
	fl__hook_ends(q);
	fl__mpmc_fini(q);
	fl__free(q);
}

static FL__NOINLINE int mpmc_put_any(fl_mpmc *q, const void *item)
{
	bool ignored;
	return fl__mpmc_put(q, item, q->item_size, &ignored);
}

static FL__NOINLINE int mpmc_get_any(fl_mpmc *q, void *item)
{
	bool ignored;
	return fl__mpmc_get(q, item, q->item_size, &ignored);
}

/*
 * Items of this size take a separate path, which saves no registers, because the CAS waits for
 * earlier stores and so would be delayed by those that save registers.
 */
enum { MPMC_ITEM = sizeof(uint64_t) };

int fl_mpmc_try_put(fl_mpmc *q, const void *item)
{
	struct fl__mpmc_claim claim;
	if (q->item_size != MPMC_ITEM || fl__mpmc_claim_slots(q, &q->tail, 0, MPMC_ITEM, 1, false, &claim) != 0)
		return mpmc_put_any(q, item);
	fl__mpmc_fill(q, claim.slot, claim.at, item, MPMC_ITEM);
	return 0;
}

int fl_mpmc_try_get(fl_mpmc *q, void *item)
{
	struct fl__mpmc_claim claim;
	if (q->item_size != MPMC_ITEM ||
	    fl__mpmc_claim_slots(q, &q->head, FL__MPMC_ITEM, MPMC_ITEM, 1, false, &claim) != 0)
		return mpmc_get_any(q, item);
	fl__mpmc_drain(q, claim.slot, claim.at, item, MPMC_ITEM);
	return 0;
}

int fl_mpmc_try_put_many(fl_mpmc *q, const void *items, size_t n, size_t *count)
{
	bool ignored;
	*count = 0;
	const int rc = n > 0 ? fl__mpmc_put_many(q, items, q->item_size, n, count, &ignored) : 0;
	return rc == 0 && *count < n ? -EAGAIN : rc;
}

int fl_mpmc_try_get_many(fl_mpmc *q, void *items, size_t n, size_t *count)
{
	bool ignored;
	*count = 0;
	return n > 0 ? fl__mpmc_get_many(q, items, q->item_size, n, count, &ignored) : 0;
}

static int mpmc_init(void *state, size_t item_size, const fl_queue_config *config)
{
	return fl__mpmc_init(state, item_size, config->capacity, 0);
}

static void mpmc_fini(void *state)
{
	fl__mpmc_fini(state);
}

static int mpmc_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl_mpmc *q = state;
	return fl__mpmc_put_many(q, items, q->item_size, n, count, owes_wake);
}

static int mpmc_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl_mpmc *q = state;
	return fl__mpmc_get_many(q, items, q->item_size, n, count, owes_wake);
}

FL__COLD static int mpmc_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct fl_mpmc *q = fl__queue_as_mpmc(of);
	struct fl__mpmc_claim claim;
	const int rc = fl__mpmc_claim_item(q, SIZE_MAX, &claim);
	if (rc != 0)
		return rc;
	*count = claim.count;
	*owes_wake = claim.owes_wake;
	for (uint64_t at = claim.at; claim.count > 0; claim.count--, at = fl__mpmc_next(q, at)) {
		unsigned char nothing, *slot = fl__mpmc_slot(q, at);
		fl__queue_drop(of, slot + q->offset);
		fl__mpmc_drain(q, slot, at, &nothing, 0);
	}
	return 0;
}

static int mpmc_can(void *state, enum fl__queue_side side)
{
	return side == FL__CONSUMERS ? fl__mpmc_can_get(state) : fl__mpmc_can_put(state);
}

static bool mpmc_mark(void *state, enum fl__queue_side side)
{
	return side == FL__CONSUMERS ? fl__mpmc_mark_empty(state) : fl__mpmc_mark_full(state);
}

static void mpmc_close(void *state)
{
	fl_mpmc_close(state);
}

static size_t mpmc_length(void *state)
{
	return fl_mpmc_length(state);
}

static uint64_t mpmc_puts(void *state)
{
	return fl__mpmc_puts(state);
}

const struct fl__queue_backend fl__backend_mpmc = {
    .size = sizeof(struct fl_mpmc),
    .init = mpmc_init,
    .fini = mpmc_fini,
    .put = mpmc_put,
    .get = mpmc_get,
    .discard = mpmc_discard,
    .can = mpmc_can,
    .mark = mpmc_mark,
    .close = mpmc_close,
    .length = mpmc_length,
    .puts = mpmc_puts,
};
