/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_H
#define FAIRLEAD_SPSC_H

#include <errno.h>
#include <fairlead/defs.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Ring for one producer and one consumer: a bounded FIFO of items of one size, copied in and out, that never waits.
 *
 *     FL_SPSC_OF(struct sample, samples)
 *
 *     FL_SCOPED(samples) *q = NULL;
 *     rc = samples_create(&q, 1000);                // check
 *     rc = samples_try_put(q, sample);              // 0, -EAGAIN: full
 *     n = samples_try_get_many(q, some, 64);        // how many there were
 *
 * Requires: one thread at a time puts, one at a time gets; they may be the same. Who takes over from another does so by means
 * of his own that order memory (a lock, a join). When not to use it: where either side waits, since fl_queue sleeps; with
 * more producers or consumers, for which fl_mpmc is.
 *
 * Progress: wait-free; every function returns after a bounded number of steps, whatever the other side does or has been
 * stopped in the middle of. Any item value, any size, any capacity. On any error the item, or what it was to be copied to,
 * is untouched.
 *
 * Memory order: a get sees what was done before the put of its item; a put what was done before the get that made its space.
 * A put is no fence: who puts and then looks at what the consumer has written elsewhere (whether it sleeps, say) puts a
 * sequentially consistent fence between, as the consumer does between writing that and its last look.
 *
 * FL_SPSC_OF makes the typed form, which is inline: in the end two loads, a copy, and two stores. The functions below are the
 * untyped form.
 */
typedef struct fl_spsc fl_spsc;

/*
 * Makes a ring of `capacity` items of `item_size` bytes. Never waits. Returns 0, -EINVAL (an item size or capacity of 0),
 * -EOVERFLOW (more than PTRDIFF_MAX bytes, with one item more), -ENOMEM. An item of up to 31 bytes takes one more, if that fills
 * cache lines (of 8 bytes 7 are in one); a larger one up to 32 more.
 */
FL_API FL_MUST_CHECK int fl_spsc_create(fl_spsc **q, size_t item_size, size_t capacity);

/*
 * Frees `q` and what is left in it; NULL does nothing. Requires that nobody uses it: but whoever got the last item may, even
 * while that put is still returning. Never waits.
 */
FL_API void fl_spsc_free(fl_spsc *q);

/* Puts a copy of `*item`. For the producer. Returns 0, -EAGAIN (full). Never waits. */
FL_API FL_MUST_CHECK int fl_spsc_try_put(fl_spsc *q, const void *item);

/* Gets the oldest item. For the consumer. Returns 0, -EAGAIN (empty). Never waits. */
FL_API FL_MUST_CHECK int fl_spsc_try_get(fl_spsc *q, void *item);

/* Puts as many of the `n` items as it finds space for: the consumer finds all of them at once. Returns how many. Never waits. */
FL_API FL_MUST_CHECK size_t fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n);

/* Gets up to `n` items, as it finds them: their space is free at once. Returns how many. Never waits. */
FL_API FL_MUST_CHECK size_t fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n);

/* The items in `q`: for the producer at most, for the consumer at least, for others about so many. Never waits. */
FL_API size_t fl_spsc_length(const fl_spsc *q);

/* The most items that `q` holds: as asked for. Never waits. */
FL_API size_t fl_spsc_capacity(const fl_spsc *q);

static inline void fl__scoped_fl_spsc(fl_spsc **_q)
{
	fl_spsc_free(*_q);
}

FL_END_DECLS

/*
 * FL_SPSC_OF(struct sample, samples) makes the type samples and, for each fl_spsc_... function, a
 * samples_... that takes and gives struct sample: samples_try_put(q, sample), samples_try_get(q,
 * &sample). At file scope; C and C++.
 */
#include <fairlead/private/spsc_of.h>

#endif
