/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_FORK_H
#define FL_PROCESS_FORK_H

#include <signal.h>

/* Whether this process may be forked here: 0, -EBUSY, said in the log; with what the matter is. */
int fl__may_fork(const char **problem);

/* Forks: the child's number, or 0 in the child, where all signals are blocked; or a negative errno, and there is no child. */
int fl__fork(int *pidfd);

#endif
