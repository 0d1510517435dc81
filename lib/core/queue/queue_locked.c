/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backends under a lock: a heap (priority and LIFO, bounded or not), and the queue that
 * overwrites its oldest item when full (docs/design.md, "Queues that wait"). Linearization: of each
 * call, its section under the lock; of an overwriting call for several items, one section for each.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "queue.h"
#include <fairlead/private/inline.h>

/*
 * struct locked begins the state. No call is ever seen in progress, so there is no -EBUSY.
 *
 *   lock    meaning                          set by                   cleared by
 *   0       free
 *   n + 1   a context of the process with    locked_acquire(), CAS    locked_release(), store
 *           the fork count n holds it
 *
 * Lock order: a bucket of the parking lot, then this lock, since a waiter sets its mark with the
 * bucket locked. Only the user's comparison is called under this lock, and may not wait. Wakes come
 * after the release. locked_release() is a put's last access to the queue: the item's consumer may
 * free the queue then.
 *
 * A forked child lacks the other threads of its parent. If one of them held the lock at the fork,
 * the child's copy of the queue may be half changed, and its lock is never released. The lock
 * itself says so, since its fork count is not the child's. Then no call of the child acquires the
 * lock, and each returns -EOWNERDEAD, or what it can tell without the lock.
 *
 * Invariant, while the lock is free: marked[side] is true only if that side had no item (no space)
 * and the queue was open when the mark was set, and no item (space) has been added since.
 */
struct locked {
	uint32_t lock;
	bool closed, marked[2];
	bool overwrites;         /* there is always space; this and the capacity never change */
	size_t length, capacity; /* items */
	uint64_t puts;
};

static inline bool locked_try_acquire(struct locked *l)
{
	uint32_t expected = 0;
	/* pairs with locked_release() */
	return fl__cas_acquire(&l->lock, &expected, fl__fork_count + 1);
}

/*
 * The pauses grow fourfold, so that holders have some hundred sections in a row. Then the waiter
 * yields, too, and at last sleeps: the holder may have lost its CPU, or have a lower priority.
 * Other fibers of the thread do not run: a bucket may be locked.
 */
static void locked_back_off(unsigned round)
{
	enum { ROUNDS = 4, PAUSES = 16, PAUSES_MOST = 512 };
	const unsigned pauses = round < ROUNDS ? (unsigned)PAUSES << 2 * round : PAUSES_MOST;
	fl__pause(FL__MIN(pauses, PAUSES_MOST));
	if (round >= ROUNDS)
		fl__back_off(FL__BACK_OFF_YIELDS + round - ROUNDS);
}

FL__SLOW_PATH static bool locked_acquire_slow(struct locked *l)
{
	for (unsigned round = 0;;) {
		locked_back_off(round++);
		/* the CAS acquires */
		const uint32_t seen = fl__load_relaxed(&l->lock);
		if (seen == 0 ? locked_try_acquire(l) : fl__is_forked(seen - 1))
			return seen == 0;
	}
}

/* False: a thread of the parent held the lock at the fork that made this process. */
static inline bool locked_acquire(struct locked *l)
{
	return fl__likely(locked_try_acquire(l)) || locked_acquire_slow(l);
}

static inline void locked_release(struct locked *l)
{
	/* pairs with locked_try_acquire() */
	fl__store_release(&l->lock, 0);
}

/* Under the lock. */

/* locked_may_be_ready() reads `length` and `closed` without the lock */
static inline void locked_set_length(struct locked *l, size_t length)
{
	fl__store_relaxed(&l->length, length);
}

static inline void locked_set_closed(struct locked *l)
{
	fl__store_relaxed(&l->closed, true); /* as above */
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
	if (!locked_acquire(l))
		return -EOWNERDEAD;
	const int rc = locked_may(l, side);
	locked_release(l);
	return rc;
}

/* a caller that acts on the result takes the lock and looks again */
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
	if (!locked_acquire(l))
		return false;
	const bool marks = locked_may(l, side) == -EAGAIN;
	if (marks)
		l->marked[side] = true;
	locked_release(l);
	return marks;
}

static void locked_close(void *state)
{
	struct locked *l = state;
	if (!locked_acquire(l))
		return;
	locked_set_closed(l);
	locked_release(l);
}

static size_t locked_length(void *state)
{
	struct locked *l = state;
	const bool acquired = locked_acquire(l);
	const size_t length = l->length;
	if (acquired)
		locked_release(l);
	return length;
}

static uint64_t locked_puts(void *state)
{
	struct locked *l = state;
	const bool acquired = locked_acquire(l);
	const uint64_t puts = l->puts;
	if (acquired)
		locked_release(l);
	return puts;
}

/*
 * The heap: an array. A LIFO queue, and a queue that overwrites, have their items in the order of
 * the puts; if it overwrites, the array is a ring. A priority queue is a binary heap: no item comes
 * before its parent (heap_before()), while the lock is free. Each of its items is followed by its
 * age, in the same cache line if the item is small: how many items were put before, which decides
 * between equal items.
 *
 * An unbounded queue doubles the array when it is full, and halves it when a get leaves it less
 * than a quarter full. Arrays are allocated and freed outside the lock; under the lock the call
 * checks again whether it needs the new array.
 */
