/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SIGNALS_H
#define FAIRLEAD_SIGNALS_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Signals of the process, as something to wait for. No handler runs.
 *
 *     static const int ends[] = {SIGINT, SIGTERM};
 *     FL_SCOPED(fl_signals) *s = NULL;
 *     rc = fl_signals_create(&s, ends, 2);                // first in main(), before threads
 *     ...
 *     int signal = fl_signals_wait(s);                    // in a fiber, or a thread
 *
 * A signal must be blocked in all threads: if any thread leaves it unblocked, the signal has its
 * usual effect on the process, and no waiter gets it. fl_signals_create() blocks the signals in the
 * calling thread, and threads inherit that: call it first, then start threads and executors. A
 * program that is started by other means than fl_process_start() inherits the mask, too.
 * fl_process_start() and worker processes leave out what fl_signals_create() has blocked: SIGTERM
 * ends them.
 *
 * A signal that is sent again before it is taken counts once, except a real-time signal. One waiter
 * takes each signal. For callbacks use fl_loop_watch_start() on fl_signals_fd(), and there
 * fl_signals_try_wait().
 */
typedef struct fl_signals fl_signals;

/*
 * Blocks `n` signals in the calling thread, and creates the handle that waits for them. After an
 * error no further signal is blocked. Returns 0, -EMFILE, -ENFILE, -ENOMEM, or:
 *   -EINVAL  a number that is no signal or cannot be blocked (SIGKILL, SIGSTOP), or `n` is 0
 *   -ENOSYS  a sandbox forbids signalfd4()
 */
FL_API FL_MUST_CHECK int fl_signals_create(fl_signals **s, const int *signals, size_t n);

/*
 * Frees the handle. Unblocks, in the calling thread, the signals that fl_signals_create() has
 * blocked: a pending one then has its usual effect. Requires that the calling thread has created
 * `s`, and that no context waits.
 */
FL_API void fl_signals_free(fl_signals *s);

/* Waits for a signal, takes it, and returns its number; or -ECANCELED. Blocks the context. */
FL_API FL_MUST_CHECK int fl_signals_wait_until(fl_signals *s, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_signals_wait(fl_signals *_s)
{
	return fl_signals_wait_until(_s, FL_FOREVER, NULL);
}

/* Takes a pending signal, and returns its number; -EAGAIN: none is pending. */
FL_API FL_MUST_CHECK int fl_signals_try_wait(fl_signals *s);

/* A descriptor, readable while a signal is pending, for poll(). It belongs to `s`. */
FL_API int fl_signals_fd(const fl_signals *s);

FL__SCOPED(fl_signals, fl_signals_free)

FL_END_DECLS

#endif
