/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backends with a lock: one for priority and LIFO queues, bounded or not, and one for queues
 * that overwrite their oldest item when they are full. A call linearizes in its critical section. A
 * put of several items into an overwriting queue has one critical section for each item.
 *
 * Why a lock. In a priority or LIFO queue each put must settle the order of all items, so two
 * threads could do little at the same time. Instead, one thread does much in a row: a thread that
 * waits for the lock pauses four times as long each time, and a thread wakes sleepers only after it
 * has unlocked. The array doubles and halves its size, and its memory is allocated and freed
 * outside the lock. A queue that overwrites its oldest item also needs a lock, because on the ring,
 * removing the oldest item and inserting the newest are two steps, and in the laboratory other
 * threads saw the queue between the two.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "queue.h"
#include <fairlead/private/inline.h>

/*
 * The state of both backends begins with struct locked. The lock hides calls in progress from other
 * calls, so there is no -EBUSY.
 *
 *   lock  meaning              set by                     cleared by
 *   0     free
 *   1     a context holds it   locked_try_acquire(), CAS  locked_release(), store
 *
 * A waiter sets its mark while it has locked a bucket of the parking lot. So a thread that needs
 * both locks first locks the bucket and then this lock. Wakes come after the release. Of the user's
 * functions only the comparison, which may not wait, is called under this lock. locked_release() is
 * a put's last access to the queue, because after it the item's consumer may free the queue.
 *
 * Invariants
 *   1. While the lock is free, marked[side] is true only if that side had no item (no space) and
 *      the queue was open when the mark was set, and no item (space) has been added since.
 *   2. `length` and `closed` change only under the lock. Their stores are atomic, because
 *      locked_may_be_ready(), heap_put_one() and heap_get_one() read them without the lock. Such a
 *      value is only a hint: a caller that acts on it locks and looks again.
 */
struct locked {
	uint32_t lock;
	bool closed, marked[2];
	bool overwrites;         /* there is always space; it and the capacity never change */
	size_t length, capacity; /* numbers of items */
	uint64_t puts;
};

static inline bool locked_try_acquire(struct locked *l)
{
	uint32_t expected = 0;
	/* acquire: pairs with the release in locked_release() */
	return fl__cas_acquire(&l->lock, &expected, 1);
}

/*
 * Waits before the next try to acquire the lock. The pauses grow fourfold, so that a holder can run
 * a few hundred critical sections in a row. After some rounds the waiter also yields, and finally
 * it sleeps, because the holder may have lost its CPU or may have a lower priority. Other fibers of
 * the thread do not run in the meantime, because the caller may have locked a bucket.
 */
static void locked_back_off(unsigned round)
{
	enum { ROUNDS = 4, PAUSES = 16, PAUSES_MOST = 512 };
	const unsigned pauses = round < ROUNDS ? (unsigned)PAUSES << 2 * round : PAUSES_MOST;
	fl__pause(FL__MIN(pauses, PAUSES_MOST));
	if (round >= ROUNDS)
		fl__back_off(FL__BACK_OFF_YIELDS + round - ROUNDS);
}

FL__SLOW_PATH static void locked_acquire_slow(struct locked *l)
{
	unsigned round = 0;
	do
		locked_back_off(round++);
	/* relaxed: locked_try_acquire() acquires */
	while (fl__load_relaxed(&l->lock) != 0 || !locked_try_acquire(l));
}

static inline void locked_acquire(struct locked *l)
{
	if (fl__unlikely(!locked_try_acquire(l)))
		locked_acquire_slow(l);
}

static inline void locked_release(struct locked *l)
{
	/* release: pairs with the acquire in locked_try_acquire() */
	fl__store_release(&l->lock, 0);
}

/* The functions from here to locked_may() are called under the lock. */

static inline void locked_set_length(struct locked *l, size_t length)
{
	fl__store_relaxed(&l->length, length); /* relaxed: invariant 2 */
}

