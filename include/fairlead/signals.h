/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SIGNALS_H
#define FAIRLEAD_SIGNALS_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/part_process.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * Waits for signals of the process in a thread or a fiber, so that no handler runs.
 *
 *     static const int ends[] = {SIGINT, SIGTERM};
 *     FL_SCOPED(fl_signals) *s = NULL;
 *     int rc = fl_signals_create(&s, ends, 2); // first in main(), before any thread is started
 *     if (rc == 0)
 *             rc = fl_signals_wait(s);         // the number of the signal
 *     if (rc > 0)
 *             printf("signal %d\n", rc);
 *
 * Call fl_signals_create() before you start threads and executors. It blocks the signals in the
 * calling thread, and new threads inherit that. If any thread leaves a signal unblocked, it has its
 * usual effect, and no waiter gets it.
 *
 * Processes that this library starts do not inherit the blocked signals, but programs that you
 * start by other means do.
 *
 * Each signal goes to one waiter. A signal that is sent again before it is taken counts once,
 * unless it is a real-time signal. For a callback, pass fl_signals_fd() to fl_loop_watch_start(),
 * and call fl_signals_try_wait() in the callback.
 */
typedef struct fl_signals fl_signals;

/*
 * Creates the handle for `n` signals. Returns 0, -EMFILE, -ENFILE, -ENOMEM, or:
 *   -EINVAL  `n` is 0; or a number is not a signal that can be blocked
 *   -ENOSYS  a sandbox forbids signalfd4()
 */
FL_API FL_MUST_CHECK int fl_signals_create(fl_signals **s, const int *signals, size_t n);

/*
 * Frees the handle, and unblocks its signals, so that pending ones have their usual effect. Call it
 * in the thread that created `s`, when no context waits.
 */
FL_API void fl_signals_free(fl_signals *s);

/*
 * Waits for a signal, takes it, and returns its number, or -ETIMEDOUT or -ECANCELED.
 * fl_signals_wait() and fl_signals_wait_until() block the calling context. fl_signals_try_wait()
 * returns -EAGAIN if no signal is pending.
 */
FL_API FL_MUST_CHECK int fl_signals_wait_until(fl_signals *s, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_signals_wait(fl_signals *_s)
{
	return fl_signals_wait_until(_s, FL_FOREVER, NULL);
}
FL_API FL_MUST_CHECK int fl_signals_try_wait(fl_signals *s);

/* Returns the handle's descriptor for poll(), which is readable while a signal is pending. */
FL_API int fl_signals_fd(const fl_signals *s);

FL__SCOPED(fl_signals, fl_signals_free)

FL_END_DECLS

#endif
