/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Called by fl_process_main() in a program that is linked to fairlead-mpi, except in the processes
 * that the library starts. A worker rank serves, and ends here. In rank 0 the function returns, and
 * MPI ends with the process. Without a launcher the function returns without starting MPI.
 */
void fl__mpi_main(int argc, char **argv);

/*
 * Makes sure that an executor can be made. Any thread may call it. If no worker rank was started,
 * starts `spawn` of them, which may take seconds. Returns:
 *   0         there can be an executor
 *   -ENOTSUP  there can be no executor; the log says why
 *   -EAGAIN   the ranks cannot be spawned; the log says why
 */
int fl__mpi_require_ranks(unsigned spawn);

/*
 * Called at the end of rank 0. Tells the worker ranks to end; the MPI thread does so if it runs,
 * otherwise the caller.
 */
void fl__mpi_dismiss(void);
