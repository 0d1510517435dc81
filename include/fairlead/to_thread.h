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
 * A function that would hold up the loop (a system call that blocks, a long computation) runs on a thread instead, while the
 * fiber that calls it waits, and the others go on.
 *
 *     static int read_it(void *file) { ... pread() ... }
 *
 *     rc = fl_to_thread(read_it, &file, &result);             // check
 *
 * Each loop has threads of its own for that: up to 4 more than there are usable CPUs, at most 32, started when they are needed,
 * joined when the loop is freed. They take no signals. When all are busy, further calls stand in line.
 *
 * The function is always over, or was never called, when the call returns, also when that is cancelled: so it may use what is
 * on the caller's stack. A cancelled call asks it to stop: what the function waits for by this library's means answers
 * -ECANCELED, and fl_cancel_token_is_requested(NULL) tells those that compute. One that does neither is waited for.
 */

/*
 * Runs `function(arg)` on a thread of the loop, waits for its end, and stores what it returned in `*result` (may be NULL).
 * Blocks the calling fiber. Observes its cancel scope. The function's own scope is a token of this call.
 * Memory order: the function sees what the caller wrote before, and the caller what the function wrote.
 * Returns 0: it came to an end by itself, whatever that was, also when the caller was cancelled meanwhile; -ECANCELED: it was
 * not called, or it returned that because the caller was cancelled. Also returns, without having called it: -ENOTSUP outside of a
 * loop's fibers, and in a forked child; -ENOMEM; -EAGAIN (no thread, and none can be started).
 */
FL_INLINE FL_MUST_CHECK int fl_to_thread(fl_fiber_function *function, void *arg, int *result);

/* As fl_to_thread; also returns -ETIMEDOUT, for the deadline what -ECANCELED is for a cancel. */
FL_API FL_MUST_CHECK int fl_to_thread_until(fl_fiber_function *function, void *arg, int *result, int64_t deadline,
                                            fl_cancel_token *cancel);

/* The inline functions. */

FL_INLINE int fl_to_thread(fl_fiber_function *_function, void *_arg, int *_result)
{
	return fl_to_thread_until(_function, _arg, _result, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
