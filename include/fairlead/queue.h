/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_H
#define FAIRLEAD_QUEUE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/private/typed.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * Any number of producers put items into a queue, and any number of consumers get them.
 *
 *     FL_QUEUE_OF(struct job, job_queue)
 *
 *     FL_SCOPED(job_queue) *q = NULL;
 *     rc = job_queue_create(&q, &(fl_queue_config){ .capacity = 128 });       // check
 *     rc = job_queue_put(q, job);             // blocks while full; -EPIPE: closed
 *     rc = job_queue_get(q, &job);            // blocks while empty; -EPIPE: closed and drained
 *     job_queue_close(q);                     // the last producer: no more puts
 *
 * All items of a queue have the same size and are copied in and out. Memory order: a get sees what
 * its item's producer wrote before the put.
 *
 * In a bounded FL_FIFO queue, even a try form may have to wait, as for a lock, until the put or get
 * of another context is over. In a ring (fairlead/mpmc.h, fairlead/spsc.h) it does not.
 */
typedef struct fl_queue fl_queue;

typedef enum fl_queue_order {
	/*
	 * The oldest item comes out first. The queue uses a lock only with FL_RENDEZVOUS or
	 * FL_OVERWRITE, or if memory is short.
	 */
	FL_FIFO,
	/* The newest item comes out first. The queue uses a lock. */
	FL_LIFO,
	/*
	 * The least item by `compare` comes out first, and of equal items the oldest. The queue
	 * uses a lock.
	 */
	FL_PRIORITY
} fl_queue_order;

/*
 * The capacity of a rendezvous, an FL_FIFO queue that holds no items: a put waits until a get takes
 * its item. A put meets the oldest waiting get, and a get the oldest waiting put. A try form
 * succeeds only if the other side is waiting.
 */
#define FL_RENDEZVOUS (SIZE_MAX / 4 * 3)

/*
 * The capacity of a queue that is never full: a put does not wait for space, but may return
 * -ENOMEM. For the memory of a drained queue see docs/in-your-process.md.
 *
 * With FL_FIFO the queue is lock-free, except that it allocates memory.
 */
#define FL_UNBOUNDED (SIZE_MAX / 4 * 3 + 1)

typedef enum fl_queue_when_full {
	/* A put to a full queue waits until there is space. */
	FL_WAIT_FOR_SPACE,
	/*
	 * A put to a full queue drops the oldest item in the same step. Only FL_FIFO and FL_LIFO
	 * queues may overwrite.
	 */
	FL_OVERWRITE
} fl_queue_when_full;

typedef struct fl_queue_config {
	size_t capacity; /* the most items; 0 means 1,024; or FL_UNBOUNDED or FL_RENDEZVOUS */
	fl_queue_order order;
	fl_queue_when_full when_full;
	/*
	 * Unless `drop` is NULL, the queue calls drop(item, drop_arg), without a lock held, for
	 * each item that no get will return: in fl_queue_free(), in fl_queue_close_now(), and when
	 * a put overwrites.
	 *
	 * In `drop` and `compare` an item is aligned to the largest power of two that divides its
	 * size, up to the size of two pointers. If its type needs more, copy the item first.
	 */
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	/*
	 * The order of an FL_PRIORITY queue: returns a number below 0 if `*a` comes out before
	 * `*b`, 0 if they are equal, and otherwise a number above 0. It must always decide in the
	 * same way about the same two items. The queue calls it with its lock held, so it must not
	 * call functions of this queue, wait, or leave by longjmp().
	 */
	int (*compare)(const void *a, const void *b, void *compare_arg);
	void *compare_arg;
	/*
	 * `one_producer` promises that only one context at a time puts, and `one_consumer` that
	 * only one gets. The first call of a context must happen after the last call of the one
	 * before.
	 *
	 * `one_consumer` makes the gets of an unbounded FL_FIFO queue cheaper. Then
	 * fl_queue_close_now() and a wait for FL_ON_QUEUE count as gets, too.
	 *
	 * Both promises together make a bounded FL_FIFO queue without FL_OVERWRITE cheaper. But
	 * then fl_queue_close() waits for a put in progress, and a get may find the queue empty
	 * although another thread has just put an item. A call that sleeps or closes the queue
	 * executes membarrier(), which takes microseconds, and panics if a sandbox has forbidden
	 * membarrier() since the queue was created.
	 */
	bool one_producer, one_consumer;
	uintptr_t more_[4];
} fl_queue_config;

