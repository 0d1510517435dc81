/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_RING_H
#define FL_QUEUE_RING_H

#include "../base/copy.h"
#include <stddef.h>
#include <string.h>

/*
 * The ring of a queue: a FIFO of items of one size in an array of any length. It knows nothing of waiting, closing or
 * locks: its owner has the lock.
 */
struct fl__ring {
	unsigned char *slots; /* capacity x item_size bytes */
	size_t item_size, capacity;
	size_t head; /* the oldest item, below capacity */
	size_t length;
};

/* The slot `offset` items (at most the capacity) behind the head. */
static inline size_t fl__ring_index(const struct fl__ring *r, size_t offset)
{
	size_t to_end = r->capacity - r->head;
	return offset < to_end ? r->head + offset : offset - to_end;
}

static inline unsigned char *fl__ring_slot(const struct fl__ring *r, size_t index)
{
	return r->slots + index * r->item_size;
}

static inline size_t fl__ring_space(const struct fl__ring *r)
{
	return r->capacity - r->length;
}

static inline void fl__ring_push(struct fl__ring *r, const void *item)
{
	fl__copy(fl__ring_slot(r, fl__ring_index(r, r->length)), item, r->item_size);
	r->length++;
}

static inline void fl__ring_pop(struct fl__ring *r, void *item)
{
	fl__copy(item, fl__ring_slot(r, r->head), r->item_size);
	r->head = fl__ring_index(r, 1);
	r->length--;
}

/* As many of `n` as go in; returns how many. */
static inline size_t fl__ring_push_many(struct fl__ring *r, const unsigned char *items, size_t n)
{
	if (n > fl__ring_space(r))
		n = fl__ring_space(r);
	if (n == 0)
		return 0;
	size_t tail = fl__ring_index(r, r->length);
	size_t first = n < r->capacity - tail ? n : r->capacity - tail;
	memcpy(fl__ring_slot(r, tail), items, first * r->item_size);
	memcpy(r->slots, items + first * r->item_size, (n - first) * r->item_size);
	r->length += n;
	return n;
}

static inline size_t fl__ring_pop_many(struct fl__ring *r, unsigned char *items, size_t n)
{
	if (n > r->length)
		n = r->length;
	if (n == 0)
		return 0;
	size_t first = n < r->capacity - r->head ? n : r->capacity - r->head;
	memcpy(items, fl__ring_slot(r, r->head), first * r->item_size);
	memcpy(items + first * r->item_size, r->slots, (n - first) * r->item_size);
	r->head = fl__ring_index(r, n);
	r->length -= n;
	return n;
}

#endif
