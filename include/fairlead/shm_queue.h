/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_QUEUE_H
#define FAIRLEAD_SHM_QUEUE_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/typed.h>
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Queue in shared memory: a bounded FIFO of items of one size, or of frames of any size, for any
 * number of producers and consumers, each of which may be killed at any instruction.
 *
 *     FL_SHM_QUEUE_OF(struct job, job_queue)
 *
 *     job_queue *q = NULL;
 *     rc = job_queue_create(&q, region, &(fl_shm_queue_config){.capacity = 128});  // check; once
 *     rc = job_queue_open(&q, region, offset);  // check; elsewhere; offset: job_queue_offset(q)
 *     rc = job_queue_put(q, job);               // blocks while full; -EPIPE: closed
 *     rc = job_queue_get(q, &job);              // blocks while empty; -EPIPE: closed and drained
 *
 * A handle is private to its process. The queue lies in a region (fairlead/shm.h), at the same
 * offset for all processes. Items must have no pointers.
 *
 * A process that is killed in a put has put the whole item, or nothing. If it is killed in a get,
 * the item is lost or stays in the queue. An item is delivered at most once. No context waits for a
 * dead process.
 *
 * While a process is stopped (SIGSTOP) in an operation, the operations of other processes block
 * their threads, also that of a loop. Waits with a deadline then end at most a millisecond late;
 * tries return -ETIMEDOUT after a millisecond. So do fl_shm_queue_close(), _close_now() and
 * _task_done() after ten seconds. An item for which a stopped waiter was woken stays in the queue; the next item
 * wakes others.
 *
 * The items of one producer keep their order. After an error the item, or the memory for it, is
 * unchanged. Memory order: a get sees what was written before the put of its item.
 *
 * Results of all functions:
 *   -EBADMSG  the queue's memory has been overwritten; no function accesses memory outside the
 *             queue
 *   -EINVAL   an operation for items on a queue of frames, or the reverse
 *
 * A child of fork() may use its parent's handles.
 */
typedef struct fl_shm_queue fl_shm_queue;

typedef struct fl_shm_queue_config {
	size_t item_size; /* bytes of each item; 0: frames */
	size_t capacity;  /* items: any number up to 2^31 - 1; 0: 1,024 */
	/* of frames: bytes of the ring, up to 2^31 - 1; each frame takes 4 more than its size */
	size_t frame_bytes;
	uintptr_t more_[4];
} fl_shm_queue_config;

/*
 * Makes a queue in `region`, and a handle, which must be freed before the handle of the region.
 * `config` is required. Waits for the region's allocator. Returns 0, or:
 *   -EINVAL     neither an item size nor frame bytes, or both; or a capacity with frame bytes
 *   -EOVERFLOW  too many items or bytes
 *   -ENOMEM     no memory, in the process or in the region
 *   -EROFS      the region is read-only in this process
 */
FL_API FL_MUST_CHECK int fl_shm_queue_create(fl_shm_queue **q, fl_shm *region, const fl_shm_queue_config *config);

/*
 * Makes a handle of the queue at `offset` in `region`. Returns 0, -ENOMEM, or:
 *   -EBADMSG          there is no queue, or its creation has not finished
 *   -EPROTONOSUPPORT  another version of the library has made the queue
 *   -EROFS            the region is read-only in this process
 */
FL_API FL_MUST_CHECK int fl_shm_queue_open(fl_shm_queue **q, fl_shm *region, fl_shm_offset offset);

/* The offset of the queue in its region, for fl_shm_queue_open(). */
FL_API fl_shm_offset fl_shm_queue_offset(const fl_shm_queue *q);

/* Frees the handle. The queue stays. Requires that no thread uses the handle. */
FL_API void fl_shm_queue_free(fl_shm_queue *q);

/*
 * Frees the handle, and the queue with its contents. Requires that no process uses the queue. A
 * second destroy is logged, as by fl_shm_free_block().
 */
FL_API void fl_shm_queue_destroy(fl_shm_queue *q);

