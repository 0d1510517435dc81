/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SELF_H
#define FL_PROCESS_SELF_H

#include "launch.h"

/*
 * This program started again, as a fork server or for one task. The environment variable FL__MARKER
 * names the role and the parent. The new process first sends a hello over FL__SELF_SOCKET.
 */
#define FL__MARKER "FAIRLEAD_PROCESS"
enum { FL__SELF_SOCKET = FL__STREAMS };

/*
 * Starts this program again, and checks the hello. `dies`: the new process dies with this one.
 * `*socket` becomes the near end. Returns 0, or a negative errno with `*problem` and no process.
 */
int fl__self_start(enum fl__role role, bool dies, int64_t deadline, int *socket, int *pid, int *pidfd,
                   const char **problem);

/*
 * Fills `setup` for this program: /dev/null as input and output, the caller's standard error, and
 * `socket`. The caller closes `fds[0]`. Returns 0 or a negative errno.
 */
int fl__self_setup(struct fl__setup *setup, int socket);

/* Sends the identity of this process. */
int fl__hello_send(int socket);

/* Kills a child. The manager thread reaps it. */
void fl__self_end(int pidfd);

#endif
