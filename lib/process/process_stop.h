/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/process.h>
#include <poll.h>

/*
 * The two halves of fl_process_stop(). Between them the caller may serve the process's pipes, until
 * the process has ended or `deadline` has passed.
 */

/*
 * Asks the process, or its group, to end. Returns 0, even if it has already ended, or another error
 * of fl_process_signal().
 */
int fl__process_stop_begin(fl_process *p);

/*
 * Kills the process if it still runs at `deadline`. If the process leads a group, always kills the
 * remaining members of the group. Returns the results of fl_process_stop().
 */
int fl__process_stop_end(fl_process *p, fl_time deadline, fl_process_status *status);

/*
 * Waits like fl__fds_wait(). After a second, and again whenever the wait has lasted twice as long,
 * checks whether the process is stopped, and logs each stop that it sees once.
 */
int fl__process_wait(fl_process *p, struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel);

/*
 * Returns a descriptor that becomes readable when the process has ended, or when its fork server
 * has died. In the second case, call fl_process_is_alive(), and then this function again.
 */
int fl__process_end_fd(fl_process *p);
