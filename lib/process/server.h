/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SERVER_H
#define FL_PROCESS_SERVER_H

/*
 * Serves as the fork server of process `parent` over `socket`, until the parent ends. The caller has a
 * single thread, blocks all signals, and is set up.
 */
_Noreturn void fl__fork_server_serve(int socket, int parent);

/* Receives one task over `socket` from process `parent`, runs the task, and exits. */
_Noreturn void fl__task_serve(int socket, int parent);

#endif
