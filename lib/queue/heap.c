/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of a LIFO or priority queue: an array under a lock (locked.h). A stack has its oldest
 * item first. A priority queue is a binary heap. Each item is followed by its age, in the same
 * cache line if the item is small. The age is how many items were put before, and decides between
 * equal items. Items are moved, never swapped, so any item size works without spare room.
 *
 * Invariant, while the lock is free: in a heap, no item comes before its parent (heap_before()).
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

enum { HEAP_LEAST = 16 }; /* items; in an unbounded queue */

struct heap_array {
	size_t allocated; /* items; in a bounded queue its capacity */
	unsigned char *items;
};

struct heap {
	struct locked locked; /* first */
	struct heap_array array;
	/* In bytes. These and the rest never change. */
	size_t item_size, stride;
	int (*compare)(const void *a, const void *b, void *compare_arg); /* NULL: a stack */
	void *compare_arg;
};

/* The array. */

static void *heap_at(const struct heap *h, size_t place)
{
	return h->array.items + place * h->stride;
}

/*
 * Returns where a priority queue keeps the age of the item at `place`: how many items were put
 * before it.
 */
static uint64_t *heap_age_at(const struct heap *h, size_t place)
{
	return (uint64_t *)heap_at(h, place + 1) - 1;
}

/*
 * Returns the bytes from an item to the next. The item size gives an item's alignment, 16 at most;
 * an age has its own.
 */
static size_t heap_stride(size_t item_size, bool with_ages)
{
	if (!with_ages)
		return item_size;
	const size_t unit = item_size % 16 == 0 ? 16 : sizeof(uint64_t);
	return (item_size + sizeof(uint64_t) + unit - 1) & ~(unit - 1);
}

static void heap_move(struct heap *h, size_t to, size_t from)
{
	fl__copy(heap_at(h, to), heap_at(h, from), h->stride);
}

/*
 * Returns whether the item at `a` comes out before the item at `b`. A branch would be mispredicted
 * every other time.
 */
static bool heap_before(const struct heap *h, size_t a, size_t b)
{
	const int order = h->compare(heap_at(h, a), heap_at(h, b), h->compare_arg);
	return (order < 0) | ((order == 0) & (*heap_age_at(h, a) < *heap_age_at(h, b)));
}

/* Moves down the items that a new item comes before, and returns the place for it. */
static size_t heap_sift_up(struct heap *h, const void *item)
{
	size_t hole = h->locked.length;
	while (hole > 0) {
		const size_t above = (hole - 1) / 2;
		if (h->compare(item, heap_at(h, above), h->compare_arg) >= 0)
			break;
		heap_move(h, hole, above);
		hole = above;
	}
	return hole;
}

static void heap_add(struct heap *h, const void *item)
{
	size_t place = h->locked.length;
	if (h->compare) {
		place = heap_sift_up(h, item);
		*heap_age_at(h, place) = h->locked.puts;
	}
	fl__copy(heap_at(h, place), item, h->item_size);
	locked_set_length(&h->locked, h->locked.length + 1);
	h->locked.puts++;
}

static size_t heap_next(const struct heap *h)
{
	return h->compare ? 0 : h->locked.length - 1;
}

/*
 * Fills the place of the first item with the last, which nearly always belongs far down. So the gap
 * first goes to the bottom, with one comparison a level and none with the last item, and then comes
 * up as far as it must. (Wegener, 1993.)
 */
static void heap_fill_root(struct heap *h)
{
	const size_t last = h->locked.length; /* where it still is */
	size_t gap = 0;
	for (size_t below; (below = 2 * gap + 1) < last; gap = below) {
		if (below + 1 < last)
			below += heap_before(h, below + 1, below);
		heap_move(h, gap, below);
	}
	for (size_t above; gap > 0 && heap_before(h, last, above = (gap - 1) / 2); gap = above)
		heap_move(h, gap, above);
	if (gap != last)
		heap_move(h, gap, last);
}

static void heap_remove_next(struct heap *h)
{
	locked_set_length(&h->locked, h->locked.length - 1);
	if (h->compare)
		heap_fill_root(h);
}

/* Creation and destruction. */

static void heap_array_free(struct heap_array *a)
{
	fl__free(a->items);
	*a = (struct heap_array){.allocated = 0};
}

static bool heap_array_alloc(struct heap_array *a, size_t allocated, size_t stride)
{
	*a = (struct heap_array){.allocated = allocated, .items = fl__alloc(allocated, stride)};
	return a->items != NULL;
}

static bool heap_is_too_large(size_t allocated, size_t stride)
{
	size_t bytes;
	return __builtin_mul_overflow(allocated, stride, &bytes) || bytes > PTRDIFF_MAX;
}

static int heap_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct heap *h = state;
	const size_t allocated = config->capacity == FL_UNBOUNDED ? HEAP_LEAST : config->capacity;
	if (item_size > PTRDIFF_MAX)
		return -EOVERFLOW;
	*h = (struct heap){.locked = {.capacity = config->capacity},
	                   .item_size = item_size,
	                   .stride = heap_stride(item_size, config->compare),
	                   .compare = config->compare,
	                   .compare_arg = config->compare_arg};
	if (heap_is_too_large(allocated, h->stride))
		return -EOVERFLOW;
	return heap_array_alloc(&h->array, allocated, h->stride) ? 0 : -ENOMEM;
}

static void heap_fini(void *state)
{
	struct heap *h = state;
	heap_array_free(&h->array);
}

/* Under the lock. */

