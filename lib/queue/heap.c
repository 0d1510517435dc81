/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What holds the items of a queue that is LIFO, or in order of priority: an array under a lock. As a stack it has the oldest
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
 *
 * Without bounds the array gets twice the room when it is full, and half when a get leaves it less than a quarter full: so who goes to
 * and fro at one length does not pay each time. Another array is allocated, and the one before freed, outside the lock; under it
 * is looked again: who comes with one that is of no use by then frees that. A get that finds no memory leaves it to the next.
 */
#include "../base/sys.h"
#include "../wait/lock.h"
#include "queue.h"
#include <errno.h>
#include <fairlead/inline.h>

enum { ROOM_LEAST = 16 }; /* items; without bounds */

struct array {
	size_t room; /* items; of a bounded queue its capacity */
	unsigned char *items;
	uint64_t *ages; /* by priority: of each item, the puts before it; else NULL */
};

struct heap {
	uint32_t lock;
	bool closed, marked[2];
	size_t length, capacity, item_size; /* the last two never change */
	uint64_t puts;
	struct array array;
	int (*compare)(const void *a, const void *b, void *compare_arg);
	void *compare_arg;
};

/* The array. */

static void *item_at(const struct heap *h, size_t place)
{
	return h->array.items + place * h->item_size;
}

static void move(struct heap *h, size_t to, size_t from)
{
	fl__copy(item_at(h, to), item_at(h, from), h->item_size);
	h->array.ages[to] = h->array.ages[from];
}

/* Whether the item at `a` comes out before the one at `b`. */
static bool before(const struct heap *h, size_t a, size_t b)
{
	const int order = h->compare(item_at(h, a), item_at(h, b), h->compare_arg);
	return order < 0 || (order == 0 && h->array.ages[a] < h->array.ages[b]);
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
	if (h->array.ages) {
		place = make_room(h, item);
		h->array.ages[place] = h->puts;
	}
	fl__copy(item_at(h, place), item, h->item_size);
	h->length++;
	h->puts++;
}

static size_t next_place(const struct heap *h)
{
	return h->array.ages ? 0 : h->length - 1;
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
	if (h->array.ages)
		close_gap(h);
}

/* Life. */

static void array_free(struct array *a)
{
	fl__free(a->items);
	fl__free(a->ages);
	*a = (struct array){.room = 0};
}

/* False: no memory, and nothing to free. */
static bool array_make(struct array *a, size_t room, size_t item_size, bool with_ages)
{
	*a = (struct array){.room = room, .items = fl__alloc(room, item_size)};
	if (with_ages)
		a->ages = fl__alloc(room, sizeof *a->ages);
	if (a->items && (a->ages || !with_ages))
		return true;
	array_free(a);
	return false;
}

static bool too_much(size_t room, size_t item_size, bool with_ages)
{
	size_t bytes;
	const size_t most = with_ages && item_size < sizeof(uint64_t) ? sizeof(uint64_t) : item_size;
	return __builtin_mul_overflow(room, most, &bytes) || bytes > PTRDIFF_MAX;
}

static int heap_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct heap *h = state;
	const size_t room = config->capacity == FL_UNBOUNDED ? ROOM_LEAST : config->capacity;
	*h = (struct heap){.capacity = config->capacity,
	                   .item_size = item_size,
	                   .compare = config->compare,
	                   .compare_arg = config->compare_arg};
	if (too_much(room, item_size, h->compare))
		return -EOVERFLOW;
	return array_make(&h->array, room, item_size, h->compare) ? 0 : -ENOMEM;
}

