/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "start.h"

/* A process executor begins (1), or has ended (-1). */
void fl__fork_server_count_pool(int more);

/* The pid of the fork server, which may have died; 0: there is none. */
int fl__fork_server_pid(void);

/* In a forked child: drops the parent's fork server. */
void fl__fork_server_after_fork(void);

/*
 * Serves process `parent` over FL__REEXEC_SOCKET, until that process ends. Requires a single
 * thread, all signals blocked, and descriptors set up.
 */
_Noreturn void fl__fork_server_serve(int parent);
