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
 *
 * All items of a queue have the same size and are copied in and out. FL_QUEUE_OF makes type-checked
 * functions for one type of item. The functions fl_queue_... below work on items of any size.
 *
 * After an error of a put the queue has no copy of the item. After an error of a get the memory for
 * the item is unchanged.
 *
 * Memory order: a get sees what its item's producer wrote before the put.
 *
 * Waiting: a put waits for space and a get for items, except that the try forms do not. One more
 * wait is possible in a bounded FL_FIFO queue. A call that needs the slot of a put or get in
 * progress may pause, yield and sleep until that call has gone on, as one waits for a lock. This
 * also holds for the try forms. If a call must never do that, use a ring (fairlead/mpmc.h,
 * fairlead/spsc.h).
 */
typedef struct fl_queue fl_queue;

typedef enum fl_queue_order {
	/*
	 * The oldest item comes out first. The queue uses a lock in three cases only: with
	 * FL_RENDEZVOUS; with FL_OVERWRITE; and with FL_UNBOUNDED, if memory is short (FL_UNBOUNDED
	 * has the details).
	 */
	FL_FIFO,
	/* The newest item comes out first. The queue uses a lock. */
	FL_LIFO,
	/*
	 * The least item comes out first, as `compare` orders them; of equal items, the oldest. The
	 * queue uses a lock.
	 */
	FL_PRIORITY
} fl_queue_order;

/*
 * The capacity of a rendezvous: a queue that holds no items. A put waits until a get takes its
 * item. Only FL_FIFO queues may have this capacity. A call meets the waiter of the opposite side
 * that has waited longest. A try form succeeds only if a call of the opposite side waits already.
 * fl_queue_put_many() and fl_queue_get_many() first exchange items with calls of the opposite side
 * that already wait: one item with each call, all in one step. If no such call waits, they wait
 * until one comes. fl_queue_put_many() goes on in this way until all its items are taken.
 * fl_queue_get_many() returns when it has at least one item.
 */
#define FL_RENDEZVOUS (SIZE_MAX / 4 * 3)

/*
 * The capacity of a queue that is never full. A put to it does not wait for space, but may return
 * -ENOMEM.
 *
 * With FL_FIFO the queue is lock-free, with two exceptions. First, a put may allocate memory.
 * Second, a thread needs a record of one or two pages of memory, which it allocates at its first
 * call. Threads that got no memory for a record share one record under a lock, so that their gets,
 * queries and closes wait for each other. A put first reserves a slot and then stores its item
 * there. If the producer is stopped between these steps, a consumer that comes to the slot waits
 * for 1 to 3 us and goes on without it; the producer's put then tries another slot. A put that is
 * in progress counts in fl_queue_length() and for a join, and makes FL_ON_QUEUE ready. Items of
 * other producers may come between the items of one fl_queue_put_many().
 *
 * The memory of FL_FIFO consists of segments: at least one, and one in reserve. A segment has about
 * 8 KiB, but at least 16 and at most 512 slots, each for one item. A drained segment is freed, or
 * becomes the reserve, unless a hazard pointer protects it, or fl_queue_close_now() is dropping its
 * items. Each thread protects at most two segments: those that it used last, of whatever unbounded
 * FL_FIFO queue. It stops protecting them when it uses other segments, or ends. Because a queue
 * must look at what every thread protects before it frees a segment, it frees drained segments in
 * groups if many threads have used unbounded queues: with 1,000 threads, up to 64 segments at a
 * time.
 *
 * With the other orders the items are in an array, which a put moves under the lock when it must
 * grow. The items of one fl_queue_put_many() go in together.
 */
#define FL_UNBOUNDED (SIZE_MAX / 4 * 3 + 1)

typedef enum fl_queue_when_full {
	/* A put to a full queue waits until there is space. */
	FL_WAIT_FOR_SPACE,
	/*
	 * A put to a full queue drops the oldest item and puts the new one, in one step. Only
	 * FL_FIFO and FL_LIFO queues may overwrite, and they then use a lock. A put may return
	 * -ENOMEM if items have more than 256 bytes.
	 */
	FL_OVERWRITE
} fl_queue_when_full;

