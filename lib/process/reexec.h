/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_REEXEC_H
#define FL_PROCESS_REEXEC_H

#include "spawn.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * This program executed again, as a fork server or for one task. The environment variable
 * FL__REEXEC_VARIABLE names the role and the parent. The new process first sends a hello over
 * FL__REEXEC_SOCKET.
 */
#define FL__REEXEC_VARIABLE "FAIRLEAD_PROCESS"
enum { FL__REEXEC_SOCKET = FL__STREAMS };

enum fl__reexec_role { FL__REEXEC_FORK_SERVER = 'f', FL__REEXEC_TASK = 't' };

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

/* This program, executed again. */
struct fl__reexec {
	int socket; /* the near end */
	int pid, pidfd;
	struct fl__intermediate intermediate; /* of a fork server */
};

/*
 * Executes this program again, and checks the hello. The new process dies by `death_pipe`; NULL:
 * does not. A fork server is hidden from wait(). Returns 0, or a negative errno with `*problem` and
 * no process.
 */
int fl__reexec_start(enum fl__reexec_role role, const struct fl__death_pipe *death_pipe, int64_t deadline,
                     struct fl__reexec *made, const char **problem);

/*
 * Fills `setup` for this program: /dev/null as input and output, the caller's standard error, and
 * `socket`. The caller closes `fds[0]`. Returns 0 or a negative errno.
 */
int fl__reexec_setup(struct fl__setup *setup, int socket);

/*
 * Makes the sockets to a new process. `sockets[1]` is the new process's: the kernel tells it which
 * user has sent a packet. 0, or the errors of fl__packet_pair().
 */
int fl__reexec_pair(int sockets[2]);

/*
 * Kill the process and close its pidfds, but not its socket. The first leaves this process's child
 * to the reaper, the second waits for its end.
 */
void fl__reexec_kill(const struct fl__reexec *made);
void fl__reexec_end(const struct fl__reexec *made);

#endif
