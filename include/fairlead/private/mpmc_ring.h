/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_RING_H
#define FAIRLEAD_MPMC_RING_H

#include <fairlead/defs.h>
#include <fairlead/private/inline.h>

FL_BEGIN_DECLS

/*
 * This header is private. It has the bounded lock-free ring of fl_mpmc and fl_queue. The head of
 * lib/core/queue/mpmc.c has the tables of its words, and its invariants.
 */
enum { FL__MPMC_WAIT = 1, FL__MPMC_CLOSED = 2, FL__MPMC_FLAGS = 3, FL__MPMC_STEP = 4 }; /* in head and tail */
enum { FL__MPMC_ITEM = 1 };                                                             /* in a stamp */
enum { FL__MPMC_SMALL = 32 };  /* bytes of the largest item that shares its cache line with others */
enum { FL__MPMC_APART = 128 }; /* two cache lines: adjacent lines are fetched together */
enum { FL__MPMC_LINE = 64, FL__MPMC_STAMP = sizeof(uint64_t) };

struct fl_mpmc {
	unsigned char *slots; /* each slot has a stamp, and then the item */
	uint64_t mask;        /* the bits of a position that are its index; a lap is `mask` + STEP */
	uint64_t last;        /* the index of the last slot, as in a position */
	size_t unit;          /* bytes of a slot / STEP */
	size_t offset;        /* of the item in a slot */
	size_t item_size, capacity;
	size_t ahead; /* how many slots ahead are prefetched; 0 if the ring or its items are small */
	unsigned char apart_[FL__MPMC_APART];
	FL__WORD64 uint64_t tail;       /* the position of the next item, with CLOSED and WAIT */
	FL__WORD64 uint64_t put_paused; /* the tail when a put last found no space; a hint */
	unsigned char apart_tail_[FL__MPMC_APART - 2 * sizeof(uint64_t)];
	FL__WORD64 uint64_t head;       /* the position of the oldest item, with WAIT */
	FL__WORD64 uint64_t get_paused; /* the head when a get last found no item; a hint */
	unsigned char apart_head_[FL__MPMC_APART - 2 * sizeof(uint64_t)];
};

static inline uint64_t fl__mpmc_lap(const struct fl_mpmc *_q)
{
	return _q->mask + FL__MPMC_STEP;
}

static inline uint64_t fl__mpmc_next(const struct fl_mpmc *_q, uint64_t _at)
{
	return fl__likely((_at & _q->mask) != _q->last) ? _at + FL__MPMC_STEP : (_at | _q->mask) + FL__MPMC_STEP;
}

/* Returns the position that is `_n` steps after `_at`. `_n` is at most the capacity. */
static inline uint64_t fl__mpmc_skip(const struct fl_mpmc *_q, uint64_t _at, size_t _n)
{
	const uint64_t _count = _n, _step = _count * FL__MPMC_STEP;
	const uint64_t _to_lap = _q->last + FL__MPMC_STEP - (_at & _q->mask);
	return _step < _to_lap ? _at + _step : (_at | _q->mask) + FL__MPMC_STEP + (_step - _to_lap);
}

static inline unsigned char *fl__mpmc_slot(const struct fl_mpmc *_q, uint64_t _at)
{
	const size_t _index = _at & _q->mask;
	return _q->slots + _index * _q->unit;
}

/*
 * Returns the offset of an item in its slot. The item is aligned for each type of this size, up to
 * the alignment of malloc().
 */
static inline size_t fl__mpmc_offset(size_t _size)
{
	return _size % 16 == 0 ? 16 : FL__MPMC_STAMP;
}

/*
 * Returns the slot of `_at`. If `_size`, that of the items, is a constant, it saves a
 * multiplication.
 */
