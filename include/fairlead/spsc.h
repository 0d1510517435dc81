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
 * Only one thread at a time may put (the producer) and only one may get (the consumer), perhaps the
 * same thread. Another thread may take over a side, if its first call happens after the last call
 * of the thread before.
 *
 * Use fl_queue instead if either side waits, and fl_mpmc with several producers or consumers.
 *
 * Progress: every call is wait-free.
 *
 * Memory order: a get sees what was done before the put of its item, and a put what was done before
 * the get that made its space. But a put is not a fence. If the consumer sets a flag before it
 * sleeps, and the producer reads the flag after a put, both need a sequentially consistent fence in
 * between.
 */
typedef struct fl_spsc fl_spsc;

/*
 * Creates a ring of `capacity` items of `item_size` bytes. Returns 0, -ENOMEM, or:
 *   -EINVAL     `item_size` or `capacity` is 0
 *   -EOVERFLOW  the ring would need more than PTRDIFF_MAX bytes
 */
FL_API FL_MUST_CHECK int fl_spsc_create(fl_spsc **q, size_t item_size, size_t capacity);

/*
 * Frees `q` and the items in it. The consumer of the last item may free the ring before the put of
 * that item has returned.
 */
FL_API void fl_spsc_free(fl_spsc *q);

/* Puts a copy of `*item` into `q`. Returns 0, or -EAGAIN if `q` is full. */
FL_API FL_MUST_CHECK int fl_spsc_try_put(fl_spsc *q, const void *item);

/*
 * Gets the oldest item of `q`, and copies it to `*item`, which an error leaves unchanged. Returns
 * 0, or -EAGAIN if `q` is empty.
 *   -EAGAIN  `q` is empty; `*item` is unchanged
 */
FL_API FL_MUST_CHECK int fl_spsc_try_get(fl_spsc *q, void *item);

/*
 * Puts copies of the `n` items of the array `items`, from the first on, as far as there is space,
 * and stores in `*count` how many. The consumer finds them all at once. Returns 0, or -EAGAIN if
 * `q` has no space for the rest.
 */
FL_API FL_MUST_CHECK int fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n, size_t *count);

/*
 * Gets up to `n` items, and stores in `*count` how many. Their space becomes free all at once.
 * Returns 0 if there was at least one item, or `n` is 0, and otherwise -EAGAIN.
 */
FL_API FL_MUST_CHECK int fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n, size_t *count);

/* Returns about how many items are in `q`. The result may be out of date. */
FL_API size_t fl_spsc_length(const fl_spsc *q);

FL__SCOPED(fl_spsc, fl_spsc_free)

FL_END_DECLS

/*
 * FL_SPSC_OF(struct sample, samples), at file scope in C or C++, makes the type samples, and for
 * each function fl_spsc_... a typed form samples_...: samples_try_put(q, sample).
 * samples_untyped(q) returns it as an fl_spsc *.
 */
#include <fairlead/private/spsc_of.h>

#endif
