/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_FORK_H
#define FL_PROCESS_FORK_H

#include <signal.h>

/*
 * Whether the caller may fork this process. `*problem`: the reason for an error. Returns
 *   0
 *   -EBUSY     the process has other threads, or the caller is a fiber; also logged
 *   an errno   the threads cannot be counted
 */
int fl__may_fork(const char **problem);

/* Returns the child's pid; 0 in the child, with all signals blocked; or a negative errno. */
int fl__fork(int *pidfd);

#endif