typedef struct fl_queue_config {
	size_t capacity; /* the most items; 0 means 1,024; or FL_UNBOUNDED or FL_RENDEZVOUS */
	fl_queue_order order;
	fl_queue_when_full when_full;
	/*
	 * The queue calls drop(item, drop_arg) for each item that no get will return: at a free, at
	 * fl_queue_close_now(), and when a put overwrites. No lock is held then. With NULL the item
	 * is just forgotten.
	 *
	 * `drop` and `compare` see an item in the memory of the queue. There an item is aligned to
	 * the largest power of two that divides its size, up to the size of two pointers (16 bytes
	 * on 64-bit machines). If the item type of FL_QUEUE_OF needs a larger alignment, the create
	 * function returns -EINVAL for a config with `drop` or `compare`. fl_queue_create() does
	 * not know the type: in `drop` and `compare`, copy an item that needs a larger alignment
	 * before you use it as its type.
	 */
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	/*
	 * `compare` defines the order of an FL_PRIORITY queue. It returns a value below 0 if `*a`
	 * comes out before `*b`, 0 if they are equal, and a value above 0 otherwise. For two items
	 * in the queue it must always return the same. The queue calls it with its lock held, so it
	 * must not call functions of this queue, wait, or leave by longjmp().
	 */
	int (*compare)(const void *a, const void *b, void *compare_arg);
	void *compare_arg;
	/*
	 * `one_producer` promises that at most one context at a time puts, and `one_consumer` that
	 * at most one context at a time gets. When another context takes over, its first call must
	 * happen after the last call of the one before. A broken promise is undefined behaviour.
	 *
	 * `one_consumer` makes the gets of an unbounded FL_FIFO queue cheaper. There,
	 * fl_queue_close_now() and a wait for FL_ON_QUEUE count as gets.
	 *
	 * Both together make the puts and gets of a bounded FL_FIFO queue without FL_OVERWRITE
	 * cheaper, at three prices:
	 *
	 * - A context that sleeps or closes calls membarrier(), which takes microseconds. If the
	 *   program forbids this system call by a sandbox after it has created the queue, the
	 *   context panics there.
	 * - The creation of the first queue with both promises in a process may take ten
	 *   milliseconds.
	 * - A get may find the queue empty although a put has returned in another thread, unless
	 *   the program has ordered that put before the get in another way.
	 */
	bool one_producer, one_consumer;
	uintptr_t more_[4];
} fl_queue_config;

/*
 * Creates a queue of items of `item_size` bytes, and stores it in `*q`. `config` may be NULL, which
 * means a FIFO queue of at most 1,024 items. The call never waits. Returns:
 *   0           `*q` is the new queue
 *   -ENOMEM     out of memory
 *   -EINVAL     `item_size` is 0; or `order` or `when_full` is unknown; or FL_PRIORITY comes
 *               without `compare`, or `compare` without FL_PRIORITY; or the order does not support
 *               FL_RENDEZVOUS or FL_OVERWRITE; or FL_OVERWRITE comes with FL_RENDEZVOUS or
 *               FL_UNBOUNDED
 *   -EOVERFLOW  the queue would need more than PTRDIFF_MAX bytes; so does one of a negative
 *               capacity
 */
FL_API FL_MUST_CHECK int fl_queue_create(fl_queue **q, size_t item_size, const fl_queue_config *config);

/*
 * Drops the items in `q`, and frees `q`. It panics if a context waits for `q`. The call requires
 * that no other call is in progress, with two exceptions. If `q` is bounded, the consumer that has
 * got the last item may free `q`, even if the put of that item has not returned yet. At a
 * rendezvous, a producer whose put has returned may free `q`, even if the get of its item has not
 * returned yet.
 */
FL_API void fl_queue_free(fl_queue *q);

/*
 * Puts a copy of `*item` into `q`. fl_queue_put() and fl_queue_put_until() block the calling
 * context while `q` is full. fl_queue_try_put() does not wait for space. Returns:
 *   0           `q` has taken the item
 *   -EAGAIN     only fl_queue_try_put(): `q` is full
 *   -ECANCELED  the wait was cancelled
 *   -ETIMEDOUT  the deadline of fl_queue_put_until() passed
 *   -EPIPE      `q` is closed, or was closed during the wait
 *   -ENOMEM     out of memory; only if `q` is unbounded or overwrites
 */