static inline unsigned char *fl__mpmc_slot_of(const struct fl_mpmc *_q, uint64_t _at, size_t _size)
{
	const size_t _index = _at & _q->mask;
	if (!__builtin_constant_p(_size) || _size == 0)
		return fl__mpmc_slot(_q, _at);
	_size += fl__mpmc_offset(_size) + FL__MPMC_STAMP - 1;
	return _q->slots + _index * (_size / FL__MPMC_STAMP * FL__MPMC_STAMP / FL__MPMC_STEP);
}

static inline unsigned char *fl__mpmc_item(const struct fl_mpmc *_q, unsigned char *_slot, size_t _size)
{
	return _slot + (__builtin_constant_p(_size) ? fl__mpmc_offset(_size) : _q->offset);
}

static inline uint64_t *fl__mpmc_stamp(unsigned char *_slot)
{
	return (uint64_t *)(void *)_slot;
}

/*
 * Prefetches the slot that is `ahead` of position `_at`, which the caller has claimed. Without the
 * prefetch, each claim would wait for the cache lines of the item before, since the CAS of a claim
 * waits for all earlier stores.
 */
static inline void fl__mpmc_fetch_ahead(const struct fl_mpmc *_q, uint64_t _at, size_t _size)
{
	if (_size > FL__MPMC_SMALL && _q->ahead != 0) {
		const unsigned char *_slot = fl__mpmc_slot(_q, fl__mpmc_skip(_q, _at, _q->ahead));
		size_t _i;
		for (_i = 0; _i <= _size; _i += FL__MPMC_LINE)
			fl__fetch_to_write(_slot + _i);
	}
}

static inline bool fl__mpmc_later(uint64_t _a, uint64_t _b)
{
	return (int64_t)(_a - _b) > 0;
}

struct fl__mpmc_claim {
	uint64_t at;         /* the position of the first slot */
	unsigned char *slot; /* the first slot */
	size_t count;
	bool owes_wake;
};

/*
 * Returns how many slots from `_at` on, at most `_n` and the capacity, have a stamp that is
 * `_ahead` of their position. The first slot is known to have it.
 */
static inline size_t fl__mpmc_run(const struct fl_mpmc *_q, uint64_t _at, uint64_t _ahead, size_t _n)
{
	size_t _run = 1;
	if (_n > _q->capacity)
		_n = _q->capacity;
	while (_run < _n) {
		_at = fl__mpmc_next(_q, _at);
		/* acquire: pairs with the release in fl__mpmc_fill() or fl__mpmc_drain() */
		if (fl__load_acquire(fl__mpmc_stamp(fl__mpmc_slot(_q, _at))) != _at + _ahead)
			break;
		_run++;
	}
	return _run;
}

/*
 * Called for a position whose slot is not ready for a put or, with `gets`, for a get. If several
 * calls have succeeded since the last call that found its slot not ready, it pauses and returns 0,
 * and the caller tries again. Otherwise it returns -EAGAIN, -EBUSY or -EPIPE.
 */
FL_API int fl__mpmc_refuse(struct fl_mpmc *q, uint64_t at, bool gets);

/*
 * Called by a claim that has lost to another claim. `failed` says how often the claim has lost. The
 * function pauses for 8 iterations after the first loss, and for twice as many after each further
 * loss, up to 256.
 */
FL_API void fl__mpmc_back_off(unsigned failed);

/*
 * Claims up to `_n` slots. For a put `_word` is the tail, and `_ahead` is 0. For a get `_word` is
 * the head, and `_ahead` is ITEM. The stamps of the slots are `_ahead` of their positions. `_size`
 * is the size of the items, or 0 if it is not known.
 *
 * Returns 0, -EAGAIN, -EBUSY or -EPIPE. Without `_exact` the code contains no call. Then -EBUSY
 * stands for "full" and "empty", too, and -EAGAIN means that another call was faster, or that the
 * CAS failed spuriously. The caller may then try again.
 */
