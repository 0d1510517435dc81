/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FIBER_H
#define FAIRLEAD_FIBER_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/group.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Fiber: a flow of control with a stack of its own. The fibers of an event loop take turns on the
 * loop's thread. A fiber gives way only where it waits.
 *
 *     static int download(void *url) { ... return 0; }
 *
 *     FL_SCOPED(fl_fiber) *f = NULL;                  // freed at the end of the scope
 *     rc = fl_fiber_start(&f, download, url, NULL);   // check
 *     rc = fl_fiber_join(f, &result);                 // check
 *     f = NULL;
 *
 * errno, the cancel scope, locals (fl_local) and the C++ exceptions that it handles belong to the
 * fiber: it may wait in a catch block, and in a destructor. The signal mask, thread-local variables
 * and pthread mutexes belong to the thread: a pthread mutex that is held across a wait may hang all
 * fibers. A blocking system call holds up the loop: see fl_to_thread().
 *
 * Each fiber has a cancel token, its first scope, which fl_fiber_cancel() requests.
 *
 * Every started fiber must be joined, freed or detached, once, unless it is of a group. Only the
 * thread of the fiber's loop may call functions that take a fiber, unless they say otherwise. A
 * stack has 116 KiB, unless fl_loop_config gives another size. An overflow panics, with the fiber's
 * name; so a thread that has run a loop has a signal stack, sigaltstack(2), until it ends.
 *
 * A program or shared object that contains the library finds the C++ runtime that is linked with it.
 * Fibers of a program in C that loads a C++ library later, by dlopen(), share the exceptions of the
 * thread: code of that library must not wait in a catch block.
 */
typedef struct fl_fiber fl_fiber;

typedef int fl_fiber_function(void *arg); /* 0, or an error */

typedef struct fl_fiber_config {
	const char *name; /* copied, 31 characters; NULL: "fiber" */
	uintptr_t more_[4];
} fl_fiber_config;

/*
 * Starts a fiber on the loop that the calling thread runs. `function(arg)` begins in a later
 * iteration, after the fibers that were started before. The fiber's token is a child of the loop's
 * token. Returns 0, -ENOMEM, -ENOTSUP.
 */
FL_API FL_MUST_CHECK int fl_fiber_start(fl_fiber **f, fl_fiber_function *function, void *arg,
                                        const fl_fiber_config *config);

/*
 * Waits until the fiber has ended, stores its result in `*result`, which may be NULL, and frees the
 * fiber. Blocks the calling fiber. One joiner at a time: a second joiner panics. Returns 0, or:
 *   -ECANCELED  the fiber runs on, and can be joined again, as after -ETIMEDOUT
 *   -EDEADLK    the caller is the fiber itself; or the fiber runs, and the caller is no fiber of
 *               its loop
 */
FL_API FL_MUST_CHECK int fl_fiber_join_until(fl_fiber *f, int *result, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_fiber_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_join_until(_f, _result, FL_FOREVER, NULL);
}

/* Requests the fiber's token. Any thread may call it before the fiber is joined. */
FL_API void fl_fiber_cancel(fl_fiber *f);

/*
 * Detaches the fiber: it is freed at its end, and its error goes to the error handler. Panics while
 * another fiber joins it.
 */
FL_API void fl_fiber_detach(fl_fiber *f);

/*
 * Cancels the fiber, waits for its end, and frees it. Blocks the calling fiber. Panics if the
 * caller is the fiber itself; or if the fiber runs, and the caller is no fiber of its loop.
 */
FL_API void fl_fiber_free(fl_fiber *f);

/* Whether the fiber has not ended. */
FL_API bool fl_fiber_is_alive(const fl_fiber *f);

/* As fl_fiber_join(). Never waits: returns -EAGAIN while the fiber has not ended. */
FL_INLINE FL_MUST_CHECK int fl_fiber_try_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_is_alive(_f) ? -EAGAIN : fl_fiber_join_until(_f, _result, FL_NO_WAIT, FL_SHIELDED);
}

/* The name, which is valid as long as the fiber. */
FL_API const char *fl_fiber_name(const fl_fiber *f);

/* Returns the calling fiber; NULL outside of fibers, and in callbacks of a loop. */
FL_API fl_fiber *fl_fiber_current(void);

/* Lets other runnable fibers run first. No effect outside of fibers. Observes no cancel scope. */
FL_API void fl_fiber_yield(void);

/*
 * For FL_WAIT_ANY(), by fibers of the same loop: ready when the fiber has ended. So a fiber waits
 * for the first of several fibers:
 *
 *     switch (FL_WAIT_ANY(FL_ON_FIBER(a), FL_ON_FIBER(b))) {
 *     case 0: rc = fl_fiber_join(a, &result); ...      // does not wait
 *
 * For the first error of several fibers, start them in a group. For the order of their ends, start
 * them as tasks of a loop executor (fairlead/loop_executor.h), and iterate over the futures:
 * fl_futures_as_completed_create().
 */
#define FL_ON_FIBER(f) FL__ON(fl__on_fiber, (f))
FL_API extern const fl_on_type fl__on_fiber;

FL__SCOPED(fl_fiber, fl_fiber_free)

/*
 * Starts a fiber of the group on the loop that the calling thread runs. `function(arg)` begins as
 * with fl_fiber_start(). Panics if the group has fibers on another loop. Returns 0, -ENOMEM,
 * -ENOTSUP, or:
 *   -ECANCELED  the group was cancelled, a member has failed, the deadline has passed, or the loop
 *               is at its end
 */
FL_API FL_MUST_CHECK int fl_group_start_with(fl_group *g, fl_fiber_function *function, void *arg,
                                             const fl_fiber_config *config);
FL_INLINE FL_MUST_CHECK int fl_group_start(fl_group *_g, fl_fiber_function *_function, void *_arg)
{
	return fl_group_start_with(_g, _function, _arg, NULL);
}

FL_END_DECLS

#endif
