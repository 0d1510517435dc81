/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What holds the items of a queue that is LIFO, or in order of priority: an array under a lock (locked.h). As a stack it has the
 * oldest first; by priority it is a binary heap, and behind each item, in the same line of memory if it is small, stands how many were
 * put before it, which decides between equals. Items are moved, never swapped, so any size does without room to spare.
 *
 * Invariant, while the lock is free: of a heap, no item comes before the one at half its place (before()).
 *
 * Linearization: of each call, the section under the lock.
 *
 * Without bounds the array gets twice the room when it is full, and half when a get leaves it less than a quarter full: so who goes to
 * and fro at one length does not pay each time. Another array is allocated, and the one before freed, outside the lock; under it
 * is looked again: who comes with one that is of no use by then frees that. A get that finds no memory leaves it to the next.
 */
#include "../base/sys.h"
#include "locked.h"
#include "queue.h"
#include <errno.h>
#include <fairlead/inline.h>

enum { ROOM_LEAST = 16 }; /* items; without bounds */

struct array {
	size_t room; /* items; of a bounded queue its capacity */
	unsigned char *items;
};

struct heap {
	struct fl__locked locked; /* first */
	struct array array;
	size_t item_size, stride;                                        /* bytes; these and the rest never change */
	int (*compare)(const void *a, const void *b, void *compare_arg); /* NULL: a stack */
	void *compare_arg;
};

/* The array. */

static void *item_at(const struct heap *h, size_t place)
{
	return h->array.items + place * h->stride;
}

/* By priority: how many were put before the item that is there. */
static uint64_t *age_at(const struct heap *h, size_t place)
{
	return (uint64_t *)item_at(h, place + 1) - 1;
}

/* From an item to the next: it is as aligned as its size says, 16 at most, and an age as it must be. */
static size_t stride_of(size_t item_size, bool with_ages)
{
	if (!with_ages)
		return item_size;
	const size_t unit = item_size % 16 == 0 ? 16 : sizeof(uint64_t);
	return (item_size + sizeof(uint64_t) + unit - 1) & ~(unit - 1);
}

static void move(struct heap *h, size_t to, size_t from)
{
	fl__copy(item_at(h, to), item_at(h, from), h->stride);
}

/* Whether the item at `a` comes out before the one at `b`. Without a branch: that would be guessed wrongly every other time. */
static bool before(const struct heap *h, size_t a, size_t b)
{
	const int order = h->compare(item_at(h, a), item_at(h, b), h->compare_arg);
	return (order < 0) | ((order == 0) & (*age_at(h, a) < *age_at(h, b)));
}

/* The place for an item that is newer than all: those that it comes before are moved down. */
static size_t make_room(struct heap *h, const void *item)
{
	size_t hole = h->locked.length;
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
	size_t place = h->locked.length;
	if (h->compare) {
		place = make_room(h, item);
		*age_at(h, place) = h->locked.puts;
	}
	fl__copy(item_at(h, place), item, h->item_size);
	fl__locked_set_length(&h->locked, h->locked.length + 1);
	h->locked.puts++;
}

static size_t next_place(const struct heap *h)
{
	return h->compare ? 0 : h->locked.length - 1;
}

/*
 * Fills the place of the first with the last, which nearly always belongs far down: so the gap goes to the bottom without asking for
 * it, one comparison a level, and comes up again as far as it must. (Wegener, 1993.)
 */
static void close_gap(struct heap *h)
{
	const size_t last = h->locked.length; /* where it still lies */
	size_t gap = 0;
	for (size_t below; (below = 2 * gap + 1) < last; gap = below) {
		if (below + 1 < last)
			below += before(h, below + 1, below);
		move(h, gap, below);
	}
	for (size_t above; gap > 0 && before(h, last, above = (gap - 1) / 2); gap = above)
		move(h, gap, above);
	if (gap != last)
		move(h, gap, last);
}

/* Takes away the item at next_place(). */
static void remove_next(struct heap *h)
{
	fl__locked_set_length(&h->locked, h->locked.length - 1);
	if (h->compare)
		close_gap(h);
}

/* Life. */

static void array_free(struct array *a)
{
	fl__free(a->items);
	*a = (struct array){.room = 0};
}

static bool array_make(struct array *a, size_t room, size_t stride)
{
	*a = (struct array){.room = room, .items = fl__alloc(room, stride)};
	return a->items != NULL;
}

static bool too_much(size_t room, size_t stride)
{
	size_t bytes;
	return __builtin_mul_overflow(room, stride, &bytes) || bytes > PTRDIFF_MAX;
}

static int heap_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct heap *h = state;
	const size_t room = config->capacity == FL_UNBOUNDED ? ROOM_LEAST : config->capacity;
	if (item_size > PTRDIFF_MAX)
		return -EOVERFLOW;
	*h = (struct heap){.locked = {.capacity = config->capacity},
	                   .item_size = item_size,
	                   .stride = stride_of(item_size, config->compare),
	                   .compare = config->compare,
	                   .compare_arg = config->compare_arg};
	if (too_much(room, h->stride))
		return -EOVERFLOW;
	return array_make(&h->array, room, h->stride) ? 0 : -ENOMEM;
}

