/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_H
#define FAIRLEAD_MPMC_H

#include <fairlead/defs.h>
#include <fairlead/private/typed.h>

FL_BEGIN_DECLS

/*
 * A ring for many producers and many consumers is a bounded FIFO of items of one size. No call
 * waits.
 *
 *     FL_MPMC_OF(struct job, jobs)
 *
 *     FL_SCOPED(jobs) *q = NULL;
 *     rc = jobs_create(&q, 1000);             // check
 *     rc = jobs_try_put(q, job);              // -EAGAIN: full, -EBUSY: see below, -EPIPE: closed
 *     rc = jobs_try_get(q, &job);             // -EAGAIN: empty, -EBUSY, -EPIPE: closed and drained
 *     jobs_close(q);
 *
 * Use fl_queue instead if producers or consumers wait, or if the number of items has no bound. With
 * one producer and one consumer, fl_spsc is faster.
 *
 * Progress: the ring is lock-free. However, while a producer is stopped in the middle of a put,
 * gets of its item and of later items return -EBUSY.
 *
 * Order: all threads see the calls on all rings in a single order, which also contains the results
 * "full" and "empty".
 *
 * Memory order: a get sees what was done before the put of its item, a put what was done before the
 * get that made its space, and a call that returns -EPIPE what was done before the close.
 */
typedef struct fl_mpmc fl_mpmc;

/*
 * Creates a ring of `capacity` items of `item_size` bytes. Returns 0, -ENOMEM, or:
 *   -EINVAL     `item_size` or `capacity` is 0
 *   -EOVERFLOW  the ring would need more than PTRDIFF_MAX bytes
 */
FL_API FL_MUST_CHECK int fl_mpmc_create(fl_mpmc **q, size_t item_size, size_t capacity);

/*
 * Frees `q` and the items in it. No other call may be in progress, except the put of the last item,
 * once that item was got.
 */
FL_API void fl_mpmc_free(fl_mpmc *q);

/*
 * Puts a copy of `*item` into `q`. Returns 0, or:
 *   -EAGAIN  `q` is full
 *   -EBUSY   a get in progress still reads the slot for the item
 *   -EPIPE   `q` is closed
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_put(fl_mpmc *q, const void *item);

/*
 * Gets the oldest item of `q`, and copies it to `*item`, which an error leaves unchanged. Returns
 * 0, or:
 *   -EAGAIN  `q` is empty
 *   -EBUSY   a put in progress still writes the oldest item
 *   -EPIPE   `q` is closed and drained
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_get(fl_mpmc *q, void *item);

/*
 * Puts copies of the `n` items of the array `items`, from the first on, as far as there are free
 * slots, and stores in `*count` how many. No other items come between. Returns 0, or:
 *   -EAGAIN  `q` has taken some items, and the next slot is in use; or none, because it is full
 *   -EBUSY   `q` has taken none, because a get in progress still reads the next slot
 *   -EPIPE   `q` has taken none, because it is closed
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_put_many(fl_mpmc *q, const void *items, size_t n, size_t *count);

/*
 * Gets up to `n` successive items, and stores in `*count` how many. Returns 0 if there was at least
 * one item, or `n` is 0; otherwise -EAGAIN, -EBUSY or -EPIPE, as fl_mpmc_try_get() does.
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_get_many(fl_mpmc *q, void *items, size_t n, size_t *count);

/* Closes `q`: later puts return -EPIPE, and so do gets when `q` is drained. */
FL_API void fl_mpmc_close(fl_mpmc *q);

/* Returns whether `q` is closed. */
FL_API bool fl_mpmc_is_closed(const fl_mpmc *q);

/*
 * Returns how many items are in `q`, with those of puts in progress. The result may be out of date.
 */
FL_API size_t fl_mpmc_length(const fl_mpmc *q);

FL__SCOPED(fl_mpmc, fl_mpmc_free)

FL_END_DECLS

/*
 * FL_MPMC_OF(struct job, jobs), at file scope in C or C++, makes the type jobs, and for each
 * function fl_mpmc_... a typed form jobs_...: jobs_try_put(q, job), jobs_try_get(q, &job).
 * jobs_untyped(q) returns it as an fl_mpmc *.
 */
#include <fairlead/private/mpmc_of.h>

#endif