static void heap_fini(void *state)
{
	struct heap *h = state;
	array_free(&h->array);
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

/* Has the items in `a`, which has room for them, and the array that was there in `a`. */
static void change_arrays(struct heap *h, struct array *a)
{
	const struct array before = h->array;
	memcpy(a->items, before.items, h->length * h->item_size);
	if (a->ages)
		memcpy(a->ages, before.ages, h->length * sizeof *a->ages);
	h->array = *a;
	*a = before;
}

/* The room that is needed for `n` more items; 0: it is there. SIZE_MAX: more than there can be. */
static size_t lacks_room(const struct heap *h, size_t n)
{
	size_t room = h->array.room, all;
	if (h->capacity != FL_UNBOUNDED || n <= room - h->length)
		return 0;
	if (__builtin_add_overflow(h->length, n, &all) || __builtin_add_overflow(room, room, &room))
		return SIZE_MAX;
	return room > all ? room : all;
}

/* The room that is enough where there is far too much; 0: it is as it should be. */
static size_t has_too_much(const struct heap *h)
{
	size_t room = h->array.room;
	if (h->capacity != FL_UNBOUNDED)
		return 0;
	while (h->length < room / 4 && room / 2 >= ROOM_LEAST)
		room /= 2;
	return room < h->array.room ? room : 0;
}

/* Outside it. */

static bool make_room_for(struct heap *h, size_t room, struct array *spare)
{
	array_free(spare);
	return !too_much(room, h->item_size, h->compare) && array_make(spare, room, h->item_size, h->compare);
}

/* With 0 it has the lock, and there is room; or -EPIPE, -EAGAIN, -ENOMEM. The caller frees `*spare`. */
static int lock_with_room(struct heap *h, size_t n, struct array *spare)
{
	int rc;
	size_t lacks;
	for (;;) {
		fl__lock(&h->lock);
		rc = can_put(h);
		lacks = rc == 0 ? lacks_room(h, n) : 0;
		if (lacks == 0 || (spare->room >= h->length && n <= spare->room - h->length))
			break;
		(void)fl__unlock(&h->lock);
		if (!make_room_for(h, lacks, spare))
			return -ENOMEM;
	}
	if (lacks > 0)
		change_arrays(h, spare);
	if (rc != 0)
		(void)fl__unlock(&h->lock);
	return rc;
}

static void shrink(struct heap *h, size_t room)
{
	struct array spare;
	if (!array_make(&spare, room, h->item_size, h->compare))
		return;
	fl__lock(&h->lock);
	if (room < h->array.room && h->length <= room / 2)
		change_arrays(h, &spare);
	(void)fl__unlock(&h->lock);
	array_free(&spare);
}

/* The operations of type.h. */

static int heap_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct heap *h = state;
	struct array spare = {.room = 0};
	const unsigned char *next = items;
	const int rc = lock_with_room(h, n, &spare);
	if (rc == 0) {
		const size_t space = h->capacity - h->length;
		*count = n < space ? n : space;
		for (size_t i = 0; i < *count; i++)
			add(h, next + i * h->item_size);
		*owes_wake = take_mark(h, FL__GETTERS);
		(void)fl__unlock(&h->lock);
	}
	if (__builtin_expect(spare.room > 0, 0))
		array_free(&spare);
	return rc;
}

static int heap_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct heap *h = state;
	unsigned char *next = items;
	size_t enough = 0;
	fl__lock(&h->lock);
	const int rc = can_get(h);
	if (rc == 0) {
		*count = n < h->length ? n : h->length;
		for (size_t i = 0; i < *count; i++) {
			fl__copy(next + i * h->item_size, item_at(h, next_place(h)), h->item_size);
			remove_next(h);
		}
		*owes_wake = take_mark(h, FL__PUTTERS);
		enough = has_too_much(h);
	}
	(void)fl__unlock(&h->lock);
	if (__builtin_expect(enough > 0, 0))
		shrink(h, enough);
	return rc;
}

/* At the end of the queue: closes it if need be, and takes the array with all that is in, so that it needs no lock. */
static int heap_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct heap *h = (struct heap *)(void *)of->state;
	fl__lock(&h->lock);
	const int rc = can_get(h);
	struct heap taken = {.length = h->length,
	                     .item_size = h->item_size,
	                     .array = h->array,
	                     .compare = h->compare,
	                     .compare_arg = h->compare_arg};
	if (rc == 0) {
		*owes_wake = take_mark(h, FL__PUTTERS);
		h->closed = true;
		h->length = 0;
		h->array = (struct array){.room = 0};
	}
	(void)fl__unlock(&h->lock);
	if (rc != 0)
		return rc;
	for (*count = taken.length; taken.length > 0; remove_next(&taken)) {
		if (of->drop)
			of->drop(item_at(&taken, next_place(&taken)), of->drop_arg);
		(void)fl__queue_done(of); /* false: it was said to be done before it was got */
	}
	array_free(&taken.array);
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
