/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Called at the end of fl_process_main(), in a process that the library did not start. fairlead-mpi
 * gives the process a role there. A constructor sets it; otherwise it is NULL.
 */
extern void (*fl__main_hook)(int argc, char **argv);