static inline void locked_set_closed(struct locked *l)
{
	fl__store_relaxed(&l->closed, true); /* relaxed: invariant 2 */
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

static inline int locked_may(const struct locked *l, enum fl__queue_side side)
{
	return side == FL__CONSUMERS ? locked_may_get(l) : locked_may_put(l);
}

static int locked_can(void *state, enum fl__queue_side side)
{
	struct locked *l = state;
	locked_acquire(l);
	const int rc = locked_may(l, side);
	locked_release(l);
	return rc;
}

/* relaxed, both: invariant 2 */
static bool locked_may_be_ready(void *state, enum fl__queue_side side)
{
	struct locked *l = state;
	const size_t length = fl__load_relaxed(&l->length);
	const bool ready = side == FL__CONSUMERS ? length > 0 : length < l->capacity || l->overwrites;
	return ready || fl__load_relaxed(&l->closed);
}

static bool locked_mark(void *state, enum fl__queue_side side)
{
	struct locked *l = state;
	locked_acquire(l);
	const bool marks = locked_may(l, side) == -EAGAIN;
	if (marks)
		l->marked[side] = true;
	locked_release(l);
	return marks;
}

static void locked_close(void *state)
{
	struct locked *l = state;
	locked_acquire(l);
	locked_set_closed(l);
	locked_release(l);
}

static size_t locked_length(void *state)
{
	struct locked *l = state;
	locked_acquire(l);
	const size_t length = l->length;
	locked_release(l);
	return length;
}

static uint64_t locked_puts(void *state)
{
	struct locked *l = state;
	locked_acquire(l);
	const uint64_t puts = l->puts;
	locked_release(l);
	return puts;
}

/*
 * The items are in an array, in one of three ways:
 *
 *   LIFO queue     The items are in the order of the puts.
 *   overwriting    The items are in the order of the puts, and the array is a ring.
 *   priority       The array is a binary heap: while the lock is free, no item comes before its
 *                  parent in the order of heap_before(). Each item is followed by its age, which is
 *                  the number of items that were put before it. Of equal items, the one with the
 *                  smallest number comes out first. If the item is small, its age is in the same
 *                  cache line.
 *
 * If the items of a put do not fit into the array of an unbounded queue, the array becomes twice as
 * long, or longer if they need more. When a get leaves it less than a quarter full, it is halved,
 * several times if necessary. Because arrays are allocated and freed outside the lock, the call
 * checks again under the lock whether it needs the new array.
 */
enum { HEAP_LEAST = 16 }; /* the least number of items in the array of an unbounded queue */

struct heap_array {
	size_t allocated; /* how many items fit; in a bounded queue its capacity */
	unsigned char *items;
};

struct heap {
	struct locked locked; /* the first member, because the state begins with it */
	struct heap_array array;
	size_t first; /* the index of the oldest item, 0 unless the queue overwrites */
	/* The next fields never change. The sizes are in bytes. */
	size_t item_size, stride;
	int (*compare)(const void *a, const void *b, void *compare_arg); /* of a priority queue */
	void *compare_arg;
	bool fifo; /* the oldest item comes out first; without `compare` and `fifo` the newest */
};

static struct heap *heap_of(fl_queue *q)
{
	return (struct heap *)(void *)q->state;
}

static void *heap_at(const struct heap *h, size_t index)
{
	return h->array.items + index * h->stride;
}

/* Returns the age of the item at `index` of a priority queue. */
static uint64_t *heap_age_at(const struct heap *h, size_t index)
{
	return (uint64_t *)heap_at(h, index + 1) - 1;
}

/* Returns the distance between items in bytes. The item size gives its alignment, at most 16. */
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

/* Returns, without a branch, whether the item at `a` comes out before the item at `b`. */
static bool heap_before(const struct heap *h, size_t a, size_t b)
{
	const int order = h->compare(heap_at(h, a), heap_at(h, b), h->compare_arg);
	return (order < 0) | ((order == 0) & (*heap_age_at(h, a) < *heap_age_at(h, b)));
}

/* Moves down the items that will come out after the new item. Returns the new item's index. */
static size_t heap_sift_up(struct heap *h, const void *item)
{
	size_t hole = h->locked.length;
	while (hole > 0) {
		const size_t parent = (hole - 1) / 2;
		if (h->compare(item, heap_at(h, parent), h->compare_arg) >= 0)
			break;
		heap_move(h, hole, parent);
		hole = parent;
	}
	return hole;
}

/* Returns the index of the item that is younger than `i` others. Not for priority queues. */
static size_t heap_ring_index(const struct heap *h, size_t i)
{
	const size_t to_end = h->array.allocated - h->first;
	return i < to_end ? h->first + i : i - to_end;
}

static inline void heap_add(struct heap *h, const void *item)
{
	const size_t index = h->compare ? heap_sift_up(h, item) : heap_ring_index(h, h->locked.length);
	if (h->compare)
		*heap_age_at(h, index) = h->locked.puts;
	fl__copy(heap_at(h, index), item, h->item_size);
	locked_set_length(&h->locked, h->locked.length + 1);
	h->locked.puts++;
}

static size_t heap_next(const struct heap *h)
{
	return h->compare ? 0 : heap_ring_index(h, h->fifo ? 0 : h->locked.length - 1);
}

/*
 * Fills the hole at the root with the last item, which nearly always belongs far down. So the hole
 * first sinks to the bottom, with one comparison per level, and then rises as far as it must
 * (Wegener, 1993).
 */
static void heap_fill_root(struct heap *h)
{
	const size_t last = h->locked.length; /* the index at which the last item still is */
	size_t hole = 0;
	for (size_t child; (child = 2 * hole + 1) < last; hole = child) {
		if (child + 1 < last)
			child += heap_before(h, child + 1, child);
		heap_move(h, hole, child);
	}
	for (size_t parent; hole > 0 && heap_before(h, last, parent = (hole - 1) / 2); hole = parent)
		heap_move(h, hole, parent);
	if (hole != last)
		heap_move(h, hole, last);
}

static void heap_remove_oldest(struct heap *h)
{
	h->first = heap_ring_index(h, 1);
	locked_set_length(&h->locked, h->locked.length - 1);
}

static void heap_remove_next(struct heap *h)
{
	if (h->fifo) {
		heap_remove_oldest(h);
		return;
	}
	locked_set_length(&h->locked, h->locked.length - 1);
	if (h->compare)
		heap_fill_root(h);
}

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

FL__COLD static int heap_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct heap *h = state;
	const size_t allocated = config->capacity == FL_UNBOUNDED ? HEAP_LEAST : config->capacity;
	if (item_size > PTRDIFF_MAX)
		return -EOVERFLOW;
	*h = (struct heap){.locked = {.capacity = config->capacity, .overwrites = config->when_full == FL_OVERWRITE},
	                   .fifo = config->order == FL_FIFO,
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

/* The next three functions are called under the lock. */

/* Moves the items to the array `a`, which is large enough, and stores the old array in `a`. */
FL__SLOW_PATH static void heap_swap_arrays(struct heap *h, struct heap_array *a)
{
	const struct heap_array before = h->array;
	memcpy(a->items, before.items, h->locked.length * h->stride);
	h->array = *a;
	*a = before;
}

/*
 * Returns the length that the array needs for `n` further items: 0 if it is large enough already,
 * SIZE_MAX if no array is.
 */
static size_t heap_needs(const struct heap *h, size_t n)
{
	size_t allocated = h->array.allocated, all;
	if (h->locked.capacity != FL_UNBOUNDED || n <= allocated - h->locked.length)
		return 0;
	if (__builtin_add_overflow(h->locked.length, n, &all) ||
	    __builtin_add_overflow(allocated, allocated, &allocated))
		return SIZE_MAX;
	return FL__MAX(allocated, all);
}

/* Returns to which length the array shrinks after a get, or 0 if it is not too large. */
static size_t heap_shrinks_to(const struct heap *h)
{
	size_t allocated = h->array.allocated;
	if (h->locked.capacity != FL_UNBOUNDED)
		return 0;
	while (h->locked.length < allocated / 4 && allocated / 2 >= HEAP_LEAST)
		allocated /= 2;
	return allocated < h->array.allocated ? allocated : 0;
}

/* The next functions are called without the lock. */
FL__SLOW_PATH static bool heap_alloc_spare(struct heap *h, size_t allocated, struct heap_array *spare)
{
	heap_array_free(spare);
	return !heap_is_too_large(allocated, h->stride) && heap_array_alloc(spare, allocated, h->stride);
}

/*
 * Locks the queue for a put of `n` items, after growing the array of an unbounded queue if
 * necessary. Returns 0, or -EPIPE, -EAGAIN or -ENOMEM without the lock. In any case the caller
 * frees `*spare`.
 */
static inline int heap_lock_to_put(struct heap *h, size_t n, struct heap_array *spare)
{
	int rc;
	size_t needed;
	for (;;) {
		locked_acquire(&h->locked);
		rc = locked_may_put(&h->locked);
		needed = rc == 0 ? heap_needs(h, n) : 0;
		if (needed == 0 || (spare->allocated >= h->locked.length && n <= spare->allocated - h->locked.length))
			break;
		locked_release(&h->locked);
		if (!heap_alloc_spare(h, needed, spare))
			return -ENOMEM;
	}
	if (needed > 0)
		heap_swap_arrays(h, spare);
	if (rc != 0)
		locked_release(&h->locked);
	return rc;
}

FL__COLD static void heap_shrink(struct heap *h, size_t allocated)
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

static int heap_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct heap *h = state;
	struct heap_array spare = {.allocated = 0};
	const unsigned char *next = items;
	const int rc = heap_lock_to_put(h, n, &spare);
	if (rc == 0) {
		const size_t space = h->locked.capacity - h->locked.length;
		*count = FL__MIN(n, space);
		for (size_t i = 0; i < *count; i++)
			heap_add(h, next + i * h->item_size);
		*owes_wake = locked_clear_mark(&h->locked, FL__CONSUMERS);
		locked_release(&h->locked);
	}
	if (fl__unlikely(spare.allocated > 0))
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
		*count = FL__MIN(n, h->locked.length);
		for (size_t i = 0; i < *count; i++) {
			fl__copy(next + i * h->item_size, heap_at(h, heap_next(h)), h->item_size);
			heap_remove_next(h);
		}
		*owes_wake = locked_clear_mark(&h->locked, FL__PRODUCERS);
		enough = heap_shrinks_to(h);
	}
	locked_release(&h->locked);
	if (fl__unlikely(enough > 0))
		heap_shrink(h, enough);
	return rc;
}

