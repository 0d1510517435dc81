/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_H
#define FAIRLEAD_SPSC_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * A ring for one producer and one consumer is a bounded FIFO of items of one size. It never waits.
 *
 *     FL_SPSC_OF(struct sample, samples)
 *
 *     FL_SCOPED(samples) *q = NULL;
 *     rc = samples_create(&q, 1000);                // check
 *     rc = samples_try_put(q, sample);              // 0, -EAGAIN: full
 *     rc = samples_try_get_many(q, some, 64, &n);   // 0, and `n` items; -EAGAIN: empty
 *
 * The ring requires that at most one thread at a time puts (the producer) and at most one thread at
 * a time gets (the consumer). Both may be the same thread. Another thread may take over a side, if
 * the program makes its first call happen after the last call of the thread before.
 *
 * Use fl_queue instead if either side waits. With several producers or consumers use fl_mpmc.
 *
 * FL_SPSC_OF makes type-checked functions for one type of item. The functions fl_spsc_... below
 * work on items of any size. After an error of a put the ring has no copy of the item. After an
 * error of a get the memory for the item is unchanged.
 *
 * Progress: every call is wait-free.
 *
 * Memory order: a get sees what was done before the put of its item. A put sees what was done
 * before the get that made its space. But a put is not a fence. Suppose that a producer puts an
 * item and then reads a flag of the consumer's own, such as "the consumer sleeps". The producer
 * then needs a sequentially consistent fence between the put and the read, and the consumer needs
 * one between the write of the flag and its last look at the ring.
 */
typedef struct fl_spsc fl_spsc;

/*
 * Creates a ring of `capacity` items of `item_size` bytes, and stores it in `*q`. Items of up to 31
 * bytes share lines of 64 bytes: a line has as many items as fit if each takes one byte more, for
 * example seven items of 8 bytes. A larger item takes up to 32 bytes more. Returns:
 *   0           `*q` is the new ring
 *   -EINVAL     `item_size` or `capacity` is 0
 *   -EOVERFLOW  the slots, one more than `capacity`, would need more than PTRDIFF_MAX bytes
 *   -ENOMEM     out of memory
 */
FL_API FL_MUST_CHECK int fl_spsc_create(fl_spsc **q, size_t item_size, size_t capacity);

/*
 * Frees `q` and the items in it. The call requires that no other call is in progress, with one
 * exception: the consumer of the last item may free the ring before the put of that item has
 * returned.
 */
FL_API void fl_spsc_free(fl_spsc *q);

/*
 * Puts a copy of `*item` into `q`. Only the producer may call it. Returns:
 *   0        `q` has taken the item
 *   -EAGAIN  `q` is full
 */
FL_API FL_MUST_CHECK int fl_spsc_try_put(fl_spsc *q, const void *item);

/*
 * Gets the oldest item of `q`, and copies it to `*item`. Only the consumer may call it. Returns:
 *   0        `*item` is the item
 *   -EAGAIN  `q` is empty
 */
FL_API FL_MUST_CHECK int fl_spsc_try_get(fl_spsc *q, void *item);

/*
 * Puts copies of up to `n` items, as many as there is space for. They are the first of the array
 * `items`. The call stores in `*count` how many `q` has taken, whatever the result. The consumer
 * finds them all at once. Only the producer may call it. Returns:
 *   0        `q` has taken all items
 *   -EAGAIN  `q` has no space for the rest
 */
FL_API FL_MUST_CHECK int fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n, size_t *count);

/*
 * Gets up to `n` items, and stores in `*count` how many. The space of all of them becomes free at
 * once. Only the consumer may call it. Returns:
 *   0        there was at least one item, or `n` is 0
 *   -EAGAIN  `q` is empty
 */
FL_API FL_MUST_CHECK int fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n, size_t *count);

/*
 * Returns how many items are in `q`. It is an estimate, which may count a call of the other side
 * that is in progress.
 */
FL_API size_t fl_spsc_length(const fl_spsc *q);

FL__SCOPED(fl_spsc, fl_spsc_free)

FL_END_DECLS

/*
 * FL_SPSC_OF(struct sample, samples) makes the type samples, and for each function fl_spsc_... a
 * typed form samples_...: samples_try_put(q, sample). It stands at file scope, in C or C++.
 * samples_untyped(q) returns the same ring as an fl_spsc *.
 */
#include <fairlead/private/spsc_of.h>

#endif
