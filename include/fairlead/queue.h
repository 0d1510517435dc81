/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_H
#define FAIRLEAD_QUEUE_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Queue: bounded or not, of items of one size, copied in and out, for any number of producers and consumers. First in, first out, or
 * another order.
 *
 *     FL_QUEUE_OF(struct job, job_queue)
 *
 *     FL_SCOPED(job_queue) *q = NULL;
 *     rc = job_queue_create(&q, &(fl_queue_config){ .capacity = 128 });       // check
 *     rc = job_queue_put(q, job);             // blocks while full; -EPIPE once closed, the job is untouched
 *     rc = job_queue_get(q, &job);            // blocks while empty; -EPIPE once closed and drained
 *
 * Items of one producer come out in its order, if the queue's is FIFO. On any error the item, or what it was to be copied to, is untouched. Memory
 * order: a get sees what was written before the put of its item. The functions below are the untyped form; FL_QUEUE_OF
 * makes the typed one, which is type-checked and costs nothing.
 */
typedef struct fl_queue fl_queue;

typedef enum fl_queue_order {
	FL_FIFO, /* the oldest first; without locks */
	FL_LIFO, /* the newest first; under a lock, as the next */
	FL_PRIORITY /* the least first, by `compare`; of equals the oldest. A put and a get compare log2(length) times or so. */
} fl_queue_order;

/*
 * As capacity: the queue has no room. A put waits until a get takes its item, so that both know of each other when they
 * return; the try forms find somebody who waits, or nobody; the calls with many meet all that wait, up to their number. FL_FIFO
 * alone: who has waited longest is met first.
 */
#define FL_RENDEZVOUS (SIZE_MAX - 1)

/*
 * As capacity: the queue is never full; it grows with what is in it, and gives the memory back. A put may return -ENOMEM, and
 * does not wait. FL_FIFO: without locks, as fl_mpmc_unbounded: no call but a get that sleeps waits for a thread that was
 * stopped, wherever it was; a put that is under way counts in the length and for a join, and makes FL_ON_QUEUE ready, until it is
 * done or refused; of a batch others may come between, and one get takes no more than lies in one piece of memory. Other orders: an
 * array that grows and shrinks, moved under the lock; a batch goes in as a whole.
 */
#define FL_UNBOUNDED SIZE_MAX

typedef enum fl_queue_when_full {
	FL_WAIT_FOR_SPACE,
	/*
	 * No put waits, or is told "full": where it is, the oldest item is dropped, in the same step. So the queue has the last
	 * `capacity` items. FL_FIFO and FL_LIFO alone; under a lock. A put may return -ENOMEM, if items have more than 256 bytes.
	 */
	FL_OVERWRITE
} fl_queue_when_full;

typedef struct fl_queue_config {
	size_t capacity; /* items; 0: 1,024; any number, not only powers of two; or FL_UNBOUNDED, FL_RENDEZVOUS */
	fl_queue_order order;
	fl_queue_when_full when_full;
	/* Called for each item that nobody will get, on the thread that drops it, without a lock held; may be NULL. */
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	/*
	 * For FL_PRIORITY, and for that alone: < 0 if `*a` comes out before `*b`, 0 if they are equal, else > 0; an order without
	 * cycles, which does not change for items that are in. Called under the queue's lock: must call nothing of this queue,
	 * nor wait, nor leave by longjmp().
	 */
	int (*compare)(const void *a, const void *b, void *compare_arg);
	void *compare_arg;
	/*
	 * Promises that at most one context puts (gets) at a time; which one it is may change, if the next is ordered after the last.
	 * To break one is undefined. One consumer makes the gets of an unbounded FL_FIFO queue cheaper; fl_queue_close_now() and to wait
	 * for FL_ON_QUEUE count as gets then. Both together make the puts and gets of a bounded FL_FIFO queue that waits for space cheaper,
	 * without a locked instruction; other combinations change nothing. What that costs: whoever sleeps, or closes, makes the processors that
	 * run this process agree (membarrier), microseconds; the first such queue of a process may take ten milliseconds to make; and
	 * a program that forbids itself that system call later on panics. "Full" and "empty" are what the caller can know: a
	 * put that has returned, but of which nothing has told the consumer, may not be there yet.
	 */
	bool one_producer, one_consumer;
} fl_queue_config;