/*
 * The calls for one item. The CAS of the lock waits until earlier stores are in the cache, so
 * stores that save registers would delay it. Therefore the common case saves no registers: an item
 * of 4 or 8 bytes, where no other item moves.
 */

/* The next two functions release the lock. */
static FL__NOINLINE bool heap_put_locked(fl_queue *q, const void *item)
{
	struct heap *h = heap_of(q);
	bool owes_wake = false;
	const bool fits = !h->locked.closed && h->locked.length < h->array.allocated;
	if (fits) {
		heap_add(h, item);
		owes_wake = locked_clear_mark(&h->locked, FL__CONSUMERS);
	}
	locked_release(&h->locked);
	if (owes_wake)
		fl__queue_wake(q, FL__CONSUMERS);
	return fits;
}

static FL__NOINLINE bool heap_get_locked(fl_queue *q, void *item)
{
	struct heap *h = heap_of(q);
	bool owes_wake = false;
	const bool has_item = h->locked.length > 0;
	if (has_item) {
		fl__copy(item, heap_at(h, heap_next(h)), h->item_size);
		heap_remove_next(h);
		owes_wake = locked_clear_mark(&h->locked, FL__PRODUCERS);
	}
	locked_release(&h->locked);
	if (owes_wake)
		fl__queue_wake(q, FL__PRODUCERS);
	return has_item;
}

