/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_QUEUE_H
#define FAIRLEAD_SHM_QUEUE_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Queue in shared memory: a bounded FIFO between processes, for any number of producers and consumers, each of which may be
 * killed at any instruction. Its items have one size; or it has frames of any size.
 *
 *     FL_SHM_QUEUE_OF(struct job, job_pipe)
 *
 *     job_pipe *q = NULL;
 *     rc = job_pipe_create(&q, region, &(fl_shm_queue_config){ .capacity = 128 });     // check; in one process
 *     rc = job_pipe_open(&q, region, offset);         // in the others: the job_pipe_offset() of the first
 *     rc = job_pipe_put(q, job);                      // blocks while full; -EPIPE once closed, the job is untouched
 *     rc = job_pipe_get(q, &job);                     // blocks while empty; -EPIPE once closed and drained
 *
 * What a handle points to is private to its process; the queue lies in a region (fairlead/shm.h) and is known by its offset
 * there. Items are copied byte by byte: they hold no pointers.
 *
 * A process that is killed in a put has put all of the item, or nothing; in a get it has got the item, which is gone with it,
 * or the item stays for the next. An item that was put is delivered once. Nobody waits for a process that is dead; one that is
 * stopped (SIGSTOP) inside the few instructions of an operation stops the others until it goes on: their waits with a deadline
 * end at most a millisecond behind it, and their tries answer -EBUSY after a millisecond. One that is stopped while it waits
 * may have been woken for an item, which then stays in the queue; others who wait are woken with the next one.
 *
 * Items of one producer come out in its order. On any error the item, or what it was to be copied to, is untouched. Memory
 * order: a get sees what was written before the put of its item. What the functions have in common:
 *
 *   -EBADMSG    the queue's memory has been overwritten. No such memory makes a function read or write outside it.
 *   -EINVAL     of an operation for items on a queue of frames, or the other way.
 *   Processes   those that share a queue are in one PID namespace. A child of fork() may use the handles of its parent.
 *   Threads     those of one process may share a handle.
 */
typedef struct fl_shm_queue fl_shm_queue;

typedef struct fl_shm_queue_config {
	size_t item_size; /* bytes of each item; not 0, except for frames */
	size_t capacity;  /* items, at most 2^31 - 1; 0: 1,024; any number, not only powers of two */
	size_t
	    frame_bytes; /* not 0: frames, in a ring of so many bytes, at most 2^31 - 1; each takes 4 more than its own */
} fl_shm_queue_config;

/*
 * Makes a queue in `region`, and a handle of it, which is given up before that of the region. Waits for nothing but the
 * region's allocator.
 * Returns 0, -EINVAL (neither item size nor frame bytes, or both; a capacity beside frame bytes), -EOVERFLOW (more than there
 * can be), -ENOMEM (also: no space in the region), -EROFS (the region is read-only here).
 */
FL_API FL_MUST_CHECK int fl_shm_queue_create(fl_shm_queue **q, fl_shm *region, const fl_shm_queue_config *config);

/*
 * Makes a handle of the queue at `offset` in `region`. Never waits. Returns 0, -EBADMSG (there is none, or it is not all made),
 * -EPROTONOSUPPORT (it was made by another version of the library), -EROFS (the region is read-only here), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_open(fl_shm_queue **q, fl_shm *region, fl_shm_offset offset);

/* Where the queue lies in its region: what fl_shm_queue_open wants. Never waits. */
FL_API fl_shm_offset fl_shm_queue_offset(const fl_shm_queue *q);

/* Gives up the handle; the queue stays. NULL does nothing. No thread of this process is using it. Never waits. */
FL_API void fl_shm_queue_free(fl_shm_queue *q);

/*
 * Gives up the handle, and the queue's memory back to its region, with what is in it; NULL does nothing. No process uses the
 * queue any more. Never waits. Given back already: as with fl_shm_dealloc().
 */
FL_API void fl_shm_queue_destroy(fl_shm_queue *q);

/*
 * Puts a copy of `*item`. Blocks while `q` is full. Observes the cancel scope. Returns 0, -EPIPE (closed), -ECANCELED, -EINVAL,
 * -EBADMSG.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put(fl_shm_queue *q, const void *item);

/* Puts at once: 0, -EAGAIN (full), -EPIPE, -EBUSY (a stopped process keeps it), -EINVAL, -EBADMSG. Never waits for space. */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_put(fl_shm_queue *q, const void *item);

/* As fl_shm_queue_put; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_put_until(fl_shm_queue *q, const void *item, int64_t deadline,
                                                fl_cancel_token *cancel);

/* Gets the oldest item. Blocks while `q` is empty. Returns 0, -EPIPE (closed and drained), -ECANCELED, -EINVAL, -EBADMSG. */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get(fl_shm_queue *q, void *item);

/* Gets at once: 0, -EAGAIN (empty), -EPIPE, -EBUSY (a stopped process keeps it), -EINVAL, -EBADMSG. Never waits for an item. */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_get(fl_shm_queue *q, void *item);

