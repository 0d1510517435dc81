/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of a LIFO or priority queue: an array under a lock (locked.h). A stack has its oldest
 * item first. A priority queue is a binary heap. Each item is followed by its age, in the same
 * cache line if the item is small. The age is how many items were put before, and decides between
 * equal items. Items are moved, never swapped, so any item size works without spare room.
 *
 * Invariant, while the lock is free: in a heap, no item comes before its parent (before()).
 *
 * Linearization: of each call, the section under the lock.
 *
 * An unbounded queue doubles the array when it is full, and halves it when a get leaves it less
 * than a quarter full. So calls to and fro at one length do not pay each time. The new array is
 * allocated, and the old one freed, outside the lock. Under the lock the call checks again, and
 * frees a new array that is of no use by then. A get that finds no memory leaves the shrinking to
 * the next get.
 */
#include "../base/sys.h"
#include "locked.h"
#include "queue.h"
#include <errno.h>
#include <fairlead/private/inline.h>

enum { ROOM_LEAST = 16 }; /* items; in an unbounded queue */

struct array {
	size_t room; /* items; in a bounded queue its capacity */
	unsigned char *items;
};

struct heap {
	struct fl__locked locked; /* first */
	struct array array;
	/* In bytes. These and the rest never change. */
	size_t item_size, stride;
	int (*compare)(const void *a, const void *b, void *compare_arg); /* NULL: a stack */
	void *compare_arg;
};

/* The array. */

static void *item_at(const struct heap *h, size_t place)
{
	return h->array.items + place * h->stride;
}

/*
 * Returns where a priority queue keeps the age of the item at `place`: how many items were put
 * before it.
 */
static uint64_t *age_at(const struct heap *h, size_t place)
{
	return (uint64_t *)item_at(h, place + 1) - 1;
}

/*
 * Returns the bytes from an item to the next. The item size gives an item's alignment, 16 at most;
 * an age has its own.
 */
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

/*
 * Returns whether the item at `a` comes out before the item at `b`. A branch would be mispredicted
 * every other time.
 */
static bool before(const struct heap *h, size_t a, size_t b)
{
	const int order = h->compare(item_at(h, a), item_at(h, b), h->compare_arg);
	return (order < 0) | ((order == 0) & (*age_at(h, a) < *age_at(h, b)));
}

/* Moves down the items that a new item comes before, and returns the place for it. */
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
 * Fills the place of the first item with the last, which nearly always belongs far down. So the gap
 * first goes to the bottom, with one comparison a level and none with the last item, and then comes
 * up as far as it must. (Wegener, 1993.)
 */
static void close_gap(struct heap *h)
{
	const size_t last = h->locked.length; /* where it still is */
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

static void remove_next(struct heap *h)
{
	fl__locked_set_length(&h->locked, h->locked.length - 1);
	if (h->compare)
		close_gap(h);
}

/* Creation and destruction. */

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

/* Moves the items to `a`, which has room for them. `a` then has the old array. */
static void change_arrays(struct heap *h, struct array *a)
{
	const struct array before = h->array;
	memcpy(a->items, before.items, h->locked.length * h->stride);
	h->array = *a;
	*a = before;
}

/*
 * Returns the room that `n` more items need; 0: the array has it; SIZE_MAX: more than there can be.
 */
static size_t lacks_room(const struct heap *h, size_t n)
{
	size_t room = h->array.room, all;
	if (h->locked.capacity != FL_UNBOUNDED || n <= room - h->locked.length)
		return 0;
	if (__builtin_add_overflow(h->locked.length, n, &all) || __builtin_add_overflow(room, room, &room))
		return SIZE_MAX;
	return room > all ? room : all;
}

/* Returns the room to shrink to; 0: the array is not too large. */
static size_t has_too_much(const struct heap *h)
{
	size_t room = h->array.room;
	if (h->locked.capacity != FL_UNBOUNDED)
		return 0;
	while (h->locked.length < room / 4 && room / 2 >= ROOM_LEAST)
		room /= 2;
	return room < h->array.room ? room : 0;
}

/* Outside the lock. */

static bool make_room_for(struct heap *h, size_t room, struct array *spare)
{
	array_free(spare);
	return !too_much(room, h->stride) && array_make(spare, room, h->stride);
}

/*
 * Returns 0, with the lock held and room for `n` items, or -EPIPE, -EAGAIN, -ENOMEM without the
 * lock. The caller frees `*spare`.
 */
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

/*
 * Closes the queue if need be, and takes the array with all its items, which are then dropped
 * without the lock.
 */
static int heap_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct heap *h = (struct heap *)(void *)of->state;
	fl__locked_enter(&h->locked);
	const int rc = fl__locked_may_get(&h->locked);
	/* The lock is not copied: other contexts write it. */
	struct heap taken = {.locked = {.length = h->locked.length},
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
		(void)fl__queue_done(of); /* false: fl_queue_task_done() came before the get */
	}
	array_free(&taken.array);
	return 0;
}

const struct fl__queue_type fl__queue_heap = FL__LOCKED_QUEUE(heap);
