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
 *     rc = job_queue_close(q);                 // then -EPIPE: closed, and all items were got
 *
 * The queue lies in a region (fairlead/shm.h). A handle is private to its process. Items must have
 * no pointers. The items of one producer keep their order. Memory order: a get sees what its item's
 * producer wrote before the put.
 *
 * Deaths and stopped processes
 *
 * No context waits for a dead process. A process that is killed in a put has put the whole item, or
 * nothing. One that is killed in a get leaves the item in the queue, or loses it.
 *
 * While a process is stopped (SIGSTOP) in the middle of an operation on the queue, other operations
 * block their whole threads, even in fibers. They return -ETIMEDOUT: a wait at its deadline, a try
 * after a millisecond, a close or fl_shm_queue_task_done() after ten seconds.
 *
 * What fairlead/shm.h says about processes and damage holds here, too.
 */
typedef struct fl_shm_queue fl_shm_queue;

typedef struct fl_shm_queue_config {
	/* the bytes of each item; 0 means a queue of frames */
	size_t item_size;
	/* how many items a queue of items can hold, up to 2^31 - 1; 0 means 1,024 */
	size_t capacity;
	/* the bytes of a frame queue's ring, up to 2^31 - 1; a frame takes 4 more than its size */
	size_t frame_bytes;
	uintptr_t more_[4];
} fl_shm_queue_config;

/*
 * Makes a queue in `region`, and a handle of the queue, which must be freed before the region's.
 * `config` is required. The call waits for the region's allocator, for ten seconds at most
 * (-ETIMEDOUT). Returns 0, -ETIMEDOUT, -EBADMSG, or:
 *   -EINVAL     the config has neither items nor frames, or both
 *   -EOVERFLOW  the config has too many items or bytes
 *   -ENOMEM     no memory, in the process or in the region
 *   -EROFS      the region is read-only in this process
 */
FL_API FL_MUST_CHECK int fl_shm_queue_create(fl_shm_queue **q, fl_shm *region, const fl_shm_queue_config *config);

/*
 * Makes a handle of the queue at `offset` in `region`. Returns 0, -ENOMEM, or:
 *   -EBADMSG          there is no queue at `offset`, or its creation has not finished
 *   -EPROTONOSUPPORT  another version of the library has made the queue
 *   -EROFS            the region is read-only in this process
 */
FL_API FL_MUST_CHECK int fl_shm_queue_attach(fl_shm_queue **q, fl_shm *region, fl_shm_offset offset);

/* Returns the offset of the queue in its region, for fl_shm_queue_attach(). */
FL_API fl_shm_offset fl_shm_queue_offset(const fl_shm_queue *q);

/* Frees the handle, which no thread may use. The queue stays. */
FL_API void fl_shm_queue_free(fl_shm_queue *q);

/*
 * Frees the handle, and the queue with its contents. No process may use the queue, and only one may
 * destroy it.
 */
FL_API void fl_shm_queue_destroy(fl_shm_queue *q);

/*
 * Puts a copy of `*item` behind the last item. fl_shm_queue_put() and fl_shm_queue_put_until()
 * block the calling context while the queue is full. Returns 0, -ECANCELED, -EBADMSG, or:
 *   -EAGAIN     the queue is full
 *   -EPIPE      the queue is closed
 *   -ETIMEDOUT  the deadline passed; or, in a try, another process is stopped ("Deaths and stopped
 *               processes" in fairlead/shm_queue.h)
 *   -EINVAL     a queue of frames
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put(fl_shm_queue *q, const void *item);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_put(fl_shm_queue *q, const void *item);
FL_API FL_MUST_CHECK int fl_shm_queue_put_until(fl_shm_queue *q, const void *item, fl_time deadline,
                                                fl_cancel_token *cancel);

/*
 * Gets the oldest item, and stores it in `*item`, which an error leaves unchanged.
 * fl_shm_queue_get() and fl_shm_queue_get_until() block the calling context while the queue is
 * empty. Returns 0, or:
 *   -EAGAIN  the queue is empty
 *   -EPIPE   the queue is closed and empty
 *   -ETIMEDOUT, -ECANCELED, -EINVAL, -EBADMSG
 *            an error of fl_shm_queue_put()
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get(fl_shm_queue *q, void *item);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_get(fl_shm_queue *q, void *item);
FL_API FL_MUST_CHECK int fl_shm_queue_get_until(fl_shm_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel);

/*
 * Does the same as fl_shm_queue_put() for `n` items in order, and stores in `*count` how many it
 * has put. Items of other producers may come between.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_put_many_until(fl_shm_queue *q, const void *items, size_t n, size_t *count,
                                                     fl_time deadline, fl_cancel_token *cancel);

/*
 * Does the same as fl_shm_queue_get() for up to `n` items that follow one another, and stores in
 * `*count` how many. It waits only until there is one, and never if `n` is 0.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_get_many_until(fl_shm_queue *q, void *items, size_t n, size_t *count,
                                                     fl_time deadline, fl_cancel_token *cancel);

/*
 * Puts a frame of `size` bytes, which may be 0. Both functions block the calling context while the
 * queue lacks space. Returns 0, -ETIMEDOUT, -ECANCELED, -EBADMSG, or:
 *   -EMSGSIZE  the frame does not fit into an empty queue
 *   -EPIPE     the queue is closed
 *   -EINVAL    a queue of items
 */
