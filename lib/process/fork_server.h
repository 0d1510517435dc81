/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_FORK_SERVER_H
#define FL_PROCESS_FORK_SERVER_H

/* Returns the pid of this process's fork server, or 0. For reports, and tests that stop or kill it. */
int fl__fork_server_pid(void);

#endif
