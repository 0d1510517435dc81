/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_LOCKED_H
#define FL_QUEUE_LOCKED_H

#include "../base/atomic.h"
#include "type.h"
#include <errno.h>

/*
 * What all have in common that hold items under a lock: the state of each begins with this, and their tables (type.h) have
 * the operations below. Locks: lot -> this one, since marks are made with the lot open; nothing is called under it but the user's
 * comparison, which may call nothing of the library that waits, and wakes come after it. Nobody is ever in the middle of something:
 * there is no -EBUSY. Who puts is done with the memory of the queue at fl__locked_leave(): who gets the item then may free it.
 *
 *   lock    meaning             set by                      cleared by
 *   0       free
 *   HELD    somebody holds it   fl__locked_enter(), CAS     fl__locked_leave(), store
 *
 * The lock is made for many short sections in a row: who comes back at once nearly always finds it free, and the items in its
 * cache, while who waits keeps away from the line, longer each time (locked.c). Nobody is woken: so no word says that somebody
 * sleeps, and a store unlocks.
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

enum { FL__LOCKED_HELD = 1 };

/* Once it was found to be held. */
void fl__locked_enter_late(struct fl__locked *l);

static inline bool fl__locked_try_enter(struct fl__locked *l)
{
	uint32_t expected = 0;
	return fl__cas_acquire(&l->lock, &expected, FL__LOCKED_HELD); /* pairs with the release in fl__locked_leave() */
}

static inline void fl__locked_enter(struct fl__locked *l)
{
	if (__builtin_expect(!fl__locked_try_enter(l), 0))
		fl__locked_enter_late(l);
}

static inline void fl__locked_leave(struct fl__locked *l)
{
	fl__store_release(&l->lock, 0); /* pairs with the acquire in fl__locked_try_enter() */
}

/* Under the lock. */

/* Relaxed, as all else that is stored there but not read there alone: for fl__locked_seems_*(). */
static inline void fl__locked_set_length(struct fl__locked *l, size_t length)
{
	fl__store_relaxed(&l->length, length);
}

static inline void fl__locked_set_closed(struct fl__locked *l)
{
	fl__store_relaxed(&l->closed, true); /* relaxed: as above */
}

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
bool fl__locked_seems_get(void *state);
bool fl__locked_seems_put(void *state);
bool fl__locked_mark_empty(void *state);
bool fl__locked_mark_full(void *state);
void fl__locked_close(void *state);
bool fl__locked_is_closed(void *state);
size_t fl__locked_length(void *state);
size_t fl__locked_capacity(const void *state);
uint64_t fl__locked_puts(void *state);

/* The table of type.h for `struct kind`, with its kind_init(), _fini(), _put(), _get() and _discard(). */
#define FL__LOCKED_QUEUE(kind)                                                                                         \
	{                                                                                                              \
		.size = sizeof(struct kind), .init = kind##_init, .fini = kind##_fini, .put = kind##_put,              \
		.get = kind##_get, .discard = kind##_discard, .can = {fl__locked_can_get, fl__locked_can_put},         \
		.seems = {fl__locked_seems_get, fl__locked_seems_put},                                                 \
		.mark = {fl__locked_mark_empty, fl__locked_mark_full}, .close = fl__locked_close,                      \
		.is_closed = fl__locked_is_closed, .length = fl__locked_length, .capacity = fl__locked_capacity,       \
		.puts = fl__locked_puts,                                                                               \
	}

#endif