FL_API FL_MUST_CHECK int fl_shm_queue_put_frame_until(fl_shm_queue *q, const void *frame, size_t size, fl_time deadline,
                                                      fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put_frame(fl_shm_queue *_q, const void *_frame, size_t _size)
{
	return fl_shm_queue_put_frame_until(_q, _frame, _size, FL_FOREVER, NULL);
}

/*
 * Gets the oldest frame into `buffer`, which has `room` bytes, and stores the frame's size in
 * `*size`. Both functions block the calling context while the queue is empty. Returns 0,
 * -ETIMEDOUT, -ECANCELED, -EBADMSG, or:
 *   -EMSGSIZE  the frame is larger than `room`. `*size` is its size, and the frame stays in the
 *              queue
 *   -EPIPE     the queue is closed and empty
 *   -EINVAL    a queue of items
 */
FL_API FL_MUST_CHECK int fl_shm_queue_get_frame_until(fl_shm_queue *q, void *buffer, size_t room, size_t *size,
                                                      fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get_frame(fl_shm_queue *_q, void *_buffer, size_t _room, size_t *_size)
{
	return fl_shm_queue_get_frame_until(_q, _buffer, _room, _size, FL_FOREVER, NULL);
}

/*
 * Closes the queue: later puts and those that wait return -EPIPE, but the contents can still be
 * got. The call waits for operations in progress. Returns 0, -EBADMSG, or -ETIMEDOUT if a stopped
 * process has blocked the call for ten seconds.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close(fl_shm_queue *q);

/*
 * Does the same as fl_shm_queue_close(), and drops the contents, so that all gets fail, too. Each
 * dropped item counts as done. Their number is stored in `*dropped`, which may be NULL.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close_now(fl_shm_queue *q, size_t *dropped);

/*
 * Counts one item or frame that was got as done, for fl_shm_queue_join(). Any context may do so,
 * for example for a dead consumer. Returns 0, -ETIMEDOUT or -EBADMSG, as fl_shm_queue_close() does,
 * or -EINVAL if all that were got are done.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_task_done(fl_shm_queue *q);

/*
 * Waits until fl_shm_queue_task_done() was called once for each item that was put. At most 2^32 - 1
 * items may be unfinished at a time. Both functions block the calling context. Returns 0,
 * -ETIMEDOUT, -ECANCELED or -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_join_until(fl_shm_queue *q, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_queue_join(fl_shm_queue *_q)
{
	return fl_shm_queue_join_until(_q, FL_FOREVER, NULL);
}

/* Returns how many items or frames are in the queue. The result may be out of date. */
FL_API size_t fl_shm_queue_length(const fl_shm_queue *q);

/* Returns how many items the queue can hold, or the bytes of the ring of a queue of frames. */
FL_API size_t fl_shm_queue_capacity(const fl_shm_queue *q);

/* Returns the bytes of an item; 0 for a queue of frames. */
FL_API size_t fl_shm_queue_item_size(const fl_shm_queue *q);

/*
 * FL_ON_SHM_QUEUE() and FL_ON_SHM_QUEUE_SPACE() are objects for FL_WAIT_ANY(), ready when there is
 * an item or a frame, and when there is space for an item or an empty frame; both, if the queue is
 * closed.
 */
#define FL_ON_SHM_QUEUE(q) FL__ON(fl__on_shm_queue, (q))
#define FL_ON_SHM_QUEUE_SPACE(q) FL__ON(fl__on_shm_queue_space, (q))
FL_API extern const fl_on_type fl__on_shm_queue, fl__on_shm_queue_space;

FL__SCOPED(fl_shm_queue, fl_shm_queue_free)
FL__QUEUE_FORMS(fl_shm_queue, , FL_FOREVER, NULL)
FL__QUEUE_FORMS(fl_shm_queue, try_, FL__TRY, FL_SHIELDED)

FL_END_DECLS

/*
 * FL_SHM_QUEUE_OF(struct job, job_queue), at file scope, makes the type job_queue, and a
 * job_queue_... form of each fl_shm_queue_... function for items. job_queue_attach() also returns
 * -EBADMSG if the queue has another item size. job_queue_untyped(q) returns it as an fl_shm_queue
 * *, for example for FL_ON_SHM_QUEUE().
 */
#include <fairlead/private/shm_queue_of.h>

#endif
