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
 * Waits for a child of this process that was started by other means than fl_process_start(): by fork(), posix_spawn(), another
 * library. Collects it, as waitpid() does, without a handler for SIGCHLD. Before Linux 5.3, and where pidfd_open() is not to be had,
 * it looks every millisecond.
 *
 *     rc = fl_child_wait_until(pid, &status, fl_after(FL_S(5)), NULL);
 *
 * Blocks the calling context: a fiber gives way to the others of its loop. `status` may be NULL. Any thread may call it; of several
 * that wait for the same child one gets its status. Returns 0, when it has ended and was collected; -ETIMEDOUT, -ECANCELED: it runs;
 * -ECHILD: no child of this process, or collected before; -EINVAL: `pid` is not a number of a process; -EMFILE, -ENFILE, -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_child_wait_until(int pid, fl_process_status *status, int64_t deadline,
                                             fl_cancel_token *cancel);

/* The same without a deadline. Observes the context's cancel scope. */
FL_INLINE FL_MUST_CHECK int fl_child_wait(int pid, fl_process_status *status);

/* The inline functions. */

FL_INLINE int fl_child_wait(int _pid, fl_process_status *_status)
{
	return fl_child_wait_until(_pid, _status, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
