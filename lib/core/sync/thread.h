/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../os/os.h"
#include <fairlead/error.h>
#include <fairlead/thread.h>

/*
 * As fl_thread_start(), for threads of the library. The thread blocks `signals`, which live until it runs `function`; NULL: as
 * `config` says. A thread that runs the user's code has the signals of its executor.
 */
FL_MUST_CHECK int fl__thread_start(fl_thread **t, fl_thread_function *function, void *arg,
                                   const fl_thread_config *config, const sigset_t *signals);

/*
 * As fl_thread_join_until(). Sets `*t` to NULL before it frees the handle, so that a child which is
 * forked during the call does not use the handle.
 */
FL_MUST_CHECK int fl__thread_join_until(fl_thread **t, int *result, fl_time deadline, fl_cancel_token *cancel);

/* Joins or detaches a thread, unless the handle is NULL: the thread was never started, or joined. */
static inline void fl__thread_join(fl_thread **t)
{
	if (*t)
		FL_IGNORE(fl__thread_join_until(t, NULL, FL_FOREVER, FL_SHIELDED));
}

static inline void fl__thread_detach(fl_thread *t)
{
	if (t)
		fl_thread_detach(t); /* in a forked child it frees the memory of a thread that the child lacks */
}
