/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_H
#define FAIRLEAD_QUEUE_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/private/typed.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Queue: items of one size, copied in and out, between any number of producers and consumers.
 *
 *     FL_QUEUE_OF(struct job, job_queue)
 *
 *     FL_SCOPED(job_queue) *q = NULL;
 *     rc = job_queue_create(&q, &(fl_queue_config){ .capacity = 128 });       // check
 *     rc = job_queue_put(q, job);             // blocks while full; -EPIPE: closed
 *     rc = job_queue_get(q, &job);            // blocks while empty; -EPIPE: closed and drained
 *
 * On any error the item, or the memory for an item, is unchanged. Memory order: a get sees what was
 * written before the put of its item. FL_QUEUE_OF makes type-checked functions.
 *
 * Fork: a forked child has a copy of the queue and of its items, and may use the copy. A call that
 * another thread was making at the fork never ends in the child, and may hold up calls of the
 * child. A call that is held up returns -EOWNERDEAD. Which calls are held up depends on the queue:
 *
 *   FL_LIFO, FL_PRIORITY,   If the parent's call held the queue's lock, every put, get and wait is
 *   FL_OVERWRITE            held up, and returns at once. A close has no effect, and a free drops
 *                           no items.
 *   FL_FIFO, bounded        A put holds up gets of its item and of the items behind it. A get holds
 *                           up puts that have come round to its slot. They return after 200 short
 *                           sleeps, some 20 ms.
 *   FL_FIFO with one        The parent's call has not happened: the child's next call of the same
 *   producer and one        side takes its place. Until then a wait of the opposite side is held
 *   consumer                up. If the call was in its last instructions, it holds up calls as in a
 *                           bounded FL_FIFO queue. If it was a get in its last instructions, and the
 *                           queue was full, the child may get an item of that get once more after
 *                           it has emptied the queue, and fl_queue_length() is wrong from then on.
 *   FL_FIFO, unbounded;     The parent's call has not happened, and holds up nothing.
 *   FL_RENDEZVOUS
 *
 * A put that another thread was making may count in fl_queue_length() and for a join. If several
 * threads of the child use a bounded FL_FIFO queue, a call may also return -EOWNERDEAD because a
 * call of another thread of the child has been stopped for those 20 ms.
 */
typedef struct fl_queue fl_queue;

typedef enum fl_queue_order {
	FL_FIFO, /* the oldest first; lockless, except with FL_RENDEZVOUS or FL_OVERWRITE */
	FL_LIFO, /* the newest first; under a lock */
	/* The least first, by `compare`; of equal items the oldest. Under a lock. */
	FL_PRIORITY
} fl_queue_order;

/*
 * As capacity: a rendezvous, which holds no items. A put waits until a get takes its item. A try
 * form, or a form for many items, meets only calls that already wait. FL_FIFO only: meets the
 * longest waiter first.
 */
#define FL_RENDEZVOUS (SIZE_MAX - 1)

/*
 * As capacity: the queue is never full. A put does not wait, and may return -ENOMEM.
 *
 * FL_FIFO: lock-free, except that a put may allocate, and that threads without memory for 4 KiB of
 * their own at their first call share one record: their gets, queries and closes take turns. A
 * consumer waits less than a microsecond for the slot of a stopped producer, then goes on, and the
 * put takes another slot. A put in progress counts in the length and for a join, and makes
 * FL_ON_QUEUE ready. Items of other producers may come between those of a batch.
 *
 * The memory of FL_FIFO is segments of about 8 KiB, at least one, and one spare. A drained segment
 * is freed at once, unless a hazard pointer protects it. Each thread that has used such a queue
 * protects at most two segments, until it uses another such queue or ends.
 *
 * Other orders: an array, which is moved under the lock. A batch goes in as a whole.
 */
#define FL_UNBOUNDED SIZE_MAX

typedef enum fl_queue_when_full {
	FL_WAIT_FOR_SPACE,
	/*
	 * A put to a full queue drops the oldest item in the same step. FL_FIFO and FL_LIFO only;
	 * under a lock. A put may return -ENOMEM if items have more than 256 bytes.
	 */
	FL_OVERWRITE
} fl_queue_when_full;

