/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_H
#define FAIRLEAD_MPMC_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Ring for many producers and many consumers: a bounded FIFO of items of one size, copied in and out, that never waits.
 *
 *     FL_MPMC_OF(struct job, jobs)
 *
 *     FL_SCOPED(jobs) *q = NULL;
 *     rc = jobs_create(&q, 1000);             // check
 *     rc = jobs_try_put(q, job);              // 0, -EAGAIN: full, -EBUSY: try again, -EPIPE: closed
 *     rc = jobs_try_get(q, &job);             // 0, -EAGAIN: empty, -EBUSY: try again, -EPIPE: closed, and nothing left
 *     jobs_close(q);
 *
 * When not to use it: where producers or consumers wait, since fl_queue does that, sleeps, and costs little more; with one
 * producer and one consumer, for which fl_spsc is several times as fast.
 *
 * Progress: every function returns after a bounded number of steps of its own, whatever the others have been stopped in the
 * middle of, unless others complete operations meanwhile; so some operation always gets on. What the library cannot do is
 * hand out an item that a stopped producer was writing, or those behind it: then the result is -EBUSY, until that producer
 * runs again. Full, empty and closed are told apart from this, and are exact: at some moment of the call it was so.
 *
 * Order: items come out in the order in which they went in, in one order that all threads agree on, and that is also that of
 * the answers "full" and "empty", and of other rings'. Any item value, any size, any capacity. A get sees what was done before
 * the put of its item; a put, what was done before the get that made its space; -EPIPE, what was done before the close. On
 * any error the item, or what it was to be copied to, is untouched.
 *
 * The functions below are the untyped form; FL_MPMC_OF makes the typed one, which costs nothing.
 */
typedef struct fl_mpmc fl_mpmc;

/*
 * Makes a ring of `capacity` items of `item_size` bytes. Never waits. Returns 0, -EINVAL (an item size or capacity of 0),
 * -EOVERFLOW (more than PTRDIFF_MAX bytes), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_mpmc_create(fl_mpmc **q, size_t item_size, size_t capacity);

/*
 * Frees `q` and what is left in it; NULL does nothing. Requires that nobody uses it: but whoever got the last item of a
 * producer may, even while that put is still returning. Never waits.
 */
FL_API void fl_mpmc_free(fl_mpmc *q);

/* Puts a copy of `*item`. Returns 0, -EAGAIN (full), -EBUSY (a get is still emptying its place), -EPIPE (closed). Never waits. */
FL_API FL_MUST_CHECK int fl_mpmc_try_put(fl_mpmc *q, const void *item);

/* Gets the oldest item. Returns 0, -EAGAIN (empty), -EBUSY (it is still being put), -EPIPE (closed and drained). Never waits. */
FL_API FL_MUST_CHECK int fl_mpmc_try_get(fl_mpmc *q, void *item);

/*
 * Puts as many of the `n` items, in their order and with none of others between, as it finds space for in front of the first
 * place that others are still at. Returns how many; when 0, fl_mpmc_try_put() says why. Never waits.
 */
FL_API FL_MUST_CHECK size_t fl_mpmc_try_put_many(fl_mpmc *q, const void *items, size_t n);

/* Gets up to `n` items that follow each other, as it finds them. Returns how many; when 0, fl_mpmc_try_get() says why. Never waits. */
FL_API FL_MUST_CHECK size_t fl_mpmc_try_get_many(fl_mpmc *q, void *items, size_t n);

/*
 * Closes `q`: no more in; what is in can be got. Every put that was accepted comes out before a get says -EPIPE. Again:
 * nothing. Never waits.
 */
FL_API void fl_mpmc_close(fl_mpmc *q);

/* Whether `q` is closed. Never waits. */
FL_API bool fl_mpmc_is_closed(fl_mpmc *q);

/* The items in `q` now, those that are being put included; may be out of date when it returns. Never waits. */
FL_API size_t fl_mpmc_length(fl_mpmc *q);

/* The most items that `q` holds: as asked for. Never waits. */
FL_API size_t fl_mpmc_capacity(const fl_mpmc *q);

static inline void fl__scoped_fl_mpmc(fl_mpmc **_q)
{
	fl_mpmc_free(*_q);
}

FL_END_DECLS

/*
 * FL_MPMC_OF(struct job, jobs) makes the type jobs and, for each fl_mpmc_... function, a jobs_...
 * that takes and gives struct job: jobs_try_put(q, job), jobs_try_get(q, &job). At file scope; C
 * and C++.
 */
#include <fairlead/private/mpmc_of.h>

#endif
