/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_RING_H
#define FAIRLEAD_MPMC_RING_H

#include <errno.h>
#include <fairlead/inline.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Private: the bounded ring for many producers and many consumers, without a lock: what the inline functions of fl_mpmc and of fl_queue
 * are made of. lib/queue/mpmc.c begins with the tables of its words, its invariants, and why all this is right.
 *
 * A position is 64 bits: {lap, index, flags}. It counts on through the indices of a lap, then goes on to the next lap, so
 * that any capacity works without a division, and no two uses of a slot look alike.
 */
enum { FL__MPMC_WAIT = 1, FL__MPMC_CLOSED = 2, FL__MPMC_FLAGS = 3, FL__MPMC_STEP = 4 }; /* in head and tail */
enum { FL__MPMC_ITEM = 1 };                                                             /* in a stamp */
enum { FL__MPMC_SMALL = 32 };  /* an item of so many bytes shares a line with others */
enum { FL__MPMC_APART = 128 }; /* two cache lines: adjacent ones are fetched together */

struct fl__mpmc {
	unsigned char *slots; /* each: the stamp, then the item */
	uint64_t mask;        /* the bits of a position that are its index; these and one STEP more are a lap */
	uint64_t last;        /* the index of the last slot, as it stands in a position */
	size_t unit;          /* bytes of a slot / STEP */
	size_t offset;        /* of the item in a slot */
	size_t item_size, capacity;
	size_t ahead; /* so many slots on is fetched meanwhile; 0: none, in small rings, or of small items */
	unsigned char apart_[FL__MPMC_APART];
	uint64_t tail;       /* where the next item goes, CLOSED, WAIT: a consumer sleeps */
	uint64_t put_waited; /* the position at which a put last found it full and let gets go ahead; a hint */
	unsigned char apart_tail_[FL__MPMC_APART - 2 * sizeof(uint64_t)];
	uint64_t head;       /* where the oldest item is, WAIT: a producer sleeps */
	uint64_t get_waited; /* the same of gets */
	unsigned char apart_head_[FL__MPMC_APART - 2 * sizeof(uint64_t)];
};

/* Arithmetic of positions. */

static inline uint64_t fl__mpmc_lap(const struct fl__mpmc *q)
{
	return q->mask + FL__MPMC_STEP;
}

static inline uint64_t fl__mpmc_next(const struct fl__mpmc *q, uint64_t at)
{
	return __builtin_expect((at & q->mask) != q->last, 1) ? at + FL__MPMC_STEP : (at | q->mask) + FL__MPMC_STEP;
}

/* `n` at most the capacity. */
static inline uint64_t fl__mpmc_skip(const struct fl__mpmc *q, uint64_t at, size_t n)
{
	const uint64_t to_lap = q->last + FL__MPMC_STEP - (at & q->mask), step = (uint64_t)n * FL__MPMC_STEP;
	return step < to_lap ? at + step : (at | q->mask) + FL__MPMC_STEP + (step - to_lap);
}

static inline unsigned char *fl__mpmc_slot(const struct fl__mpmc *q, uint64_t at)
{
	return q->slots + (size_t)(at & q->mask) * q->unit;
}

static inline uint64_t *fl__mpmc_stamp(unsigned char *slot)
{
	return (uint64_t *)(void *)slot;
}

/*
 * Begins to fetch the slot that is `ahead` of position `at`, which the caller has claimed. Each claim waits for all stores before
 * it; so without this, who claims items of several lines one by one waits for the lines of each in turn.
 */
static inline void fl__mpmc_fetch_ahead(const struct fl__mpmc *q, uint64_t at, size_t size)
{
	enum { LINE = 64 };
	if (size <= FL__MPMC_SMALL || q->ahead == 0)
		return;
	const unsigned char *slot = fl__mpmc_slot(q, fl__mpmc_skip(q, at, q->ahead));
	for (size_t i = 0; i <= size; i += LINE)
		fl__fetch_to_write(slot + i);
}

static inline bool fl__mpmc_later(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) > 0;
}

/* Claims: {0, -EAGAIN, -EBUSY, -EPIPE}, and with 0 the position of the first slot, how many, and whether a wake is owed. */
struct fl__mpmc_claim {
	uint64_t at;
	size_t count;
	bool owes_wake;
};

