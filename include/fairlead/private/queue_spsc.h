/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_SPSC_H
#define FAIRLEAD_QUEUE_SPSC_H

#include <fairlead/defs.h>
#include <fairlead/private/spsc_slots.h>

/*
 * This header is private. It has the ring of a blocking queue with one producer and one consumer,
 * for the inline functions of fl_queue. The head of lib/core/queue/queue_spsc.c has the tables of
 * its words, and its invariants.
 */
enum {
	FL__QUEUE_SPSC_CONSUMER = 1,
	FL__QUEUE_SPSC_PRODUCER = 2,
	FL__QUEUE_SPSC_CLOSED = 4,
	FL__QUEUE_SPSC_SEALED = 8,
	FL__QUEUE_SPSC_DROPPED = 16,
	FL__QUEUE_SPSC_FENCED = 32,
	FL__QUEUE_SPSC_PUT_FLAGS = FL__QUEUE_SPSC_CONSUMER | FL__QUEUE_SPSC_CLOSED | FL__QUEUE_SPSC_FENCED,
	FL__QUEUE_SPSC_GET_FLAGS = FL__QUEUE_SPSC_PRODUCER | FL__QUEUE_SPSC_DROPPED | FL__QUEUE_SPSC_FENCED
};
enum { FL__QUEUE_SPSC_APART = 128 }; /* two cache lines, since adjacent lines are fetched together */

/* The words that the producer writes, or those that the consumer writes. */
struct fl__queue_spsc_side {
	FL__WORD64 uint64_t next;  /* `count`, or, during a call, the count after the call */
	FL__WORD64 uint64_t count; /* how many items were put, or were got or dropped */
	uint64_t waited;           /* `count` at the last wait; only this side reads it */
	unsigned char *slot;       /* of the next call's item; only this side and a discard read it */
	unsigned char apart_[FL__QUEUE_SPSC_APART - 3 * sizeof(uint64_t) - sizeof(void *)];
};

struct fl__queue_spsc {
	struct fl__slots slots; /* `capacity` slots */
	size_t capacity;
	uint32_t flags;
	unsigned char apart_[FL__QUEUE_SPSC_APART];
	struct fl__queue_spsc_side put, get;
};

/*
 * Announces a call for one item, and returns true. If a flag of `_flags` is set, takes the
 * announcement back and returns false.
 */
static inline bool fl__queue_spsc_announce(struct fl__queue_spsc *_q, struct fl__queue_spsc_side *_side, uint64_t _at,
                                           uint32_t _flags)
{
	/*
	 * relaxed, all: queue_spsc_fence_all() orders the first store and the load. The last store
	 * only takes the announcement back.
	 */
	fl__store_relaxed(&_side->next, _at + 1);
	fl__in_program_order();
	if (fl__likely((fl__load_relaxed(&_q->flags) & _flags) == 0))
		return true;
	fl__store_relaxed(&_side->next, _at);
	return false;
}

/*
 * The fast path of a put (a get) of one item, for the case that there is space (an item) and no
 * flag is set. Returns false if it has done nothing. Then the caller calls the backend's put (get).
 * Where the compiler knows the size, the function saves no registers. That matters because each
 * save is a store, and the store buffer has few entries.
 */
static inline bool fl__queue_spsc_put(struct fl__queue_spsc *_q, const void *_item, struct fl__slot_shape _shape)
{
	unsigned char *const _slot = _q->put.slot;
	const uint64_t _at = fl__load_relaxed(&_q->put.count); /* relaxed: only this side writes it */
	if (fl__unlikely(fl__slot_is_full(_slot)) ||
	    !fl__queue_spsc_announce(_q, &_q->put, _at, FL__QUEUE_SPSC_PUT_FLAGS))
		return false;
	fl__copy(fl__slot_item(_shape, _slot), _item, _shape.size);
	_q->put.slot = fl__slot_after(&_q->slots, _shape, _slot);
	/*
	 * release: pairs with the acquire in queue_spsc_items(), which then sees the get that made
	 * the space
	 */
	fl__store_release(&_q->put.count, _at + 1);
	fl__slot_fill(_slot);
	return true;
}

static inline bool fl__queue_spsc_get(struct fl__queue_spsc *_q, void *_item, struct fl__slot_shape _shape)
{
	unsigned char *const _slot = _q->get.slot;
	const uint64_t _at = fl__load_relaxed(&_q->get.count); /* relaxed: only this side writes it */
	if (fl__unlikely(!fl__slot_is_full(_slot)) ||
	    !fl__queue_spsc_announce(_q, &_q->get, _at, FL__QUEUE_SPSC_GET_FLAGS))
		return false;
	fl__copy(_item, fl__slot_item(_shape, _slot), _shape.size);
	_q->get.slot = fl__slot_after(&_q->slots, _shape, _slot);
	/*
	 * release: pairs with queue_spsc_in_progress() and queue_spsc_items(), for the read of the
	 * item
	 */
	fl__store_release(&_q->get.count, _at + 1);
	fl__slot_clear(_slot);
	return true;
}

#endif
