/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_SPSC_H
#define FAIRLEAD_QUEUE_SPSC_H

#include <fairlead/private/spsc_slots.h>

/*
 * Private: the ring of a blocking queue with one producer and one consumer, for the inline
 * functions of fl_queue. lib/core/queue/queue_spsc.c begins with the tables of its words and its
 * invariants.
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
enum { FL__QUEUE_SPSC_APART = 128 }; /* two cache lines: adjacent lines are fetched together */

struct fl__queue_spsc {
	struct fl__slots slots; /* `capacity` slots */
	size_t capacity;
	uint32_t flags;
	unsigned char apart_[FL__QUEUE_SPSC_APART];

	uint64_t put_next;       /* the number of the next item */
	uint64_t tail;           /* how many items were put */
	uint64_t put_waited;     /* the producer's: put_next at its last wait */
	unsigned char *put_slot; /* the producer's: the slot of the next item */
	unsigned char apart_put_[FL__QUEUE_SPSC_APART - 3 * sizeof(uint64_t) - sizeof(void *)];

	uint64_t get_next;       /* the number of the oldest item */
	uint64_t head;           /* how many items were got or dropped */
	uint64_t get_waited;     /* the consumer's: get_next at its last wait */
	unsigned char *get_slot; /* the consumer's: the slot of the oldest item */
	unsigned char apart_get_[FL__QUEUE_SPSC_APART - 3 * sizeof(uint64_t) - sizeof(void *)];
};

/*
 * The fast path of a put (a get) of one item: there is space (an item), and no flag is set. Returns
 * false if nothing has happened, and the backend's put (get) must be called. Where the compiler
 * knows the size, no function is called, so no registers are saved: the store buffer of a processor
 * that waits for the cache line of an item has few entries.
 */
static inline bool fl__queue_spsc_put(struct fl__queue_spsc *_q, const void *_item, struct fl__slot_shape _shape)
{
	unsigned char *const _slot = _q->put_slot;
	const uint64_t _at = fl__load_relaxed(&_q->put_next); /* relaxed: only this side writes it */
	if (__builtin_expect(fl__slot_is_full(_slot), 0))
		return false;
	/* relaxed, as the load: queue_spsc_fence_all() orders them */
	fl__store_relaxed(&_q->put_next, _at + 1);
	fl__in_program_order();
	if (__builtin_expect((fl__load_relaxed(&_q->flags) & FL__QUEUE_SPSC_PUT_FLAGS) != 0, 0)) {
		fl__store_relaxed(&_q->put_next, _at); /* relaxed: nothing has happened */
		return false;
	}
	_q->put_slot = fl__slot_after(&_q->slots, _shape, _slot);
	fl__copy(fl__slot_item(_shape, _slot), _item, _shape.size);
	/*
	 * release: a load of this tail sees the get that made the space; pairs with
	 * queue_spsc_items()
	 */
	fl__store_release(&_q->tail, _at + 1);
	fl__slot_fill(_slot);
	return true;
}

static inline bool fl__queue_spsc_get(struct fl__queue_spsc *_q, void *_item, struct fl__slot_shape _shape)
{
	unsigned char *const _slot = _q->get_slot;
	const uint64_t _at = fl__load_relaxed(&_q->get_next); /* relaxed: only this side writes it */
	if (__builtin_expect(!fl__slot_is_full(_slot), 0))
		return false;
	/* relaxed, as the load: queue_spsc_fence_all() orders them */
	fl__store_relaxed(&_q->get_next, _at + 1);
	fl__in_program_order();
	if (__builtin_expect((fl__load_relaxed(&_q->flags) & FL__QUEUE_SPSC_GET_FLAGS) != 0, 0)) {
		fl__store_relaxed(&_q->get_next, _at); /* relaxed: nothing has happened */
		return false;
	}
	_q->get_slot = fl__slot_after(&_q->slots, _shape, _slot);
	fl__copy(_item, fl__slot_item(_shape, _slot), _shape.size);
	/*
	 * release: the item has been read; pairs with queue_spsc_get_in_progress(),
	 * queue_spsc_items()
	 */
	fl__store_release(&_q->head, _at + 1);
	fl__slot_clear(_slot);
	return true;
}

#endif
