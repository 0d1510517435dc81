/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_SPSC_H
#define FAIRLEAD_QUEUE_SPSC_H

#include <fairlead/private/spsc_slots.h>

/*
 * Private: the ring for one producer and one consumer that a queue has which blocks and can be closed: what the inline functions
 * of fl_queue are made of. lib/queue/pair.c begins with the tables of its words, its invariants, and why all this is right.
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
enum { FL__QUEUE_SPSC_APART = 128 }; /* two cache lines: adjacent ones are fetched together */

struct fl__queue_spsc {
	struct fl__slots slots; /* as many as the capacity */
	size_t capacity;
	uint32_t flags;
	unsigned char apart_[FL__QUEUE_SPSC_APART];

	uint64_t put_next;       /* the number of the next item */
	uint64_t tail;           /* how many items were put */
	uint64_t put_waited;     /* the producer's: what put_next was when it last waited */
	unsigned char *put_slot; /* the producer's: where the next item goes */
	unsigned char apart_put_[FL__QUEUE_SPSC_APART - 3 * sizeof(uint64_t) - sizeof(void *)];

	uint64_t get_next;       /* the number of the oldest item */
	uint64_t head;           /* how many were got, or dropped */
	uint64_t get_waited;     /* the consumer's: what get_next was when it last waited */
	unsigned char *get_slot; /* the consumer's: where the oldest item is */
	unsigned char apart_get_[FL__QUEUE_SPSC_APART - 3 * sizeof(uint64_t) - sizeof(void *)];
};

/*
 * A put (a get) of one item, where nothing asks for more: there is space (an item), and no flag is set. False: nothing has happened,
 * and it must go by the type's. No function is called where the size is known, so that no registers are saved: a processor that
 * waits for the line of an item has room for so many stores, and no more.
 */
static inline bool fl__queue_spsc_put(struct fl__queue_spsc *_q, const void *_item, struct fl__slot_shape _shape)
{
	unsigned char *const _slot = _q->put_slot;
	const uint64_t _at = fl__load_relaxed(&_q->put_next); /* relaxed: its own */
	if (__builtin_expect(fl__slot_is_full(_slot), 0))
		return false;
	fl__store_relaxed(&_q->put_next, _at + 1); /* relaxed, as the load: agree() orders them */
	fl__in_program_order();
	if (__builtin_expect((fl__load_relaxed(&_q->flags) & FL__QUEUE_SPSC_PUT_FLAGS) != 0, 0)) {
		fl__store_relaxed(&_q->put_next, _at); /* relaxed: nothing has happened */
		return false;
	}
	_q->put_slot = fl__slot_after(&_q->slots, _shape, _slot);
	fl__copy(fl__slot_item(_shape, _slot), _item, _shape.size);
	/* release: who counts this counts the get that made the space; pairs with items_in() */
	fl__store_release(&_q->tail, _at + 1);
	fl__slot_fill(_slot);
	return true;
}

static inline bool fl__queue_spsc_get(struct fl__queue_spsc *_q, void *_item, struct fl__slot_shape _shape)
{
	unsigned char *const _slot = _q->get_slot;
	const uint64_t _at = fl__load_relaxed(&_q->get_next); /* relaxed: its own */
	if (__builtin_expect(!fl__slot_is_full(_slot), 0))
		return false;
	fl__store_relaxed(&_q->get_next, _at + 1); /* relaxed, as the load: agree() orders them */
	fl__in_program_order();
	if (__builtin_expect((fl__load_relaxed(&_q->flags) & FL__QUEUE_SPSC_GET_FLAGS) != 0, 0)) {
		fl__store_relaxed(&_q->get_next, _at); /* relaxed: nothing has happened */
		return false;
	}
	_q->get_slot = fl__slot_after(&_q->slots, _shape, _slot);
	fl__copy(_item, fl__slot_item(_shape, _slot), _shape.size);
	/* release: the item has been read; pairs with is_getting(), items_in() */
	fl__store_release(&_q->head, _at + 1);
	fl__slot_clear(_slot);
	return true;
}

#endif
