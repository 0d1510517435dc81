/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of a queue that overwrites: the last items that were put, in an array as a ring,
 * under a lock (locked.h). No put waits. A put to a full queue takes the oldest item out in the
 * same section, to memory of its own, and drops it after the lock. The new item's consumer may free
 * the queue then. So the dropped item is not counted as done later. Instead the section uncounts
 * its put, and as many items are left to be dealt with as before (join.c).
 *
 * Linearization: of each call, the section under the lock; of a call for several items, one section
 * for each.
 */
#include "../base/sys.h"
#include "locked.h"
#include "queue.h"
#include <fairlead/private/inline.h>

struct window {
	struct fl__locked locked; /* first */
	bool lifo;                /* this and the next two never change */
	size_t item_size;
	unsigned char *items;
	size_t first; /* index of the oldest item */
};

static int window_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct window *w = state;
	size_t bytes;
	if (__builtin_mul_overflow(config->capacity, item_size, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	*w = (struct window){.locked = {.overwrites = true, .capacity = config->capacity},
	                     .lifo = config->order == FL_LIFO,
	                     .item_size = item_size,
	                     .items = fl__alloc(config->capacity, item_size)};
	return w->items ? 0 : -ENOMEM;
}

static void window_fini(void *state)
{
	struct window *w = state;
	fl__free(w->items);
}

/* Under the lock. */

/* Returns where the item with `i` older items is, or will be. */
static void *item_at(const struct window *w, size_t i)
{
	const size_t to_end = w->locked.capacity - w->first;
	return w->items + (i < to_end ? w->first + i : i - to_end) * w->item_size;
}

static void add(struct window *w, const void *item)
{
	fl__copy(item_at(w, w->locked.length), item, w->item_size);
	fl__locked_set_length(&w->locked, w->locked.length + 1);
	w->locked.puts++;
}

static void remove_oldest(struct window *w)
{
	w->first = w->first + 1 < w->locked.capacity ? w->first + 1 : 0;
	fl__locked_set_length(&w->locked, w->locked.length - 1);
}

static void *next(const struct window *w)
{
	return item_at(w, w->lifo ? w->locked.length - 1 : 0);
}

static void remove_next(struct window *w)
{
	if (w->lifo)
		fl__locked_set_length(&w->locked, w->locked.length - 1);
	else
		remove_oldest(w);
}

/*
 * Puts the item. Returns 0, -EPIPE. If the queue was full, sets `*dropped` and copies the oldest
 * item to `oldest`; if that is NULL, returns -EAGAIN and puts nothing.
 */
static int put_one(struct window *w, const void *item, void *oldest, bool *dropped, bool *owes_wake)
{
	fl__locked_enter(&w->locked);
	int rc = fl__locked_may_put(&w->locked);
	*dropped = rc == 0 && w->locked.length == w->locked.capacity;
	if (*dropped && !oldest)
		rc = -EAGAIN;
	if (rc == 0) {
		if (*dropped) {
			fl__copy(oldest, item_at(w, 0), w->item_size);
			remove_oldest(w);
			w->locked.puts--;
		}
		add(w, item);
		*owes_wake |= fl__locked_take_mark(&w->locked, FL__GETTERS);
	}
	fl__locked_leave(&w->locked);
	return rc;
}

/* Returns 0, -EPIPE, -ENOMEM. */
static int overwrite(fl_queue *q, const void *item, bool *owes_wake)
{
	struct window *w = (struct window *)(void *)q->state;
	void (*const drop)(void *, void *) = q->drop;
	void *const drop_arg = q->drop_arg;
	unsigned char small[256], *large = NULL;
	bool dropped;
	int rc = put_one(w, item, w->item_size <= sizeof small ? small : NULL, &dropped, owes_wake);
	if (rc == -EAGAIN) {
		large = fl__alloc(1, w->item_size);
		rc = large ? put_one(w, item, large, &dropped, owes_wake) : -ENOMEM;
	}
	if (rc == 0 && dropped && drop) {
		/*
		 * An earlier item owes the wake. The callback may take its time, or wait for the
		 * consumer.
		 */
		if (*owes_wake)
			fl__queue_wake(q, FL__GETTERS);
		*owes_wake = false;
		drop(large ? large : small, drop_arg);
	}
	fl__free(large);
	return rc;
}

/* The operations of type.h. */

static int window_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	fl_queue *q = fl__queue_of(state);
	const unsigned char *item = items;
	const size_t size = q->item_size;
	int rc = 0;
	size_t put = 0;
	while (put < n && (rc = overwrite(q, item + put * size, owes_wake)) == 0)
		put++;
	*count = put;
	return put > 0 ? 0 : rc;
}

static int window_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct window *w = state;
	unsigned char *item = items;
	(void)owes_wake; /* no put waits */
	fl__locked_enter(&w->locked);
	const int rc = fl__locked_may_get(&w->locked);
	if (rc == 0) {
		*count = n < w->locked.length ? n : w->locked.length;
		for (size_t i = 0; i < *count; i++) {
			fl__copy(item + i * w->item_size, next(w), w->item_size);
			remove_next(w);
		}
	}
	fl__locked_leave(&w->locked);
	return rc;
}

/*
 * Closes the queue if need be, and takes the array with all its items, which are then dropped
 * without the lock.
 */
static int window_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct window *w = (struct window *)(void *)of->state;
	(void)owes_wake;
	fl__locked_enter(&w->locked);
	const int rc = fl__locked_may_get(&w->locked);
	/* The lock is not copied: other contexts write it. */
	struct window taken = {.locked = {.length = w->locked.length, .capacity = w->locked.capacity},
	                       .lifo = w->lifo,
	                       .item_size = w->item_size,
	                       .items = w->items,
	                       .first = w->first};
	if (rc == 0) {
		fl__locked_set_closed(&w->locked);
		fl__locked_set_length(&w->locked, 0);
		w->items = NULL;
	}
	fl__locked_leave(&w->locked);
	if (rc != 0)
		return rc;
	for (*count = taken.locked.length; taken.locked.length > 0; remove_next(&taken)) {
		if (of->drop)
			of->drop(next(&taken), of->drop_arg);
		(void)fl__queue_done(of); /* false: fl_queue_task_done() came before the get */
	}
	window_fini(&taken);
	return 0;
}

const struct fl__queue_type fl__queue_window = FL__LOCKED_QUEUE(window);
