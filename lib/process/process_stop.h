/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/process.h>

/*
 * The halves of fl_process_stop(). Between them the caller may serve the process's pipes, until it
 * has ended or `deadline`. Not for a forked child.
 */

/* Asks the process, or its group, to end. Returns 0, also when it has ended; or -EPERM. */
int fl__process_stop_begin(fl_process *p);

/* Kills the process if it still runs at `deadline`. Returns as fl_process_stop(). */
int fl__process_stop_end(fl_process *p, fl_time deadline, fl_process_status *status);

/*
 * Becomes readable when the process has ended, or when its fork server has died: then call
 * fl_process_is_alive(), and this function again.
 */
int fl__process_end_fd(fl_process *p);
