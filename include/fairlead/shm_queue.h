/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_QUEUE_H
#define FAIRLEAD_SHM_QUEUE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/typed.h>
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * A queue in shared memory: a bounded FIFO of items of one size, or of frames of any size, for any
 * number of producers and consumers.
 *
 *     FL_SHM_QUEUE_OF(struct job, job_queue) // at file scope
 *
 *     job_queue *q = NULL;
 *     const fl_shm_queue_config config = {.capacity = 128}; // one process
 *     int rc = job_queue_create(&q, region, &config);
 *     fl_shm_offset offset = job_queue_offset(q);
 *
 *     rc = job_queue_attach(&q, region, offset); // the other processes
 *     rc = job_queue_put(q, job);              // waits while the queue is full
 *     rc = job_queue_get(q, &job);             // waits while the queue is empty
 *
 * The queue lies in a region (fairlead/shm.h), at the same offset for all processes. A handle is
 * private to its process. Items must have no pointers. The items of one producer keep their order.
 * After an error of a put the item is unchanged; after an error of a get the memory for the item is
 * unchanged.
 *
 * Deaths
 *
 * Each producer and consumer may be killed at any instruction, and no context waits for a dead
 * process. A process that is killed in a put has put the whole item, or nothing. If it is killed in
 * a get, the item is lost or stays in the queue. An item is delivered at most once.
 *
 * Stopped processes
 *
 * A process may be stopped (SIGSTOP) in the middle of an operation on the queue. Until it
 * continues, the operations of other processes block. They block the whole thread, even if the
 * caller is a fiber of a loop. How long depends on the operation. A wait with a deadline ends at
 * most a millisecond after the deadline. A try function returns -ETIMEDOUT after a millisecond.
 * fl_shm_queue_close(), fl_shm_queue_close_now() and fl_shm_queue_task_done() return -ETIMEDOUT
 * after ten seconds.
 *
 * A process may also be stopped while it waits for an item. If it is woken for an item then, the
 * item stays in the queue, and the next item that is put wakes another waiter.
 *
 * Damage
 *
 * If another process overwrites the queue's memory, functions return -EBADMSG or a wrong value, or
 * block as they do for a stopped process. They access no memory outside the queue.
 *
 * Memory order: what was written before the put of an item happens before the get of that item
 * returns.
 */
typedef struct fl_shm_queue fl_shm_queue;

typedef struct fl_shm_queue_config {
	/* The bytes of each item. 0 means a queue of frames. */
	size_t item_size;
	/* How many items a queue of items can hold, up to 2^31 - 1. 0 means 1,024. */
	size_t capacity;
	/*
	 * The bytes of a frame queue's ring, up to 2^31 - 1. A frame takes 4 bytes more than its
	 * size.
	 */
	size_t frame_bytes;
	uintptr_t more_[4];
} fl_shm_queue_config;

/*
 * Makes a queue in `region`, and a handle of it.
 *
 * `config` is required. The handle must be freed before the handle of the region. The call waits
 * for the region's allocator, as fl_shm_block_alloc() does.
 *
 * Returns:
 *   0           the queue and the handle were made
 *   -EINVAL     the config has neither an item size nor frame bytes, or both; or a capacity and
 *               frame bytes
 *   -EOVERFLOW  the config has too many items or bytes
 *   -ENOMEM     there is no memory, in the process or in the region
 *   -EROFS      the region is read-only in this process
 *   -EBADMSG    the region is damaged
 *   -ETIMEDOUT  the region's allocator was not available for ten seconds
 */
FL_API FL_MUST_CHECK int fl_shm_queue_create(fl_shm_queue **q, fl_shm *region, const fl_shm_queue_config *config);

/*
 * Makes a handle of the queue at `offset` in `region`. It never waits.
 *
 * Returns:
 *   0                 the handle was made
 *   -EBADMSG          there is no queue at `offset`, or its creation has not finished
 *   -EPROTONOSUPPORT  another version of the library has made the queue
 *   -EROFS            the region is read-only in this process
 *   -ENOMEM           there is no memory
 */
FL_API FL_MUST_CHECK int fl_shm_queue_attach(fl_shm_queue **q, fl_shm *region, fl_shm_offset offset);

/* Returns the offset of the queue in its region, for fl_shm_queue_attach(). */
FL_API fl_shm_offset fl_shm_queue_offset(const fl_shm_queue *q);

/*
 * Frees the handle. The queue stays. The call requires that no thread uses the handle. `q` may be
 * NULL.
 */
FL_API void fl_shm_queue_free(fl_shm_queue *q);

