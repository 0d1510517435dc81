/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_LOCKED_H
#define FL_QUEUE_LOCKED_H

#include "../base/atomic.h"
#include "queue.h"
#include <errno.h>

/*
 * What the backends with a lock share. The state of each begins with struct locked, and its
 * table (type.h) has the operations below. No call is ever seen in progress, so there is no -EBUSY.
 *
 * Lock order: a bucket of the wait table, then this lock, since a waiter sets its mark with the
 * bucket locked. Only the user's comparison is called under this lock, and it may not call
 * functions of the library that wait. Wakes come after the release. locked_release() is a put's
 * last access to the queue: the item's consumer may free the queue then.
 *
 *   lock    meaning             set by                      cleared by
 *   0       free
 *   HELD    a context holds it  locked_acquire(), CAS     locked_release(), store
 *
 * The lock is made for many short sections in a row. A context that returns at once nearly always
 * finds the lock free, and the items in its cache. A waiter stays off the lock's cache line, longer
 * each time (locked.c). An unlock wakes no waiter, so the lock has no waiter bit, and a store
 * unlocks.
 *
 * Invariant, while the lock is free: marked[side] is true only if that side had nothing to get
 * (put) and the queue was open when the mark was set, and neither has an item (space) been added
 * since.
 */
struct locked {
	uint32_t lock;
	bool closed, marked[2];
	/* There is always space. This and the capacity never change. */
	bool overwrites;
	size_t length, capacity; /* items */
	uint64_t puts;
};

enum { LOCKED_HELD = 1 };

/* Acquires the lock after a first try has failed. */
void locked_acquire_slow(struct locked *l);

static inline bool locked_try_acquire(struct locked *l)
{
	uint32_t expected = 0;
	/* acquire: pairs with the release in locked_release() */
	return fl__cas_acquire(&l->lock, &expected, LOCKED_HELD);
}

static inline void locked_acquire(struct locked *l)
{
	if (__builtin_expect(!locked_try_acquire(l), 0))
		locked_acquire_slow(l);
}

static inline void locked_release(struct locked *l)
{
	/* release: pairs with the acquire in locked_try_acquire() */
	fl__store_release(&l->lock, 0);
}

/* Under the lock. */

/* relaxed: fl__locked_seems_*() read `length` and `closed` without the lock */
static inline void locked_set_length(struct locked *l, size_t length)
{
	fl__store_relaxed(&l->length, length);
}

static inline void locked_set_closed(struct locked *l)
{
	fl__store_relaxed(&l->closed, true); /* relaxed: as above */
}

static inline int locked_may_put(const struct locked *l)
{
	if (l->closed)
		return -EPIPE;
	return l->length < l->capacity || l->overwrites ? 0 : -EAGAIN;
}

static inline int locked_may_get(const struct locked *l)
{
	if (l->length > 0)
		return 0;
	return l->closed ? -EPIPE : -EAGAIN;
}

static inline bool locked_clear_mark(struct locked *l, enum fl__queue_side side)
{
	const bool marked = l->marked[side];
	l->marked[side] = false;
	return marked;
}

/* The operations of type.h that all these backends share. */
int locked_can_get(void *state);
int locked_can_put(void *state);
bool locked_may_be_ready_get(void *state);
bool locked_may_be_ready_put(void *state);
bool locked_mark_empty(void *state);
bool locked_mark_full(void *state);
void locked_close(void *state);
bool locked_is_closed(void *state);
size_t locked_length(void *state);
size_t locked_capacity(const void *state);
uint64_t locked_puts(void *state);

/*
 * The table of type.h for `struct kind`, with its own kind_init(), _fini(), _put(), _get() and
 * _discard().
 */
#define LOCKED_BACKEND(kind)                                                                                           \
	{                                                                                                              \
		.size = sizeof(struct kind), .init = kind##_init, .fini = kind##_fini, .put = kind##_put,              \
		.get = kind##_get, .discard = kind##_discard, .can = {locked_can_get, locked_can_put},                 \
		.may_be_ready = {locked_may_be_ready_get, locked_may_be_ready_put},                                    \
		.mark = {locked_mark_empty, locked_mark_full}, .close = locked_close, .is_closed = locked_is_closed,   \
		.length = locked_length, .capacity = locked_capacity, .puts = locked_puts,                             \
	}

#endif
