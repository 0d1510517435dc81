/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PAIR_RING_H
#define FAIRLEAD_PAIR_RING_H

#include <fairlead/inline.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Private: the ring for one producer and one consumer that a queue has which blocks and can be closed: what the inline functions
 * of fl_queue are made of. lib/queue/pair.c begins with the tables of its words, its invariants, and why all this is right.
 */
enum {
	FL__PAIR_GETTER = 1,
	FL__PAIR_PUTTER = 2,
	FL__PAIR_CLOSED = 4,
	FL__PAIR_SEALED = 8,
	FL__PAIR_DROPPED = 16,
	FL__PAIR_FENCED = 32,
	FL__PAIR_ASKS_PUT = FL__PAIR_GETTER | FL__PAIR_CLOSED | FL__PAIR_FENCED,
	FL__PAIR_ASKS_GET = FL__PAIR_PUTTER | FL__PAIR_DROPPED | FL__PAIR_FENCED
};
enum { FL__PAIR_APART = 128 }; /* two cache lines: adjacent ones are fetched together */

struct fl__pair {
	unsigned char *slots, *end; /* `capacity` items */
	size_t capacity;
	uint32_t flags;
	unsigned char apart_[FL__PAIR_APART];

	uint64_t put_next;       /* the producer's: the number of the next item */
	uint64_t put_end;        /* up to which number there was space */
	unsigned char *put_slot; /* where the next item goes */
	unsigned char apart_put_[FL__PAIR_APART - 2 * sizeof(uint64_t) - sizeof(void *)];

	uint64_t tail; /* how many items were put */
	unsigned char apart_tail_[FL__PAIR_APART - sizeof(uint64_t)];

	uint64_t head; /* how many were got, or dropped */
	unsigned char apart_head_[FL__PAIR_APART - sizeof(uint64_t)];

	uint64_t get_next;       /* the consumer's: the number of the oldest item */
	uint64_t get_end;        /* up to which number there were items */
	unsigned char *get_slot; /* where the oldest item is */
	unsigned char apart_get_[FL__PAIR_APART - 2 * sizeof(uint64_t) - sizeof(void *)];
};

/*
 * A put (a get) of one item, where nothing asks for more: there is space (an item), and no flag is set. False: nothing has happened,
 * and it must go by the type's. No function is called where the size is known, so that no registers are saved: a processor that
 * waits for the line of an item has room for so many stores, and no more.
 */
static inline bool fl__pair_put(struct fl__pair *q, const void *item, size_t size)
{
	const uint64_t at = fl__load_relaxed(&q->put_next); /* relaxed: its own */
	if (__builtin_expect(at == q->put_end, 0)) {
		/* acquire: the item that was there has been read; pairs with fl__pair_get(), and with end_get() */
		q->put_end = fl__load_acquire(&q->head) + q->capacity;
		if (at == q->put_end)
			return false;
	}
	fl__store_relaxed(&q->put_next, at + 1); /* relaxed, as the load: agree() orders them */
	fl__in_program_order();
	if (__builtin_expect((fl__load_relaxed(&q->flags) & FL__PAIR_ASKS_PUT) != 0, 0)) {
		fl__store_relaxed(&q->put_next, at); /* relaxed: nothing has happened */
		return false;
	}
	unsigned char *const slot = q->put_slot, *const after = slot + size;
	q->put_slot = __builtin_expect(after != q->end, 1) ? after : q->slots;
	fl__copy(slot, item, size);
	/* release: the item is whole; pairs with fl__pair_get(), find_item(), and whoever else loads the tail */
	fl__store_release(&q->tail, at + 1);
	return true;
}

static inline bool fl__pair_get(struct fl__pair *q, void *item, size_t size)
{
	const uint64_t at = fl__load_relaxed(&q->get_next); /* relaxed: its own */
	if (__builtin_expect(at == q->get_end, 0)) {
		q->get_end =
		    fl__load_acquire(&q->tail); /* the item is whole; pairs with fl__pair_put(), and with end_put() */
		if (at == q->get_end)
			return false;
	}
	fl__store_relaxed(&q->get_next, at + 1); /* relaxed, as the load: agree() orders them */
	fl__in_program_order();
	if (__builtin_expect((fl__load_relaxed(&q->flags) & FL__PAIR_ASKS_GET) != 0, 0)) {
		fl__store_relaxed(&q->get_next, at); /* relaxed: nothing has happened */
		return false;
	}
	unsigned char *const slot = q->get_slot, *const after = slot + size;
	q->get_slot = __builtin_expect(after != q->end, 1) ? after : q->slots;
	fl__copy(item, slot, size);
	/* release: the item has been read; pairs with fl__pair_put(), find_space(), and whoever else loads the head */
	fl__store_release(&q->head, at + 1);
	return true;
}

#endif
