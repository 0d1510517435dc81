/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_OF_H
#define FAIRLEAD_SPSC_OF_H

#include <fairlead/inline.h>
#include <fairlead/spsc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * FL_SPSC_OF(struct sample, samples) makes the type samples and, for each fl_spsc_... function, a samples_... that takes and
 * gives struct sample: samples_try_put(q, sample), samples_try_get(q, &sample). At file scope; C and C++.
 */
#define FL_SPSC_OF(type, name)                                                                                         \
	typedef struct name name;                                                                                      \
	FL__SPSC_OF_LIFE(type, name)                                                                                   \
	FL__SPSC_OF_PUT(type, name)                                                                                    \
	FL__SPSC_OF_GET(type, name)

/*
 * Private, from here on: what the inline functions are made of. lib/queue/spsc.c says how it works.
 *
 * Each side's own position lies apart from the other's, and from what never changes.
 */
#define FL__SPSC_APART 128 /* two cache lines: adjacent ones are fetched together */
#define FL__SPSC_LINE 64

/* A group of slots: a byte for each, which says whether it is full, then their items. In a cache line, if that can be. */
struct fl__spsc_shape {
	size_t size;   /* of an item */
	size_t slots;  /* of a group */
	size_t offset; /* of the first item in the group */
	size_t bytes;  /* from a group to the next; FL__SPSC_LINE, if it has several slots */
};

struct fl_spsc {
	unsigned char *first_, *last_; /* slots, one more than the capacity; these never change */
	struct fl__spsc_shape shape_;
	size_t capacity_;
	void *memory_;
	unsigned char apart_[FL__SPSC_APART];
	unsigned char *put_; /* atomic, but for the producer, who alone writes it: the slot for the next item */
	unsigned char apart_put_[FL__SPSC_APART - sizeof(unsigned char *)];
	unsigned char *get_; /* likewise, the consumer: the slot of the oldest item */
	unsigned char apart_get_[FL__SPSC_APART - sizeof(unsigned char *)];
};

#define FL__SPSC_FN __attribute__((unused)) static inline

/* An item is as aligned as its size says, 16 at most. Known to the compiler if the size is. */
static inline struct fl__spsc_shape fl__spsc_shape_of(size_t size)
{
	const size_t lowest_bit = size & (~size + 1), alignment = lowest_bit < 16 ? lowest_bit : 16;
	struct fl__spsc_shape shape;
	shape.size = size;
	/* as many as have room: size and line are multiples of the alignment, so what the items leave is, too */
	shape.slots = size < FL__SPSC_LINE / 2 ? FL__SPSC_LINE / (size + 1) : 1;
	shape.offset = (shape.slots + alignment - 1) & ~(alignment - 1);
	shape.bytes = (shape.offset + shape.slots * size + alignment - 1) & ~(alignment - 1);
	if (shape.bytes < FL__SPSC_LINE)
		shape.bytes = FL__SPSC_LINE;
	return shape;
}

/* A slot is known by the address of its mark. Which of its group it is: */
static inline size_t fl__spsc_index(struct fl__spsc_shape shape, const unsigned char *slot)
{
	return shape.slots == 1 ? 0 : (uintptr_t)slot % FL__SPSC_LINE;
}

static inline unsigned char *fl__spsc_item(struct fl__spsc_shape shape, unsigned char *slot)
{
	const size_t index = fl__spsc_index(shape, slot);
	return slot - index + shape.offset + index * shape.size;
}

static inline unsigned char *fl__spsc_after(const fl_spsc *q, struct fl__spsc_shape shape, unsigned char *slot)
{
	const size_t index = fl__spsc_index(shape, slot);
	if (__builtin_expect(slot == q->last_, 0)) /* a branch: the next operation need not wait for the outcome */
		return q->first_;
	if (__builtin_expect(index + 1 == shape.slots, 0))
		return slot - index + shape.bytes;
	return slot + 1;
}

/* Whether there is space in put_, behind which `next` is. */
static inline bool fl__spsc_has_space(const unsigned char *next)
{
	/* acquire: what was there has been read; pairs with fl__spsc_end_get() */
	return __builtin_expect(!fl__load_acquire(next), 1);
}

/* The items from `slot` on are there: of several, the others say so already. `next`: the slot behind them. */
static inline void fl__spsc_end_put(fl_spsc *q, unsigned char *slot, unsigned char *next)
{
	fl__store_relaxed(&q->put_, next); /* relaxed: who sees the item sees this by the next */
	/* release: the items are whole; pairs with fl__spsc_has_item() */
	fl__store_release(slot, 1);
}

