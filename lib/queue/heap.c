/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What holds the items of a bounded queue that is LIFO, or in order of priority: an array under a lock. As a stack it has the oldest
 * first; by priority it is a binary heap, and beside each item stands how many were put before it, which decides between
 * equals. Items are moved, never swapped, so any size does without room to spare.
 *
 * Invariants, while the lock is free: of a heap, no item comes before the one at half its place (before()); marked[side] only
 *   if there was nothing to have for that side at the last change, and it was not closed then.
 *
 * Linearization: of each call, the section under the lock. Locks: lot -> this one, since marks are made with the lot open; and
 * nothing else is called under it but the user's comparison, which may call nothing of the library that waits. Wakes come
 * after it. Nobody is ever in the middle of something: there is no -EBUSY. What is in the memory of the queue ends with
 * fl__unlock(): who gets the item then may free it.
 */
#include "../base/sys.h"
#include "../wait/lock.h"
#include "queue.h"
#include <errno.h>
#include <fairlead/inline.h>

struct heap {
	uint32_t lock;
	bool closed, marked[2];
	size_t length, capacity, item_size; /* the last two never change */
	uint64_t puts;
	unsigned char *items;
	uint64_t *ages; /* by priority alone: of each item, the puts before it */
	int (*compare)(const void *a, const void *b, void *compare_arg);
	void *compare_arg;
};

/* The array. */

static void *item_at(const struct heap *h, size_t place)
{
	return h->items + place * h->item_size;
}

static void move(struct heap *h, size_t to, size_t from)
{
	fl__copy(item_at(h, to), item_at(h, from), h->item_size);
	h->ages[to] = h->ages[from];
}

/* Whether the item at `a` comes out before the one at `b`. */
static bool before(const struct heap *h, size_t a, size_t b)
{
	const int order = h->compare(item_at(h, a), item_at(h, b), h->compare_arg);
	return order < 0 || (order == 0 && h->ages[a] < h->ages[b]);
}

/* The place for an item that is newer than all: those that it comes before are moved down. */
static size_t make_room(struct heap *h, const void *item)
{
	size_t hole = h->length;
	while (hole > 0) {
		const size_t above = (hole - 1) / 2;
		if (h->compare(item, item_at(h, above), h->compare_arg) >= 0)
			break;
		move(h, hole, above);
		hole = above;
	}
	return hole;
}

static void add(struct heap *h, const void *item)
{
	size_t place = h->length;
	if (h->compare) {
		place = make_room(h, item);
		h->ages[place] = h->puts;
	}
	fl__copy(item_at(h, place), item, h->item_size);
	h->length++;
	h->puts++;
}

static size_t next_place(const struct heap *h)
{
	return h->compare ? 0 : h->length - 1;
}

/* Fills the place of the first with the last, which goes down to where it belongs. */
static void close_gap(struct heap *h)
{
	const size_t last = h->length; /* where it still lies */
	size_t hole = 0;
	for (size_t below; (below = 2 * hole + 1) < last; hole = below) {
		if (below + 1 < last && before(h, below + 1, below))
			below++;
		if (!before(h, below, last))
			break;
		move(h, hole, below);
	}
	if (hole != last)
		move(h, hole, last);
}

/* Takes away the item at next_place(). */
static void remove_next(struct heap *h)
{
	h->length--;
	if (h->compare)
		close_gap(h);
}

/* Life. */

static int heap_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct heap *h = state;
	size_t bytes;
	const size_t most = config->order == FL_PRIORITY && item_size < sizeof *h->ages ? sizeof *h->ages : item_size;
	if (__builtin_mul_overflow(config->capacity, most, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	*h = (struct heap){.capacity = config->capacity, .item_size = item_size};
	h->items = fl__alloc(config->capacity, item_size);
	if (config->order == FL_PRIORITY) {
		h->compare = config->compare;
		h->compare_arg = config->compare_arg;
		h->ages = fl__alloc(config->capacity, sizeof *h->ages);
	}
	if (h->items && (h->ages || !h->compare))
		return 0;
	fl__free(h->items);
	fl__free(h->ages);
	return -ENOMEM;
}

static void heap_fini(void *state)
{
	struct heap *h = state;
	fl__free(h->items);
	fl__free(h->ages);
}

/* Under the lock. */

static int can_put(const struct heap *h)
{
	if (h->closed)
		return -EPIPE;
	return h->length < h->capacity ? 0 : -EAGAIN;
}

static int can_get(const struct heap *h)
{
	if (h->length > 0)
		return 0;
	return h->closed ? -EPIPE : -EAGAIN;
}

static bool take_mark(struct heap *h, enum fl__queue_side side)
{
	const bool marked = h->marked[side];
	h->marked[side] = false;
	return marked;
}

/* The operations of type.h. */

static int heap_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct heap *h = state;
	const unsigned char *next = items;
	fl__lock(&h->lock);
	const int rc = can_put(h);
	if (rc == 0) {
		const size_t space = h->capacity - h->length;
		*count = n < space ? n : space;
		for (size_t i = 0; i < *count; i++)
			add(h, next + i * h->item_size);
		*owes_wake = take_mark(h, FL__GETTERS);
	}
	(void)fl__unlock(&h->lock);
	return rc;
}