enum { HEAP_LEAST = 16 }; /* items; in an unbounded queue */

struct heap_array {
	size_t allocated; /* items; in a bounded queue its capacity */
	unsigned char *items;
};

struct heap {
	struct locked locked; /* first */
	struct heap_array array;
	size_t first; /* of a ring: the index of its oldest item */
	/* In bytes. These and the rest never change. */
	size_t item_size, stride;
	int (*compare)(const void *a, const void *b, void *compare_arg); /* NULL: a ring */
	void *compare_arg;
	bool fifo; /* of a ring; else the newest item comes out first */
};

static struct heap *heap_of(fl_queue *q)
{
	return (struct heap *)(void *)q->state;
}

static void *heap_at(const struct heap *h, size_t index)
{
	return h->array.items + index * h->stride;
}

/* The queue is a priority queue. */
static uint64_t *heap_age_at(const struct heap *h, size_t index)
{
	return (uint64_t *)heap_at(h, index + 1) - 1;
}

/* The bytes from an item to the next. The item size gives its alignment, 16 at most. */
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

/* Whether the item at `a` comes out before that at `b`; without a branch. */
static bool heap_before(const struct heap *h, size_t a, size_t b)
{
	const int order = h->compare(heap_at(h, a), heap_at(h, b), h->compare_arg);
	return (order < 0) | ((order == 0) & (*heap_age_at(h, a) < *heap_age_at(h, b)));
}

/* Moves down the items that the new item comes before. Returns the new item's index. */
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

/* Of a ring: the index of the item with `i` older items. */
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
 * Fills the root with the last item, which nearly always belongs far down: the hole sinks to the
 * bottom, with one comparison a level, and then rises as far as it must. (Wegener, 1993.)
 */
static void heap_fill_root(struct heap *h)
{
	const size_t last = h->locked.length; /* where it still is */
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

/* Under the lock. */

/* Moves the items to `a`, which is large enough. `a` then has the old array. */
FL__SLOW_PATH static void heap_swap_arrays(struct heap *h, struct heap_array *a)
{
	const struct heap_array before = h->array;
	memcpy(a->items, before.items, h->locked.length * h->stride);
	h->array = *a;
	*a = before;
}

/* The array's items to hold `n` more; 0: it is large enough; SIZE_MAX: more than there can be. */
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

/* The items to shrink the array to; 0: not too large. */
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

FL__SLOW_PATH static bool heap_alloc_spare(struct heap *h, size_t allocated, struct heap_array *spare)
{
	heap_array_free(spare);
	return !heap_is_too_large(allocated, h->stride) && heap_array_alloc(spare, allocated, h->stride);
}

/*
 * 0: locked, and `n` items fit. Unlocked: -EPIPE, -EAGAIN, -ENOMEM, -EOWNERDEAD. The caller frees
 * `*spare`.
 */
static inline int heap_lock_to_put(struct heap *h, size_t n, struct heap_array *spare)
{
	int rc;
	size_t needed;
	for (;;) {
		if (!locked_acquire(&h->locked))
			return -EOWNERDEAD;
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
	(void)locked_acquire(&h->locked); /* true, as in the get that comes here */
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
	if (!locked_acquire(&h->locked))
		return -EOWNERDEAD;
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
 * The calls of one item. The CAS of the lock waits until earlier stores are in the cache, so the
 * common case saves no registers: 4 or 8 bytes, and no other item moves.
 */

/* These release the lock. */
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
	return locked_acquire_slow(&heap_of(q)->locked) && heap_put_locked(q, item);
}

FL__SLOW_PATH static bool heap_get_contended(fl_queue *q, void *item)
{
	return locked_acquire_slow(&heap_of(q)->locked) && heap_get_locked(q, item);
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
	/* a hint */
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
	/* likewise; an unbounded queue may shrink */
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

/* Closes the queue if need be, and takes the array. Its items are dropped without the lock. */
FL__COLD static int heap_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct heap *h = heap_of(of);
	if (!locked_acquire(&h->locked))
		return -EOWNERDEAD;
	const int rc = locked_may_get(&h->locked);
	/* The lock is not copied: other contexts write it. */
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
 * The overwriting queue. No put waits. A put to a full queue copies the oldest item to memory of
 * its own, and drops it after the release, when a consumer may free the queue. So the section
 * uncounts the put of the dropped item, instead of counting it as done (queue.c, "Joining").
 *
 * Returns 0, -EPIPE, -EOWNERDEAD. If the queue was full, sets `*dropped` and copies the oldest item
 * to `oldest`. If `oldest` is NULL, puts nothing into a full queue, and returns -EAGAIN.
 */
static int overwrite_put_once(struct heap *h, const void *item, void *oldest, bool *dropped, bool *owes_wake)
{
	if (!locked_acquire(&h->locked))
		return -EOWNERDEAD;
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

/* 0, -EPIPE, -ENOMEM, -EOWNERDEAD. */
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
		 * The put of an earlier item of this call owes the wake, which comes before the
		 * callback: that may take long, or wait for the consumer.
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
	return put > 0 ? 0 : rc;
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