/* Whether there is an item in `slot`, which get_ is. */
static inline bool fl__spsc_has_item(const unsigned char *slot)
{
	/* acquire: the item is whole; pairs with fl__spsc_end_put() */
	return __builtin_expect(fl__load_acquire(slot), 1);
}

/* Likewise. */
static inline void fl__spsc_end_get(fl_spsc *q, unsigned char *slot, unsigned char *next)
{
	/* release: whoever sees that these are gone sees them put; pairs with fl_spsc_length() */
	fl__store_release(&q->get_, next);
	/* release: the items have been read; pairs with fl__spsc_has_space() */
	fl__store_release(slot, 0);
}

#define FL__SPSC_OF_LIFE(type, name)                                                                                   \
	FL__SPSC_FN FL_MUST_CHECK int name##_create(name **q, size_t capacity)                                         \
	{                                                                                                              \
		fl_spsc *made = NULL;                                                                                  \
		int rc = fl_spsc_create(&made, sizeof(type), capacity);                                                \
		if (rc == 0)                                                                                           \
			*q = (name *)made;                                                                             \
		return rc;                                                                                             \
	}                                                                                                              \
	FL__SPSC_FN fl_spsc *name##_untyped(name *q)                                                                   \
	{                                                                                                              \
		return (fl_spsc *)q;                                                                                   \
	}                                                                                                              \
	FL__SPSC_FN void name##_free(name *q)                                                                          \
	{                                                                                                              \
		fl_spsc_free((fl_spsc *)q);                                                                            \
	}                                                                                                              \
	FL__SPSC_FN void fl__scoped_##name(name **q)                                                                   \
	{                                                                                                              \
		fl_spsc_free((fl_spsc *)*q);                                                                           \
	}                                                                                                              \
	FL__SPSC_FN size_t name##_length(const name *q)                                                                \
	{                                                                                                              \
		return fl_spsc_length((const fl_spsc *)q);                                                             \
	}                                                                                                              \
	FL__SPSC_FN size_t name##_capacity(const name *q)                                                              \
	{                                                                                                              \
		return fl_spsc_capacity((const fl_spsc *)q);                                                           \
	}

#define FL__SPSC_OF_PUT(type, name)                                                                                    \
	FL__SPSC_FN FL_MUST_CHECK int name##_try_put(name *q, type item)                                               \
	{                                                                                                              \
		const struct fl__spsc_shape shape = fl__spsc_shape_of(sizeof(type));                                   \
		unsigned char *slot = ((fl_spsc *)q)->put_, *next = fl__spsc_after((fl_spsc *)q, shape, slot);         \
		if (!fl__spsc_has_space(next))                                                                         \
			return -EAGAIN;                                                                                \
		memcpy(fl__spsc_item(shape, slot), &item, sizeof(type));                                               \
		fl__spsc_end_put((fl_spsc *)q, slot, next);                                                            \
		return 0;                                                                                              \
	}                                                                                                              \
	FL__SPSC_FN FL_MUST_CHECK size_t name##_try_put_many(name *q, const type *items, size_t n)                     \
	{                                                                                                              \
		return fl_spsc_try_put_many((fl_spsc *)q, items, n);                                                   \
	}

#define FL__SPSC_OF_GET(type, name)                                                                                    \
	FL__SPSC_FN FL_MUST_CHECK int name##_try_get(name *q, type *item)                                              \
	{                                                                                                              \
		const struct fl__spsc_shape shape = fl__spsc_shape_of(sizeof(type));                                   \
		unsigned char *slot = ((fl_spsc *)q)->get_;                                                            \
		if (!fl__spsc_has_item(slot))                                                                          \
			return -EAGAIN;                                                                                \
		memcpy(item, fl__spsc_item(shape, slot), sizeof(type));                                                \
		fl__spsc_end_get((fl_spsc *)q, slot, fl__spsc_after((fl_spsc *)q, shape, slot));                       \
		return 0;                                                                                              \
	}                                                                                                              \
	FL__SPSC_FN FL_MUST_CHECK size_t name##_try_get_many(name *q, type *items, size_t n)                           \
	{                                                                                                              \
		return fl_spsc_try_get_many((fl_spsc *)q, items, n);                                                   \
	}

#endif