typedef struct fl_queue_config {
	size_t capacity; /* items, any number; 0: 1,024; or FL_UNBOUNDED, FL_RENDEZVOUS */
	fl_queue_order order;
	fl_queue_when_full when_full;
	/*
	 * Called for each item that no get will return, without a lock held; may be NULL.
	 *
	 * `drop` and `compare` see an item in the memory of the queue. There it is aligned as its
	 * size demands, up to two pointers (16 bytes on 64-bit machines). A queue of FL_QUEUE_OF
	 * refuses both for a type that needs more. With fl_queue_create(), copy such an item before
	 * you use it as its type.
	 */
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	/*
	 * For FL_PRIORITY only. Returns < 0 if `*a` comes out before `*b`, 0 if they are equal,
	 * else > 0, for items in the queue always the same. Called under the queue's lock: must not
	 * call functions of this queue, wait, or leave by longjmp().
	 */
	int (*compare)(const void *a, const void *b, void *compare_arg);
	void *compare_arg;
	/*
	 * Promises that at most one context at a time puts (gets), each ordered after the last call
	 * of the one before. A broken promise is undefined behaviour.
	 *
	 * `one_consumer` makes the gets of an unbounded FL_FIFO queue cheaper. There,
	 * fl_queue_close_now() and a wait for FL_ON_QUEUE count as gets.
	 *
	 * Both together make puts and gets of a bounded FL_FIFO queue without FL_OVERWRITE cheaper:
	 *
	 * - A context that sleeps or closes calls membarrier(), which takes microseconds. A program
	 *   that forbids itself this system call later on panics.
	 * - The first such queue of a process may take ten milliseconds to create.
	 * - A get may return "empty" although a
	 *   put has returned, if nothing has told the consumer of that put.
	 */
	bool one_producer, one_consumer;
	uintptr_t more_[4];
} fl_queue_config;

/*
 * Makes a queue of items of `item_size` bytes. Returns 0, -ENOMEM, or:
 *   -EINVAL     item size 0; unknown order or `when_full`; FL_PRIORITY without `compare`, or
 *               `compare` without FL_PRIORITY; FL_RENDEZVOUS or FL_OVERWRITE with an order that it
 *               does not support; FL_OVERWRITE with FL_RENDEZVOUS or FL_UNBOUNDED
 *   -EOVERFLOW  more than PTRDIFF_MAX bytes
 */
FL_API FL_MUST_CHECK int fl_queue_create(fl_queue **q, size_t item_size, const fl_queue_config *config);

/*
 * Drops the items in `q` and frees `q`. Panics if a context waits on `q`. The consumer of a bounded
 * queue's last item may free `q` before the item's put has returned. At a rendezvous, a producer
 * may free `q` before the get that it has met has returned.
 */
FL_API void fl_queue_free(fl_queue *q);

/*
 * Puts a copy of `*item`. Blocks while `q` is full. Returns 0, -ECANCELED, or:
 *   -EPIPE       `q` is closed, also if that happens during the wait
 *   -ENOMEM      out of memory; only if `q` is unbounded or overwrites
 *   -EOWNERDEAD  in a forked child: a call of the parent holds up this call (fl_queue)
 */
FL_INLINE FL_MUST_CHECK int fl_queue_put(fl_queue *q, const void *item);

/* As fl_queue_put(): 0, -EPIPE, -ENOMEM, -EOWNERDEAD. Never waits: returns -EAGAIN if `q` is full. */
FL_API FL_MUST_CHECK int fl_queue_try_put(fl_queue *q, const void *item);

/* As fl_queue_put(); also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_queue_put_until(fl_queue *q, const void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Gets the first item. Blocks while `q` is empty. Returns 0, -ECANCELED, or:
 *   -EPIPE       `q` is closed and drained
 *   -EOWNERDEAD  in a forked child: a call of the parent holds up this call (fl_queue)
 */
FL_INLINE FL_MUST_CHECK int fl_queue_get(fl_queue *q, void *item);

/* As fl_queue_get(): 0, -EPIPE, -EOWNERDEAD. Never waits: returns -EAGAIN if `q` is empty. */
FL_API FL_MUST_CHECK int fl_queue_try_get(fl_queue *q, void *item);

/* As fl_queue_get(); also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_queue_get_until(fl_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Puts the `n` items of `items` in their order. Items of other producers may come between. Blocks
 * until all are in. Stores in `*count` how many are in, whatever the result. Returns 0 if all are;
 * else why the rest is not: -ECANCELED, or as fl_queue_put(): -EPIPE, -ENOMEM, -EOWNERDEAD.
 */
FL_INLINE FL_MUST_CHECK int fl_queue_put_many(fl_queue *q, const void *items, size_t n, size_t *count);

/* As fl_queue_put_many(). Never waits: returns -EAGAIN if there was no space for the rest. */
FL_API FL_MUST_CHECK int fl_queue_try_put_many(fl_queue *q, const void *items, size_t n, size_t *count);

/* As fl_queue_put_many(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_queue_put_many_until(fl_queue *q, const void *items, size_t n, size_t *count,
                                                 fl_time deadline, fl_cancel_token *cancel);

/*
 * Gets up to `n` items that follow each other in the order of `q`. Blocks until there is at least
 * one. Stores in `*count` how many it got. Returns 0 if that is at least one, or `n` is 0; else
 * -ECANCELED, or as fl_queue_get(): -EPIPE, -EOWNERDEAD.
 */
