/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring for one producer and one consumer: FastForward (Giacomoni, Moseley and Vachharajani,
 * 2008). Each slot has a mark that says whether the slot is full. If items are smaller than a cache
 * line, each line begins with the marks of its items. The mark of a larger item is in front of it
 * (fairlead/private/spsc_slots.h). The struct and the inline put and get are in
 * fairlead/private/spsc_of.h.
 *
 *   word            holds                   written by                     read by
 *   put_            the next item's slot    the producer, before the mark  the producer; for length
 *   get_            the oldest item's slot  the consumer, before the mark  the consumer; for length
 *   mark of a slot  1: it has an item       the producer: 0 -> 1           both
 *                                           the consumer: 1 -> 0
 *
 * Invariants
 *   1. The marks from get_ up to put_ are 1, the others 0, except those of a call in progress. The
 *      mark of put_ is always 0, because the ring counts as full when the next slot's mark is 1. So
 *      equal positions mean "empty", also for a third thread that asks for the length.
 *   2. Only the producer touches slots with mark 0, and only the consumer those with mark 1.
 *   3. A call with several items sets their marks from the last to the first, so a call that finds
 *      the first mark finds all of them.
 *
 * A put or a get linearizes where it stores the mark of its first slot. "Full" and "empty"
 * linearize where the call loads the mark. All calls are wait-free. The store of the first slot's
 * mark is the last access of a put.
 *
 * Why the slots have marks. A mark says whether its slot is full, in the cache line that must be
 * fetched anyway, so neither side loads the index of the other. A mark is a byte, so a line holds
 * seven items of 8 bytes with their marks. A ring with cached indices needs three stores per item
 * instead of five. But between two threads it took many times as long, because the faster side kept
 * taking the cache line with the other side's index.
 */
#include "spsc.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include <fairlead/private/spsc_of.h>
#include <string.h>

/* The functions of slots, which queue_spsc.c also uses. */

