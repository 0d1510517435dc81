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

struct overwrite {
	struct locked locked; /* first */
	bool lifo;            /* this and the next two never change */
	size_t item_size;
	unsigned char *items;
	size_t first; /* index of the oldest item */
};

static int overwrite_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct overwrite *w = state;
	size_t bytes;
	if (__builtin_mul_overflow(config->capacity, item_size, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	*w = (struct overwrite){.locked = {.overwrites = true, .capacity = config->capacity},
	                        .lifo = config->order == FL_LIFO,
	                        .item_size = item_size,
	                        .items = fl__alloc(config->capacity, item_size)};
	return w->items ? 0 : -ENOMEM;
}

static void overwrite_fini(void *state)
{
	struct overwrite *w = state;
	fl__free(w->items);
}

/* Under the lock. */

/* Returns where the item with `i` older items is, or will be. */
static void *overwrite_at(const struct overwrite *w, size_t i)
{
	const size_t to_end = w->locked.capacity - w->first;
	return w->items + (i < to_end ? w->first + i : i - to_end) * w->item_size;
}

static void overwrite_add(struct overwrite *w, const void *item)
{
	fl__copy(overwrite_at(w, w->locked.length), item, w->item_size);
	locked_set_length(&w->locked, w->locked.length + 1);
	w->locked.puts++;
}

static void overwrite_remove_oldest(struct overwrite *w)
{
	w->first = w->first + 1 < w->locked.capacity ? w->first + 1 : 0;
	locked_set_length(&w->locked, w->locked.length - 1);
}

static void *overwrite_next(const struct overwrite *w)
{
	return overwrite_at(w, w->lifo ? w->locked.length - 1 : 0);
}

static void overwrite_remove_next(struct overwrite *w)
{
	if (w->lifo)
		locked_set_length(&w->locked, w->locked.length - 1);
	else
		overwrite_remove_oldest(w);
}

/*
 * Puts the item. Returns 0, -EPIPE. If the queue was full, sets `*dropped` and copies the oldest
 * item to `oldest`; if that is NULL, returns -EAGAIN and puts nothing.
 */
static int overwrite_put_once(struct overwrite *w, const void *item, void *oldest, bool *dropped, bool *owes_wake)
{
	locked_acquire(&w->locked);
	int rc = locked_may_put(&w->locked);
	*dropped = rc == 0 && w->locked.length == w->locked.capacity;
	if (*dropped && !oldest)
		rc = -EAGAIN;
	if (rc == 0) {
		if (*dropped) {
			fl__copy(oldest, overwrite_at(w, 0), w->item_size);
			overwrite_remove_oldest(w);
			w->locked.puts--;
		}
		overwrite_add(w, item);
		*owes_wake |= locked_clear_mark(&w->locked, FL__CONSUMERS);
	}
	locked_release(&w->locked);
	return rc;
}

/* Returns 0, -EPIPE, -ENOMEM. */
static int overwrite_put_one(fl_queue *q, const void *item, bool *owes_wake)
{
	struct overwrite *w = (struct overwrite *)(void *)q->state;
	void (*const drop)(void *, void *) = q->drop;
	void *const drop_arg = q->drop_arg;
	unsigned char small[256], *large = NULL;
	bool dropped;
	int rc = overwrite_put_once(w, item, w->item_size <= sizeof small ? small : NULL, &dropped, owes_wake);
	if (rc == -EAGAIN) {
		large = fl__alloc(1, w->item_size);
		rc = large ? overwrite_put_once(w, item, large, &dropped, owes_wake) : -ENOMEM;
	}
	if (rc == 0 && dropped && drop) {
		/*
		 * An earlier item owes the wake. The callback may take its time, or wait for the
		 * consumer.
		 */
		if (*owes_wake)
			fl__queue_wake(q, FL__CONSUMERS);
		*owes_wake = false;
		drop(large ? large : small, drop_arg);
	}
	fl__free(large);
	return rc;
}

/* The operations of type.h. */

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

static int overwrite_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct overwrite *w = state;
	unsigned char *item = items;
	(void)owes_wake; /* no put waits */
	locked_acquire(&w->locked);
	const int rc = locked_may_get(&w->locked);
	if (rc == 0) {
		*count = n < w->locked.length ? n : w->locked.length;
		for (size_t i = 0; i < *count; i++) {
			fl__copy(item + i * w->item_size, overwrite_next(w), w->item_size);
			overwrite_remove_next(w);
		}
	}
	locked_release(&w->locked);
	return rc;
}

/*
 * Closes the queue if need be, and takes the array with all its items, which are then dropped
 * without the lock.
 */
static int overwrite_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct overwrite *w = (struct overwrite *)(void *)of->state;
	(void)owes_wake;
	locked_acquire(&w->locked);
	const int rc = locked_may_get(&w->locked);
	/* The lock is not copied: other contexts write it. */
	struct overwrite taken = {.locked = {.length = w->locked.length, .capacity = w->locked.capacity},
	                          .lifo = w->lifo,
	                          .item_size = w->item_size,
	                          .items = w->items,
	                          .first = w->first};
	if (rc == 0) {
		locked_set_closed(&w->locked);
		locked_set_length(&w->locked, 0);
		w->items = NULL;
	}
	locked_release(&w->locked);
	if (rc != 0)
		return rc;
	for (*count = taken.locked.length; taken.locked.length > 0; overwrite_remove_next(&taken)) {
		if (of->drop)
			of->drop(overwrite_next(&taken), of->drop_arg);
		(void)fl__queue_done(of); /* false: fl_queue_task_done() came before the get */
	}
	overwrite_fini(&taken);
	return 0;
}

const struct fl__queue_backend fl__backend_overwrite = LOCKED_BACKEND(overwrite);