/*
 * Frees the handle, and the queue with its contents.
 *
 * The call requires that no process uses the queue. Destroy a queue only once, through one of its
 * handles. A second destroy of the same queue writes to memory that is already free. If no other
 * block has that memory by then, it only logs an error, as a second fl_shm_block_free() does.
 * Otherwise it damages that block, or frees it.
 */
FL_API void fl_shm_queue_destroy(fl_shm_queue *q);

/*
 * Puts a copy of `*item` behind the last item.
 *
 * The call blocks the calling context while the queue is full.
 *
 * Returns:
 *   0           the item was put
 *   -EPIPE      the queue is closed, or was closed during the wait
 *   -ECANCELED  the wait was cancelled
 *   -EINVAL     it is a queue of frames
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put(fl_shm_queue *q, const void *item);

/*
 * Does the same as fl_shm_queue_put() if there is space, and never waits for it.
 *
 * Returns:
 *   0           the item was put
 *   -EAGAIN     the queue is full
 *   -EPIPE      the queue is closed
 *   -ETIMEDOUT  a process that is stopped in an operation has blocked this call for a millisecond
 *   -EINVAL     it is a queue of frames
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_put(fl_shm_queue *q, const void *item);

/*
 * Does the same as fl_shm_queue_put(), and gives up when the deadline has passed (-ETIMEDOUT) or
 * `cancel` is requested (-ECANCELED).
 */
FL_API FL_MUST_CHECK int fl_shm_queue_put_until(fl_shm_queue *q, const void *item, fl_time deadline,
                                                fl_cancel_token *cancel);

/*
 * Gets the oldest item, and stores it in `*item`.
 *
 * The call blocks the calling context while the queue is empty.
 *
 * Returns:
 *   0           an item was got
 *   -EPIPE      the queue is closed, and has no more items
 *   -ECANCELED  the wait was cancelled
 *   -EINVAL     it is a queue of frames
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get(fl_shm_queue *q, void *item);

/*
 * Does the same as fl_shm_queue_get() if there is an item, and never waits for one.
 *
 * Returns:
 *   0           an item was got
 *   -EAGAIN     the queue is empty
 *   -EPIPE      the queue is closed, and has no more items
 *   -ETIMEDOUT  a process that is stopped in an operation has blocked this call for a millisecond
 *   -EINVAL     it is a queue of frames
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_get(fl_shm_queue *q, void *item);

/*
 * Does the same as fl_shm_queue_get(), and gives up when the deadline has passed (-ETIMEDOUT) or
 * `cancel` is requested (-ECANCELED).
 */
