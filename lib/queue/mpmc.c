/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bounded ring for many producers and many consumers: Vyukov's, with crossbeam's {lap, index} positions.
 *
 * A position is {lap, index, flags}, 64 bits also where pointers have 32. The index has as many bits as the capacity needs;
 * it is followed, upwards, by the lap, and downwards by two flags. "One on" is the next index, or the first of the next lap.
 * Two positions with the same index differ in the lap, until 2^62 / capacity laps have gone by.
 *
 *   word             holds                         changed by
 *   tail             where the next item goes      claim of a put, by CAS: on by one, or by several
 *     CLOSED (2)     nothing more goes in          set by fl__mpmc_close(), with an OR; never cleared
 *     WAIT (1)       a consumer sleeps             set by fl__mpmc_mark_empty(), by CAS, while tail == head; cleared by the
 *                                                  claim of a put
 *   head             where the oldest item is      claim of a get, by CAS: on by one, or by several
 *     WAIT (1)       a producer sleeps             set by fl__mpmc_mark_full(), by CAS, while tail == head + a lap; cleared by
 *                                                  the claim of a get
 *   stamp of a slot  of position p, in its lap:
 *     p              free, or being written        fl__mpmc_drain(), of the lap before
 *     p | ITEM (1)   has an item, or is being read fl__mpmc_fill()
 *     p + a lap      free for the next lap         fl__mpmc_drain()
 *
 * Invariants
 *   1. head <= tail <= head + a lap, flags apart, at every moment; both only grow. A put claims p when its stamp is p, which
 *      a get of p - a lap has written: so the head was beyond that. A get claims p when its stamp is p | ITEM, which a put of
 *      p has written: so the tail was beyond that.
 *   2. The stamp of a slot only grows, and nobody but who has claimed p writes p | ITEM, or after that p + a lap. Between a
 *      claim and that store the slot is the claimer's alone.
 *   3. Once the tail is CLOSED, no CAS on it succeeds, for each expects a tail without CLOSED: so accepted is accepted before
 *      the close. Who finds CLOSED and tail == head in one load of the tail has found that each of those was claimed.
 *   4. A WAIT is set only at a moment when the ring is empty (full): the head, read before as h, is not beyond the tail, which
 *      the CAS finds at h; so it is at h still. The next claim is a CAS on the same word: it finds WAIT, and nobody else
 *      does. So who sleeps needs no second look at the ring, and who puts or gets no fence: the order of that one word decides.
 *
 * Linearization: put and get, the CAS of the claim. Full: the load of the tail, t, in the last round: the head, loaded later,
 * is t - a lap, so it was that before, by 1. Empty, and closed and empty: the load of the tail that finds the head's
 * position; the stamp read before says that the head had not gone on. Each begins with a load that acquires, so this holds
 * also in what each thread can know, where there is no one order of all that happens. -EBUSY takes no effect; it is given
 * when the slot at hand is claimed by the other side, which has not published. A put that has claimed counts as in; so
 * behind one that stands still, the ring is never "empty".
 *
 * Progress: lock-free, and without a step that waits. A round of claim_space() or claim_item() is repeated only when somebody
 * else's claim has moved the word on since it was loaded (or the weak CAS failed by itself, or a load was late).
 *
 * Lifetime: the store of the last stamp is an operation's last access to the ring.
 *
 * After Dmitry Vyukov's bounded MPMC queue; Stjepan Glavina's form of it in crossbeam's ArrayQueue.
 */
#include "mpmc.h"
#include "../base/sys.h"
#include <fairlead/mpmc.h>