FL_INLINE FL_MUST_CHECK int fl_queue_get_many(fl_queue *q, void *items, size_t n, size_t *count);

/* As fl_queue_get_many(). Never waits: returns -EAGAIN if `q` is empty. */
FL_API FL_MUST_CHECK int fl_queue_try_get_many(fl_queue *q, void *items, size_t n, size_t *count);

/* As fl_queue_get_many(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_queue_get_many_until(fl_queue *q, void *items, size_t n, size_t *count, fl_time deadline,
                                                 fl_cancel_token *cancel);

/*
 * Closes `q`: later puts and waiting puts fail. The items in `q` can still be got. May be called
 * again. With one producer and one consumer, waits for a put in progress.
 */
FL_API void fl_queue_close(fl_queue *q);

/*
 * Closes `q`, then drops its items, on the calling thread. Returns how many. Waiting gets fail.
 * Each dropped item counts as done. Waits for puts in progress; with one producer and one consumer,
 * also for a get in progress.
 */
FL_API size_t fl_queue_close_now(fl_queue *q);

/* Counts an item of `q` as done. Panics if called more often than items were put. */
FL_API void fl_queue_task_done(fl_queue *q);

/* As fl_queue_task_done(). Returns 0; -EINVAL: all items that were put are done already. */
FL_API FL_MUST_CHECK int fl_queue_try_task_done(fl_queue *q);

/* Waits until all items are done. Blocks the calling context. Returns 0, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_queue_join_until(fl_queue *q, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_queue_join(fl_queue *_q)
{
	return fl_queue_join_until(_q, FL_FOREVER, NULL);
}

/*
 * How many items were put and are not done. 0 is exact; another result may be out of date. A put to
 * an unbounded FL_FIFO queue counts from its beginning.
 */
FL_API size_t fl_queue_unfinished(const fl_queue *q);

/* Returns 0 if all items that were put are done, else -EAGAIN. */
FL_INLINE FL_MUST_CHECK int fl_queue_try_join(fl_queue *_q)
{
	return fl_queue_unfinished(_q) == 0 ? 0 : -EAGAIN;
}

/* How many items are in `q`; may be out of date. A put that has failed is not counted. */
FL_API size_t fl_queue_length(const fl_queue *q);

/*
 * The most items that `q` holds; 0 for a rendezvous; or FL_UNBOUNDED.
 *
 * The capacity does not change. For a bound that changes, use an unbounded queue and a semaphore.
 */
FL_API size_t fl_queue_capacity(const fl_queue *q);

typedef struct fl_queue_stats {
	size_t length, capacity;           /* as fl_queue_length(), fl_queue_capacity() */
	size_t waits_to_put, waits_to_get; /* calls, and cases of fl_select(), that slept */
	size_t refusals;                   /* puts that put nothing: -EAGAIN, -ETIMEDOUT */
} fl_queue_stats;

/* Stores the counts of `q` since its creation, which are of different moments. */
FL_API void fl_queue_get_stats(const fl_queue *q, fl_queue_stats *stats);

/* Whether `q` is closed. */
FL_API bool fl_queue_is_closed(const fl_queue *q);

/*
 * For FL_WAIT_ANY(): ready when a get would not block (an item, or closed); FL_ON_QUEUE_SPACE, when
 * a put would not block (space, or closed). At a rendezvous, each is ready when a call of the
 * opposite side waits; two FL_WAIT_ANY() do not meet each other.
 */
#define FL_ON_QUEUE(q) FL__ON(fl__on_queue, (q))
#define FL_ON_QUEUE_SPACE(q) FL__ON(fl__on_queue_space, (q))
FL_API extern const fl_on_type fl__on_queue, fl__on_queue_space;

FL__SCOPED(fl_queue, fl_queue_free)
FL__QUEUE_FORMS(fl_queue, , FL_FOREVER, NULL)

FL_END_DECLS

/*
 * FL_QUEUE_OF(struct job, job_queue), at file scope in C and C++, makes the type job_queue, and a
 * job_queue_... form of each fl_queue_... function: job_queue_put(q, job), job_queue_get(q, &job).
 *
 * job_queue_untyped(q) returns the same queue as an fl_queue *, for what has no typed form:
 * FL_ON_QUEUE(job_queue_untyped(q)), FL_SELECT(). It makes no reference: the queue has one owner.
 *
 * The type may have any alignment, because puts and gets copy its bytes. But job_queue_create() also
 * returns -EINVAL if the configuration has `drop` or `compare` and the type is aligned above two
 * pointers, as the vectors of AVX are.
 */
#include <fairlead/private/queue_of.h>

#endif