FL__COLD int fl__slots_init(struct fl__slots *slots, size_t item_size, size_t count)
{
	size_t bytes;
	if (item_size > PTRDIFF_MAX)
		return -EOVERFLOW;
	const struct fl__slot_shape shape = fl__slot_shape_of(item_size);
	const size_t groups = (count - 1) / shape.slots + 1;
	if (__builtin_mul_overflow(groups, shape.bytes, &bytes) ||
	    __builtin_add_overflow(bytes, (size_t)FL__SLOTS_LINE - 1, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	slots->memory = fl__alloc(1, bytes);
	if (!slots->memory)
		return -ENOMEM;
	slots->shape = shape;
	slots->first = (unsigned char *)slots->memory + -(uintptr_t)slots->memory % FL__SLOTS_LINE +
	               (groups * shape.slots - count);
	slots->last = fl__slots_at(slots, count - 1);
	return 0;
}

void fl__slots_fini(struct fl__slots *slots)
{
	fl__free(slots->memory);
}

static unsigned char *slots_group(const struct fl__slots *slots)
{
	return slots->first - fl__slot_index(slots->shape, slots->first);
}

unsigned char *fl__slots_at(const struct fl__slots *slots, size_t index)
{
	index += fl__slot_index(slots->shape, slots->first);
	return slots_group(slots) + index / slots->shape.slots * slots->shape.bytes + index % slots->shape.slots;
}

size_t fl__slots_run(const struct fl__slots *slots, unsigned char *slot, size_t n, bool full)
{
	size_t run = 0;
	for (; run < n && fl__slot_is_full(slot) == full; slot = fl__slot_after(slots, slots->shape, slot))
		run++;
	return run;
}

/* Returns how many of the `n` items from `slot` on are contiguous. */
static size_t slots_run_in_group(const struct fl__slots *slots, const unsigned char *slot, size_t n)
{
	const size_t run = slots->shape.slots - fl__slot_index(slots->shape, slot);
	return FL__MIN(run, n);
}

unsigned char *fl__slots_copy(const struct fl__slots *slots, unsigned char *slot, const void *from, void *to, size_t n)
{
	unsigned char *other = from ? FL__MUTABLE(from) : to;
	for (size_t run; n > 0; n -= run, other += run * slots->shape.size) {
		run = slots_run_in_group(slots, slot, n);
		unsigned char *const item = fl__slot_item(slots->shape, slot);
		memcpy(from ? item : other, from ? other : item, run * slots->shape.size);
		slot = fl__slot_after(slots, slots->shape, slot + run - 1);
	}
	return slot;
}

static unsigned char *slots_before(const struct fl__slots *slots, unsigned char *slot)
{
	const size_t index = fl__slot_index(slots->shape, slot);
	if (slot == slots->first)
		return slots->last;
	return index > 0 ? slot - 1 : slot - slots->shape.bytes + slots->shape.slots - 1;
}

void fl__slots_mark_others(const struct fl__slots *slots, unsigned char *first, unsigned char *next, bool full)
{
	/* relaxed: the caller stores the mark of `first` last, with release */
	for (unsigned char *slot = slots_before(slots, next); slot != first; slot = slots_before(slots, slot))
		fl__store_relaxed(slot, full);
}

int fl_spsc_create(fl_spsc **made, size_t item_size, size_t capacity)
{
	size_t count;
	if (item_size == 0 || capacity == 0)
		return -EINVAL;
	if (__builtin_add_overflow(capacity, (size_t)1, &count))
		return -EOVERFLOW;
	fl_spsc *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	const int rc = fl__slots_init(&q->slots_, item_size, count);
	if (rc != 0) {
		fl__free(q);
		return rc;
	}
	q->put_ = q->get_ = q->slots_.first;
	q->capacity_ = capacity;
	*made = q;
	return 0;
}

void fl_spsc_free(fl_spsc *q)
{
	if (!q)
		return;
	fl__hook_ends(q);
	fl__slots_fini(&q->slots_);
	fl__free(q);
}

int fl_spsc_try_put(fl_spsc *q, const void *item)
{
	return fl__spsc_put(q, item, q->slots_.shape);
}

/* Returns how many of the `n` slots from `slot` on are full (free), up to the first that is not. */
static size_t spsc_run(const fl_spsc *q, unsigned char *slot, size_t n, bool full)
{
	return fl__slots_run(&q->slots_, slot, FL__MIN(n, q->capacity_), full);
}

int fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n, size_t *count)
{
	unsigned char *slot = q->put_;
	*count = spsc_run(q, fl__slot_after(&q->slots_, q->slots_.shape, slot), n, false);
	if (*count > 0) {
		unsigned char *next = fl__slots_copy(&q->slots_, slot, items, NULL, *count);
		fl__slots_mark_others(&q->slots_, slot, next, true);
		fl__spsc_end_put(q, slot, next);
	}
	return *count == n ? 0 : -EAGAIN;
}

int fl_spsc_try_get(fl_spsc *q, void *item)
{
	return fl__spsc_get(q, item, q->slots_.shape);
}

int fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n, size_t *count)
{
	unsigned char *slot = q->get_;
	*count = spsc_run(q, slot, n, true);
	if (*count == 0)
		return n == 0 ? 0 : -EAGAIN;
	unsigned char *next = fl__slots_copy(&q->slots_, slot, NULL, items, *count);
	fl__slots_mark_others(&q->slots_, slot, next, false);
	fl__spsc_end_get(q, slot, next);
	return 0;
}

static size_t slots_index(const struct fl__slots *slots, const unsigned char *slot)
{
	const size_t offset = (size_t)(slot - slots_group(slots));
	return offset / slots->shape.bytes * slots->shape.slots + offset % slots->shape.bytes;
}

size_t fl_spsc_length(const fl_spsc *q)
{
	/* acquire: pairs with the release in fl__spsc_end_get(), so that put_ is not older */
	const size_t get = slots_index(&q->slots_, fl__load_acquire(&q->get_));
	/* relaxed: put_ may be out of date like the length; the producer sees its own put_ */
	const size_t put = slots_index(&q->slots_, fl__load_relaxed(&q->put_));
	return put >= get ? put - get : put + q->capacity_ + 1 - get;
}
