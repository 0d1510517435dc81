/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "attributes.h"
#include "core/hooks.h"
#include "new_process.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * FL__REEXEC_VARIABLE (core/hooks.h) in the environment names the role and the parent. The new
 * process first sends a hello over FL__REEXEC_SOCKET.
 */
enum { FL__REEXEC_SOCKET = FL__STREAMS };

enum fl__reexec_role { FL__REEXEC_FORK_SERVER = 'f', FL__REEXEC_TASK = 't', FL__REEXEC_PRELOADED = 'p' };

/* What an execution of this program misses, as a text to follow "needs"; NULL: nothing. */
const char *fl__reexec_missing(void);

/* 0; or -ENOTSUP: logs what `method` needs, then `or_else`, and sets `*problem`. */
int fl__reexec_check(const char *method, const char *or_else, const char **problem);

/* By unshare() or setns(). */
bool fl__has_left_pid_namespace(void);

/*
 * Executes this program, or forks it (FL__REEXEC_PRELOADED), and checks the hello. A fork server is
 * an orphan. An executed process dies by `death_pipe`; NULL: does not. `*socket` becomes the near
 * end. Returns 0; or a negative errno with `*problem`: the new process is killed, or ends with its
 * socket; the caller closes `death_pipe`. -EAGAIN: the calling thread's rights were not `rights`
 * (NULL: any) any more.
 */
int fl__reexec_start(enum fl__reexec_role role, const struct fl__death_pipe *death_pipe,
                     const struct fl__rights *rights, int64_t deadline, int *socket, int *pid, int *pidfd,
                     const char **problem);

/* The reaper reaps a child. `pidfd` -1: none. */
void fl__reexec_kill(int pidfd);