/*
 * Makes a queue of items of `item_size` bytes. `config` may be NULL. Never waits.
 * Returns 0, -EINVAL (item size 0; unknown order or `when_full`; FL_PRIORITY without `compare`, or that without FL_PRIORITY;
 * FL_RENDEZVOUS or FL_OVERWRITE with the other, or with an order that it does not go with; FL_OVERWRITE with FL_UNBOUNDED), -EOVERFLOW
 * (more than PTRDIFF_MAX bytes), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_queue_create(fl_queue **q, size_t item_size, const fl_queue_config *config);

/*
 * Drops what is left in `q` and frees it; NULL does nothing. Panics when somebody waits on it. Never waits. Who got the last item of a
 * bounded queue need not wait for its put to return, nor who put one that was met at a rendezvous for the get.
 */
FL_API void fl_queue_free(fl_queue *q);

/*
 * Puts a copy of `*item`. Blocks while `q` is full. Observes the cancel scope. Returns 0, -EPIPE (closed), -ECANCELED; an unbounded
 * queue, and one that overwrites, also -ENOMEM.
 */
FL_INLINE FL_MUST_CHECK int fl_queue_put(fl_queue *q, const void *item);

/* Puts at once: 0, -EAGAIN (full), -EPIPE; -ENOMEM as above. Never waits for space. */
FL_API FL_MUST_CHECK int fl_queue_try_put(fl_queue *q, const void *item);

/* As fl_queue_put; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_queue_put_until(fl_queue *q, const void *item, int64_t deadline, fl_cancel_token *cancel);

/* Gets the first item by the order of `q`. Blocks while `q` is empty. Returns 0, -EPIPE (closed and drained), -ECANCELED. */
FL_INLINE FL_MUST_CHECK int fl_queue_get(fl_queue *q, void *item);

/* Gets at once: 0, -EAGAIN (empty), -EPIPE. Never waits for an item. */
FL_API FL_MUST_CHECK int fl_queue_try_get(fl_queue *q, void *item);

/* As fl_queue_get; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_queue_get_until(fl_queue *q, void *item, int64_t deadline, fl_cancel_token *cancel);

/*
 * Puts the `n` items of `items` in their order; other producers may come between. Blocks until all are in. Returns how many
 * went in: less than `n` only when the queue was closed, the scope was cancelled, or there was no memory.
 */
FL_INLINE FL_MUST_CHECK size_t fl_queue_put_many(fl_queue *q, const void *items, size_t n);

/* Puts as many of `n` items as there is space for. Returns how many; 0 also when closed. Never waits for space. */
FL_API FL_MUST_CHECK size_t fl_queue_try_put_many(fl_queue *q, const void *items, size_t n);

/* As fl_queue_put_many; stores how many went in in `*count`. Returns 0 when all did; -EPIPE, -ETIMEDOUT, -ECANCELED, -ENOMEM. */
FL_API FL_MUST_CHECK int fl_queue_put_many_until(fl_queue *q, const void *items, size_t n, size_t *count,
                                                 int64_t deadline, fl_cancel_token *cancel);

/*
 * Gets up to `n` items that follow each other in the order of `q`. Blocks until there is at least one. Returns how many; 0 when the queue is
 * closed and drained, the scope was cancelled, or `n` is 0.
 */
FL_INLINE FL_MUST_CHECK size_t fl_queue_get_many(fl_queue *q, void *items, size_t n);

/* Gets up to `n` items that are there now. Returns how many. Never waits for an item. */
FL_API FL_MUST_CHECK size_t fl_queue_try_get_many(fl_queue *q, void *items, size_t n);

/* As fl_queue_get_many; stores how many in `*count`. Returns 0 (at least one, or `n` is 0); -EPIPE, -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_queue_get_many_until(fl_queue *q, void *items, size_t n, size_t *count, int64_t deadline,
                                                 fl_cancel_token *cancel);

/*
 * Closes `q`: no more in, blocked puts fail; what is in can be got. Again: nothing. Never waits; with one producer and one consumer,
 * waits for who is in the middle of a put.
 */
FL_API void fl_queue_close(fl_queue *q);

