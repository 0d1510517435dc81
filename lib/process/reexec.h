/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_REEXEC_H
#define FL_PROCESS_REEXEC_H

#include "attributes.h"
#include "new_process.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * This program executed again, as a fork server or for one task, or forked as a fork server. The
 * environment variable FL__REEXEC_VARIABLE names the role and the parent. The new process first
 * sends a hello over FL__REEXEC_SOCKET.
 */
#define FL__REEXEC_VARIABLE "FAIRLEAD_PROCESS"
enum { FL__REEXEC_SOCKET = FL__STREAMS };

enum fl__reexec_role { FL__REEXEC_FORK_SERVER = 'f', FL__REEXEC_TASK = 't', FL__REEXEC_PRELOADED = 'p' };

/*
 * What is needed to execute this program again, and is missing: fl_main(), a start without the
 * loader's command, /proc. NULL: nothing is. Static text, to follow "needs".
 */
const char *fl__reexec_missing(void);

/*
 * Returns 0; or, if something is missing, logs that `method` needs it, with `or_else` at the end,
 * sets `*problem`, and returns -ENOTSUP.
 */
int fl__reexec_check(const char *method, const char *or_else, const char **problem);

/* Whether children of this thread are in another PID namespace (unshare(), setns()). */
bool fl__has_left_pid_namespace(void);

/*
 * Executes this program again, or forks it (FL__REEXEC_PRELOADED), and checks the hello. A fork
 * server is an orphan: no child of this process. A process that is executed dies by `death_pipe`;
 * NULL: does not. `*socket` becomes the near end. Returns 0; or a negative errno with `*problem`.
 * Then the new process is killed, or ends with its socket; the caller closes `death_pipe`. -EAGAIN:
 * the calling thread did not have `rights` (NULL: any) any more when it had made the process.
 */
int fl__reexec_start(enum fl__reexec_role role, const struct fl__death_pipe *death_pipe,
                     const struct fl__rights *rights, int64_t deadline, int *socket, int *pid, int *pidfd,
                     const char **problem);

/* Kills a process. The reaper reaps a child. `pidfd` -1: none. */
void fl__reexec_kill(int pidfd);

#endif
