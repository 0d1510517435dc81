/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_OF_H
#define FAIRLEAD_SPSC_OF_H

#include <fairlead/spsc.h>
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
 * Whatever one side alone reads and writes lies apart from what both do, and so do the two words that both do.
 */
#define FL__SPSC_APART 128 /* two cache lines: adjacent ones are fetched together */

struct fl_spsc {
	unsigned char *slots_; /* `count_` of item_size_; these never change */
	size_t count_, item_size_;
	unsigned char apart_[FL__SPSC_APART];

	size_t put_next_;  /* the producer's own: the slot of the next item, as in tail_ */
	size_t head_seen_; /* head_ as it was */
	unsigned char apart_put_[FL__SPSC_APART - 2 * sizeof(size_t)];

	size_t tail_; /* atomic: behind the last item */
	unsigned char apart_tail_[FL__SPSC_APART - sizeof(size_t)];

	size_t head_; /* atomic: the oldest item */
	unsigned char apart_head_[FL__SPSC_APART - sizeof(size_t)];

	size_t get_next_;  /* the consumer's own: the slot of the oldest item, as in head_ */
	size_t tail_seen_; /* tail_ as it was */
	unsigned char apart_get_[FL__SPSC_APART - 2 * sizeof(size_t)];
};

#define FL__SPSC_FN __attribute__((unused)) static inline

static inline size_t fl__spsc_after(const fl_spsc *q, size_t slot)
{
	if (__builtin_expect(slot + 1 == q->count_, 0)) /* a branch: the next operation need not wait for the outcome */
		return 0;
	return slot + 1;
}

/* The slot for the next item, and in `*next` the one after it; NULL: full. */
static inline unsigned char *fl__spsc_begin_put(fl_spsc *q, size_t size, size_t *next)
{
	const size_t slot = q->put_next_;
	*next = fl__spsc_after(q, slot);
	if (__builtin_expect(*next == q->head_seen_, 0)) {
		/* acquire: what was there has been read; pairs with fl__spsc_end_get() */
		q->head_seen_ = __atomic_load_n(&q->head_, __ATOMIC_ACQUIRE);
		if (*next == q->head_seen_)
			return NULL;
	}
	return q->slots_ + slot * size;
}

static inline void fl__spsc_end_put(fl_spsc *q, size_t next)
{
	q->put_next_ = next;
	/* release: the items are whole; pairs with fl__spsc_begin_get() and fl__spsc_items() */
	__atomic_store_n(&q->tail_, next, __ATOMIC_RELEASE);
}

/* The slot of the oldest item, and in `*next` the one after it; NULL: empty. */
static inline const unsigned char *fl__spsc_begin_get(fl_spsc *q, size_t size, size_t *next)
{
	const size_t slot = q->get_next_;
	if (__builtin_expect(slot == q->tail_seen_, 0)) {
		/* acquire: the item is whole; pairs with fl__spsc_end_put() */
		q->tail_seen_ = __atomic_load_n(&q->tail_, __ATOMIC_ACQUIRE);
		if (slot == q->tail_seen_)
			return NULL;
	}
	*next = fl__spsc_after(q, slot);
	return q->slots_ + slot * size;
}

static inline void fl__spsc_end_get(fl_spsc *q, size_t next)
{
	q->get_next_ = next;
	/* release: the items have been read; pairs with fl__spsc_begin_put() and fl__spsc_space() */
	__atomic_store_n(&q->head_, next, __ATOMIC_RELEASE);
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
		size_t next;                                                                                           \
		unsigned char *slot = fl__spsc_begin_put((fl_spsc *)q, sizeof(type), &next);                           \
		if (__builtin_expect(!slot, 0))                                                                        \
			return -EAGAIN;                                                                                \
		memcpy(slot, &item, sizeof(type));                                                                     \
		fl__spsc_end_put((fl_spsc *)q, next);                                                                  \
		return 0;                                                                                              \
	}                                                                                                              \
	FL__SPSC_FN FL_MUST_CHECK size_t name##_try_put_many(name *q, const type *items, size_t n)                     \
	{                                                                                                              \
		return fl_spsc_try_put_many((fl_spsc *)q, items, n);                                                   \
	}

#define FL__SPSC_OF_GET(type, name)                                                                                    \
	FL__SPSC_FN FL_MUST_CHECK int name##_try_get(name *q, type *item)                                              \
	{                                                                                                              \
		size_t next;                                                                                           \
		const unsigned char *slot = fl__spsc_begin_get((fl_spsc *)q, sizeof(type), &next);                     \
		if (__builtin_expect(!slot, 0))                                                                        \
			return -EAGAIN;                                                                                \
		memcpy(item, slot, sizeof(type));                                                                      \
		fl__spsc_end_get((fl_spsc *)q, next);                                                                  \
		return 0;                                                                                              \
	}                                                                                                              \
	FL__SPSC_FN FL_MUST_CHECK size_t name##_try_get_many(name *q, type *items, size_t n)                           \
	{                                                                                                              \
		return fl_spsc_try_get_many((fl_spsc *)q, items, n);                                                   \
	}

#endif
