/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_AS_COMPLETED_H
#define FAIRLEAD_AS_COMPLETED_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/fiber.h>
#include <fairlead/future.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Waiting for the ends of several futures, or fibers: for some of them at once, or for one after the other in the order in which
 * they end. Neither takes anything from them, joins or cancels, and each may be waited for in many places.
 *
 *     rc = fl_futures_wait_until(f, 3, FL_FIRST_ENDED, fl_after(FL_S(1)), NULL);
 *
 *     FL_SCOPED(fl_as_completed) *done = NULL;
 *     rc = fl_futures_as_completed_create(&done, f, n);          // check
 *     while ((rc = fl_as_completed_next_until(done, &i, deadline, NULL)) == 0)
 *             ...                                             // f[i] has ended
 *
 * What is about futures is for any context; what is about fibers, for the thread of their loop. A fiber that somebody joins or
 * detaches meanwhile counts as ended. In a forked child nobody uses a fl_as_completed of its parent, nor frees it.
 */
typedef enum fl_wait_mode {
	FL_ALL_ENDED,
	FL_FIRST_ENDED, /* one, at least */
	FL_FIRST_ERROR, /* one with an error, or all; to be cancelled, or of a fiber -ECANCELED after it was, is none */
} fl_wait_mode;

/*
 * Waits until all of the `n` futures have ended, or the first has, or the first with an error. Blocks the calling context. Observes its
 * cancel scope. It takes n steps: whoever wants one after the other uses fl_as_completed. A worker runs those that are pending
 * in its own executor, as in fl_future_wait(); for the first of several, one after the other while that is not enough.
 * Returns how many of the array have ended by then (n = 0 is 0), -ECANCELED, -ENOMEM, -EINVAL
 * (n above INT_MAX, or another `what`); -EOWNERDEAD: in a forked child, when only futures of the
 * parent's tasks could still end the wait.
 */
FL_INLINE FL_MUST_CHECK int fl_futures_wait(fl_future *const *f, size_t n, fl_wait_mode what);

/*
 * As fl_futures_wait; also returns -ETIMEDOUT, which like -ECANCELED leaves all as they are: fl_futures_ended() tells how many have
 * ended, fl_future_try_wait() which.
 */
FL_API FL_MUST_CHECK int fl_futures_wait_until(fl_future *const *f, size_t n, fl_wait_mode what, int64_t deadline,
                                               fl_cancel_token *cancel);

/* How many of the `n` futures have ended. Never waits. Acquires, as fl_future_try_wait(). */
FL_INLINE size_t fl_futures_ended(fl_future *const *f, size_t n);

/*
 * Waits until all of the `n` fibers have ended, or the first has, or the first with an error. Blocks the calling fiber. Observes its
 * cancel scope. It takes n steps: whoever wants one after the other uses fl_as_completed.
 * Returns how many have ended (n = 0 is 0), -ECANCELED, -ENOMEM, -EINVAL (n above INT_MAX, or another `what`), -EDEADLK: it
 * would have to wait, and the caller is one of them, or no fiber of their loop.
 */
FL_INLINE FL_MUST_CHECK int fl_fibers_wait(fl_fiber *const *fibers, size_t n, fl_wait_mode what);

/*
 * As fl_fibers_wait; also returns -ETIMEDOUT, which like -ECANCELED leaves all as they are: fl_fiber_is_alive() tells who has
 * ended.
 */
FL_API FL_MUST_CHECK int fl_fibers_wait_until(fl_fiber *const *fibers, size_t n, fl_wait_mode what, int64_t deadline,
                                              fl_cancel_token *cancel);

/* Hands out futures, or fibers, as they end. One context at a time uses it. */
typedef struct fl_as_completed fl_as_completed;

/*
 * Begins with the `n` futures of the array, which is not needed afterwards, nor are its references. Never waits. One that stands
 * there twice is handed out once. Returns 0, -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_futures_as_completed_create(fl_as_completed **c, fl_future *const *f, size_t n);

/*
 * Begins with the `n` fibers of the array, which is not needed afterwards. Never waits. Returns 0; -ENOMEM; -EDEADLK: the
 * caller is one of them.
 */
FL_API FL_MUST_CHECK int fl_fibers_as_completed_create(fl_as_completed **c, fl_fiber *const *fibers, size_t n);

/*
 * Waits until the next one has ended, and stores in `*index` which of the array it was; those that had ended before the create come
 * first, in the order of the array. A step costs the same for any number. Of a fiber, who gets it joins it, and one that somebody
 * else joined or detached before is left out. Blocks the calling context. Observes its cancel scope. A worker that waits for
 * futures runs those that are pending in its own executor when it comes to them.
 * Returns 0; -ENODATA: all were handed out; -ECANCELED (it can be called again); -EDEADLK, of fibers: it would have to wait, outside
 * of the fibers of their loop; -EOWNERDEAD: in a forked child, when all that are left are futures
 * of the parent's tasks which had not ended at the create.
 */
FL_INLINE FL_MUST_CHECK int fl_as_completed_next(fl_as_completed *c, size_t *index);

/* As fl_as_completed_next; never waits: -EAGAIN while none has ended. */
FL_API FL_MUST_CHECK int fl_as_completed_try_next(fl_as_completed *c, size_t *index);

/* As fl_as_completed_next; also returns -ETIMEDOUT (it can be called again). The same deadline at each call is one for them all. */
FL_API FL_MUST_CHECK int fl_as_completed_next_until(fl_as_completed *c, size_t *index, int64_t deadline,
                                                    fl_cancel_token *cancel);

/* Frees it; futures and fibers go on. NULL does nothing. Panics while a fiber waits for the next fiber. Never waits. */
FL_API void fl_as_completed_free(fl_as_completed *c);

static inline void fl__scoped_fl_as_completed(fl_as_completed **_c)
{
	fl_as_completed_free(*_c);
}

/* The inline functions. */

FL_INLINE int fl_futures_wait(fl_future *const *_f, size_t _n, fl_wait_mode _what)
{
	return fl_futures_wait_until(_f, _n, _what, FL_FOREVER, NULL);
}

FL_INLINE size_t fl_futures_ended(fl_future *const *_f, size_t _n)
{
	size_t _ended = 0, _i;
	for (_i = 0; _i < _n; _i++)
		_ended += fl_future_try_wait(_f[_i]) == 0;
	return _ended;
}

FL_INLINE int fl_fibers_wait(fl_fiber *const *_fibers, size_t _n, fl_wait_mode _what)
{
	return fl_fibers_wait_until(_fibers, _n, _what, FL_FOREVER, NULL);
}

FL_INLINE int fl_as_completed_next(fl_as_completed *_c, size_t *_index)
{
	return fl_as_completed_next_until(_c, _index, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
