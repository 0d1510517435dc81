/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings of slots with marks in their items' cache lines: fairlead/private/slots.h. spsc.c and pair.c say
 * which side may touch a slot.
 */
#include "slots.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <errno.h>
#include <string.h>

int fl__slots_init(struct fl__slots *slots, size_t item_size, size_t count)
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
	slots->first = (unsigned char *)slots->memory + -(uintptr_t)slots->memory % FL__SLOTS_LINE;
	slots->last = fl__slots_at(slots, count - 1);
	return 0;
}

void fl__slots_fini(struct fl__slots *slots)
{
	fl__free(slots->memory);
}

size_t fl__slots_number(const struct fl__slots *slots, const unsigned char *slot)
{
	const size_t offset = (size_t)(slot - slots->first);
	return offset / slots->shape.bytes * slots->shape.slots + offset % slots->shape.bytes;
}

unsigned char *fl__slots_at(const struct fl__slots *slots, size_t number)
{
	return slots->first + number / slots->shape.slots * slots->shape.bytes + number % slots->shape.slots;
}

size_t fl__slots_run(const struct fl__slots *slots, unsigned char *slot, size_t n, bool full)
{
	size_t run = 0;
	for (; run < n && fl__slot_is_full(slot) == full; slot = fl__slot_after(slots, slots->shape, slot))
		run++;
	return run;
}

/* Returns how many items from `slot` on, at most `n`, lie side by side. */
static size_t slots_run_in_group(const struct fl__slots *slots, const unsigned char *slot, size_t n)
{
	size_t run = slots->shape.slots - fl__slot_index(slots->shape, slot);
	/* The last slot is in this group: in a later group its distance is at least `run`. */
	if ((uintptr_t)slots->last - (uintptr_t)slot < run)
		run = (size_t)(slots->last - slot) + 1;
	return run < n ? run : n;
}

unsigned char *fl__slots_copy_in(const struct fl__slots *slots, unsigned char *slot, const void *items, size_t n)
{
	const unsigned char *item = items;
	for (size_t run; n > 0; n -= run, item += run * slots->shape.size) {
		run = slots_run_in_group(slots, slot, n);
		memcpy(fl__slot_item(slots->shape, slot), item, run * slots->shape.size);
		slot = fl__slot_after(slots, slots->shape, slot + run - 1);
	}
	return slot;
}

unsigned char *fl__slots_copy_out(const struct fl__slots *slots, unsigned char *slot, void *items, size_t n)
{
	unsigned char *item = items;
	for (size_t run; n > 0; n -= run, item += run * slots->shape.size) {
		run = slots_run_in_group(slots, slot, n);
		memcpy(item, fl__slot_item(slots->shape, slot), run * slots->shape.size);
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
	/* relaxed: the mark of `first`, which comes last, releases */
	for (unsigned char *slot = slots_before(slots, next); slot != first; slot = slots_before(slots, slot))
		fl__store_relaxed(slot, full);
}
