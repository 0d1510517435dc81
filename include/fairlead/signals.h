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
 * Signals of the process, waited for like everything else: no handler, nothing that is async-signal-safe or not.
 *
 *     static const int ends[] = {SIGINT, SIGTERM};
 *     FL_SCOPED(fl_signals) *s = NULL;
 *     rc = fl_signals_create(&s, ends, 2);                // first in main(), before any thread is started
 *     ...
 *     int signal = fl_signals_wait(s);                    // in a fiber, or a thread
 *
 * A signal that any thread leaves unblocked does to the process what it always did, and nobody here hears of it. So the signals are
 * blocked in the calling thread, and threads inherit that: create first, then start threads and executors. Children inherit it, too:
 * programs that are started by other means than fl_process_start() should get their signal mask back.
 *
 * Two of the same signal that come before anybody has taken the first are one. Each is taken once, by whoever waits. Callbacks:
 * fl_loop_watch_start() on fl_signals_fd(), with fl_signals_try_wait() in the callback.
 */
typedef struct fl_signals fl_signals;

/*
 * Blocks `n` signals in the calling thread, and makes what waits for them. Never waits. Returns 0; -EINVAL: a number that is no
 * signal, or cannot be blocked (SIGKILL, SIGSTOP), or n is 0; -EMFILE, -ENFILE, -ENOMEM. On failure nothing is blocked.
 */
FL_API FL_MUST_CHECK int fl_signals_create(fl_signals **s, const int *signals, size_t n);

/*
 * Nobody waits for them. Unblocks, in the calling thread, those that create has blocked: one that has come meanwhile does what it
 * always did. Called by the thread that created it. Never waits. NULL does nothing.
 */
FL_API void fl_signals_free(fl_signals *s);

/*
 * Waits for one and takes it. Blocks the calling context; observes its cancel scope. Any thread may call it, and many at the same
 * time. Returns its number; -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_signals_wait(fl_signals *s);

/* The same until `deadline`; a past one looks once. Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_signals_wait_until(fl_signals *s, int64_t deadline, fl_cancel_token *cancel);

/* Takes one that is there. Never waits. Returns its number; -EAGAIN: there is none. */
FL_API FL_MUST_CHECK int fl_signals_try_wait(fl_signals *s);

/* A descriptor that is readable while there is a signal to take; for fl_loop_watch_start(), poll(). It belongs to `s`. */
FL_API int fl_signals_fd(const fl_signals *s);

static inline void fl__scoped_fl_signals(fl_signals **_s)
{
	fl_signals_free(*_s);
}

/* The inline functions. */

FL_INLINE int fl_signals_wait(fl_signals *_s)
{
	return fl_signals_wait_until(_s, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
