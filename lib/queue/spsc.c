/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring for one producer and one consumer: FastForward (Giacomoni, Moseley and Vachharajani, 2008), whose slots say
 * themselves whether they are full; here in a mark of their own, so that no value of an item means "empty". Neither side ever
 * reads the other's position: what one has to learn of the other comes in the cache line that it fetches anyway. For that the
 * marks of a line's items are in that line: of 8 bytes there are 7. (Lamport's ring with the other's index remembered, which
 * this replaced, does without marks. There whoever is faster looks at the other's index all the time, and so takes the line
 * away from who has to write it: six times as long for an item. A word beside each item as its mark: twice as long.)
 * The struct, and the steps of a put and of a get, are inline in fairlead/spsc_of.h.
 *
 *   word             holds                            written by                     read by
 *   put_             the slot of the next item        the producer, before the mark  the producer; for a length
 *   get_             the slot of the oldest item      the consumer, before the mark  the consumer; for a length
 *   mark of a slot   1: it has an item                the producer: 0 -> 1           both
 *                                                     the consumer: 1 -> 0
 *
 * A slot's address is that of its mark. A line begins with the marks, so the address says which of the line it is.
 *
 * Invariants
 *   1. The marks from get_ on up to put_ are 1, the others 0; but for those of a call that is under way. That of put_ is
 *      always 0: it is full when the one behind is 1. So equal positions mean "empty", also to others.
 *   2. A slot whose mark is 0 is the producer's, and the consumer stays out of it; one whose mark is 1 the consumer's.
 *   3. A call with several sets their marks from the last to the first. So who comes to the first finds all of them.
 *
 * Linearization: the store to the mark of the first slot; of "full" and "empty", the load of the mark.
 *
 * Progress: wait-free. Lifetime: that store is the last access of a put.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/spsc.h>
#include <stdint.h>

