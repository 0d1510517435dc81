/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SELF_H
#define FL_PROCESS_SELF_H

#include "launch.h"

/*
 * This program started once more, as a zygote or for a task: it finds in its environment what it is to be, and as descriptor
 * FL__SELF_SOCKET a socket, over which it says first who it is.
 */
#define FL__MARKER "FAIRLEAD_PROCESS"
enum { FL__SELF_SOCKET = FL__STREAMS };

/*
 * Starts it, and checks what it says. `dies`: with this process. The other end of its socket is in `*socket`. 0, or the
 * negative errno, with `*problem`; then nothing of it is left.
 */
int fl__self_start(enum fl__role role, bool dies, int64_t deadline, int *socket, int *pid, int *pidfd,
                   const char **problem);

/* What it begins with: no input and output, the caller's standard error, its socket. `fds[0]` is to be closed. 0 or an error. */
int fl__self_setup(struct fl__setup *setup, int socket);

/* Says who this process is. */
int fl__hello_send(int socket);

/* Kills a child and has it collected. */
void fl__self_end(int pidfd);

#endif