/*
 * Closes `q`, then drops what is in it: two steps, and a get in between takes what is not dropped yet. Blocked gets fail too. Each
 * dropped item counts as done. The drop callback runs on the calling thread, without a lock held. Returns how many were
 * dropped. Waits for nobody but those who are in the middle of a put; with one producer and one consumer, of a get, too.
 */
FL_API size_t fl_queue_close_now(fl_queue *q);

/* Says that an item got from `q` is dealt with. Never waits. Panics when called more often than items were put. */
FL_API void fl_queue_task_done(fl_queue *q);

/*
 * As fl_queue_task_done(), but reports one call too many. Never waits. Returns:
 *
 *   0         the item counts as dealt with
 *   -EINVAL   as many items as were put are dealt with already; nothing happened
 */
FL_API FL_MUST_CHECK int fl_queue_try_task_done(fl_queue *q);

/* Waits until every item that was put is dealt with. Blocks the calling context. Observes its scope. Returns 0, -ECANCELED. */
FL_INLINE FL_MUST_CHECK int fl_queue_join(fl_queue *q);

/* Returns 0 when every item is dealt with, else -EBUSY. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_queue_try_join(fl_queue *q);

/* As fl_queue_join; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_queue_join_until(fl_queue *q, int64_t deadline, fl_cancel_token *cancel);

/*
 * The items that were put and not yet said to be dealt with: what a join waits for. A result of 0
 * means that fl_queue_try_join() would have returned 0 during the call. Another result may be out of
 * date when the call returns, and too high by the items that are dealt with during the call. A put
 * to an unbounded FL_FIFO queue counts from its beginning. Never waits.
 */
FL_API size_t fl_queue_unfinished(const fl_queue *q);

/*
 * The items in `q` now; may be out of date when it returns. A put that has failed is not counted.
 * Never waits.
 */
FL_API size_t fl_queue_length(fl_queue *q);

/* The most items that `q` holds; 0: a rendezvous; FL_UNBOUNDED. Never waits. */
FL_API size_t fl_queue_capacity(const fl_queue *q);

/* Whether `q` is closed. Never waits. */
FL_API bool fl_queue_is_closed(fl_queue *q);

/*
 * For fl_wait_any: ready when a get would not block (an item, or closed); or a put (space, or closed). Of a rendezvous: when somebody
 * waits in a put (a get); two that only look do not meet.
 */
#define FL_ON_QUEUE(q) FL__ON(fl__on_queue, (q))
#define FL_ON_QUEUE_SPACE(q) FL__ON(fl__on_queue_space, (q))
FL_API extern const fl_on_type fl__on_queue, fl__on_queue_space;

static inline void fl__scoped_fl_queue(fl_queue **_q)
{
	fl_queue_free(*_q);
}

/* The inline functions. */

FL_INLINE int fl_queue_put(fl_queue *_q, const void *_item)
{
	return fl_queue_put_until(_q, _item, FL_FOREVER, NULL);
}

FL_INLINE int fl_queue_get(fl_queue *_q, void *_item)
{
	return fl_queue_get_until(_q, _item, FL_FOREVER, NULL);
}

FL_INLINE size_t fl_queue_put_many(fl_queue *_q, const void *_items, size_t _n)
{
	size_t _count;
	FL_IGNORE(fl_queue_put_many_until(_q, _items, _n, &_count, FL_FOREVER, NULL)); /* the count tells */
	return _count;
}

FL_INLINE size_t fl_queue_get_many(fl_queue *_q, void *_items, size_t _n)
{
	size_t _count;
	FL_IGNORE(fl_queue_get_many_until(_q, _items, _n, &_count, FL_FOREVER, NULL)); /* the count tells */
	return _count;
}

FL_INLINE int fl_queue_join(fl_queue *_q)
{
	return fl_queue_join_until(_q, FL_FOREVER, NULL);
}

FL_INLINE int fl_queue_try_join(fl_queue *_q)
{
	return fl_queue_unfinished(_q) == 0 ? 0 : -EBUSY;
}

FL_END_DECLS

/*
 * FL_QUEUE_OF(struct job, job_queue) makes the type job_queue and, for each fl_queue_... function,
 * a job_queue_... that takes and gives struct job: job_queue_put(q, job), job_queue_get(q, &job).
 * At file scope; C and C++.
 */
#include <fairlead/private/queue_of.h>

#endif