int fl__mpmc_init(struct fl__mpmc *q, size_t item_size, size_t capacity, uint64_t lap)
{
	enum { STAMP = sizeof(uint64_t), ALIGNED = 16, AHEAD = 8, AHEAD_CAPACITY = 64 };
	const size_t offset = item_size % ALIGNED == 0 ? ALIGNED : STAMP; /* as aligned as malloc makes it */
	size_t slot, bytes;
	if (item_size == 0 || capacity == 0)
		return -EINVAL;
	if (__builtin_add_overflow(item_size, offset + STAMP - 1, &slot))
		return -EOVERFLOW;
	slot -= slot % STAMP;
	if (__builtin_mul_overflow(capacity, slot, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	unsigned char *slots = fl__alloc(1, bytes);
	if (!slots)
		return -ENOMEM;
	uint64_t indices = 1;
	while (indices < capacity)
		indices *= 2;
	*q = (struct fl__mpmc){
	    .slots = slots,
	    .mask = (indices - 1) * FL__MPMC_STEP,
	    .last = (uint64_t)(capacity - 1) * FL__MPMC_STEP,
	    .unit = slot / FL__MPMC_STEP,
	    .offset = offset,
	    .item_size = item_size,
	    .capacity = capacity,
	    .ahead = item_size > FL__MPMC_SMALL && capacity >= AHEAD_CAPACITY ? AHEAD : 0,
	};
	q->head = q->tail = lap * fl__mpmc_lap(q);
	for (uint64_t at = q->head; capacity > 0; capacity--, at += FL__MPMC_STEP)
		*fl__mpmc_stamp(fl__mpmc_slot(q, at)) = at;
	return 0;
}

void fl__mpmc_fini(struct fl__mpmc *q)
{
	fl__free(q->slots);
}

bool fl__mpmc_close(struct fl__mpmc *q)
{
	/*
	 * release: what was done before; pairs with the loads that find it in claim_space() and no_item(). seq_cst: its place in
	 * the one order of the claims, beside the loads that tell a length, or find nothing
	 */
	return (fl__or_seq_cst(&q->tail, (uint64_t)FL__MPMC_CLOSED) & FL__MPMC_CLOSED) == 0;
}

bool fl__mpmc_is_closed(struct fl__mpmc *q)
{
	return (fl__load_acquire(&q->tail) & FL__MPMC_CLOSED) != 0; /* pairs with fl__mpmc_close() */
}

static uint64_t index_of(const struct fl__mpmc *q, uint64_t at)
{
	return (at & q->mask) / FL__MPMC_STEP;
}

uint64_t fl__mpmc_puts(struct fl__mpmc *q)
{
	/* relaxed: a count; who compares it has acquired what is done, and so the puts of that (join.c) */
	const uint64_t tail = fl__load_relaxed(&q->tail);
	return tail / fl__mpmc_lap(q) * q->capacity + index_of(q, tail);
}

size_t fl__mpmc_length(struct fl__mpmc *q)
{
	const uint64_t flags = FL__MPMC_FLAGS;
	uint64_t head, tail;
	do {
		/*
		 * acquire: the tail is not older; seq_cst, the others: the length has its place in the one order of the claims;
		 * all pair with their CAS
		 */
		head = fl__load_acquire(&q->head) & ~flags;
		tail = fl__load_seq_cst(&q->tail) & ~flags;
	} while ((fl__load_seq_cst(&q->head) & ~flags) != head);
	const uint64_t laps = (tail & ~q->mask) - (head & ~q->mask);
	return (size_t)(index_of(q, tail) + (laps ? q->capacity : 0) - index_of(q, head));
}

/* As claim_space() and claim_item(), which say why they acquire; the stamp relaxed, since nothing in the slot is touched. */
int fl__mpmc_can_put(struct fl__mpmc *q)
{
	for (;;) {
		const uint64_t tail = fl__load_acquire(&q->tail), at = tail & ~(uint64_t)FL__MPMC_FLAGS;
		if (tail & FL__MPMC_CLOSED)
			return -EPIPE;
		const uint64_t stamp = fl__load_relaxed(fl__mpmc_stamp(fl__mpmc_slot(q, at)));
		if (stamp == at)
			return 0;
		if (!fl__mpmc_later(stamp, at))
			return fl__mpmc_no_space(q, at);
	}
}

int fl__mpmc_can_get(struct fl__mpmc *q)
{
	for (;;) {
		const uint64_t at = fl__load_acquire(&q->head) & ~(uint64_t)FL__MPMC_FLAGS;
		const uint64_t stamp = fl__load_relaxed(fl__mpmc_stamp(fl__mpmc_slot(q, at)));
		if (stamp == at + FL__MPMC_ITEM)
			return 0;
		if (!fl__mpmc_later(stamp, at))
			return fl__mpmc_no_item(q, at);
	}
}

bool fl__mpmc_mark_empty(struct fl__mpmc *q)
{
	const uint64_t head = fl__load_relaxed(&q->head) & ~(uint64_t)FL__MPMC_FLAGS; /* relaxed: invariant 4 */
	uint64_t tail = fl__load_relaxed(&q->tail);                                   /* relaxed: the CAS confirms it */
	do {
		if ((tail & ~(uint64_t)FL__MPMC_WAIT) != head)
			return false;
		/* release: what was done before; pairs with the CAS of claim_space(). Also when it is marked: so it is known to be */
	} while (!fl__cas_weak_release(&q->tail, &tail, tail | FL__MPMC_WAIT));
	return true;
}

bool fl__mpmc_mark_full(struct fl__mpmc *q)
{
	const uint64_t tail = fl__load_relaxed(&q->tail) & ~(uint64_t)FL__MPMC_WAIT; /* relaxed: as above */
	uint64_t head = fl__load_relaxed(&q->head);
	do {
		if ((head & ~(uint64_t)FL__MPMC_WAIT) + fl__mpmc_lap(q) != tail)
			return false;
		/* release: what was done before; pairs with the CAS of claim_item() */
	} while (!fl__cas_weak_release(&q->head, &head, head | FL__MPMC_WAIT));
	return true;
}

void fl__mpmc_back_off(struct fl__mpmc *q, bool gets)
{
	enum { TURNS = 64, SEVERAL = 2 * FL__MPMC_STEP };
	if (q->ahead == 0)
		return;
	uint64_t *const waited = gets ? &q->get_waited : &q->put_waited;
	/* relaxed, all: a wrong guess costs time and nothing else */
	const uint64_t at = fl__load_relaxed(gets ? &q->head : &q->tail) & ~(uint64_t)FL__MPMC_FLAGS;
	if (fl__load_relaxed(fl__mpmc_stamp(fl__mpmc_slot(q, at))) == (gets ? at + FL__MPMC_ITEM : at))
		return;
	if (at - fl__load_relaxed(waited) > SEVERAL)
		fl__pause(TURNS);
	fl__store_relaxed(waited, at);
}

/* What users see. */

struct fl_mpmc {
	struct fl__mpmc ring;
};

int fl_mpmc_create(fl_mpmc **made, size_t item_size, size_t capacity)
{
	fl_mpmc *q = fl__alloc(1, sizeof *q);
	int rc = q ? fl__mpmc_init(&q->ring, item_size, capacity, 0) : -ENOMEM;
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
	fl__mpmc_fini(&q->ring);
	fl__free(q);
}

int fl_mpmc_try_put(fl_mpmc *q, const void *item)
{
	bool nobody_sleeps;
	return fl__mpmc_put(&q->ring, item, q->ring.item_size, &nobody_sleeps);
}

int fl_mpmc_try_get(fl_mpmc *q, void *item)
{
	bool nobody_sleeps;
	return fl__mpmc_get(&q->ring, item, q->ring.item_size, &nobody_sleeps);
}

size_t fl_mpmc_try_put_many(fl_mpmc *q, const void *items, size_t n)
{
	bool nobody_sleeps;
	size_t count = 0;
	if (n > 0)
		(void)fl__mpmc_put_many(&q->ring, items, q->ring.item_size, n, &count,
		                        &nobody_sleeps); /* the count tells */
	return count;
}

size_t fl_mpmc_try_get_many(fl_mpmc *q, void *items, size_t n)
{
	bool nobody_sleeps;
	size_t count = 0;
	if (n > 0)
		(void)fl__mpmc_get_many(&q->ring, items, q->ring.item_size, n, &count,
		                        &nobody_sleeps); /* the count tells */
	return count;
}

void fl_mpmc_close(fl_mpmc *q)
{
	(void)fl__mpmc_close(&q->ring);
}

bool fl_mpmc_is_closed(fl_mpmc *q)
{
	return fl__mpmc_is_closed(&q->ring);
}

size_t fl_mpmc_length(fl_mpmc *q)
{
	return fl__mpmc_length(&q->ring);
}

size_t fl_mpmc_capacity(const fl_mpmc *q)
{
	return q->ring.capacity; /* never changes */
}