/* How many slots from `at` on, up to `n` and to the capacity, have a stamp that is `ahead` of their position. */
static inline size_t fl__mpmc_run(const struct fl__mpmc *q, uint64_t at, uint64_t ahead, size_t n)
{
	size_t run = 1; /* the first is known */
	if (n > q->capacity)
		n = q->capacity;
	while (run < n) {
		at = fl__mpmc_next(q, at);
		/* acquire: pairs with the store of fl__mpmc_fill(), or fl__mpmc_drain() */
		if (fl__load_acquire(fl__mpmc_stamp(fl__mpmc_slot(q, at))) != at + ahead)
			break;
		run++;
	}
	return run;
}

/* Putting. */

/* Why nothing can be put at `at`, whose slot is not free though nobody has put there. */
static inline int fl__mpmc_no_space(struct fl__mpmc *q, uint64_t at)
{
	/* seq_cst: "full" has its place in the one order of the claims of all rings; pairs with the CAS of fl__mpmc_claim_item() */
	const uint64_t head = fl__load_seq_cst(&q->head) & ~(uint64_t)FL__MPMC_FLAGS;
	return head == at - fl__mpmc_lap(q) ? -EAGAIN : -EBUSY;
}

/* Claims up to `n` free slots. */
static inline int fl__mpmc_claim_space(struct fl__mpmc *q, size_t n, struct fl__mpmc_claim *claim)
{
	for (;;) {
		/*
		 * acquire: what is looked at below is no older than what who wrote the tail had seen, or it would be "full" where
		 * that one had made space before; pairs with the CAS below, and with fl__mpmc_close()
		 */
		uint64_t tail = fl__load_acquire(&q->tail);
		if (__builtin_expect((tail & FL__MPMC_CLOSED) != 0, 0))
			return -EPIPE;
		const uint64_t at = tail & ~(uint64_t)FL__MPMC_FLAGS;
		/* acquire: the slot's last item has been read; pairs with fl__mpmc_drain() */
		const uint64_t stamp = fl__load_acquire(fl__mpmc_stamp(fl__mpmc_slot(q, at)));
		if (__builtin_expect(stamp == at, 1)) {
			const size_t run = n == 1 ? 1 : fl__mpmc_run(q, at, 0, n);
			const uint64_t next = n == 1 ? fl__mpmc_next(q, at) : fl__mpmc_skip(q, at, run);
			/* seq_cst: see fl__mpmc_no_item(); its acquire pairs with fl__mpmc_mark_empty() */
			if (__builtin_expect(fl__cas_weak_seq_cst(&q->tail, &tail, next), 1)) {
				claim->at = at;
				claim->count = run;
				claim->owes_wake = (tail & FL__MPMC_WAIT) != 0;
				return 0;
			}
		} else if (!fl__mpmc_later(stamp, at)) {
			return fl__mpmc_no_space(q, at);
		} /* else others have put there: the tail is further on */
	}
}

/* The slot of position `at`, which the caller has claimed, gets the item. */
static inline void fl__mpmc_fill(struct fl__mpmc *q, uint64_t at, const void *item, size_t size)
{
	unsigned char *slot = fl__mpmc_slot(q, at);
	fl__copy(slot + q->offset, item, size);
	/* release: the item is whole; pairs with the loads of fl__mpmc_claim_item() and fl__mpmc_run() */
	fl__store_release(fl__mpmc_stamp(slot), at + FL__MPMC_ITEM);
}

/*
 * Puts an item; `size` is the ring's item_size, known to the compiler or not. Returns 0; -EAGAIN: full; -EBUSY: a get that
 * has not returned still empties its slot; -EPIPE: closed. With 0, `*owes_wake`: it took the mark of sleepers off the tail.
 */
static inline int fl__mpmc_put(struct fl__mpmc *q, const void *item, size_t size, bool *owes_wake)
{
	struct fl__mpmc_claim claim;
	const int rc = fl__mpmc_claim_space(q, 1, &claim);
	if (__builtin_expect(rc != 0, 0))
		return rc;
	*owes_wake = claim.owes_wake;
	fl__mpmc_fetch_ahead(q, claim.at, size);
	fl__mpmc_fill(q, claim.at, item, size);
	return 0;
}

/* Puts up to `n` (not 0) items, which follow each other in the ring; as fl__mpmc_put(), and with 0 `*count` of them. */
static inline int fl__mpmc_put_many(struct fl__mpmc *q, const void *items, size_t size, size_t n, size_t *count,
                                    bool *owes_wake)
{
	const unsigned char *item = (const unsigned char *)items;
	struct fl__mpmc_claim claim;
	const int rc = fl__mpmc_claim_space(q, n, &claim);
	if (rc != 0)
		return rc;
	*count = claim.count;
	*owes_wake = claim.owes_wake;
	for (uint64_t at = claim.at;; at = fl__mpmc_next(q, at), item += size) {
		fl__mpmc_fill(q, at, item, size);
		if (--claim.count == 0) /* whoever gets the last may free the ring */
			return 0;
	}
}

