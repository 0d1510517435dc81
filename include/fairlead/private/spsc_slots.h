/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_SLOTS_H
#define FAIRLEAD_SPSC_SLOTS_H

#include <fairlead/defs.h>
#include <fairlead/private/inline.h>

FL_BEGIN_DECLS

/*
 * This header is private. It has the slots of a ring for one producer and one consumer, for
 * spsc_of.h and queue_spsc.h. lib/core/queue/spsc.h declares the functions that are not inline.
 *
 * Each slot has a mark, a byte that says whether the slot has an item. The slots lie in groups. A
 * group has first the marks of its slots, and then the items. If several slots fit into a cache
 * line, each group is one cache line. So a fetch of an item's line fetches the item's mark, too,
 * and a line has as many items as possible. The address of a slot is that of its mark. A group
 * begins with the marks, so the address gives the index in the group. The last slot of a ring is
 * the last one of its group. The first group may lack its first slots.
 */
#define FL__SLOTS_LINE 64

struct fl__slot_shape {
	size_t size;   /* bytes of an item */
	size_t slots;  /* how many slots a group has */
	size_t offset; /* the offset of the first item in the group */
	size_t bytes;  /* from a group to the next: FL__SLOTS_LINE if a group has several slots */
};

struct fl__slots {
	unsigned char *first, *last;
	struct fl__slot_shape shape;
	void *memory;
};

/*
 * Returns the shape of slots for items of `_size` bytes. The size gives the alignment, 16 at most.
 * If the size is a constant, so is the shape.
 */
static inline struct fl__slot_shape fl__slot_shape_of(size_t _size)
{
	const size_t _lowest_bit = _size & (~_size + 1), _alignment = _lowest_bit < 16 ? _lowest_bit : 16;
	struct fl__slot_shape _shape;
	_shape.size = _size;
	/*
	 * This number of slots fits into a line, because the size of an item, the line, and the
	 * bytes left for marks are multiples of the alignment.
	 */
	_shape.slots = _size < FL__SLOTS_LINE / 2 ? FL__SLOTS_LINE / (_size + 1) : 1;
	_shape.offset = (_shape.slots + _alignment - 1) & ~(_alignment - 1);
	_shape.bytes = (_shape.offset + _shape.slots * _size + _alignment - 1) & ~(_alignment - 1);
	if (_shape.bytes < FL__SLOTS_LINE)
		_shape.bytes = FL__SLOTS_LINE;
	return _shape;
}

/* Returns the index of a slot in its group. */
static inline size_t fl__slot_index(struct fl__slot_shape _shape, const unsigned char *_slot)
{
	return _shape.slots == 1 ? 0 : (uintptr_t)_slot % FL__SLOTS_LINE;
}

static inline unsigned char *fl__slot_item(struct fl__slot_shape _shape, unsigned char *_slot)
{
	const size_t _index = fl__slot_index(_shape, _slot);
	return _slot - _index + _shape.offset + _index * _shape.size;
}

/*
 * Returns the next slot. The first slot follows the last one. `_shape` is that of the slots, which
 * the compiler may know.
 */
static inline unsigned char *fl__slot_after(const struct fl__slots *_slots, struct fl__slot_shape _shape,
                                            unsigned char *_slot)
{
	const size_t _index = fl__slot_index(_shape, _slot);
	/*
	 * This is a branch and no computation, so that the next operation does not wait for the
	 * outcome.
	 */
	if (fl__unlikely(_index + 1 == _shape.slots))
		return _slot == _slots->last ? _slots->first : _slot - _index + _shape.bytes;
	return _slot + 1;
}

static inline bool fl__slot_is_full(const unsigned char *_slot)
{
	/* acquire: pairs with the release in fl__slot_fill() or fl__slot_clear() */
	return fl__load_acquire(_slot) != 0;
}

/*
 * Set or clear the mark of a slot. A call for several slots changes the marks of the others by
 * fl__slots_mark_others(), and then the mark of the first slot by one of these functions.
 */
static inline void fl__slot_fill(unsigned char *_slot)
{
	fl__store_release(_slot, 1); /* release: pairs with fl__slot_is_full(), for writes of items */
}

static inline void fl__slot_clear(unsigned char *_slot)
{
	fl__store_release(_slot, 0); /* release: pairs with fl__slot_is_full(), for reads of items */
}

FL_END_DECLS

#endif
