/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPSC_H
#define FAIRLEAD_SPSC_H

#include <errno.h>
#include <fairlead/defs.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Ring: a bounded FIFO of items of one size, for one producer and one consumer, that never waits.
 *
 *     FL_SPSC_OF(struct sample, samples)
 *
 *     FL_SCOPED(samples) *q = NULL;
 *     rc = samples_create(&q, 1000);                // check
 *     rc = samples_try_put(q, sample);              // 0, -EAGAIN: full
 *     rc = samples_try_get_many(q, some, 64, &n);   // 0, and `n` items; -EAGAIN: empty
 *
 * Requires that one thread at a time puts and one thread at a time gets; both may be the same
 * thread. Another thread may take over a side if the program orders the two.
 *
 * Where either side waits, use fl_queue. With more producers or consumers, use fl_mpmc.
 *
 * Progress: wait-free. On any error the item, or the memory for an item, is unchanged.
 *
 * Memory order: a get sees what was done before the put of its item. A put sees what was done
 * before the get that made its space. A put is no fence: a producer that puts, and then reads what
 * the consumer has written elsewhere (that it sleeps, say), needs a sequentially consistent fence
 * between, as the consumer does between that write and its last check of the ring.
 *
 * Fork: a forked child may use its copy. A put or get of another thread that was in progress at the
 * fork has not happened there, and the child's next call of that side takes its place. If the call
 * was in its last instructions, its slot never becomes full (free): gets return -EAGAIN from this
 * slot on, and so do puts that have come round to it.
 */
typedef struct fl_spsc fl_spsc;

/*
 * Makes a ring of `capacity` items of `item_size` bytes. Returns 0, -EINVAL (an item size or
 * capacity of 0), -EOVERFLOW (the slots, one more than `capacity`, take more than PTRDIFF_MAX
 * bytes), -ENOMEM.
 *
 * An item of up to 31 bytes takes one byte more, a larger one up to 32.
 */
FL_API FL_MUST_CHECK int fl_spsc_create(fl_spsc **q, size_t item_size, size_t capacity);

/* Frees `q` and its items. The consumer of the last item may do so before its put has returned. */
FL_API void fl_spsc_free(fl_spsc *q);

/* Puts a copy of `*item`. For the producer. Returns 0, -EAGAIN (full). */
FL_API FL_MUST_CHECK int fl_spsc_try_put(fl_spsc *q, const void *item);

/* Gets the oldest item. For the consumer. Returns 0, -EAGAIN (empty). */
FL_API FL_MUST_CHECK int fl_spsc_try_get(fl_spsc *q, void *item);

/*
 * Puts as many of the `n` items as fit; the consumer finds them all at once. Stores in `*count` how
 * many are in, whatever the result. For the producer. Returns 0 if all are, else -EAGAIN.
 */
FL_API FL_MUST_CHECK int fl_spsc_try_put_many(fl_spsc *q, const void *items, size_t n, size_t *count);

/*
 * Gets up to `n` items. Their space becomes free at once. Stores in `*count` how many. For the
 * consumer. Returns 0 if that is at least one, or `n` is 0; else -EAGAIN (empty).
 */
FL_API FL_MUST_CHECK int fl_spsc_try_get_many(fl_spsc *q, void *items, size_t n, size_t *count);

/* How many items are in `q`: an estimate, which may count a call of the other side in progress. */
FL_API size_t fl_spsc_length(const fl_spsc *q);

/* The capacity that `q` was made with. */
FL_API size_t fl_spsc_capacity(const fl_spsc *q);

FL__SCOPED(fl_spsc, fl_spsc_free)

FL_END_DECLS

/*
 * FL_SPSC_OF(struct sample, samples), at file scope in C and C++, makes the type samples, and a
 * samples_... form of each fl_spsc_... function: samples_try_put(q, sample). samples_untyped(q)
 * returns the same ring as an fl_spsc *.
 */
#include <fairlead/private/spsc_of.h>

#endif
