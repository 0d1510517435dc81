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
 * Waits for the ends of several futures, or fibers: for some of them at once, or one after the
 * other in the order of their ends. A wait neither joins nor cancels the futures or fibers.
 * Several waits may wait for the same ones.
 *
 *     rc = fl_futures_wait_until(f, 3, FL_FIRST_ENDED, fl_after(FL_S(1)), NULL);
 *
 *     FL_SCOPED(fl_as_completed) *done = NULL;
 *     rc = fl_futures_as_completed_create(&done, f, n);          // check
 *     while ((rc = fl_as_completed_next_until(done, &i, deadline, NULL)) == 0)
 *             ...                                             // f[i] has ended
 *
 * Any context may wait for futures. Only a fiber may wait for fibers, and only for those of its
 * loop; other code of the loop's thread gets -EDEADLK where it would have to wait. A fiber that is
 * joined or detached during the wait counts as ended. A forked child must neither use nor free an
 * fl_as_completed of its parent.
 */
typedef enum fl_wait_mode {
	FL_ALL_ENDED,
	FL_FIRST_ENDED, /* at least one */
	/*
	 * One with an error, or all. Neither a cancelled task nor a fiber that returns -ECANCELED
	 * after its cancel is an error.
	 */
	FL_FIRST_ERROR,
} fl_wait_mode;

/*
 * Waits until all of the `n` futures have ended, or the first, or the first with an error. Blocks
 * the calling context. Observes its cancel scope. Takes n steps: to get many futures one after the
 * other, use fl_as_completed. A worker runs pending tasks of its own executor, as in
 * fl_future_wait(); in a wait for the first, one after the other until the wait is over. Returns
 * how many of the array have ended by then (0 if `n` is 0), or:
 *
 *   -ECANCELED
 *   -ENOMEM
 *   -EINVAL       `n` is above INT_MAX, or `what` is unknown
 *   -EOWNERDEAD   in a forked child, if only futures of the parent's tasks could still end the wait
 */
FL_INLINE FL_MUST_CHECK int fl_futures_wait(fl_future *const *f, size_t n, fl_wait_mode what);

/*
 * As fl_futures_wait(); also returns -ETIMEDOUT. After that, or -ECANCELED, fl_futures_ended()
 * returns how many have ended, and fl_future_try_wait() which.
 */
FL_API FL_MUST_CHECK int fl_futures_wait_until(fl_future *const *f, size_t n, fl_wait_mode what, int64_t deadline,
                                               fl_cancel_token *cancel);

/* The number of the `n` futures that have ended. Never waits. Acquires, as fl_future_try_wait(). */
FL_INLINE size_t fl_futures_ended(fl_future *const *f, size_t n);

/*
 * Waits until all of the `n` fibers have ended, or the first, or the first with an error. Blocks
 * the calling fiber. Observes its cancel scope. Takes n steps, as fl_futures_wait(). Returns how
 * many have ended (0 if `n` is 0), or:
 *
 *   -ECANCELED
 *   -ENOMEM
 *   -EINVAL     `n` is above INT_MAX, or `what` is unknown
 *   -EDEADLK    the call would have to wait, and the caller is one of the fibers, or no fiber of
 *               their loop
 */
FL_INLINE FL_MUST_CHECK int fl_fibers_wait(fl_fiber *const *fibers, size_t n, fl_wait_mode what);

/*
 * As fl_fibers_wait(); also returns -ETIMEDOUT. After that, or -ECANCELED, fl_fiber_is_alive()
 * tells which have ended.
 */
FL_API FL_MUST_CHECK int fl_fibers_wait_until(fl_fiber *const *fibers, size_t n, fl_wait_mode what, int64_t deadline,
                                              fl_cancel_token *cancel);

/*
 * An iteration over futures, or fibers, in the order of their ends. One context at a time uses it.
 */
typedef struct fl_as_completed fl_as_completed;

/*
 * Creates an iteration over the `n` futures of the array. It has references of its own, and does
 * not need the array afterwards. A future that is in the array twice is returned once, with its
 * first index. Never waits. Returns 0, -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_futures_as_completed_create(fl_as_completed **c, fl_future *const *f, size_t n);

/*
 * Creates an iteration over the `n` fibers of the array, which is not needed afterwards. A fiber
 * that is in the array twice is returned once, with its first index. Never waits. Returns:
 *
 *   0
 *   -ENOMEM
 *   -EDEADLK   the caller is one of the fibers
 */
FL_API FL_MUST_CHECK int fl_fibers_as_completed_create(fl_as_completed **c, fl_fiber *const *fibers, size_t n);

/*
 * Waits until the next future or fiber has ended, and stores its index in the array in `*index`.
 * Those that had ended before the create come first, in the order of the array. The cost of a call
 * does not depend on the number of futures or fibers. The caller joins the returned fiber; a fiber
 * that another context joined or detached before is left out. Blocks the calling context. Observes
 * its cancel scope. A worker first runs those of the tasks that are pending in its own executor.
 * Returns:
 *
 *   0
 *   -ENODATA      all were returned
 *   -ECANCELED    may be called again
 *   -EDEADLK      of fibers: the call would have to wait, and the caller is no fiber of their loop
 *   -EOWNERDEAD   in a forked child, of an iteration that the child made: the rest are futures of
 *                 the parent's tasks that had not ended at the create
 */
FL_INLINE FL_MUST_CHECK int fl_as_completed_next(fl_as_completed *c, size_t *index);

/* As fl_as_completed_next(); never waits: -EAGAIN while none has ended. */
FL_API FL_MUST_CHECK int fl_as_completed_try_next(fl_as_completed *c, size_t *index);

/*
 * As fl_as_completed_next(); also returns -ETIMEDOUT, after which it may be called again. The same
 * deadline in each call limits the whole iteration.
 */
FL_API FL_MUST_CHECK int fl_as_completed_next_until(fl_as_completed *c, size_t *index, int64_t deadline,
                                                    fl_cancel_token *cancel);

/*
 * Frees the iteration; futures and fibers go on. NULL does nothing. Panics while a fiber waits in
 * fl_as_completed_next(). Never waits for a task or fiber.
 */
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