static int heap_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct heap *h = state;
	unsigned char *next = items;
	fl__lock(&h->lock);
	const int rc = can_get(h);
	if (rc == 0) {
		*count = n < h->length ? n : h->length;
		for (size_t i = 0; i < *count; i++) {
			fl__copy(next + i * h->item_size, item_at(h, next_place(h)), h->item_size);
			remove_next(h);
		}
		*owes_wake = take_mark(h, FL__PUTTERS);
	}
	(void)fl__unlock(&h->lock);
	return rc;
}

/* At the end of the queue: closes it if need be, and takes the array with all that is in, so that it needs no lock. */
static int heap_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct heap *h = (struct heap *)(void *)of->state;
	fl__lock(&h->lock);
	const int rc = can_get(h);
	struct heap taken = {.length = h->length,
	                     .capacity = h->capacity,
	                     .item_size = h->item_size,
	                     .items = h->items,
	                     .ages = h->ages,
	                     .compare = h->compare,
	                     .compare_arg = h->compare_arg};
	if (rc == 0) {
		*owes_wake = take_mark(h, FL__PUTTERS);
		h->closed = true;
		h->length = 0;
		h->items = NULL;
		h->ages = NULL;
	}
	(void)fl__unlock(&h->lock);
	if (rc != 0)
		return rc;
	for (*count = taken.length; taken.length > 0; remove_next(&taken)) {
		if (of->drop)
			of->drop(item_at(&taken, next_place(&taken)), of->drop_arg);
		(void)fl__queue_done(of); /* false: it was said to be done before it was got */
	}
	heap_fini(&taken);
	return 0;
}

static int look(struct heap *h, int (*can)(const struct heap *h))
{
	fl__lock(&h->lock);
	const int rc = can(h);
	(void)fl__unlock(&h->lock);
	return rc;
}

static int heap_can_get(void *state)
{
	return look(state, can_get);
}

static int heap_can_put(void *state)
{
	return look(state, can_put);
}

static bool mark(struct heap *h, enum fl__queue_side side)
{
	fl__lock(&h->lock);
	const bool marks = (side == FL__GETTERS ? can_get(h) : can_put(h)) == -EAGAIN;
	if (marks)
		h->marked[side] = true;
	(void)fl__unlock(&h->lock);
	return marks;
}

static bool heap_mark_empty(void *state)
{
	return mark(state, FL__GETTERS);
}

static bool heap_mark_full(void *state)
{
	return mark(state, FL__PUTTERS);
}

static void heap_close(void *state)
{
	struct heap *h = state;
	fl__lock(&h->lock);
	h->closed = true;
	(void)fl__unlock(&h->lock);
}

static bool heap_is_closed(void *state)
{
	struct heap *h = state;
	fl__lock(&h->lock);
	const bool closed = h->closed;
	(void)fl__unlock(&h->lock);
	return closed;
}

static size_t heap_length(void *state)
{
	struct heap *h = state;
	fl__lock(&h->lock);
	const size_t length = h->length;
	(void)fl__unlock(&h->lock);
	return length;
}

static size_t heap_capacity(const void *state)
{
	return ((const struct heap *)state)->capacity; /* never changes */
}

static uint64_t heap_puts(void *state)
{
	struct heap *h = state;
	fl__lock(&h->lock);
	const uint64_t puts = h->puts;
	(void)fl__unlock(&h->lock);
	return puts;
}

const struct fl__queue_type fl__queue_heap = {
    .size = sizeof(struct heap),
    .init = heap_init,
    .fini = heap_fini,
    .put = heap_put,
    .get = heap_get,
    .discard = heap_discard,
    .can = {heap_can_get, heap_can_put},
    .mark = {heap_mark_empty, heap_mark_full},
    .close = heap_close,
    .is_closed = heap_is_closed,
    .length = heap_length,
    .capacity = heap_capacity,
    .puts = heap_puts,
};