/* As fl_shm_queue_get; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_get_until(fl_shm_queue *q, void *item, int64_t deadline, fl_cancel_token *cancel);

/*
 * Puts the `n` items of `items` in their order, as many at once as there is space for; other producers may come between.
 * Blocks until all are in. Returns how many went in: less than `n` only when the queue was closed, the scope was cancelled, or
 * of the errors above.
 */
FL_INLINE FL_MUST_CHECK size_t fl_shm_queue_put_many(fl_shm_queue *q, const void *items, size_t n);

/* Puts as many of `n` items as there is space for. Returns how many; 0 also when closed. Never waits for space. */
FL_INLINE FL_MUST_CHECK size_t fl_shm_queue_try_put_many(fl_shm_queue *q, const void *items, size_t n);

/*
 * As fl_shm_queue_put_many; stores how many went in in `*count`. Returns 0 when all did; -EPIPE, -ETIMEDOUT, -ECANCELED,
 * -EINVAL, -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_put_many_until(fl_shm_queue *q, const void *items, size_t n, size_t *count,
                                                     int64_t deadline, fl_cancel_token *cancel);

/*
 * Gets up to `n` items that follow each other. Blocks until there is at least one. Returns how many; 0 when the queue is
 * closed and drained, the scope was cancelled, `n` is 0, or of the errors above.
 */
FL_INLINE FL_MUST_CHECK size_t fl_shm_queue_get_many(fl_shm_queue *q, void *items, size_t n);

/* Gets up to `n` items that are there now. Returns how many. Never waits for an item. */
FL_INLINE FL_MUST_CHECK size_t fl_shm_queue_try_get_many(fl_shm_queue *q, void *items, size_t n);

/*
 * As fl_shm_queue_get_many; stores how many in `*count`. Returns 0 (at least one, or `n` is 0); -EPIPE, -ETIMEDOUT, -ECANCELED,
 * -EINVAL, -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_get_many_until(fl_shm_queue *q, void *items, size_t n, size_t *count,
                                                     int64_t deadline, fl_cancel_token *cancel);

/*
 * Puts a frame of `size` bytes, which may be 0. Blocks while `q` has not the space for it. Observes the cancel scope.
 * Returns 0, -EMSGSIZE (it does not fit in an empty queue), -EPIPE (closed), -ECANCELED, -EINVAL, -EBADMSG.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_put_frame(fl_shm_queue *q, const void *frame, size_t size);

/* Puts at once: 0, -EAGAIN (no space for it), -EMSGSIZE, -EPIPE, -EBUSY, -EINVAL, -EBADMSG. Never waits for space. */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_put_frame(fl_shm_queue *q, const void *frame, size_t size);

/* As fl_shm_queue_put_frame; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_put_frame_until(fl_shm_queue *q, const void *frame, size_t size, int64_t deadline,
                                                      fl_cancel_token *cancel);

/*
 * Gets the oldest frame, into a buffer with `room` for so many bytes; stores its size in `*size`. Blocks while `q` is empty.
 * Observes the cancel scope. Returns 0, -EMSGSIZE (it is larger than that: `*size` says how large, and it stays), -EPIPE
 * (closed and drained), -ECANCELED, -EINVAL, -EBADMSG.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_get_frame(fl_shm_queue *q, void *buffer, size_t room, size_t *size);

/* Gets at once: 0, -EAGAIN (empty), -EMSGSIZE, -EPIPE, -EBUSY, -EINVAL, -EBADMSG. Never waits for a frame. */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_get_frame(fl_shm_queue *q, void *buffer, size_t room, size_t *size);

/* As fl_shm_queue_get_frame; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_get_frame_until(fl_shm_queue *q, void *buffer, size_t room, size_t *size,
                                                      int64_t deadline, fl_cancel_token *cancel);

/*
 * Closes `q`: no more in, blocked puts fail; what is in can be got. Again: nothing. Waits for others that are inside an
 * operation alone. Returns 0, -EBUSY (one is, and stopped, for ten seconds), -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close(fl_shm_queue *q);

/*
 * As fl_shm_queue_close, and drops what is in `q`: blocked gets fail too. Each dropped item counts as done. Stores how many
 * were dropped in `*dropped`, unless that is NULL. Returns 0, -EBUSY, -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_close_now(fl_shm_queue *q, size_t *dropped);

/*
 * Says that an item or frame got from `q` is dealt with; for one that was got by a process that died, whoever takes over says
 * it. Waits as fl_shm_queue_close. Returns 0, -EINVAL (said more often than items were got), -EBUSY, -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_queue_task_done(fl_shm_queue *q);

/*
 * Waits until every item that was put is dealt with. Blocks the calling context. Observes its scope. Returns 0, -ECANCELED,
 * -EBADMSG. Counts come round: at most 2^32 - 1 items may be put and not done.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_join(fl_shm_queue *q);

/* Returns 0 when every item is dealt with, else -EBUSY; -EBADMSG. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_shm_queue_try_join(fl_shm_queue *q);

/* As fl_shm_queue_join; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_queue_join_until(fl_shm_queue *q, int64_t deadline, fl_cancel_token *cancel);

/* The items or frames in `q` now; may be out of date when it returns. Never waits. */
FL_API size_t fl_shm_queue_length(const fl_shm_queue *q);