static inline __attribute__((__always_inline__)) int fl__mpmc_claim_slots(struct fl_mpmc *_q, uint64_t *_word,
                                                                          uint64_t _ahead, size_t _size, size_t _n,
                                                                          bool _exact, struct fl__mpmc_claim *_claim)
{
	unsigned _failed = 0;
	for (;;) {
		/*
		 * acquire: pairs with the CAS below, and with fl_mpmc_close(). So the loads below
		 * are no older than this word. Otherwise a put could return "full" although the
		 * writer of the word had made space before. A get could return "empty" although the
		 * writer of the word had put an item, or closed the ring, before.
		 */
		uint64_t _seen = fl__load_acquire(_word), _stamp;
		/*
		 * CLOSED stays in `_at`. No stamp has CLOSED, so no claim succeeds in a closed
		 * ring.
		 */
		const uint64_t _at = _seen & ~(uint64_t)FL__MPMC_WAIT;
		unsigned char *_slot = fl__mpmc_slot_of(_q, _at, _size);
		const uint64_t _one_on = fl__mpmc_next(_q, _at);
		/*
		 * acquire: pairs with the release in fl__mpmc_drain() or fl__mpmc_fill(), for the
		 * last use of the slot
		 */
		_stamp = fl__load_acquire(fl__mpmc_stamp(_slot));
		if (fl__likely(_stamp == _at + _ahead)) {
			const size_t _run = _n == 1 ? 1 : fl__mpmc_run(_q, _at, _ahead, _n);
			const uint64_t _next = _n == 1 ? _one_on : fl__mpmc_skip(_q, _at, _run);
			/*
			 * seq_cst: pairs with the loads in mpmc_no_item() and mpmc_no_space().
			 * Claims and the answers "full" and "empty" of all rings have one order. As
			 * an acquire, it pairs with the release in fl__mpmc_mark_empty() and
			 * fl__mpmc_mark_full().
			 */
			if (fl__likely(fl__cas_weak_seq_cst(_word, &_seen, _next))) {
				_claim->at = _at;
				_claim->slot = _slot;
				_claim->count = _run;
				_claim->owes_wake = (_seen & FL__MPMC_WAIT) != 0;
				return 0;
			}
		} else if (_ahead == 0 && (_at & FL__MPMC_CLOSED) != 0) {
			return -EPIPE;
		} else if (!fl__mpmc_later(_stamp, _at)) {
			const int _rc = _exact ? fl__mpmc_refuse(_q, _at, _ahead != 0) : -EBUSY;
			if (_rc != 0)
				return _rc;
			continue;
		}
		/* another call has changed the word, or the CAS has failed spuriously */
		if (!_exact)
			return -EAGAIN;
		fl__mpmc_back_off(++_failed);
	}
}

static inline int fl__mpmc_claim_space(struct fl_mpmc *_q, size_t _n, struct fl__mpmc_claim *_claim)
{
	return fl__mpmc_claim_slots(_q, &_q->tail, 0, 0, _n, true, _claim);
}

static inline int fl__mpmc_claim_item(struct fl_mpmc *_q, size_t _n, struct fl__mpmc_claim *_claim)
{
	return fl__mpmc_claim_slots(_q, &_q->head, FL__MPMC_ITEM, 0, _n, true, _claim);
}

/* Stores the item in the slot of position `_at`, which the caller has claimed. */
static inline void fl__mpmc_fill(const struct fl_mpmc *_q, unsigned char *_slot, uint64_t _at, const void *_item,
                                 size_t _size)
{
	fl__copy(fl__mpmc_item(_q, _slot, _size), _item, _size);
	/*
	 * release: pairs with the acquire in fl__mpmc_claim_slots() and fl__mpmc_run(), for the
	 * item
	 */
	fl__store_release(fl__mpmc_stamp(_slot), _at + FL__MPMC_ITEM);
}

/*
 * Puts an item. `_size` is the ring's item_size, which the compiler may know. Returns what
 * fl_mpmc_try_put() returns. If that is 0, `*_owes_wake` says whether the put has cleared WAIT.
 */