FL_API FL_MUST_CHECK int fl_shm_queue_get_until(fl_shm_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Puts `n` items in order. Items of other producers may come between them.
 *
 * The call stores in `*count` how many items were put, whatever the result. It blocks the calling
 * context until all are put.
 *
 * Returns:
 *   0           all items were put
 *   -EPIPE      the queue is closed, or was closed during the wait
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EINVAL     it is a queue of frames
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_queue_put_many_until(fl_shm_queue *q, const void *items, size_t n, size_t *count,
                                                     fl_time deadline, fl_cancel_token *cancel);

/*
 * Gets up to `n` items that follow one another.
 *
 * The call stores in `*count` how many items it got. It blocks the calling context until there is
 * at least one.
 *
 * Returns:
 *   0           at least one item was got, or `n` is 0
 *   -EPIPE      the queue is closed, and has no more items
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EINVAL     it is a queue of frames
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_queue_get_many_until(fl_shm_queue *q, void *items, size_t n, size_t *count,
                                                     fl_time deadline, fl_cancel_token *cancel);

/*
 * Puts a frame of `size` bytes, which may be 0.
 *
 * The call blocks the calling context while the queue lacks space for the frame. In the ring, a
 * frame takes 4 bytes more than its size.
 *
 * Returns:
 *   0           the frame was put
 *   -EMSGSIZE   the frame does not fit into an empty queue
 *   -EPIPE      the queue is closed, or was closed during the wait
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EINVAL     it is a queue of items
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_queue_put_frame_until(fl_shm_queue *q, const void *frame, size_t size, fl_time deadline,
                                                      fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put_frame(fl_shm_queue *_q, const void *_frame, size_t _size)
{
	return fl_shm_queue_put_frame_until(_q, _frame, _size, FL_FOREVER, NULL);
}

/*
 * Gets the oldest frame into `buffer`, which has `room` bytes, and stores the frame's size in
 * `*size`.
 *
 * The call blocks the calling context while the queue is empty.
 *
 * Returns:
 *   0           a frame was got
 *   -EMSGSIZE   the frame is larger than `room`. `*size` is its size, and the frame stays in the
 *               queue
 *   -EPIPE      the queue is closed, and has no more frames
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EINVAL     it is a queue of items
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_queue_get_frame_until(fl_shm_queue *q, void *buffer, size_t room, size_t *size,
                                                      fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get_frame(fl_shm_queue *_q, void *_buffer, size_t _room, size_t *_size)
{
	return fl_shm_queue_get_frame_until(_q, _buffer, _room, _size, FL_FOREVER, NULL);
}

/*
 * Closes the queue, so that all later puts fail, and puts that wait do, too. The contents can still
 * be got.
 *
 * The call waits for operations of other contexts that are in progress. The call may be repeated.
 *
 * Returns:
 *   0           the queue is closed
 *   -ETIMEDOUT  a process that is stopped in an operation has blocked this call for ten seconds
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close(fl_shm_queue *q);

/*
 * Closes the queue and drops its contents, so that all gets fail, too, also those that wait.
 *
 * Each dropped item counts as done. The call stores in `*dropped`, which may be NULL, how many
 * items were dropped. It waits for operations of other contexts that are in progress.
 *
 * Returns:
 *   0           the queue is closed and empty
 *   -ETIMEDOUT  a process that is stopped in an operation has blocked this call for ten seconds
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close_now(fl_shm_queue *q, size_t *dropped);

/*
 * Marks one item or frame that was got from the queue as done, for fl_shm_queue_join().
 *
 * A context may also mark an item that a dead consumer had got. The call waits for operations of
 * other contexts that are in progress.
 *
 * Returns:
 *   0           the item is marked
 *   -EINVAL     as many items are marked already as were got
 *   -ETIMEDOUT  a process that is stopped in an operation has blocked this call for ten seconds
 *   -EBADMSG    the queue's memory has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_queue_task_done(fl_shm_queue *q);

/*
 * Waits until every item that was put is done: until fl_shm_queue_task_done() was called once for
 * each.
 *
 * The call blocks the calling context.
 *
 * Returns:
 *   0           all items are done
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EBADMSG    the queue's memory has been overwritten
 *
 * At most 2^32 - 1 items may be put and not done at one time: the counts have 32 bits, and wrap.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_join_until(fl_shm_queue *q, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_join(fl_shm_queue *_q)
{
	return fl_shm_queue_join_until(_q, FL_FOREVER, NULL);
}

/* Returns how many items or frames are in the queue. The number may be out of date. */
FL_API size_t fl_shm_queue_length(const fl_shm_queue *q);

/* Returns how many items the queue can hold, or the bytes of the ring of a queue of frames. */
FL_API size_t fl_shm_queue_capacity(const fl_shm_queue *q);

/* Returns the bytes of an item; 0 for a queue of frames. */
FL_API size_t fl_shm_queue_item_size(const fl_shm_queue *q);

/*
 * FL_ON_SHM_QUEUE() and FL_ON_SHM_QUEUE_SPACE() are objects for FL_WAIT_ANY(). FL_ON_SHM_QUEUE() is
 * ready when a get would not block: there is an item or a frame, or the queue is closed.
 *
 * FL_ON_SHM_QUEUE_SPACE() is ready when a put would not block: there is space for an item or an
 * empty frame, or the queue is closed.
 */
#define FL_ON_SHM_QUEUE(q) FL__ON(fl__on_shm_queue, (q))
#define FL_ON_SHM_QUEUE_SPACE(q) FL__ON(fl__on_shm_queue_space, (q))
FL_API extern const fl_on_type fl__on_shm_queue, fl__on_shm_queue_space;

FL__SCOPED(fl_shm_queue, fl_shm_queue_free)
FL__QUEUE_FORMS(fl_shm_queue, , FL_FOREVER, NULL)
FL__QUEUE_FORMS(fl_shm_queue, try_, FL__TRY, FL_SHIELDED)

FL_END_DECLS

/*
 * FL_SHM_QUEUE_OF(struct job, job_queue) at file scope, in C and C++, makes the type job_queue.
 *
 * It also makes a job_queue_... form of each fl_shm_queue_... function, except the functions for
 * frames and fl_shm_queue_item_size(). job_queue_attach() also returns -EBADMSG if the queue has
 * another item size.
 *
 * job_queue_untyped(q) returns the same handle as an fl_shm_queue *, for what has no typed form:
 * FL_ON_SHM_QUEUE(job_queue_untyped(q)).
 */
#include <fairlead/private/shm_queue_of.h>

#endif
