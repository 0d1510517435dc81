/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_LOCKED_H
#define FL_QUEUE_LOCKED_H

#include "type.h"
#include <errno.h>

/*
 * What all have in common that hold items under a lock: the state of each begins with this, and their tables (type.h) have
 * the operations below. Locks: lot -> this one, since marks are made with the lot open; nothing is called under it that may wait, and
 * wakes come after it. Nobody is ever in the middle of something: there is no -EBUSY. Who puts is done with the memory of
 * the queue at fl__unlock(): who gets the item then may free it.
 *
 * Invariant, while it is free: marked[side] only if there was nothing to have for that side at the last change, and it was not
 *   closed then.
 */
struct fl__locked {
	uint32_t lock;
	bool closed, marked[2];
	bool overwrites;         /* there is always space; this and the capacity never change */
	size_t length, capacity; /* items */
	uint64_t puts;
};

/* Under the lock. */

static inline int fl__locked_may_put(const struct fl__locked *l)
{
	if (l->closed)
		return -EPIPE;
	return l->length < l->capacity || l->overwrites ? 0 : -EAGAIN;
}

static inline int fl__locked_may_get(const struct fl__locked *l)
{
	if (l->length > 0)
		return 0;
	return l->closed ? -EPIPE : -EAGAIN;
}

static inline bool fl__locked_take_mark(struct fl__locked *l, enum fl__queue_side side)
{
	const bool marked = l->marked[side];
	l->marked[side] = false;
	return marked;
}

/* The operations of type.h that are the same for all. */
int fl__locked_can_get(void *state);
int fl__locked_can_put(void *state);
bool fl__locked_mark_empty(void *state);
bool fl__locked_mark_full(void *state);
void fl__locked_close(void *state);
bool fl__locked_is_closed(void *state);
size_t fl__locked_length(void *state);
size_t fl__locked_capacity(const void *state);
uint64_t fl__locked_puts(void *state);

#endif