FL__SLOW_PATH static bool heap_put_contended(fl_queue *q, const void *item)
{
	locked_acquire_slow(&heap_of(q)->locked);
	return heap_put_locked(q, item);
}

FL__SLOW_PATH static bool heap_get_contended(fl_queue *q, void *item)
{
	locked_acquire_slow(&heap_of(q)->locked);
	return heap_get_locked(q, item);
}

static inline bool heap_is_simple(const struct heap *h, size_t index, enum fl__queue_side marked)
{
	return (h->item_size == 8 || h->item_size == 4) && (!h->compare || index == 0) && !h->locked.marked[marked];
}

static inline void heap_copy_simple(const struct heap *h, void *to, const void *from)
{
	if (h->item_size == 8)
		memcpy(to, from, 8);
	else
		memcpy(to, from, 4);
}

static bool heap_put_one(fl_queue *q, const void *item)
{
	struct heap *h = heap_of(q);
	/* relaxed: invariant 2 */
	if (fl__unlikely(fl__load_relaxed(&h->locked.length) >= h->locked.capacity))
		return false;
	if (fl__unlikely(!locked_try_acquire(&h->locked)))
		return heap_put_contended(q, item);
	const size_t index = h->locked.length;
	if (h->locked.closed || index >= h->array.allocated || !heap_is_simple(h, index, FL__CONSUMERS))
		return heap_put_locked(q, item);
	heap_copy_simple(h, heap_at(h, index), item);
	if (h->compare)
		*heap_age_at(h, 0) = h->locked.puts;
	locked_set_length(&h->locked, index + 1);
	h->locked.puts++;
	locked_release(&h->locked);
	return true;
}

static bool heap_get_one(fl_queue *q, void *item)
{
	struct heap *h = heap_of(q);
	/*
	 * relaxed: invariant 2. An unbounded queue takes the slow path, because its array may
	 * shrink.
	 */
	if (fl__unlikely(fl__load_relaxed(&h->locked.length) == 0 || h->locked.capacity == FL_UNBOUNDED))
		return false;
	if (fl__unlikely(!locked_try_acquire(&h->locked)))
		return heap_get_contended(q, item);
	const size_t index = h->locked.length - 1;
	if (index == SIZE_MAX || !heap_is_simple(h, index, FL__PRODUCERS))
		return heap_get_locked(q, item);
	heap_copy_simple(h, item, heap_at(h, index));
	locked_set_length(&h->locked, index);
	locked_release(&h->locked);
	return true;
}