static inline int fl__mpmc_put(struct fl_mpmc *_q, const void *_item, size_t _size, bool *_owes_wake)
{
	struct fl__mpmc_claim _claim;
	const int _rc = fl__mpmc_claim_slots(_q, &_q->tail, 0, _size, 1, true, &_claim);
	if (fl__unlikely(_rc != 0))
		return _rc;
	*_owes_wake = _claim.owes_wake;
	fl__mpmc_fetch_ahead(_q, _claim.at, _size);
	fl__mpmc_fill(_q, _claim.slot, _claim.at, _item, _size);
	return 0;
}

/*
 * Puts up to `_n` items, where `_n` is not 0, in consecutive slots. Returns what fl__mpmc_put()
 * returns. If that is 0, `*_count` says how many were put.
 */
static inline int fl__mpmc_put_many(struct fl_mpmc *_q, const void *_items, size_t _size, size_t _n, size_t *_count,
                                    bool *_owes_wake)
{
	const unsigned char *_item = (const unsigned char *)_items;
	struct fl__mpmc_claim _claim;
	uint64_t _at;
	const int _rc = fl__mpmc_claim_space(_q, _n, &_claim);
	if (_rc != 0)
		return _rc;
	*_count = _claim.count;
	*_owes_wake = _claim.owes_wake;
	for (_at = _claim.at;; _at = fl__mpmc_next(_q, _at), _item += _size) {
		fl__mpmc_fill(_q, fl__mpmc_slot(_q, _at), _at, _item, _size);
		if (--_claim.count == 0) /* the consumer of the last item may free the ring */
			return 0;
	}
}

/* Copies the item out of the slot of position `_at`, which the caller has claimed. */
static inline void fl__mpmc_drain(const struct fl_mpmc *_q, unsigned char *_slot, uint64_t _at, void *_item,
                                  size_t _size)
{
	fl__copy(_item, fl__mpmc_item(_q, _slot, _size), _size);
	/*
	 * release: pairs with the acquire in fl__mpmc_claim_slots() and fl__mpmc_run(), a lap
	 * later, for the reads of the item
	 */
	fl__store_release(fl__mpmc_stamp(_slot), _at + fl__mpmc_lap(_q));
}

/*
 * Gets an item. Returns what fl_mpmc_try_get() returns. If that is 0, `*_owes_wake` says whether
 * the get has cleared WAIT.
 */
static inline int fl__mpmc_get(struct fl_mpmc *_q, void *_item, size_t _size, bool *_owes_wake)
{
	struct fl__mpmc_claim _claim = {0, NULL, 0, false};
	const int _rc = fl__mpmc_claim_slots(_q, &_q->head, FL__MPMC_ITEM, _size, 1, true, &_claim);
	if (fl__unlikely(_rc != 0))
		return _rc;
	*_owes_wake = _claim.owes_wake;
	fl__mpmc_fetch_ahead(_q, _claim.at, _size);
	fl__mpmc_drain(_q, _claim.slot, _claim.at, _item, _size);
	return 0;
}

/*
 * Gets up to `_n` items, where `_n` is not 0, from consecutive slots. Returns what fl__mpmc_get()
 * returns. If that is 0, `*_count` says how many were got.
 */
static inline int fl__mpmc_get_many(struct fl_mpmc *_q, void *_items, size_t _size, size_t _n, size_t *_count,
                                    bool *_owes_wake)
{
	unsigned char *_item = (unsigned char *)_items;
	struct fl__mpmc_claim _claim;
	uint64_t _at;
	const int _rc = fl__mpmc_claim_item(_q, _n, &_claim);
	if (_rc != 0)
		return _rc;
	*_count = _claim.count;
	*_owes_wake = _claim.owes_wake;
	for (_at = _claim.at; _claim.count > 0; _claim.count--, _at = fl__mpmc_next(_q, _at), _item += _size)
		fl__mpmc_drain(_q, fl__mpmc_slot(_q, _at), _at, _item, _size);
	return 0;
}

FL_END_DECLS

#endif
