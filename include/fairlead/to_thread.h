/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TO_THREAD_H
#define FAIRLEAD_TO_THREAD_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/fiber.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Runs a function that would hold up the loop (a system call that blocks, a long computation) on a
 * thread. The calling fiber waits, and the other fibers run.
 *
 *     static int read_it(void *file) { ... pread() ... }
 *
 *     rc = fl_to_thread(read_it, &file, &result);             // check
 *
 * Each loop has its own threads for these calls: up to 4 more than there are usable CPUs, at most
 * 32. They are started when they are needed, joined when the loop is freed, and block what the
 * loop's thread blocked at the first call. When all are busy, further calls are pending; when all
 * wait, another thread stands in, as in a thread executor (fairlead/blocking.h).
 *
 * When the call returns, the function has ended or was never called, even if the caller was
 * cancelled. So the function may use the caller's stack. A cancelled call requests the function's
 * scope: a wait of the library in the function returns -ECANCELED, and a function that computes
 * calls fl_cancel_token_is_requested(NULL). A function that does neither delays the call.
 */

/*
 * Runs `function(arg)` on a thread of the loop, waits for its end, and stores its result in
 * `*result`, which may be NULL. Blocks the calling fiber. Observes its cancel scope. The function's
 * scope is a token of this call. Memory order: the call happens before the function, and the
 * function before the return. Returns
 *
 *   0            the function has ended; also if the caller was cancelled during the call, unless
 *                the function returned -ECANCELED
 *   -ECANCELED   the caller was cancelled: the function was not called, or returned -ECANCELED
 *   -ENOTSUP     not called: the caller is no fiber of a loop, or this is a forked child
 *   -ENOMEM      not called
 *   -EAGAIN      not called: there is no thread, and none can be started
 *   -EOWNERDEAD  the function has ended its thread, by pthread_exit() or pthread_cancel()
 */
FL_INLINE FL_MUST_CHECK int fl_to_thread(fl_fiber_function *function, void *arg, int *result);

/*
 * As fl_to_thread(). Also returns -ETIMEDOUT: the deadline has passed, and the function was not
 * called, or returned -ECANCELED.
 */
FL_API FL_MUST_CHECK int fl_to_thread_until(fl_fiber_function *function, void *arg, int *result, int64_t deadline,
                                            fl_cancel_token *cancel);

/* The inline functions. */

FL_INLINE int fl_to_thread(fl_fiber_function *_function, void *_arg, int *_result)
{
	return fl_to_thread_until(_function, _arg, _result, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
