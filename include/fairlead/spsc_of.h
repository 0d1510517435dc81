/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_OF_H
#define FAIRLEAD_SPSC_OF_H

#include <fairlead/inline.h>
#include <fairlead/spsc.h>
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

struct fl_spsc {
	unsigned char *slots_,
	    *last_; /* the first slot, and the last: one more than the capacity; these never change */
	size_t item_size_;
	unsigned char apart_[FL__SPSC_APART];
	unsigned char *put_; /* atomic: where the next item goes */
	unsigned char apart_put_[FL__SPSC_APART - sizeof(unsigned char *)];
	unsigned char *get_; /* atomic: where the oldest item is */
	unsigned char apart_get_[FL__SPSC_APART - sizeof(unsigned char *)];
};

#define FL__SPSC_FN __attribute__((unused)) static inline

/* A slot: whether it has an item, then the item, as aligned as its size says, 16 at most; and the bytes from a slot to the next. */
static inline size_t fl__spsc_offset(size_t size)
{
	const size_t lowest_bit = size & (~size + 1);
	return lowest_bit < sizeof(uint32_t) ? sizeof(uint32_t) : lowest_bit < 16 ? lowest_bit : 16;
}

static inline size_t fl__spsc_stride(size_t size)
{
	const size_t offset = fl__spsc_offset(size);
	return (2 * offset + size - 1) & ~(offset - 1);
}

static inline uint32_t *fl__spsc_full(unsigned char *slot)
{
	return (uint32_t *)(void *)slot;
}

static inline unsigned char *fl__spsc_after(const fl_spsc *q, unsigned char *slot, size_t size)
{
	if (__builtin_expect(slot == q->last_, 0)) /* a branch: the next operation need not wait for the outcome */
		return q->slots_;
	return slot + fl__spsc_stride(size);
}

/* The slot for the next item, and in `*next` the one behind it; NULL: full. */
static inline unsigned char *fl__spsc_begin_put(fl_spsc *q, size_t size, unsigned char **next)
{
	unsigned char *slot = q->put_; /* the producer alone writes it */
	*next = fl__spsc_after(q, slot, size);
	/* acquire: what was there has been read; pairs with fl__spsc_end_get() */
	return __builtin_expect(fl__load_acquire(fl__spsc_full(*next)), 0) ? NULL : slot;
}

/* The items from `slot` on are there: of several, the others say so already. `next`: the slot behind them. */
static inline void fl__spsc_end_put(fl_spsc *q, unsigned char *slot, unsigned char *next)
{
	fl__store_relaxed(&q->put_, next); /* relaxed: who sees the item sees this by the next */
	/* release: the items are whole; pairs with fl__spsc_begin_get() */
	fl__store_release(fl__spsc_full(slot), 1);
}

/* The slot of the oldest item; NULL: empty. */
static inline unsigned char *fl__spsc_begin_get(fl_spsc *q)
{
	unsigned char *slot = q->get_; /* the consumer alone writes it */
	/* acquire: the item is whole; pairs with fl__spsc_end_put() */
	return __builtin_expect(fl__load_acquire(fl__spsc_full(slot)), 1) ? slot : NULL;
}

/* Likewise. */
static inline void fl__spsc_end_get(fl_spsc *q, unsigned char *slot, unsigned char *next)
{
	/* release: whoever sees that these are gone sees them put; pairs with fl_spsc_length() */
	fl__store_release(&q->get_, next);
	/* release: the items have been read; pairs with fl__spsc_begin_put() */
	fl__store_release(fl__spsc_full(slot), 0);
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
		unsigned char *next, *slot = fl__spsc_begin_put((fl_spsc *)q, sizeof(type), &next);                    \
		if (__builtin_expect(!slot, 0))                                                                        \
			return -EAGAIN;                                                                                \
		memcpy(slot + fl__spsc_offset(sizeof(type)), &item, sizeof(type));                                     \
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
		unsigned char *slot = fl__spsc_begin_get((fl_spsc *)q);                                                \
		if (__builtin_expect(!slot, 0))                                                                        \
			return -EAGAIN;                                                                                \
		memcpy(item, slot + fl__spsc_offset(sizeof(type)), sizeof(type));                                      \
		fl__spsc_end_get((fl_spsc *)q, slot, fl__spsc_after((fl_spsc *)q, slot, sizeof(type)));                \
		return 0;                                                                                              \
	}                                                                                                              \
	FL__SPSC_FN FL_MUST_CHECK size_t name##_try_get_many(name *q, type *items, size_t n)                           \
	{                                                                                                              \
		return fl_spsc_try_get_many((fl_spsc *)q, items, n);                                                   \
	}

#endif
