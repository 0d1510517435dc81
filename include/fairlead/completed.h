/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_COMPLETED_H
#define FAIRLEAD_COMPLETED_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/fiber.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Waiting for the ends of several fibers: for some of them at once, or for one after the other in the order in which they
 * end. Neither joins nor cancels anything, and a fiber may be waited for in many places.
 *
 *     rc = fl_fibers_wait_until(f, 3, FL_FIRST_ENDED, fl_after(FL_S(1)), NULL);
 *
 *     FL_SCOPED(fl_completed) *done = NULL;
 *     rc = fl_completed_create(&done, f, n);                  // check
 *     for (size_t i; fl_completed_next(done, &i) == 0;) {
 *             rc = fl_fiber_join(f[i], &result);              // at once; check
 *             ...
 *     }
 *
 * Functions are for the thread of the fibers' loop. A fiber that somebody joins or detaches meanwhile counts as ended.
 */
typedef enum fl_fibers_what {
	FL_ALL_ENDED,
	FL_FIRST_ENDED, /* one, at least */
	FL_FIRST_ERROR, /* one with an error, or all; -ECANCELED after it was cancelled is none */
} fl_fibers_what;

/*
 * Waits until all of the `n` fibers have ended, or the first has, or the first with an error. Blocks the calling fiber. Observes its
 * cancel scope. It takes n steps: whoever wants one after the other uses fl_completed.
 * Returns how many have ended (n = 0 is 0), -ECANCELED, -ENOMEM, -EINVAL (n above INT_MAX, or another `what`), -EDEADLK: it
 * would have to wait, and the caller is one of them, or no fiber of their loop.
 */
FL_API FL_MUST_CHECK int fl_fibers_wait(fl_fiber *const *fibers, size_t n, fl_fibers_what what);

/*
 * As fl_fibers_wait; also returns -ETIMEDOUT, which like -ECANCELED leaves all as they are: fl_fiber_is_alive() tells who has
 * ended.
 */
FL_API FL_MUST_CHECK int fl_fibers_wait_until(fl_fiber *const *fibers, size_t n, fl_fibers_what what, int64_t deadline,
                                              fl_cancel *cancel);

/* Hands out fibers as they end. */
typedef struct fl_completed fl_completed;

/*
 * Begins with the `n` fibers of the array, which is not needed afterwards. Never waits. Returns 0; -ENOMEM; -EDEADLK: the
 * caller is one of them.
 */
FL_API FL_MUST_CHECK int fl_completed_create(fl_completed **c, fl_fiber *const *fibers, size_t n);

/*
 * Waits until the next fiber has ended, and stores in `*index` which of the array it was; those that had ended before come first,
 * in the order of the array. A step costs the same for any number. Who gets it joins it. One that somebody else joined or
 * detached before is left out. Blocks the calling fiber; one at a time. Observes its cancel scope.
 * Returns 0; -ENODATA: all were handed out; -ECANCELED (it can be called again); -EDEADLK: it would have to wait, outside of
 * the fibers of their loop.
 */
FL_API FL_MUST_CHECK int fl_completed_next(fl_completed *c, size_t *index);

/* As fl_completed_next; never waits: -EAGAIN while none has ended. */
FL_API FL_MUST_CHECK int fl_completed_try_next(fl_completed *c, size_t *index);

/* As fl_completed_next; also returns -ETIMEDOUT (it can be called again). */
FL_API FL_MUST_CHECK int fl_completed_next_until(fl_completed *c, size_t *index, int64_t deadline, fl_cancel *cancel);

/* Frees it; the fibers go on. NULL does nothing. Panics while somebody waits for the next. Never waits. */
FL_API void fl_completed_free(fl_completed *c);

static inline void fl__scoped_fl_completed(fl_completed **c)
{
	fl_completed_free(*c);
}

FL_END_DECLS

#endif