/* The most items that `q` holds; of frames: the bytes of its ring. Never waits. */
FL_API size_t fl_shm_queue_capacity(const fl_shm_queue *q);

/* The bytes of an item; 0: frames. Never waits. */
FL_API size_t fl_shm_queue_item_size(const fl_shm_queue *q);

/* Whether `q` is closed. Never waits. */
FL_API bool fl_shm_queue_is_closed(const fl_shm_queue *q);

/*
 * For fl_wait_any: ready when a get would not block (an item, or closed); or when a put would not (space for an item, or for
 * an empty frame; or closed).
 */
#define FL_ON_SHM_QUEUE(q) FL__ON(fl__on_shm_queue, (q))
#define FL_ON_SHM_QUEUE_SPACE(q) FL__ON(fl__on_shm_queue_space, (q))
FL_API extern const fl_on_type fl__on_shm_queue, fl__on_shm_queue_space;

static inline void fl__scoped_fl_shm_queue(fl_shm_queue **_q)
{
	fl_shm_queue_free(*_q);
}

/* The inline functions. */

FL_INLINE int fl_shm_queue_put(fl_shm_queue *_q, const void *_item)
{
	return fl_shm_queue_put_until(_q, _item, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_queue_try_put(fl_shm_queue *_q, const void *_item)
{
	return fl_shm_queue_put_until(_q, _item, FL__TRY, FL_SHIELDED);
}

FL_INLINE int fl_shm_queue_get(fl_shm_queue *_q, void *_item)
{
	return fl_shm_queue_get_until(_q, _item, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_queue_try_get(fl_shm_queue *_q, void *_item)
{
	return fl_shm_queue_get_until(_q, _item, FL__TRY, FL_SHIELDED);
}

FL_INLINE size_t fl_shm_queue_put_many(fl_shm_queue *_q, const void *_items, size_t _n)
{
	size_t _count;
	FL_IGNORE(fl_shm_queue_put_many_until(_q, _items, _n, &_count, FL_FOREVER, NULL)); /* the count tells */
	return _count;
}

FL_INLINE size_t fl_shm_queue_try_put_many(fl_shm_queue *_q, const void *_items, size_t _n)
{
	size_t _count;
	FL_IGNORE(fl_shm_queue_put_many_until(_q, _items, _n, &_count, FL__TRY, FL_SHIELDED)); /* the count tells */
	return _count;
}

FL_INLINE size_t fl_shm_queue_get_many(fl_shm_queue *_q, void *_items, size_t _n)
{
	size_t _count;
	FL_IGNORE(fl_shm_queue_get_many_until(_q, _items, _n, &_count, FL_FOREVER, NULL)); /* the count tells */
	return _count;
}

FL_INLINE size_t fl_shm_queue_try_get_many(fl_shm_queue *_q, void *_items, size_t _n)
{
	size_t _count;
	FL_IGNORE(fl_shm_queue_get_many_until(_q, _items, _n, &_count, FL__TRY, FL_SHIELDED)); /* the count tells */
	return _count;
}

FL_INLINE int fl_shm_queue_put_frame(fl_shm_queue *_q, const void *_frame, size_t _size)
{
	return fl_shm_queue_put_frame_until(_q, _frame, _size, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_queue_try_put_frame(fl_shm_queue *_q, const void *_frame, size_t _size)
{
	return fl_shm_queue_put_frame_until(_q, _frame, _size, FL__TRY, FL_SHIELDED);
}

FL_INLINE int fl_shm_queue_get_frame(fl_shm_queue *_q, void *_buffer, size_t _room, size_t *_size)
{
	return fl_shm_queue_get_frame_until(_q, _buffer, _room, _size, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_queue_try_get_frame(fl_shm_queue *_q, void *_buffer, size_t _room, size_t *_size)
{
	return fl_shm_queue_get_frame_until(_q, _buffer, _room, _size, FL__TRY, FL_SHIELDED);
}

FL_INLINE int fl_shm_queue_join(fl_shm_queue *_q)
{
	return fl_shm_queue_join_until(_q, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_queue_try_join(fl_shm_queue *_q)
{
	const int _rc = fl_shm_queue_join_until(_q, FL__TRY, FL_SHIELDED);
	return _rc == -EAGAIN ? -EBUSY : _rc;
}

FL_END_DECLS

/*
 * FL_SHM_QUEUE_OF(struct job, job_pipe) makes the type job_pipe and, for each fl_shm_queue_...
 * function for items, a job_pipe_... that takes and gives struct job: job_pipe_put(q, job),
 * job_pipe_get(q, &job). job_pipe_create sets the item size; job_pipe_open answers -EBADMSG when it
 * is another. At file scope; C and C++.
 */
#include <fairlead/private/shm_queue_of.h>

#endif