/*
 * Puts a copy of `*item`. Blocks while `q` is full. Returns 0, -ECANCELED, -EINVAL, -EBADMSG, or:
 *   -EPIPE  `q` is closed, also if that happens during the wait
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put(fl_shm_queue *q, const void *item);

/*
 * As fl_shm_queue_put(): 0, -EPIPE, -EINVAL, -EBADMSG. Never waits. Also returns:
 *   -EAGAIN     full
 *   -ETIMEDOUT  a process that is stopped in an operation has blocked this call for a millisecond
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_put(fl_shm_queue *q, const void *item);

/* As fl_shm_queue_put(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_put_until(fl_shm_queue *q, const void *item, fl_time deadline,
                                                fl_cancel_token *cancel);

/*
 * Gets the oldest item. Blocks while `q` is empty. Returns 0, -ECANCELED, -EINVAL, -EBADMSG, or:
 *   -EPIPE  `q` is closed and drained
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get(fl_shm_queue *q, void *item);

/*
 * As fl_shm_queue_get(): 0, -EPIPE, -EINVAL, -EBADMSG. Never waits. Also returns:
 *   -EAGAIN     empty
 *   -ETIMEDOUT  as fl_shm_queue_try_put()
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_get(fl_shm_queue *q, void *item);

/* As fl_shm_queue_get(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_get_until(fl_shm_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Puts `n` items in order. Items of other producers may come between. Blocks until all are put.
 * Stores in `*count` how many are put, whatever the result. Returns 0 if all are; else why the rest
 * is not: -ECANCELED, -EINVAL, -EBADMSG, or as fl_shm_queue_put(): -EPIPE.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put_many(fl_shm_queue *q, const void *items, size_t n, size_t *count);

/*
 * As fl_shm_queue_put_many(). Never waits. Also returns:
 *   -EAGAIN     there was no space for the rest
 *   -ETIMEDOUT  as fl_shm_queue_try_put()
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_put_many(fl_shm_queue *q, const void *items, size_t n, size_t *count);

/* As fl_shm_queue_put_many(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_put_many_until(fl_shm_queue *q, const void *items, size_t n, size_t *count,
                                                     fl_time deadline, fl_cancel_token *cancel);

/*
 * Gets up to `n` consecutive items. Blocks until at least one is there. Stores in `*count` how many
 * it got. Returns 0 if that is at least one, or `n` is 0; else -ECANCELED, -EINVAL, -EBADMSG, or as
 * fl_shm_queue_get(): -EPIPE.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get_many(fl_shm_queue *q, void *items, size_t n, size_t *count);

/*
 * As fl_shm_queue_get_many(). Never waits. Also returns:
 *   -EAGAIN     empty
 *   -ETIMEDOUT  as fl_shm_queue_try_put()
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_get_many(fl_shm_queue *q, void *items, size_t n, size_t *count);

/* As fl_shm_queue_get_many(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_get_many_until(fl_shm_queue *q, void *items, size_t n, size_t *count,
                                                     fl_time deadline, fl_cancel_token *cancel);

/*
 * Puts a frame of `size` bytes, 0 or more. Blocks while `q` lacks space for the frame. Returns 0,
 * -ECANCELED, -EINVAL, -EBADMSG, or:
 *   -EMSGSIZE  the frame does not fit into an empty queue
 *   -EPIPE     `q` is closed, also if that happens during the wait
 */