FL_INLINE FL_MUST_CHECK int fl_queue_put(fl_queue *q, const void *item);
FL_API FL_MUST_CHECK int fl_queue_try_put(fl_queue *q, const void *item);
FL_API FL_MUST_CHECK int fl_queue_put_until(fl_queue *q, const void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Gets the first item of `q`, and copies it to `*item`. fl_queue_get() and fl_queue_get_until()
 * block the calling context while `q` is empty. fl_queue_try_get() does not wait for an item.
 * Returns:
 *   0           `*item` is the item
 *   -EAGAIN     only fl_queue_try_get(): `q` is empty
 *   -ECANCELED  the wait was cancelled
 *   -ETIMEDOUT  the deadline of fl_queue_get_until() passed
 *   -EPIPE      `q` is closed and drained
 */
FL_INLINE FL_MUST_CHECK int fl_queue_get(fl_queue *q, void *item);
FL_API FL_MUST_CHECK int fl_queue_try_get(fl_queue *q, void *item);
FL_API FL_MUST_CHECK int fl_queue_get_until(fl_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Puts copies of the `n` items of the array `items`, in their order. It stores in `*count` how many
 * `q` has taken, whatever the result. fl_queue_put_many() and fl_queue_put_many_until() block the
 * calling context until all items are in. fl_queue_try_put_many() does not wait for space. Items of
 * other producers may come between. Returns:
 *   0           `q` has taken all items
 *   -EAGAIN     only fl_queue_try_put_many(): there was no space for the rest
 *   -ECANCELED  the wait for space for the rest was cancelled
 *   -ETIMEDOUT  the deadline of fl_queue_put_many_until() passed
 *   -EPIPE      `q` is closed, or was closed during the wait
 *   -ENOMEM     out of memory for the rest; only if `q` is unbounded or overwrites
 */
FL_INLINE FL_MUST_CHECK int fl_queue_put_many(fl_queue *q, const void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_try_put_many(fl_queue *q, const void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_put_many_until(fl_queue *q, const void *items, size_t n, size_t *count,
                                                 fl_time deadline, fl_cancel_token *cancel);

/*
 * Gets up to `n` items, and stores in `*count` how many. The items follow each other in the order
 * of `q`. fl_queue_get_many() and fl_queue_get_many_until() block the calling context until there
 * is at least one item; they do not wait for more. fl_queue_try_get_many() does not wait for items.
 * Returns:
 *   0           there was at least one item, or `n` is 0
 *   -EAGAIN     only fl_queue_try_get_many(): `q` is empty
 *   -ECANCELED  the wait was cancelled
 *   -ETIMEDOUT  the deadline of fl_queue_get_many_until() passed
 *   -EPIPE      `q` is closed and drained
 */
FL_INLINE FL_MUST_CHECK int fl_queue_get_many(fl_queue *q, void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_try_get_many(fl_queue *q, void *items, size_t n, size_t *count);
FL_API FL_MUST_CHECK int fl_queue_get_many_until(fl_queue *q, void *items, size_t n, size_t *count, fl_time deadline,
                                                 fl_cancel_token *cancel);

/*
 * Closes `q`: later puts and the puts that wait now fail with -EPIPE. The items in `q` can still be
 * got. A second call has no effect. Apart from locks inside of the queue, the call waits in one
 * case only: in a bounded FL_FIFO queue without FL_OVERWRITE that has both `one_producer` and
 * `one_consumer`, it waits for a put in progress.
 */
FL_API void fl_queue_close(fl_queue *q);

/*
 * Closes `q`, drops its items on the calling thread, and returns how many it has dropped. Gets that
 * wait now fail with -EPIPE. Each dropped item counts as done (fl_queue_task_done()). In a bounded
 * FL_FIFO queue without FL_OVERWRITE, the call waits for puts in progress and, if the queue has
 * both `one_producer` and `one_consumer`, for a get in progress.
 */
FL_API size_t fl_queue_close_now(fl_queue *q);

/*
 * Counts one item of `q` as done. A consumer calls it when it has finished its work with an item.
 * It panics if it is called more often than items were put.
 */
FL_API void fl_queue_task_done(fl_queue *q);

/*
 * Counts one item of `q` as done, if an item is left that is not done. It differs from
 * fl_queue_task_done() in that a call too many is a result, not a panic. Returns:
 *   0        an item was counted as done
 *   -EINVAL  all items that were put are done already
 */
FL_API FL_MUST_CHECK int fl_queue_try_task_done(fl_queue *q);

/*
 * Waits until all items that were put into `q` are done (fl_queue_task_done()). Both functions
 * block the calling context. Returns:
 *   0           all items are done
 *   -ECANCELED  the wait was cancelled
 *   -ETIMEDOUT  the deadline of fl_queue_join_until() passed
 */
FL_API FL_MUST_CHECK int fl_queue_join_until(fl_queue *q, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_queue_join(fl_queue *_q)
{
	return fl_queue_join_until(_q, FL_FOREVER, NULL);
}

/*
 * Returns how many items were put into `q` and are not done. If the result is 0, all items that had
 * been put were done at one moment of the call. Any other result may be out of date. A put to an
 * unbounded FL_FIFO queue counts from its beginning.
 */
FL_API size_t fl_queue_unfinished(const fl_queue *q);

/*
 * Returns how many items are in `q`. The result may be out of date. An item whose put has failed is
 * not counted.
 */
FL_API size_t fl_queue_length(const fl_queue *q);

/*
 * Returns the most items that `q` can hold, 0 for a rendezvous, or FL_UNBOUNDED.
 *
 * The capacity of a queue does not change. If you need a bound that changes, use an unbounded queue
 * and a semaphore.
 */
FL_API size_t fl_queue_capacity(const fl_queue *q);

typedef struct fl_stats_queue {
	size_t length, capacity; /* what fl_queue_length(), fl_queue_capacity() return */
	/* how many puts have slept, and how many gets; a sleep in an FL_SELECT() counts, too */
	size_t waits_to_put, waits_to_get;
	/*
	 * how many puts have returned -EAGAIN or -ETIMEDOUT; a fl_queue_try_put_many() that has put
	 * some of its items does not count; too low if several threads count at once
	 */
	size_t refusals;
} fl_stats_queue;

/*
 * Stores in `*stats` the counts of `q` since its creation. The counts may be from slightly
 * different moments.
 */
FL_API void fl_queue_stats(const fl_queue *q, fl_stats_queue *stats);

/* Returns whether `q` is closed. */
FL_API bool fl_queue_is_closed(const fl_queue *q);

/*
 * FL_ON_QUEUE(q) and FL_ON_QUEUE_SPACE(q) are objects for FL_WAIT_ANY(). FL_ON_QUEUE(q) is ready
 * when a get would not block: there is an item, or `q` is closed. In an unbounded FL_FIFO queue a
 * put in progress makes it ready, too, and a get may still block. FL_ON_QUEUE_SPACE(q) is ready
 * when a put would not block: there is space, or `q` is closed. At a rendezvous, there is an item
 * while a put waits, and there is space while a get waits. An FL_WAIT_ANY() itself is neither a put
 * nor a get, so two of them do not make each other ready.
 */
#define FL_ON_QUEUE(q) FL__ON(fl__on_queue, (q))
#define FL_ON_QUEUE_SPACE(q) FL__ON(fl__on_queue_space, (q))
FL_API extern const fl_on_type fl__on_queue, fl__on_queue_space;

FL__SCOPED(fl_queue, fl_queue_free)
FL__QUEUE_FORMS(fl_queue, , FL_FOREVER, NULL)
FL__QUEUE_MANY_FORMS(fl_queue)

FL_END_DECLS

/*
 * FL_QUEUE_OF(struct job, job_queue) makes the type job_queue, and for each function fl_queue_... a
 * typed form job_queue_...: job_queue_put(q, job), job_queue_get(q, &job). It stands at file scope,
 * in C or C++.
 *
 * job_queue_untyped(q) returns the same queue as an fl_queue *. Use it for what has no typed form:
 * FL_ON_QUEUE(job_queue_untyped(q)), FL_SELECT(). It makes no reference: the queue still has one
 * owner, which frees it.
 *
 * The type may have any alignment, because puts and gets copy its bytes. There is one exception:
 * job_queue_create() also returns -EINVAL if the configuration has `drop` or `compare` and the
 * alignment of the type is above that of two pointers, as with the vectors of AVX.
 */
#include <fairlead/private/queue_of.h>

#endif
