/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of the library itself. */
#pragma once

#include "../os/os.h"
#include <fairlead/error.h>
#include <fairlead/thread.h>

/*
 * Does what fl_thread_start() does, for threads of the library. The thread blocks `signals`, which
 * must exist until it runs `function`. If `signals` is NULL, `config` says what it blocks. A thread
 * that runs the user's code blocks the signals of its executor.
 */
FL_MUST_CHECK int fl__thread_start(fl_thread **t, fl_thread_function *function, void *arg,
                                   const fl_thread_config *config, const sigset_t *signals);

/* Does what fl_thread_join_until() does, and sets `*t` to NULL before it frees the handle. */
FL_MUST_CHECK int fl__thread_join_until(fl_thread **t, int *result, fl_time deadline, fl_cancel_token *cancel);

/*
 * Join or detach a thread. Both do nothing if the handle is NULL, because the thread was never
 * started or is already joined.
 */
static inline void fl__thread_join(fl_thread **t)
{
	if (*t)
		FL_IGNORE(fl__thread_join_until(t, NULL, FL_FOREVER, FL_SHIELDED));
}

static inline void fl__thread_detach(fl_thread *t)
{
	if (t)
		fl_thread_detach(t);
}
