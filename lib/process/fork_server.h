/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "process_start.h"

int fl__fork_server_start(struct fl__start *start);

/* Called when a process executor begins. */
void fl__fork_server_add_pool(void);

/*
 * Called when the handle of a process of this fork server is freed; with NULL when a process
 * executor has ended.
 */
void fl__fork_server_forget(struct fl__fork_server *s);

/* Of the last start; 0: none. */
int fl__fork_server_pid(void);

/* In a forked child: drops the parent's fork server. */
void fl__fork_server_after_fork(void);

/*
 * Serves process `parent` over FL__REEXEC_SOCKET, until that process ends. Requires a single
 * thread, all signals blocked, and descriptors set up.
 */
_Noreturn void fl__fork_server_serve(int parent);