/*
 * If the queue has items, takes its array, and closes it unless it is closed already. The items are
 * then dropped without the lock.
 */
FL__COLD static int heap_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct heap *h = heap_of(of);
	locked_acquire(&h->locked);
	const int rc = locked_may_get(&h->locked);
	/* The lock is not copied, because other contexts write it. */
	struct heap taken = {.locked = {.length = h->locked.length},
	                     .array = h->array,
	                     .first = h->first,
	                     .fifo = h->fifo,
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
	for (*count = taken.locked.length; taken.locked.length > 0; heap_remove_next(&taken))
		fl__queue_drop(of, heap_at(&taken, heap_next(&taken)));
	heap_array_free(&taken.array);
	return 0;
}

/*
 * A put into the overwriting queue. It does not wait for space. If the queue is full, the put
 * copies the oldest item to its own memory, and drops it after the release. By then a consumer may
 * have freed the queue, so the dropped item cannot be counted as done ("Joining" in queue.c).
 * Instead, the critical section subtracts it from the count of puts.
 *
 * Returns 0 or -EPIPE. If the queue was full, sets `*dropped` and copies the oldest item to
 * `oldest`. If `oldest` is NULL, puts nothing into a full queue, and returns -EAGAIN.
 */
static int overwrite_put_once(struct heap *h, const void *item, void *oldest, bool *dropped, bool *owes_wake)
{
	locked_acquire(&h->locked);
	int rc = locked_may_put(&h->locked);
	*dropped = rc == 0 && h->locked.length == h->locked.capacity;
	if (*dropped && !oldest)
		rc = -EAGAIN;
	if (rc == 0) {
		if (*dropped) {
			fl__copy(oldest, heap_at(h, h->first), h->item_size);
			heap_remove_oldest(h);
			h->locked.puts--;
		}
		heap_add(h, item);
		*owes_wake |= locked_clear_mark(&h->locked, FL__CONSUMERS);
	}
	locked_release(&h->locked);
	return rc;
}

/* Puts an item, and drops the item that it replaces. Returns 0, -EPIPE or -ENOMEM. */
static int overwrite_put_one(fl_queue *q, const void *item, bool *owes_wake)
{
	struct heap *h = heap_of(q);
	void (*const drop)(void *, void *) = q->drop;
	void *const drop_arg = q->drop_arg;
	unsigned char small[256], *large = NULL;
	bool dropped;
	int rc = overwrite_put_once(h, item, h->item_size <= sizeof small ? small : NULL, &dropped, owes_wake);
	if (rc == -EAGAIN) {
		large = fl__alloc(1, h->item_size);
		rc = large ? overwrite_put_once(h, item, large, &dropped, owes_wake) : -ENOMEM;
	}
	if (rc == 0 && dropped && drop) {
		/*
		 * A wake owed for this item or an earlier one of this call is made before the
		 * callback, because the callback may take long or wait for the consumer.
		 */
		if (*owes_wake)
			fl__queue_wake(q, FL__CONSUMERS);
		*owes_wake = false;
		drop(large ? large : small, drop_arg);
	}
	fl__free(large);
	return rc;
}

static int overwrite_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	fl_queue *q = fl__queue_of_state(state);
	const unsigned char *item = items;
	const size_t size = q->item_size;
	int rc = 0;
	size_t put = 0;
	while (put < n && (rc = overwrite_put_one(q, item + put * size, owes_wake)) == 0)
		put++;
	*count = put;
	return rc;
}

#define LOCKED_BACKEND(put_, ...)                                                                                      \
	{                                                                                                              \
		.size = sizeof(struct heap), .init = heap_init, .fini = heap_fini, .put = (put_), .get = heap_get,     \
		.discard = heap_discard, .can = locked_can, .may_be_ready = locked_may_be_ready, .mark = locked_mark,  \
		.close = locked_close, .length = locked_length, .puts = locked_puts, __VA_ARGS__                       \
	}

const struct fl__queue_backend fl__backend_priority =
    LOCKED_BACKEND(heap_put, .put_one = heap_put_one, .get_one = heap_get_one);
const struct fl__queue_backend fl__backend_overwrite = LOCKED_BACKEND(overwrite_put, .put_one = NULL);
