/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring for one producer and one consumer: Lamport's, with the other side's index remembered, as Erik Rigtorp's has it.
 * The struct, and the steps of a put and of a get, are inline in fairlead/spsc_of.h.
 *
 *   word         holds                                        written by    read by
 *   tail_        the slot behind the last item                the producer  both
 *   head_        the slot of the oldest item                  the consumer  both
 *   put_next_    the same as tail_                            the producer  the producer
 *   get_next_    the same as head_                            the consumer  the consumer
 *   head_seen_   a value that head_ had                       the producer  the producer
 *   tail_seen_   a value that tail_ had                       the consumer  the consumer
 *
 * All are slots, below count_, which is one more than the capacity: the ring is empty where tail_ is head_, and full where
 * one more item would make it so. So no index grows without end, and any capacity does.
 *
 * Invariants
 *   1. From head_ on up to tail_ the slots have items; what lies in them no longer changes, and the producer stays out. The
 *      others are the producer's, and the consumer stays out.
 *   2. head_seen_ is behind head_, or is it, so the producer sees at most as much space as there is; tail_seen_ likewise, so
 *      the consumer sees at most as many items. Each is looked at again only when it says "no", or not enough for several:
 *      so a line of the other side is fetched once for as many items as were there.
 *   3. put_next_ and get_next_ are apart from tail_ and head_ so that neither side reads a line that the other takes away.
 *
 * Linearization: the store to tail_, or head_; of "full" and "empty", the load of the other side's word.
 *
 * Progress: wait-free. Lifetime: the store to tail_ is the last access of a put.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/spsc.h>
#include <stdint.h>

int fl_spsc_create(fl_spsc **made, size_t item_size, size_t capacity)
{
	size_t count, bytes;
	if (item_size == 0 || capacity == 0)
		return -EINVAL;
	if (__builtin_add_overflow(capacity, (size_t)1, &count) || __builtin_mul_overflow(count, item_size, &bytes) ||
	    bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	fl_spsc *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	q->slots_ = fl__alloc(1, bytes);
	if (!q->slots_) {
		fl__free(q);
		return -ENOMEM;
	}
	q->count_ = count;
	q->item_size_ = item_size;
	*made = q;
	return 0;
}

void fl_spsc_free(fl_spsc *q)
{
	if (!q)
		return;
	fl__free(q->slots_);
	fl__free(q);
}

int fl_spsc_try_put(fl_spsc *q, const void *item)
{
	size_t next;
	unsigned char *slot = fl__spsc_begin_put(q, q->item_size_, &next);
	if (__builtin_expect(!slot, 0))
		return -EAGAIN;
	fl__copy(slot, item, q->item_size_);
	fl__spsc_end_put(q, next);
	return 0;
}

int fl_spsc_try_get(fl_spsc *q, void *item)
{
	size_t next;
	const unsigned char *slot = fl__spsc_begin_get(q, q->item_size_, &next);
	if (__builtin_expect(!slot, 0))
		return -EAGAIN;
	fl__copy(item, slot, q->item_size_);
	fl__spsc_end_get(q, next);
	return 0;
}

/* Items between the two slots. */
static size_t items_between(const fl_spsc *q, size_t head, size_t tail)
{
	return tail >= head ? tail - head : tail + q->count_ - head;
}

/* How many of `n` items there is space for. */
static size_t space_for(fl_spsc *q, size_t n)
{
	const size_t capacity = q->count_ - 1;
	size_t space = capacity - items_between(q, q->head_seen_, q->put_next_);
	if (space < n) {
		q->head_seen_ = fl__load_acquire(&q->head_); /* as in fl__spsc_begin_put() */
		space = capacity - items_between(q, q->head_seen_, q->put_next_);
	}
	return space < n ? space : n;
}

/* How many of `n` items are there. */
static size_t items_of(fl_spsc *q, size_t n)
{
	size_t items = items_between(q, q->get_next_, q->tail_seen_);
	if (items < n) {
		q->tail_seen_ = fl__load_acquire(&q->tail_); /* as in fl__spsc_begin_get() */
		items = items_between(q, q->get_next_, q->tail_seen_);
	}
	return items < n ? items : n;
}

size_t fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n)
{
	const size_t slot = q->put_next_, size = q->item_size_, to_end = q->count_ - slot;
	n = space_for(q, n);
	if (n == 0)
		return 0;
	const size_t first = n < to_end ? n : to_end;
	memcpy(q->slots_ + slot * size, items, first * size);
	if (n > first)
		memcpy(q->slots_, (const unsigned char *)items + first * size, (n - first) * size);
	fl__spsc_end_put(q, n < to_end ? slot + n : n - to_end);
	return n;
}

size_t fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n)
{
	const size_t slot = q->get_next_, size = q->item_size_, to_end = q->count_ - slot;
	n = items_of(q, n);
	if (n == 0)
		return 0;
	const size_t first = n < to_end ? n : to_end;
	memcpy(items, q->slots_ + slot * size, first * size);
	if (n > first)
		memcpy((unsigned char *)items + first * size, q->slots_, (n - first) * size);
	fl__spsc_end_get(q, n < to_end ? slot + n : n - to_end);
	return n;
}

size_t fl_spsc_length(const fl_spsc *q)
{
	const size_t head =
	    fl__load_acquire(&q->head_); /* the tail is not older than this; pairs with fl__spsc_end_get() */
	const size_t tail =
	    fl__load_relaxed(&q->tail_); /* relaxed: out of date anyway; the producer's own for himself */
	return items_between(q, head, tail);
}

size_t fl_spsc_capacity(const fl_spsc *q)
{
	return q->count_ - 1; /* never changes */
}