int fl_spsc_create(fl_spsc **made, size_t item_size, size_t capacity)
{
	size_t groups, bytes;
	if (item_size == 0 || capacity == 0)
		return -EINVAL;
	if (item_size > PTRDIFF_MAX)
		return -EOVERFLOW;
	const struct fl__spsc_shape shape = fl__spsc_shape_of(item_size);
	groups = capacity / shape.slots + 1; /* for capacity + 1 slots */
	if (__builtin_mul_overflow(groups, shape.bytes, &bytes) ||
	    __builtin_add_overflow(bytes, (size_t)FL__SPSC_LINE - 1, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	fl_spsc *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	q->memory_ = fl__alloc(1, bytes);
	if (!q->memory_) {
		fl__free(q);
		return -ENOMEM;
	}
	q->first_ = (unsigned char *)q->memory_ + -(uintptr_t)q->memory_ % FL__SPSC_LINE;
	q->last_ = q->first_ + capacity / shape.slots * shape.bytes + capacity % shape.slots;
	q->put_ = q->get_ = q->first_;
	q->shape_ = shape;
	q->capacity_ = capacity;
	*made = q;
	return 0;
}

void fl_spsc_free(fl_spsc *q)
{
	if (!q)
		return;
	fl__free(q->memory_);
	fl__free(q);
}

/* Several. */

static unsigned char *before(const fl_spsc *q, unsigned char *slot)
{
	const size_t index = fl__spsc_index(q->shape_, slot);
	if (slot == q->first_)
		return q->last_;
	return index > 0 ? slot - 1 : slot - q->shape_.bytes + q->shape_.slots - 1;
}

/* Marks the slots before `next`, but for the first: from the last on. */
static void mark_others(const fl_spsc *q, unsigned char *first, unsigned char *next, unsigned char full)
{
	for (unsigned char *slot = before(q, next); slot != first; slot = before(q, slot))
		fl__store_relaxed(slot, full); /* relaxed: that of the first, which comes last, releases */
}

/* How many slots from `slot` on, at most `n` and the capacity, have that mark. */
static size_t run_of(const fl_spsc *q, unsigned char *slot, size_t n, unsigned char full)
{
	size_t run = 0;
	if (n > q->capacity_)
		n = q->capacity_;
	/* acquire: as in fl__spsc_has_space(), fl__spsc_has_item() */
	for (; run < n && fl__load_acquire(slot) == full; slot = fl__spsc_after(q, q->shape_, slot))
		run++;
	return run;
}

/* How many slots from `slot` on, at most `n`, have their items side by side. */
static size_t run_in_group(const fl_spsc *q, const unsigned char *slot, size_t n)
{
	size_t run = q->shape_.slots - fl__spsc_index(q->shape_, slot);
	if ((uintptr_t)q->last_ - (uintptr_t)slot < run) /* so it is in this group; if behind: a large number */
		run = (size_t)(q->last_ - slot) + 1;
	return run < n ? run : n;
}

/* Putting. */

int fl_spsc_try_put(fl_spsc *q, const void *item)
{
	unsigned char *slot = q->put_, *next = fl__spsc_after(q, q->shape_, slot);
	if (!fl__spsc_has_space(next))
		return -EAGAIN;
	fl__copy(fl__spsc_item(q->shape_, slot), item, q->shape_.size);
	fl__spsc_end_put(q, slot, next);
	return 0;
}

size_t fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n)
{
	const unsigned char *item = items;
	unsigned char *const first = q->put_, *slot = first;
	n = run_of(q, fl__spsc_after(q, q->shape_, first), n, 0);
	if (n == 0)
		return 0;
	for (size_t left = n, run; left > 0; left -= run, item += run * q->shape_.size) {
		run = run_in_group(q, slot, left);
		memcpy(fl__spsc_item(q->shape_, slot), item, run * q->shape_.size);
		slot = fl__spsc_after(q, q->shape_, slot + run - 1);
	}
	mark_others(q, first, slot, 1);
	fl__spsc_end_put(q, first, slot);
	return n;
}

/* Getting: the mirror image. */

int fl_spsc_try_get(fl_spsc *q, void *item)
{
	unsigned char *slot = q->get_;
	if (!fl__spsc_has_item(slot))
		return -EAGAIN;
	fl__copy(item, fl__spsc_item(q->shape_, slot), q->shape_.size);
	fl__spsc_end_get(q, slot, fl__spsc_after(q, q->shape_, slot));
	return 0;
}

size_t fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n)
{
	unsigned char *item = items;
	unsigned char *const first = q->get_, *slot = first;
	n = run_of(q, first, n, 1);
	if (n == 0)
		return 0;
	for (size_t left = n, run; left > 0; left -= run, item += run * q->shape_.size) {
		run = run_in_group(q, slot, left);
		memcpy(item, fl__spsc_item(q->shape_, slot), run * q->shape_.size);
		slot = fl__spsc_after(q, q->shape_, slot + run - 1);
	}
	mark_others(q, first, slot, 0);
	fl__spsc_end_get(q, first, slot);
	return n;
}

/* Looking. */

/* The how manieth slot of the ring it is, from 0 on. */
static size_t number_of(const fl_spsc *q, const unsigned char *slot)
{
	const size_t offset = (size_t)(slot - q->first_);
	return offset / q->shape_.bytes * q->shape_.slots + offset % q->shape_.bytes;
}

size_t fl_spsc_length(const fl_spsc *q)
{
	/* acquire: put_ is not older than it; pairs with fl__spsc_end_get() */
	const size_t get = number_of(q, fl__load_acquire(&q->get_));
	/* relaxed: out of date anyway; the producer's own for himself */
	const size_t put = number_of(q, fl__load_relaxed(&q->put_));
	return put >= get ? put - get : put + q->capacity_ + 1 - get;
}

size_t fl_spsc_capacity(const fl_spsc *q)
{
	return q->capacity_; /* never changes */
}
