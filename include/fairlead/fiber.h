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
 * A fiber is a flow of control with a stack of its own, which runs on the thread of an event loop.
 * The fibers of a loop run one at a time. A fiber lets others run only where it waits or yields. It
 * yields in fl_fiber_yield() and, from time to time, in calls of streams, listeners and datagram
 * sockets.
 *
 *     static int download(void *url) { ... return 0; }
 *
 *     FL_SCOPED(fl_fiber) *f = NULL;                  // freed at the end of the scope
 *     rc = fl_fiber_start(&f, download, url, NULL);   // check
 *     rc = fl_fiber_join(f, &result);                 // check
 *     f = NULL;
 *
 * Every started fiber must be joined, freed or detached, once, unless it is a member of a group.
 * Only the thread of the fiber's loop may call functions that take a fiber, unless their comments
 * say otherwise.
 *
 * Each fiber has its own errno, cancel scope, locals (fl_local), and C++ exceptions that it
 * handles. So a fiber may wait in a catch block and in a destructor. The signal mask, thread-local
 * variables and pthread mutexes belong to the thread. So a pthread mutex that is held during a wait
 * may make all fibers hang. A system call that blocks stops the whole loop; fl_blocking_call()
 * makes such a call on another thread.
 *
 * Each fiber has a cancel token, which fl_fiber_cancel() cancels. Waits of the fiber observe this
 * token until the fiber sets another scope.
 *
 * A stack is 116 KiB, unless fl_loop_config gives another size. A stack overflow panics with the
 * fiber's name, unless one frame is larger than the guard of 16 KiB below the stack, or the program
 * has a SIGSEGV handler of its own. To detect the overflow, a thread that has run a loop keeps a
 * signal stack, sigaltstack(2), until it ends.
 *
 * C++ exceptions: the library finds the C++ runtime that is linked with the program or shared
 * object that contains the library. If a program in C loads a C++ library later, by dlopen(), its
 * fibers share the exceptions of the thread, and code of that library must not wait in a catch
 * block.
 */
typedef struct fl_fiber fl_fiber;

typedef int fl_fiber_function(void *arg); /* 0, or an error */

typedef struct fl_fiber_config {
	const char *name; /* copied; 31 characters are kept; NULL means "fiber" */
	uintptr_t more_[4];
} fl_fiber_config;

/*
 * Starts a fiber on the loop that the calling thread runs, and stores it in `*f`. function(arg)
 * begins after the return of the call, and after the fibers that were started before. The fiber's
 * token is a child of the loop's token. `config` may be NULL. Returns:
 *   0         the fiber is started
 *   -ENOMEM   out of memory
 *   -ENOTSUP  the calling thread runs no loop
 */
FL_API FL_MUST_CHECK int fl_fiber_start(fl_fiber **f, fl_fiber_function *function, void *arg,
                                        const fl_fiber_config *config);

/*
 * Waits until the fiber has ended, and frees it. The fiber's result is stored in `*result`, unless
 * `result` is NULL. Both functions block the calling fiber. Only one context at a time may join a
 * fiber; a second joiner panics. Returns:
 *   0           the fiber has ended and is freed
 *   -ECANCELED  the wait was cancelled; the fiber runs on, and can be joined again
 *   -ETIMEDOUT  the deadline of fl_fiber_join_until() passed; the fiber runs on, and can be joined
 *               again
 *   -EDEADLK    the caller is the fiber itself; or the fiber has not ended, and the caller is no
 *               fiber of its loop
 */
FL_API FL_MUST_CHECK int fl_fiber_join_until(fl_fiber *f, int *result, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_fiber_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_join_until(_f, _result, FL_FOREVER, NULL);
}

/*
 * Cancels the fiber. It requests the fiber's token, so that the fiber's waits return -ECANCELED. It
 * does not wait for the fiber. Any thread may call it before the fiber is joined.
 */
FL_API void fl_fiber_cancel(fl_fiber *f);

/*
 * Detaches the fiber, so that it is freed when it ends. An error that the fiber returns goes to the
 * error handler (fl_fiber_set_error_handler()), except -ECANCELED after a cancel.
 * fl_fiber_detach() panics while another fiber joins the fiber.
 */
FL_API void fl_fiber_detach(fl_fiber *f);

/*
 * Cancels the fiber, waits for its end, and frees it. It blocks the calling fiber. It panics if the
 * caller is the fiber itself, if the fiber has not ended and the caller is no fiber of its loop, or
 * while another fiber joins the fiber.
 */
FL_API void fl_fiber_free(fl_fiber *f);

/* Returns whether the fiber has not ended yet. */
FL_API bool fl_fiber_is_alive(const fl_fiber *f);

/*
 * Joins the fiber if it has ended, and never waits. It stores the fiber's result in `*result`
 * unless `result` is NULL, and frees the fiber. Returns:
 *   0        the fiber had ended and is freed
 *   -EAGAIN  the fiber has not ended
 */
FL_INLINE FL_MUST_CHECK int fl_fiber_try_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_is_alive(_f) ? -EAGAIN : fl_fiber_join_until(_f, _result, FL_NO_WAIT, FL_SHIELDED);
}

/* Returns the name of the fiber. It is valid for as long as the fiber. */
FL_API const char *fl_fiber_name(const fl_fiber *f);

/* Returns the fiber that calls it, or NULL outside of fibers and in callbacks of a loop. */
FL_API fl_fiber *fl_fiber_current(void);

/*
 * Lets other runnable fibers run first. It has no effect outside of fibers, and it observes no
 * cancel scope.
 */
FL_API void fl_fiber_yield(void);

/*
 * FL_ON_FIBER(f) is an object for FL_WAIT_ANY(), for fibers of the same loop. It is ready when the
 * fiber has ended. In this way a fiber waits for the first of several fibers:
 *
 *     switch (FL_WAIT_ANY(FL_ON_FIBER(a), FL_ON_FIBER(b))) {
 *     case 0: rc = fl_fiber_join(a, &result); ...      // does not wait
 *
 * To end at the first error of several fibers, start them in a group. To get their results in the
 * order of their ends, start them as tasks of a loop executor (fairlead/loop_executor.h), and
 * iterate over the futures by fl_as_completed_create().
 */
#define FL_ON_FIBER(f) FL__ON(fl__on_fiber, (f))
FL_API extern const fl_on_type fl__on_fiber;

FL__SCOPED(fl_fiber, fl_fiber_free)

/*
 * Starts a fiber as a member of the group, on the loop that the calling thread runs. function(arg)
 * begins after the return of the call, and after the fibers that were started before.
 * fl_group_start_with() takes a config, which may be NULL. Both functions panic if, since the last
 * join, a fiber was started in the group on another loop, even if that fiber has ended. If the
 * group begins by a start outside of fibers, in a callback of the loop, its token is a child of the
 * loop's token. Returns:
 *   0           the fiber is started
 *   -ENOMEM     out of memory
 *   -ENOTSUP    the calling thread runs no loop
 *   -ECANCELED  the group was cancelled, a member has failed, or the group's deadline has passed;
 *               or the scope in which the group began was requested; or the loop is at its end
 */
FL_API FL_MUST_CHECK int fl_group_start_with(fl_group *g, fl_fiber_function *function, void *arg,
                                             const fl_fiber_config *config);
FL_INLINE FL_MUST_CHECK int fl_group_start(fl_group *_g, fl_fiber_function *_function, void *_arg)
{
	return fl_group_start_with(_g, _function, _arg, NULL);
}

FL_END_DECLS

#endif