/* Getting: the mirror image. */

/* Why nothing can be got at `at`, where no item is yet. */
static inline int fl__mpmc_no_item(struct fl__mpmc *q, uint64_t at)
{
	/*
	 * seq_cst: "empty" has its place in the one order of the claims of all rings; pairs with the CAS of
	 * fl__mpmc_claim_space(). Its acquire: what came before the close; pairs with fl__mpmc_close().
	 */
	const uint64_t tail = fl__load_seq_cst(&q->tail);
	if ((tail & ~(uint64_t)FL__MPMC_FLAGS) != at)
		return -EBUSY;
	return tail & FL__MPMC_CLOSED ? -EPIPE : -EAGAIN;
}

/* Claims up to `n` items. */
static inline int fl__mpmc_claim_item(struct fl__mpmc *q, size_t n, struct fl__mpmc_claim *claim)
{
	for (;;) {
		/*
		 * acquire: as in fl__mpmc_claim_space(), or it would be "empty" where who wrote the head had put before, and "empty"
		 * where that one had closed; pairs with the CAS below
		 */
		uint64_t head = fl__load_acquire(&q->head);
		const uint64_t at = head & ~(uint64_t)FL__MPMC_FLAGS;
		/* acquire: the item is whole; pairs with fl__mpmc_fill() */
		const uint64_t stamp = fl__load_acquire(fl__mpmc_stamp(fl__mpmc_slot(q, at)));
		if (__builtin_expect(stamp == at + FL__MPMC_ITEM, 1)) {
			const size_t run = n == 1 ? 1 : fl__mpmc_run(q, at, FL__MPMC_ITEM, n);
			const uint64_t next = n == 1 ? fl__mpmc_next(q, at) : fl__mpmc_skip(q, at, run);
			/* seq_cst: see fl__mpmc_no_space(); its acquire pairs with fl__mpmc_mark_full() */
			if (__builtin_expect(fl__cas_weak_seq_cst(&q->head, &head, next), 1)) {
				claim->at = at;
				claim->count = run;
				claim->owes_wake = (head & FL__MPMC_WAIT) != 0;
				return 0;
			}
		} else if (!fl__mpmc_later(stamp, at)) {
			return fl__mpmc_no_item(q, at);
		} /* else others have got it: the head is further on */
	}
}

/* Takes the item out of the slot of position `at`, which the caller has claimed. */
static inline void fl__mpmc_drain(struct fl__mpmc *q, uint64_t at, void *item, size_t size)
{
	unsigned char *slot = fl__mpmc_slot(q, at);
	fl__copy(item, slot + q->offset, size);
	/* release: the item has been read; pairs with the loads of fl__mpmc_claim_space() and fl__mpmc_run(), a lap later */
	fl__store_release(fl__mpmc_stamp(slot), at + fl__mpmc_lap(q));
}

/*
 * Gets the oldest item. Returns 0; -EAGAIN: empty; -EBUSY: a put that has not returned still writes it; -EPIPE: closed and
 * empty. With 0, `*owes_wake`: it took the mark of sleepers off the head.
 */
static inline int fl__mpmc_get(struct fl__mpmc *q, void *item, size_t size, bool *owes_wake)
{
	struct fl__mpmc_claim claim = {0, 0, false};
	const int rc = fl__mpmc_claim_item(q, 1, &claim);
	if (__builtin_expect(rc != 0, 0))
		return rc;
	*owes_wake = claim.owes_wake;
	fl__mpmc_fetch_ahead(q, claim.at, size);
	fl__mpmc_drain(q, claim.at, item, size);
	return 0;
}

/* Gets up to `n` (not 0) items that follow each other in the ring; as fl__mpmc_get(), and with 0 `*count` of them. */
static inline int fl__mpmc_get_many(struct fl__mpmc *q, void *items, size_t size, size_t n, size_t *count,
                                    bool *owes_wake)
{
	unsigned char *item = (unsigned char *)items;
	struct fl__mpmc_claim claim;
	const int rc = fl__mpmc_claim_item(q, n, &claim);
	if (rc != 0)
		return rc;
	*count = claim.count;
	*owes_wake = claim.owes_wake;
	for (uint64_t at = claim.at; claim.count > 0; claim.count--, at = fl__mpmc_next(q, at), item += size)
		fl__mpmc_drain(q, at, item, size);
	return 0;
}

#endif