FL_API FL_MUST_CHECK int fl_shm_queue_put_frame_until(fl_shm_queue *q, const void *frame, size_t size, fl_time deadline,
                                                      fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put_frame(fl_shm_queue *_q, const void *_frame, size_t _size)
{
	return fl_shm_queue_put_frame_until(_q, _frame, _size, FL_FOREVER, NULL);
}

/*
 * As fl_shm_queue_put_frame(): 0, -EMSGSIZE, -EPIPE, -EINVAL, -EBADMSG. Never waits. Also returns:
 *   -EAGAIN     there is no space for the frame
 *   -ETIMEDOUT  as fl_shm_queue_try_put()
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_put_frame(fl_shm_queue *_q, const void *_frame, size_t _size)
{
	return fl_shm_queue_put_frame_until(_q, _frame, _size, FL__TRY, FL_SHIELDED);
}

/*
 * Gets the oldest frame into `buffer`, which has `room` bytes, and stores the frame's size in
 * `*size`. Blocks while `q` is empty. Returns 0, -ECANCELED, -EINVAL, -EBADMSG, or:
 *   -EMSGSIZE  the frame is larger than `room`. `*size` is its size, and the frame stays in the
 *              queue
 *   -EPIPE     closed and drained
 */
FL_API FL_MUST_CHECK int fl_shm_queue_get_frame_until(fl_shm_queue *q, void *buffer, size_t room, size_t *size,
                                                      fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get_frame(fl_shm_queue *_q, void *_buffer, size_t _room, size_t *_size)
{
	return fl_shm_queue_get_frame_until(_q, _buffer, _room, _size, FL_FOREVER, NULL);
}

/*
 * As fl_shm_queue_get_frame(): 0, -EMSGSIZE, -EPIPE, -EINVAL, -EBADMSG. Never waits. Also returns:
 *   -EAGAIN     empty
 *   -ETIMEDOUT  as fl_shm_queue_try_put()
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_get_frame(fl_shm_queue *_q, void *_buffer, size_t _room, size_t *_size)
{
	return fl_shm_queue_get_frame_until(_q, _buffer, _room, _size, FL__TRY, FL_SHIELDED);
}

/*
 * Closes `q`: later and blocked puts fail, and the contents can still be got. May be called again.
 * Waits for operations in progress. Returns 0, -EBADMSG, or:
 *   -ETIMEDOUT  a process that is stopped in an operation has blocked this call for ten seconds
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close(fl_shm_queue *q);

/*
 * As fl_shm_queue_close(): 0, -ETIMEDOUT, -EBADMSG. Also drops the contents, so blocked gets fail. Each
 * dropped item counts as done. Stores in `*dropped` (may be NULL) how many were dropped.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close_now(fl_shm_queue *q, size_t *dropped);

/*
 * Marks one item or frame that was got from `q` as done, also for a dead consumer. Waits as
 * fl_shm_queue_close(). Returns 0, -ETIMEDOUT, -EBADMSG, or:
 *   -EINVAL  more calls than items were got
 */
FL_API FL_MUST_CHECK int fl_shm_queue_task_done(fl_shm_queue *q);

/*
 * Waits until every item that was put is done. Blocks the calling context. Returns 0, -ECANCELED,
 * -EBADMSG. Counts wrap: at most 2^32 - 1 items may be put and not done.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_join_until(fl_shm_queue *q, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_join(fl_shm_queue *_q)
{
	return fl_shm_queue_join_until(_q, FL_FOREVER, NULL);
}

/* How many items or frames are in `q`, possibly out of date. */
FL_API size_t fl_shm_queue_length(const fl_shm_queue *q);

/* How many items `q` can hold; of frames, the bytes of the ring. */
FL_API size_t fl_shm_queue_capacity(const fl_shm_queue *q);

/* The bytes of an item; 0: frames. */
FL_API size_t fl_shm_queue_item_size(const fl_shm_queue *q);

/* True if `q` is closed. */
FL_API bool fl_shm_queue_is_closed(const fl_shm_queue *q);

/*
 * For FL_WAIT_ANY(): ready when a get would not block (an item, or closed); FL_ON_SHM_QUEUE_SPACE,
 * when a put would not block (space for an item, or for an empty frame; or closed).
 */
#define FL_ON_SHM_QUEUE(q) FL__ON(fl__on_shm_queue, (q))
#define FL_ON_SHM_QUEUE_SPACE(q) FL__ON(fl__on_shm_queue_space, (q))
FL_API extern const fl_on_type fl__on_shm_queue, fl__on_shm_queue_space;

FL__SCOPED(fl_shm_queue, fl_shm_queue_free)
FL__QUEUE_FORMS(fl_shm_queue, , FL_FOREVER, NULL)
FL__QUEUE_FORMS(fl_shm_queue, try_, FL__TRY, FL_SHIELDED)

FL_END_DECLS

/*
 * FL_SHM_QUEUE_OF(struct job, job_pipe), at file scope in C and C++, makes the type job_pipe, and a
 * job_pipe_... form of each fl_shm_queue_... function, except those for frames and
 * fl_shm_queue_item_size(). job_pipe_open() returns -EBADMSG if the item size differs.
 *
 * job_pipe_untyped(q) returns the same handle as an fl_shm_queue *, for what has no typed form:
 * FL_ON_SHM_QUEUE(job_pipe_untyped(q)).
 */
#include <fairlead/private/shm_queue_of.h>

#endif
