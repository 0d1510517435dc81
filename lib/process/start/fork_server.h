/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "start.h"

/* Called with 1 when a process executor begins, and with -1 when it has ended. */
void fl__fork_server_count_pool(int more);

/* Returns the pid of the fork server, which may have died, or 0 if there is none. */
int fl__fork_server_pid(void);

/*
 * Serves process `parent` over FL__REEXEC_SOCKET, until that process ends or closes its end of the
 * socket. Requires a single thread, all signals blocked except those of faults, and descriptors set
 * up.
 */
_Noreturn void fl__fork_server_serve(int parent);
