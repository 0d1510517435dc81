/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_H
#define FAIRLEAD_MPMC_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Ring for many producers and many consumers: a bounded FIFO of items of one size, copied in and
 * out, that never waits.
 *
 *     FL_MPMC_OF(struct job, jobs)
 *
 *     FL_SCOPED(jobs) *q = NULL;
 *     rc = jobs_create(&q, 1000);             // check
 *     rc = jobs_try_put(q, job);              // -EAGAIN: full, -EBUSY: try again, -EPIPE: closed
 *     rc = jobs_try_get(q, &job);             // -EAGAIN: empty, -EBUSY, -EPIPE: closed and drained
 *     jobs_close(q);
 *
 * When not to use it: where producers or consumers wait, use fl_queue, which sleeps and costs
 * little more. With one producer and one consumer, use fl_spsc, which is several times as fast.
 *
 * Progress: lock-free. A call repeats a step only if another call has completed one. The item that
 * a stopped producer was writing, and the items behind it, cannot be got before that producer runs
 * again: a get returns -EBUSY. "Full", "empty" and "closed" were true at one moment of the call.
 *
 * Order: FIFO, in a single order of the calls on all rings, which includes the results "full" and
 * "empty". Any item value, any size, any capacity. On any error the item, or the memory for an
 * item, is unchanged.
 *
 * Memory order: a get sees what was done before the put of its item. A put sees what was done
 * before the get that made its space. A call that returns -EPIPE sees what was done before the
 * close.
 *
 * The functions below are the untyped form. FL_MPMC_OF makes the typed form, which costs nothing.
 */
typedef struct fl_mpmc fl_mpmc;

/*
 * Makes a ring of `capacity` items of `item_size` bytes. Never waits. Returns 0, -EINVAL (an item
 * size or capacity of 0), -EOVERFLOW (more than PTRDIFF_MAX bytes), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_mpmc_create(fl_mpmc **q, size_t item_size, size_t capacity);

/*
 * Frees `q` and its items; NULL does nothing. Never waits. Requires that no thread uses `q`, with
 * one exception: the consumer of a producer's last item may free `q` before the put has returned.
 */
FL_API void fl_mpmc_free(fl_mpmc *q);

/*
 * Puts a copy of `*item`. Never waits. Returns 0, or:
 *
 *   -EAGAIN   full
 *   -EBUSY    a get in progress still reads the slot for the item
 *   -EPIPE    closed
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_put(fl_mpmc *q, const void *item);

/*
 * Gets the oldest item. Never waits. Returns 0, or:
 *
 *   -EAGAIN   empty
 *   -EBUSY    a put in progress still writes the oldest item
 *   -EPIPE    closed and drained
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_get(fl_mpmc *q, void *item);

/*
 * Puts as many of the `n` items, in their order and without other items between, as there are free
 * slots before the first slot that another call still uses. Returns how many; when 0,
 * fl_mpmc_try_put() says why. Never waits.
 */
FL_API FL_MUST_CHECK size_t fl_mpmc_try_put_many(fl_mpmc *q, const void *items, size_t n);

/*
 * Gets up to `n` items that follow each other. Returns how many; when 0, fl_mpmc_try_get() says
 * why. Never waits.
 */
FL_API FL_MUST_CHECK size_t fl_mpmc_try_get_many(fl_mpmc *q, void *items, size_t n);

/*
 * Closes `q`: later puts fail. All accepted items come out before a get returns -EPIPE. May be
 * called again. Never waits.
 */
FL_API void fl_mpmc_close(fl_mpmc *q);

/* Returns whether `q` is closed. Never waits. */
FL_API bool fl_mpmc_is_closed(fl_mpmc *q);

/* Returns how many items are in `q`, puts in progress included; may be out of date. Never waits. */
FL_API size_t fl_mpmc_length(fl_mpmc *q);

/* Returns the capacity that `q` was made with. Never waits. */
FL_API size_t fl_mpmc_capacity(const fl_mpmc *q);

static inline void fl__scoped_fl_mpmc(fl_mpmc **_q)
{
	fl_mpmc_free(*_q);
}

FL_END_DECLS

/*
 * FL_MPMC_OF(struct job, jobs) makes the type jobs and, for each fl_mpmc_... function, a jobs_...
 * for items of type struct job: jobs_try_put(q, job), jobs_try_get(q, &job). At file scope; C and
 * C++.
 */
#include <fairlead/private/mpmc_of.h>

#endif