/* Moves the items to `a`, which has room for them. `a` then has the old array. */
static void heap_swap_arrays(struct heap *h, struct heap_array *a)
{
	const struct heap_array before = h->array;
	memcpy(a->items, before.items, h->locked.length * h->stride);
	h->array = *a;
	*a = before;
}

/*
 * Returns the room that `n` more items need; 0: the array has it; SIZE_MAX: more than there can be.
 */
static size_t heap_needs(const struct heap *h, size_t n)
{
	size_t allocated = h->array.allocated, all;
	if (h->locked.capacity != FL_UNBOUNDED || n <= allocated - h->locked.length)
		return 0;
	if (__builtin_add_overflow(h->locked.length, n, &all) ||
	    __builtin_add_overflow(allocated, allocated, &allocated))
		return SIZE_MAX;
	return allocated > all ? allocated : all;
}

/* Returns the room to shrink to; 0: the array is not too large. */
static size_t heap_shrinks_to(const struct heap *h)
{
	size_t allocated = h->array.allocated;
	if (h->locked.capacity != FL_UNBOUNDED)
		return 0;
	while (h->locked.length < allocated / 4 && allocated / 2 >= HEAP_LEAST)
		allocated /= 2;
	return allocated < h->array.allocated ? allocated : 0;
}

/* Outside the lock. */

static bool heap_alloc_spare(struct heap *h, size_t allocated, struct heap_array *spare)
{
	heap_array_free(spare);
	return !heap_is_too_large(allocated, h->stride) && heap_array_alloc(spare, allocated, h->stride);
}

/*
 * Returns 0, with the lock held and room for `n` items, or -EPIPE, -EAGAIN, -ENOMEM without the
 * lock. The caller frees `*spare`.
 */
static int heap_lock_to_put(struct heap *h, size_t n, struct heap_array *spare)
{
	int rc;
	size_t lacks;
	for (;;) {
		locked_acquire(&h->locked);
		rc = locked_may_put(&h->locked);
		lacks = rc == 0 ? heap_needs(h, n) : 0;
		if (lacks == 0 || (spare->allocated >= h->locked.length && n <= spare->allocated - h->locked.length))
			break;
		locked_release(&h->locked);
		if (!heap_alloc_spare(h, lacks, spare))
			return -ENOMEM;
	}
	if (lacks > 0)
		heap_swap_arrays(h, spare);
	if (rc != 0)
		locked_release(&h->locked);
	return rc;
}

static void heap_shrink(struct heap *h, size_t allocated)
{
	struct heap_array spare;
	if (!heap_array_alloc(&spare, allocated, h->stride))
		return;
	locked_acquire(&h->locked);
	if (allocated < h->array.allocated && h->locked.length <= allocated / 2)
		heap_swap_arrays(h, &spare);
	locked_release(&h->locked);
	heap_array_free(&spare);
}

/* The operations of type.h. */

static int heap_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct heap *h = state;
	struct heap_array spare = {.allocated = 0};
	const unsigned char *next = items;
	const int rc = heap_lock_to_put(h, n, &spare);
	if (rc == 0) {
		const size_t space = h->locked.capacity - h->locked.length;
		*count = n < space ? n : space;
		for (size_t i = 0; i < *count; i++)
			heap_add(h, next + i * h->item_size);
		*owes_wake = locked_clear_mark(&h->locked, FL__CONSUMERS);
		locked_release(&h->locked);
	}
	if (__builtin_expect(spare.allocated > 0, 0))
		heap_array_free(&spare);
	return rc;
}

static int heap_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct heap *h = state;
	unsigned char *next = items;
	size_t enough = 0;
	locked_acquire(&h->locked);
	const int rc = locked_may_get(&h->locked);
	if (rc == 0) {
		*count = n < h->locked.length ? n : h->locked.length;
		for (size_t i = 0; i < *count; i++) {
			fl__copy(next + i * h->item_size, heap_at(h, heap_next(h)), h->item_size);
			heap_remove_next(h);
		}
		*owes_wake = locked_clear_mark(&h->locked, FL__PRODUCERS);
		enough = heap_shrinks_to(h);
	}
	locked_release(&h->locked);
	if (__builtin_expect(enough > 0, 0))
		heap_shrink(h, enough);
	return rc;
}

/*
 * Closes the queue if need be, and takes the array with all its items, which are then dropped
 * without the lock.
 */
static int heap_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct heap *h = (struct heap *)(void *)of->state;
	locked_acquire(&h->locked);
	const int rc = locked_may_get(&h->locked);
	/* The lock is not copied: other contexts write it. */
	struct heap taken = {.locked = {.length = h->locked.length},
	                     .array = h->array,
	                     .stride = h->stride,
	                     .compare = h->compare,
	                     .compare_arg = h->compare_arg};
	if (rc == 0) {
		*owes_wake = locked_clear_mark(&h->locked, FL__PRODUCERS);
		locked_set_closed(&h->locked);
		locked_set_length(&h->locked, 0);
		h->array = (struct heap_array){.allocated = 0};
	}
	locked_release(&h->locked);
	if (rc != 0)
		return rc;
	for (*count = taken.locked.length; taken.locked.length > 0; heap_remove_next(&taken)) {
		if (of->drop)
			of->drop(heap_at(&taken, heap_next(&taken)), of->drop_arg);
		(void)fl__queue_done(of); /* false: fl_queue_task_done() came before the get */
	}
	heap_array_free(&taken.array);
	return 0;
}

const struct fl__queue_backend fl__backend_priority = LOCKED_BACKEND(heap);
