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
 * Where producers or consumers wait, use fl_queue. With one producer and one consumer, use fl_spsc.
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
 * slots. Returns how many; when 0, fl_mpmc_try_put() says why.
 */
FL_API FL_MUST_CHECK size_t fl_mpmc_try_put_many(fl_mpmc *q, const void *items, size_t n);

/* Gets up to `n` items that follow each other. Returns how many; 0: fl_mpmc_try_get() says why. */
FL_API FL_MUST_CHECK size_t fl_mpmc_try_get_many(fl_mpmc *q, void *items, size_t n);

/*
 * Closes `q`: later puts fail. All accepted items come out before a get returns -EPIPE. May be
 * called again.
 */
FL_API void fl_mpmc_close(fl_mpmc *q);

/* Whether `q` is closed. */
FL_API bool fl_mpmc_is_closed(fl_mpmc *q);

/* How many items are in `q`, puts in progress included; may be out of date. */
FL_API size_t fl_mpmc_length(fl_mpmc *q);

/* The capacity that `q` was made with. */
FL_API size_t fl_mpmc_capacity(const fl_mpmc *q);

FL__SCOPED(fl_mpmc, fl_mpmc_free)

/*
 * Unbounded FIFO of items of one size, for many producers and consumers, that never blocks.
 *
 *     FL_MPMC_UNBOUNDED_OF(struct job, job_list)
 *
 *     FL_SCOPED(job_list) *q = NULL;
 *     rc = job_list_create(&q, NULL);         // check
 *     rc = job_list_try_put(q, job);          // -ENOMEM, -EPIPE: the job is unchanged
 *     rc = job_list_try_get(q, &job);         // -EAGAIN: empty; -EPIPE: closed and drained
 *
 * Progress: lock-free, except that a put to a full segment may allocate, and that threads without
 * memory for 4 KiB of their own at their first call share one record: their gets, queries and
 * closes take turns.
 *
 * A consumer waits less than a microsecond for a stopped producer's slot, then goes on; the put
 * takes another.
 *
 * Order: linearizable. The items of one producer come out in its order. Memory order: a get sees
 * what was written before the put of its item. On an error the item, or its memory, is unchanged.
 *
 * Memory: segments of about 8 KiB, at least one, and one spare. A drained segment is freed at once,
 * unless a hazard pointer protects it. Each thread that has used such a queue protects at most two
 * segments, until it uses another such queue or ends.
 *
 * A forked child may go on with its copy, without items that other threads were putting or getting.
 */
typedef struct fl_mpmc_unbounded fl_mpmc_unbounded;

typedef struct fl_mpmc_unbounded_config {
	size_t segment; /* items in a segment; 0: as many as fit into 8 KiB, 16 to 512 */
	/* Called for each item that no get will return; may be NULL. */
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	/*
	 * Promises that at most one thread at a time calls get, get_many or free. Another thread
	 * may take over if a lock or a join orders the two. Gets are then wait-free, except for a
	 * change of segments, which is lock-free. A broken promise is undefined behaviour.
	 */
	bool one_consumer;
} fl_mpmc_unbounded_config;

/*
 * Makes a queue of items of `item_size` bytes. Returns 0, -EINVAL (item size 0), -EOVERFLOW (a
 * segment of more than PTRDIFF_MAX bytes), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_mpmc_unbounded_create(fl_mpmc_unbounded **q, size_t item_size,
                                                  const fl_mpmc_unbounded_config *config);

/* Drops the items in `q` and frees `q`. Requires that no other thread uses `q`, now or later. */
FL_API void fl_mpmc_unbounded_free(fl_mpmc_unbounded *q);

/* Puts a copy of `*item`. Returns 0, -EPIPE (closed), -ENOMEM. */
FL_API FL_MUST_CHECK int fl_mpmc_unbounded_try_put(fl_mpmc_unbounded *q, const void *item);

/*
 * Puts the `n` items of `items` in their order. Items of other producers may come between. Returns
 * how many are in: less than `n` only if `q` is closed or there is no memory.
 */
FL_API FL_MUST_CHECK size_t fl_mpmc_unbounded_try_put_many(fl_mpmc_unbounded *q, const void *items, size_t n);

/* Gets the oldest item. Returns 0, -EAGAIN (empty), -EPIPE (closed and drained). */
FL_API FL_MUST_CHECK int fl_mpmc_unbounded_try_get(fl_mpmc_unbounded *q, void *item);

/* Gets up to `n` items that follow each other. Returns how many; 0: empty. */
FL_API FL_MUST_CHECK size_t fl_mpmc_unbounded_try_get_many(fl_mpmc_unbounded *q, void *items, size_t n);

/*
 * Closes `q`: later puts fail. All accepted items come out before a get returns -EPIPE. May be
 * called again.
 */
FL_API void fl_mpmc_unbounded_close(fl_mpmc_unbounded *q);

/* Whether `q` is closed. */
FL_API bool fl_mpmc_unbounded_is_closed(fl_mpmc_unbounded *q);

/*
 * About how many items are in `q`, puts in progress included. Exact if `q` is closed, without such
 * puts.
 */
FL_API size_t fl_mpmc_unbounded_length(fl_mpmc_unbounded *q);

FL__SCOPED(fl_mpmc_unbounded, fl_mpmc_unbounded_free)

FL_END_DECLS

/*
 * FL_MPMC_OF(struct job, jobs), at file scope in C and C++, makes the type jobs, and a jobs_...
 * form of each fl_mpmc_... function: jobs_try_put(q, job), jobs_try_get(q, &job). jobs_untyped(q)
 * returns the same ring as an fl_mpmc *.
 */
#include <fairlead/private/mpmc_of.h>

/*
 * FL_MPMC_UNBOUNDED_OF(struct job, job_list) makes the type job_list, and a job_list_... form of each
 * fl_mpmc_unbounded_... function. job_list_untyped(q) returns the same queue as an
 * fl_mpmc_unbounded *.
 */
#define FL_MPMC_UNBOUNDED_OF(type, name)                                                                               \
	FL__VALUE(type)                                                                                                \
	typedef struct name name;                                                                                      \
	FL__TYPED_LIFE(fl_mpmc_unbounded, name)                                                                        \
	FL__TYPED_MAKE(fl_mpmc_unbounded, name, create, (name * *_q, const fl_mpmc_unbounded_config *_config),         \
	               fl_mpmc_unbounded_create(&_made, sizeof(type), _config))                                        \
	FL__TYPED_MANY(fl_mpmc_unbounded, type, name)                                                                  \
	FL__TYPED_DO(fl_mpmc_unbounded, name, close)                                                                   \
	FL__TYPED_GET(fl_mpmc_unbounded, name, bool, is_closed)                                                        \
	FL__TYPED_GET(fl_mpmc_unbounded, name, size_t, length)                                                         \
	FL__TYPED_TRY(fl_mpmc_unbounded, type, name, fl_mpmc_unbounded_try, )

#endif
