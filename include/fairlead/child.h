/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CHILD_H
#define FAIRLEAD_CHILD_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/process.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Waits for a child of this process that other code started, by fork(), posix_spawn() or another
 * library. Reaps it, as waitpid() does, without a handler for SIGCHLD.
 *
 *     rc = fl_child_wait_until(pid, &status, fl_after(FL_S(5)), NULL);
 *
 * Stores how the child ended in `*status` (may be NULL). Blocks the calling context: a fiber lets
 * the other fibers of its loop run. Without pidfd_open() (before Linux 5.3, or in a sandbox) the
 * call polls once a millisecond. Any thread may call it. If several threads wait for one child, one
 * of them gets its status. A wait by a thread, under a cancel token, may start a thread of the
 * library, `watcher` (docs/threads.md). Returns
 *   0            the child has ended, and was reaped
 *   -ETIMEDOUT   at `deadline`; the child runs
 *   -ECANCELED   for `cancel`; the child runs
 *   -ECHILD      not a child of this process, or already reaped
 *   -EINVAL      `pid` is not positive
 *   -EMFILE, -ENFILE, -ENOMEM
 */
FL_API FL_MUST_CHECK int fl_child_wait_until(int pid, fl_process_status *status, int64_t deadline,
                                             fl_cancel_token *cancel);

/* As fl_child_wait_until(), without a deadline. Observes the context's cancel scope. */
FL_INLINE FL_MUST_CHECK int fl_child_wait(int pid, fl_process_status *status);

/* The inline functions. */

FL_INLINE int fl_child_wait(int _pid, fl_process_status *_status)
{
	return fl_child_wait_until(_pid, _status, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
