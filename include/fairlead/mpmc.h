/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_H
#define FAIRLEAD_MPMC_H

#include <fairlead/defs.h>
#include <fairlead/private/typed.h>
#include <stdbool.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Ring: a bounded FIFO of items of one size, for many producers and consumers, that never waits.
 *
 *     FL_MPMC_OF(struct job, jobs)
 *
 *     FL_SCOPED(jobs) *q = NULL;
 *     rc = jobs_create(&q, 1000);             // check
 *     rc = jobs_try_put(q, job);              // -EAGAIN: full, -EBUSY: see below, -EPIPE: closed
 *     rc = jobs_try_get(q, &job);             // -EAGAIN: empty, -EBUSY, -EPIPE: closed and drained
 *     jobs_close(q);
 *
 * Where producers or consumers wait, or the number of items has no bound, use fl_queue. With one producer and one consumer, use fl_spsc.
 *
 * Progress: lock-free. A call repeats a step only if another call has completed one. The item that
 * a stopped producer was writing, and the items behind it, cannot be got before that producer runs
 * again: a get returns -EBUSY. Before a call returns "full" or "empty", it may pause for up to 64
 * spin-loop hints (1 to 3 us), if several items have passed since the last pause.
 *
 * Order: FIFO, in a single order of the calls on all rings, which includes the results "full" and
 * "empty". On any error the item, or the memory for an item, is unchanged.
 *
 * Memory order: a get sees what was done before the put of its item. A put sees what was done
 * before the get that made its space. A call that returns -EPIPE sees what was done before the
 * close.
 *
 * Fork: a forked child may use its copy. A put or get of another thread that was in progress at the
 * fork never ends there: gets that reach its item, or puts that reach its slot, return -EBUSY for
 * good.
 */
typedef struct fl_mpmc fl_mpmc;

/*
 * Makes a ring of `capacity` items of `item_size` bytes. Returns 0, -EINVAL (an item size or
 * capacity of 0), -EOVERFLOW (more than PTRDIFF_MAX bytes), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_mpmc_create(fl_mpmc **q, size_t item_size, size_t capacity);

/* Frees `q` and its items. The last item's consumer may do so before the put has returned. */
FL_API void fl_mpmc_free(fl_mpmc *q);

/*
 * Puts a copy of `*item`. Returns 0, or:
 *   -EPIPE   closed
 *   -EAGAIN  full
 *   -EBUSY   the slot for the item is in use: a get in progress still reads it
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_put(fl_mpmc *q, const void *item);

/*
 * Gets the oldest item. Returns 0, or:
 *   -EAGAIN  empty
 *   -EBUSY   the oldest item is in use: a put in progress still writes it
 *   -EPIPE   closed and drained
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_get(fl_mpmc *q, void *item);

/*
 * Puts as many of the `n` items, in their order and without other items between, as there are free
 * slots. Stores in `*count` how many are in, whatever the result. Returns 0 if all are. If only
 * some are, returns -EAGAIN. If none is, returns as fl_mpmc_try_put(): -EAGAIN, -EBUSY, -EPIPE.
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_put_many(fl_mpmc *q, const void *items, size_t n, size_t *count);

/*
 * Gets up to `n` items that follow each other. Stores in `*count` how many. Returns 0 if that is at
 * least one, or `n` is 0; else as fl_mpmc_try_get(): -EAGAIN, -EBUSY, -EPIPE.
 */
FL_API FL_MUST_CHECK int fl_mpmc_try_get_many(fl_mpmc *q, void *items, size_t n, size_t *count);

/*
 * Closes `q`: later puts fail. All accepted items come out before a get returns -EPIPE. May be
 * called again.
 */
FL_API void fl_mpmc_close(fl_mpmc *q);

/* Whether `q` is closed. */
FL_API bool fl_mpmc_is_closed(const fl_mpmc *q);

/* How many items are in `q`, puts in progress included; may be out of date. */
FL_API size_t fl_mpmc_length(const fl_mpmc *q);

/* The capacity that `q` was made with. */
FL_API size_t fl_mpmc_capacity(const fl_mpmc *q);

FL__SCOPED(fl_mpmc, fl_mpmc_free)

FL_END_DECLS

/*
 * FL_MPMC_OF(struct job, jobs), at file scope in C and C++, makes the type jobs, and a jobs_...
 * form of each fl_mpmc_... function: jobs_try_put(q, job), jobs_try_get(q, &job). jobs_untyped(q)
 * returns the same ring as an fl_mpmc *.
 */
#include <fairlead/private/mpmc_of.h>

#endif
