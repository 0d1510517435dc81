/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SERVER_H
#define FL_PROCESS_SERVER_H

/*
 * Serves as the zygote of process `parent`, over `socket`, until that ends. For a process with a single thread, with all
 * signals blocked, and that has set itself up.
 */
_Noreturn void fl__zygote_serve(int socket, int parent);

/* Runs the one task that comes over `socket` from process `parent`, and ends. */
_Noreturn void fl__task_serve(int socket, int parent);

#endif
