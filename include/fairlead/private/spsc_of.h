/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_OF_H
#define FAIRLEAD_SPSC_OF_H

#include <fairlead/private/spsc_slots.h>
#include <fairlead/private/typed.h>
#include <fairlead/spsc.h>

/* This header is private. fairlead/spsc.h documents FL_SPSC_OF. */
#define FL_SPSC_OF(type, name)                                                                                         \
	FL__VALUE(type)                                                                                                \
	typedef struct name name;                                                                                      \
	FL__TYPED_LIFE(fl_spsc, name)                                                                                  \
	FL__TYPED_MAKE(fl_spsc, name, create, (name * *_q, size_t _capacity),                                          \
	               fl_spsc_create(&_made, sizeof(type), _capacity))                                                \
	FL__TYPED_MANY(fl_spsc, type, name)                                                                            \
	FL__TYPED_READ(fl_spsc, name, size_t, length)                                                                  \
	FL__TYPED_TRY(fl_spsc, type, name, fl__spsc, , fl__slot_shape_of(sizeof(type)))

/*
 * The inline functions. The head of lib/core/queue/spsc.c says how the ring works. The positions of
 * the two sides, and the members that never change, are in separate cache lines.
 */
#define FL__SPSC_APART 128 /* two cache lines, since adjacent lines are fetched together */

struct fl_spsc {
	struct fl__slots slots_; /* one slot more than the capacity; never changes */
	size_t capacity_;
	unsigned char apart_[FL__SPSC_APART];
	unsigned char *put_; /* the slot for the next item; written by the producer, by atomic stores */
	unsigned char apart_put_[FL__SPSC_APART - sizeof(unsigned char *)];
	unsigned char *get_; /* the slot of the oldest item; written by the consumer, by atomic stores */
	unsigned char apart_get_[FL__SPSC_APART - sizeof(unsigned char *)];
};

/* Ends a put of the slots from `_slot` to `_next`. All their marks but the first are set. */
static inline void fl__spsc_end_put(fl_spsc *_q, unsigned char *_slot, unsigned char *_next)
{
	fl__store_relaxed(&_q->put_, _next); /* relaxed: the mark, stored next, releases it */
	fl__slot_fill(_slot);
}

/* Ends a get of the slots from `_slot` to `_next`. All their marks but the first are cleared. */
static inline void fl__spsc_end_get(fl_spsc *_q, unsigned char *_slot, unsigned char *_next)
{
	/*
	 * release: pairs with the acquire in fl_spsc_length(), which then sees the puts before this
	 * get
	 */
	fl__store_release(&_q->get_, _next);
	fl__slot_clear(_slot);
}

/*
 * Put or get an item. `_shape` is that of the slots, which the compiler may know. Return 0,
 * -EAGAIN.
 */
static inline int fl__spsc_put(fl_spsc *_q, const void *_item, struct fl__slot_shape _shape)
{
	unsigned char *_slot = _q->put_, *_next = fl__slot_after(&_q->slots_, _shape, _slot);
	if (fl__unlikely(fl__slot_is_full(_next)))
		return -EAGAIN;
	fl__copy(fl__slot_item(_shape, _slot), _item, _shape.size);
	fl__spsc_end_put(_q, _slot, _next);
	return 0;
}

static inline int fl__spsc_get(fl_spsc *_q, void *_item, struct fl__slot_shape _shape)
{
	unsigned char *_slot = _q->get_;
	if (fl__unlikely(!fl__slot_is_full(_slot)))
		return -EAGAIN;
	fl__copy(_item, fl__slot_item(_shape, _slot), _shape.size);
	fl__spsc_end_get(_q, _slot, fl__slot_after(&_q->slots_, _shape, _slot));
	return 0;
}

#endif
