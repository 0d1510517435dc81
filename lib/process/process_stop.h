/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/process.h>
#include <poll.h>

/*
 * The two halves of fl_process_stop(). Between them the caller may serve the process's pipes, until
 * the process has ended or `deadline` has passed.
 */

/*
 * Asks the process, or its group, to end. Returns 0, also if it has ended; or another error of
 * fl_process_signal().
 */
int fl__process_stop_begin(fl_process *p);

/*
 * Kills the process if it still runs at `deadline`. If the process leads a group, kills what is
 * left of the group in any case. Returns the results of fl_process_stop().
 */
int fl__process_stop_end(fl_process *p, fl_time deadline, fl_process_status *status);

/*
 * Waits as fl__fds_wait() does, and meanwhile looks whether the process is stopped: after a second,
 * and again each time that the wait has lasted twice as long. It logs a stopped process, once for
 * each stop that it sees.
 */
int fl__process_wait(fl_process *p, struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel);

/*
 * Returns a descriptor that becomes readable when the process has ended, or when its fork server
 * has died. In the second case, call fl_process_is_alive(), and then this function again.
 */
int fl__process_end_fd(fl_process *p);
