/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring for one producer and one consumer: FastForward (Giacomoni, Moseley and Vachharajani, 2008), whose slots say
 * themselves whether they are full; here beside the item, so that no value of it means "empty". Neither side ever reads the
 * other's position: what one has to learn of the other comes in the cache line that it fetches anyway. (Lamport's ring with the
 * other's index remembered, which this replaced, does without the mark. There whoever is faster looks at the other's index
 * all the time, and so takes the line away from who has to write it: three times as long for an item.)
 * The struct, and the steps of a put and of a get, are inline in fairlead/spsc_of.h.
 *
 *   word             holds                            written by                     read by
 *   put_             the slot of the next item        the producer, before the mark  the producer; for a length
 *   get_             the slot of the oldest item      the consumer, before the mark  the consumer; for a length
 *   mark of a slot   1: it has an item                the producer: 0 -> 1           both
 *                                                     the consumer: 1 -> 0
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
	size_t count, bytes;
	if (item_size == 0 || capacity == 0)
		return -EINVAL;
	if (item_size > PTRDIFF_MAX || __builtin_add_overflow(capacity, (size_t)1, &count) ||
	    __builtin_mul_overflow(count, fl__spsc_stride(item_size), &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	fl_spsc *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	q->slots_ = fl__alloc(1, bytes);
	if (!q->slots_) {
		fl__free(q);
		return -ENOMEM;
	}
	q->last_ = q->slots_ + bytes - fl__spsc_stride(item_size);
	q->put_ = q->get_ = q->slots_;
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

/* Putting. */

int fl_spsc_try_put(fl_spsc *q, const void *item)
{
	const size_t size = q->item_size_;
	unsigned char *next, *slot = fl__spsc_begin_put(q, size, &next);
	if (__builtin_expect(!slot, 0))
		return -EAGAIN;
	fl__copy(slot + fl__spsc_offset(size), item, size);
	fl__spsc_end_put(q, slot, next);
	return 0;
}

static unsigned char *before(const fl_spsc *q, unsigned char *slot)
{
	return slot == q->slots_ ? q->last_ : slot - fl__spsc_stride(q->item_size_);
}

/* Marks the slots before `next`, but for the first: from the last on. */
static void mark_others(const fl_spsc *q, unsigned char *first, unsigned char *next, uint32_t full)
{
	for (unsigned char *slot = before(q, next); slot != first; slot = before(q, slot))
		fl__store_relaxed(fl__spsc_full(slot),
		                  full); /* relaxed: that of the first, which comes last, releases */
}

/* How many slots from `slot` on, at most `n` and the capacity, have that mark. */
static size_t run_of(const fl_spsc *q, unsigned char *slot, size_t n, uint32_t full)
{
	const size_t capacity = fl_spsc_capacity(q);
	size_t run = 0;
	if (n > capacity)
		n = capacity;
	/* acquire: as in fl__spsc_begin_put(), fl__spsc_begin_get() */
	for (; run < n && fl__load_acquire(fl__spsc_full(slot)) == full; slot = fl__spsc_after(q, slot, q->item_size_))
		run++;
	return run;
}

size_t fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n)
{
	const size_t size = q->item_size_;
	const unsigned char *item = items;
	unsigned char *const first = q->put_, *slot = first;
	n = run_of(q, fl__spsc_after(q, first, size), n, 0);
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++, slot = fl__spsc_after(q, slot, size))
		fl__copy(slot + fl__spsc_offset(size), item + i * size, size);
	mark_others(q, first, slot, 1);
	fl__spsc_end_put(q, first, slot);
	return n;
}

/* Getting: the mirror image. */

int fl_spsc_try_get(fl_spsc *q, void *item)
{
	const size_t size = q->item_size_;
	unsigned char *slot = fl__spsc_begin_get(q);
	if (__builtin_expect(!slot, 0))
		return -EAGAIN;
	fl__copy(item, slot + fl__spsc_offset(size), size);
	fl__spsc_end_get(q, slot, fl__spsc_after(q, slot, size));
	return 0;
}

size_t fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n)
{
	const size_t size = q->item_size_;
	unsigned char *item = items;
	unsigned char *const first = q->get_, *slot = first;
	n = run_of(q, first, n, 1);
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++, slot = fl__spsc_after(q, slot, size))
		fl__copy(item + i * size, slot + fl__spsc_offset(size), size);
	mark_others(q, first, slot, 0);
	fl__spsc_end_get(q, first, slot);
	return n;
}

/* Looking. */

size_t fl_spsc_length(const fl_spsc *q)
{
	unsigned char *const get =
	    fl__load_acquire(&q->get_); /* pairs with fl__spsc_end_get(): put_ is not older than it */
	unsigned char *const put =
	    fl__load_relaxed(&q->put_); /* relaxed: out of date anyway; the producer's own for himself */
	const ptrdiff_t stride = (ptrdiff_t)fl__spsc_stride(q->item_size_), ahead = put - get;
	return (size_t)((ahead >= 0 ? ahead : q->last_ - q->slots_ + stride + ahead) / stride);
}

size_t fl_spsc_capacity(const fl_spsc *q)
{
	return (size_t)(q->last_ - q->slots_) / fl__spsc_stride(q->item_size_); /* never changes */
}
