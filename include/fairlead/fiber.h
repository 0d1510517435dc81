/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FIBER_H
#define FAIRLEAD_FIBER_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/group.h>
#include <fairlead/private/part_loop.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * A fiber is a flow of control with a stack of its own, on the thread of an event loop. The fibers
 * of a loop run one at a time, and the loop switches only where a fiber waits or yields. It yields
 * in fl_fiber_yield() and, from time to time, in calls of streams, listeners and datagram sockets.
 *
 *     static int download(void *url) { ... return 0; }
 *
 *     FL_SCOPED(fl_fiber) *f = NULL;                  // freed at the end of the scope
 *     rc = fl_fiber_start(&f, download, url, NULL);   // check
 *     rc = fl_fiber_join(f, &result);                 // check
 *     f = NULL;
 *
 * Join, free or detach each fiber that you start exactly once, unless it is a member of a group.
 * Call functions that take a fiber only on the thread of its loop, unless their comments say
 * otherwise.
 *
 * fl_fiber_cancel() cancels the fiber's own cancel token, which its waits observe until it sets
 * another scope.
 *
 * Each fiber has its own errno, cancel scope, locals (fl_local) and C++ exceptions, so it may wait
 * in a catch block. But the signal mask, thread-local variables and pthread mutexes belong to the
 * thread, so do not wait while you hold a pthread mutex. A system call that blocks stops the whole
 * loop, so make it by fl_blocking_call().
 *
 * A stack is 116 KiB, unless fl_loop_config gives another size. A stack overflow panics with the
 * fiber's name (but see docs/in-your-process.md, "Signals").
 */
typedef struct fl_fiber fl_fiber;

typedef int fl_fiber_function(void *arg); /* 0, or an error */

typedef struct fl_fiber_config {
	const char *name; /* copied; 31 characters are kept; NULL means "fiber" */
	uintptr_t more_[4];
} fl_fiber_config;

/*
 * Starts a fiber on the calling thread's loop. function(arg) begins after the call has returned,
 * and after the fibers that were started before. The fiber's token is a child of the loop's.
 * Returns 0, -ENOMEM, or -ENOTSUP if the thread runs no loop.
 */
FL_API FL_MUST_CHECK int fl_fiber_start(fl_fiber **f, fl_fiber_function *function, void *arg,
                                        const fl_fiber_config *config);

/*
 * Waits until the fiber has ended, stores its result in `*result`, unless `result` is NULL, and
 * frees the fiber. Blocks the calling fiber. Panics if another context is joining the fiber.
 * Returns 0, -ETIMEDOUT, -ECANCELED, or:
 *   -EDEADLK  the caller is the fiber itself; or the fiber has not ended, and the caller is not a
 *             fiber of its loop
 */
FL_API FL_MUST_CHECK int fl_fiber_join_until(fl_fiber *f, int *result, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_fiber_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_join_until(_f, _result, FL_FOREVER, NULL);
}

/*
 * Cancels the fiber's token, so that its waits return -ECANCELED. Does not wait. Any thread may
 * call it before the fiber is joined.
 */
FL_API void fl_fiber_cancel(fl_fiber *f);

/*
 * Detaches the fiber: it is freed when it ends. An error that it returns, except -ECANCELED after a
 * cancel, goes to the error handler (fl_fiber_set_error_handler()). Panics while another fiber
 * joins the fiber.
 */
FL_API void fl_fiber_detach(fl_fiber *f);

/*
 * Cancels the fiber, waits for its end, and frees it. Blocks the calling fiber. Panics while
 * another fiber joins the fiber, or if the fiber has not ended and the caller is not another fiber
 * of its loop.
 */
FL_API void fl_fiber_free(fl_fiber *f);

/* Returns whether the fiber has not ended yet. */
FL_API bool fl_fiber_is_alive(const fl_fiber *f);

/*
 * Joins the fiber as fl_fiber_join() does, if it has ended. Returns 0, or -EAGAIN if the fiber has
 * not ended.
 */
FL_INLINE FL_MUST_CHECK int fl_fiber_try_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_is_alive(_f) ? -EAGAIN : fl_fiber_join_until(_f, _result, FL_NO_WAIT, FL_SHIELDED);
}

/* Returns the fiber's name, which is valid as long as the fiber. */
FL_API const char *fl_fiber_name(const fl_fiber *f);

/* Returns the calling fiber, or NULL outside of fibers and in callbacks of a loop. */
FL_API fl_fiber *fl_fiber_current(void);

/* Lets other runnable fibers run first. Outside of fibers it does nothing. */
FL_API void fl_fiber_yield(void);

/*
 * FL_ON_FIBER(f) is an object for FL_WAIT_ANY() in the same loop, ready when the fiber has ended.
 */
#define FL_ON_FIBER(f) FL__ON(fl__on_fiber, (f))
FL_API extern const fl_on_type fl__on_fiber;

FL__SCOPED(fl_fiber, fl_fiber_free)

/*
 * Starts a fiber as a member of the group, otherwise as fl_fiber_start() does. The fiber's token is
 * a child of the group's token. If a callback of the loop starts the first member, the group's
 * token becomes a child of the loop's token.
 *
 *     rc = fl_group_start(&g, download, url);         // check; fl_group_join(&g) waits for it
 *
 * Panics if, since the last join, a fiber was started in the group on another loop. Returns 0,
 * -ENOMEM, or:
 *   -ENOTSUP    the calling thread runs no loop
 *   -ECANCELED  the group or the scope in which it began was cancelled, a member has failed, the
 *               group's deadline has passed, or the loop is at its end
 */
FL_API FL_MUST_CHECK int fl_group_start_with(fl_group *g, fl_fiber_function *function, void *arg,
                                             const fl_fiber_config *config);
FL_INLINE FL_MUST_CHECK int fl_group_start(fl_group *_g, fl_fiber_function *_function, void *_arg)
{
	return fl_group_start_with(_g, _function, _arg, NULL);
}

FL_END_DECLS

#endif