/*
 * Creates a queue of items of `item_size` bytes. Without a config it is a FIFO queue of at most
 * 1,024 items. Returns 0, -ENOMEM, or:
 *   -EINVAL     `item_size` is 0; `order` or `when_full` is unknown; `compare` is set without
 *               FL_PRIORITY, or missing; or the order, the capacity and FL_OVERWRITE do not go
 *               together
 *   -EOVERFLOW  the queue would need more than PTRDIFF_MAX bytes, as with a negative capacity
 */
FL_API FL_MUST_CHECK int fl_queue_create(fl_queue **q, size_t item_size, const fl_queue_config *config);

/*
 * Drops the items in `q`, and frees `q`. Panics if a context waits for `q`. No other call may be in
 * progress. However, the consumer of the last item may free a bounded queue before the put has
 * returned, and the producer may free a rendezvous before the get has returned.
 */
FL_API void fl_queue_free(fl_queue *q);

/*
 * Puts a copy of `*item` into `q`. fl_queue_put() and fl_queue_put_until() block the calling
 * context while `q` is full. Returns 0, -ECANCELED, -ETIMEDOUT, or:
 *   -EAGAIN  `q` is full
 *   -EPIPE   `q` is closed
 *   -ENOMEM  out of memory; only if `q` is unbounded or overwrites
 */
