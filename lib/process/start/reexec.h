/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "attributes.h"
#include "core/hooks.h"
#include "new_process.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * A new process that executes this program again finds the variable FL__REEXEC_VARIABLE
 * (core/hooks.h) in its environment. The variable names the role of the new process, its parent,
 * and the copy of the library that serves. The new process first sends a hello over
 * FL__REEXEC_SOCKET.
 */
enum { FL__REEXEC_SOCKET = FL__STREAMS };

enum fl__reexec_role { FL__REEXEC_FORK_SERVER = 'f', FL__REEXEC_TASK = 't', FL__REEXEC_PRELOADED = 'p' };

/* Returns 0; or -ENOTSUP, after it has logged what `method` needs, and then `or_else`. */
int fl__reexec_check(const char *method, const char *or_else);
#define FL__REEXEC_PROBLEM "this program cannot be executed again"

/* Returns true after an unshare() or setns() of the PID namespace, and false without /proc. */
bool fl__has_left_pid_namespace(void);

struct fl__reexec {
	enum fl__reexec_role role; /* a fork server is an orphan */
	/*
	 * An executed process dies by this pipe, which the caller closes after an error. NULL for
	 * none.
	 */
	const struct fl__death_pipe *death_pipe;
	/*
	 * NULL, or the rights of the calling thread; the start returns -EAGAIN if these have
	 * changed.
	 */
	const struct fl__rights *rights;
	fl_time deadline;
	/* Results: */
	int socket; /* the near end */
	int pid, pidfd;
	const char *problem; /* valid after an error */
};

/*
 * Executes this program, or forks it (FL__REEXEC_PRELOADED), and checks the hello. Returns 0 or a
 * negative errno. After an error the new process is killed, or ends because its socket is closed.
 */
int fl__reexec_start(struct fl__reexec *x);