static void heap_fini(void *state)
{
	struct heap *h = state;
	array_free(&h->array);
}

/* Under the lock. */

/* Has the items in `a`, which has room for them, and the array that was there in `a`. */
static void change_arrays(struct heap *h, struct array *a)
{
	const struct array before = h->array;
	memcpy(a->items, before.items, h->locked.length * h->stride);
	h->array = *a;
	*a = before;
}

/* The room that is needed for `n` more items; 0: it is there. SIZE_MAX: more than there can be. */
static size_t lacks_room(const struct heap *h, size_t n)
{
	size_t room = h->array.room, all;
	if (h->locked.capacity != FL_UNBOUNDED || n <= room - h->locked.length)
		return 0;
	if (__builtin_add_overflow(h->locked.length, n, &all) || __builtin_add_overflow(room, room, &room))
		return SIZE_MAX;
	return room > all ? room : all;
}

/* The room that is enough where there is far too much; 0: it is as it should be. */
static size_t has_too_much(const struct heap *h)
{
	size_t room = h->array.room;
	if (h->locked.capacity != FL_UNBOUNDED)
		return 0;
	while (h->locked.length < room / 4 && room / 2 >= ROOM_LEAST)
		room /= 2;
	return room < h->array.room ? room : 0;
}

/* Outside it. */

static bool make_room_for(struct heap *h, size_t room, struct array *spare)
{
	array_free(spare);
	return !too_much(room, h->stride) && array_make(spare, room, h->stride);
}

/* With 0 it has the lock, and there is room; or -EPIPE, -EAGAIN, -ENOMEM. The caller frees `*spare`. */
static int lock_with_room(struct heap *h, size_t n, struct array *spare)
{
	int rc;
	size_t lacks;
	for (;;) {
		fl__locked_enter(&h->locked);
		rc = fl__locked_may_put(&h->locked);
		lacks = rc == 0 ? lacks_room(h, n) : 0;
		if (lacks == 0 || (spare->room >= h->locked.length && n <= spare->room - h->locked.length))
			break;
		fl__locked_leave(&h->locked);
		if (!make_room_for(h, lacks, spare))
			return -ENOMEM;
	}
	if (lacks > 0)
		change_arrays(h, spare);
	if (rc != 0)
		fl__locked_leave(&h->locked);
	return rc;
}

static void shrink(struct heap *h, size_t room)
{
	struct array spare;
	if (!array_make(&spare, room, h->stride))
		return;
	fl__locked_enter(&h->locked);
	if (room < h->array.room && h->locked.length <= room / 2)
		change_arrays(h, &spare);
	fl__locked_leave(&h->locked);
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
		const size_t space = h->locked.capacity - h->locked.length;
		*count = n < space ? n : space;
		for (size_t i = 0; i < *count; i++)
			add(h, next + i * h->item_size);
		*owes_wake = fl__locked_take_mark(&h->locked, FL__GETTERS);
		fl__locked_leave(&h->locked);
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
	fl__locked_enter(&h->locked);
	const int rc = fl__locked_may_get(&h->locked);
	if (rc == 0) {
		*count = n < h->locked.length ? n : h->locked.length;
		for (size_t i = 0; i < *count; i++) {
			fl__copy(next + i * h->item_size, item_at(h, next_place(h)), h->item_size);
			remove_next(h);
		}
		*owes_wake = fl__locked_take_mark(&h->locked, FL__PUTTERS);
		enough = has_too_much(h);
	}
	fl__locked_leave(&h->locked);
	if (__builtin_expect(enough > 0, 0))
		shrink(h, enough);
	return rc;
}

/* At the end of the queue: closes it if need be, and takes the array with all that is in, so that it needs no lock. */
static int heap_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct heap *h = (struct heap *)(void *)of->state;
	fl__locked_enter(&h->locked);
	const int rc = fl__locked_may_get(&h->locked);
	struct heap taken = {.locked = {.length = h->locked.length}, /* but for the lock, which others write to */
	                     .array = h->array,
	                     .stride = h->stride,
	                     .compare = h->compare,
	                     .compare_arg = h->compare_arg};
	if (rc == 0) {
		*owes_wake = fl__locked_take_mark(&h->locked, FL__PUTTERS);
		fl__locked_set_closed(&h->locked);
		fl__locked_set_length(&h->locked, 0);
		h->array = (struct array){.room = 0};
	}
	fl__locked_leave(&h->locked);
	if (rc != 0)
		return rc;
	for (*count = taken.locked.length; taken.locked.length > 0; remove_next(&taken)) {
		if (of->drop)
			of->drop(item_at(&taken, next_place(&taken)), of->drop_arg);
		(void)fl__queue_done(of); /* false: it was said to be done before it was got */
	}
	array_free(&taken.array);
	return 0;
}

const struct fl__queue_type fl__queue_heap = FL__LOCKED_QUEUE(heap);