FL_INLINE FL_MUST_CHECK int fl_queue_put(fl_queue *q, const void *item);
FL_API FL_MUST_CHECK int fl_queue_try_put(fl_queue *q, const void *item);
FL_API FL_MUST_CHECK int fl_queue_put_until(fl_queue *q, const void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Gets the first item of `q`, and copies it to `*item`, which an error leaves unchanged.
 * fl_queue_get() and fl_queue_get_until() block the calling context while `q` is empty.
 *
 *     while ((rc = fl_queue_get(q, &job)) == 0)
 *             work(&job);
 *     return rc == -EPIPE ? 0 : rc;           // closed and drained: no more work
 *
 * Returns 0, -ECANCELED, -ETIMEDOUT, or:
 *   -EAGAIN  `q` is empty
 *   -EPIPE   `q` is closed and drained
 */
FL_INLINE FL_MUST_CHECK int fl_queue_get(fl_queue *q, void *item);
FL_API FL_MUST_CHECK int fl_queue_try_get(fl_queue *q, void *item);
FL_API FL_MUST_CHECK int fl_queue_get_until(fl_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Does the same as fl_queue_put() for the `n` items of the array `items`, in order. Stores in
 * `*count` how many items `q` has taken, which after an error are fewer than `n`. Items of other
 * producers may come between.
 */
FL_INLINE FL_MUST_CHECK int fl_queue_put_many(fl_queue *q, const void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_try_put_many(fl_queue *q, const void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_put_many_until(fl_queue *q, const void *items, size_t n, size_t *count,
                                                 fl_time deadline, fl_cancel_token *cancel);

/*
 * Does the same as fl_queue_get() for up to `n` items that follow each other in `q`, and stores in
 * `*count` how many it has got. It waits only until there is one item, and not at all if `n` is 0.
 */
FL_INLINE FL_MUST_CHECK int fl_queue_get_many(fl_queue *q, void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_try_get_many(fl_queue *q, void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_get_many_until(fl_queue *q, void *items, size_t n, size_t *count, fl_time deadline,
                                                 fl_cancel_token *cancel);

/*
 * Closes `q`: later puts and those that wait return -EPIPE, but the items in `q` can still be got.
 */
FL_API void fl_queue_close(fl_queue *q);

/*
 * Closes `q`, drops its items on the calling thread, and returns how many. Waiting gets return
 * -EPIPE. Each dropped item counts as done (fl_queue_task_done()). In a bounded FL_FIFO queue, the
 * call waits for puts and gets in progress.
 */
FL_API size_t fl_queue_close_now(fl_queue *q);

/*
 * Counts one item of `q` as done. A consumer calls it when it has finished its work with an item.
 * If all items that were put are done already, fl_queue_task_done() panics, and
 * fl_queue_try_task_done() returns -EINVAL instead of 0.
 */
FL_API void fl_queue_task_done(fl_queue *q);
FL_API FL_MUST_CHECK int fl_queue_try_task_done(fl_queue *q);

/*
 * Waits until all items that were put into `q` are done (fl_queue_task_done()). Both functions
 * block the calling context. Returns 0, -ETIMEDOUT or -ECANCELED.
 */
FL_API FL_MUST_CHECK int fl_queue_join_until(fl_queue *q, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_queue_join(fl_queue *_q)
{
	return fl_queue_join_until(_q, FL_FOREVER, NULL);
}

/*
 * Returns how many items were put into `q` and are not done. A result other than 0 may be out of
 * date.
 */
FL_API size_t fl_queue_unfinished(const fl_queue *q);

/* Returns how many items are in `q`. The result may be out of date. */
FL_API size_t fl_queue_length(const fl_queue *q);

/* Returns the most items that `q` can hold, 0 for a rendezvous, or FL_UNBOUNDED. */
FL_API size_t fl_queue_capacity(const fl_queue *q);

typedef struct fl_stats_queue {
	size_t length, capacity; /* what fl_queue_length(), fl_queue_capacity() return */
	/* how many puts have slept, and how many gets, also in an FL_SELECT() */
	size_t waits_to_put, waits_to_get;
	/* how many puts have returned -EAGAIN or -ETIMEDOUT; a few may be missing */
	size_t refusals;
} fl_stats_queue;

/* Stores in `*stats` the counts of `q` since its creation. */
FL_API void fl_queue_stats(const fl_queue *q, fl_stats_queue *stats);

/* Returns whether `q` is closed. */
FL_API bool fl_queue_is_closed(const fl_queue *q);

/*
 * FL_ON_QUEUE(q) and FL_ON_QUEUE_SPACE(q) are objects for FL_WAIT_ANY(). FL_ON_QUEUE(q) is ready
 * when there is an item, and FL_ON_QUEUE_SPACE(q) when there is space; if `q` is closed, both are
 * ready. At a rendezvous, there is an item while a put waits, and space while a get waits. In an
 * unbounded FL_FIFO queue, a put in progress already counts as an item.
 */
#define FL_ON_QUEUE(q) FL__ON(fl__on_queue, (q))
#define FL_ON_QUEUE_SPACE(q) FL__ON(fl__on_queue_space, (q))
FL_API extern const fl_on_type fl__on_queue, fl__on_queue_space;

FL__SCOPED(fl_queue, fl_queue_free)
FL__QUEUE_FORMS(fl_queue, , FL_FOREVER, NULL)
FL__QUEUE_MANY_FORMS(fl_queue)

FL_END_DECLS

/*
 * FL_QUEUE_OF(struct job, job_queue), at file scope, makes the type job_queue, and for each
 * function fl_queue_... a typed form job_queue_...: job_queue_put(q, job), job_queue_get(q, &job).
 *
 * job_queue_untyped(q) returns it as an fl_queue *, for example for FL_ON_QUEUE() and FL_SELECT().
 * job_queue_create() also returns -EINVAL if the config has `drop` or `compare`, and the alignment
 * of the type is above the size of two pointers.
 */
#include <fairlead/private/queue_of.h>

#endif
