/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * fl_process_main() calls it in a program that is linked to fairlead-mpi, except in the processes
 * that the library starts. A worker rank serves, and ends here. Rank 0 returns, and MPI ends at the
 * end of the process. Without a launcher the call returns and MPI is not started.
 */
void fl__mpi_main(int argc, char **argv);

/*
 * Makes sure that an executor can be made. Any thread may call it. If no worker rank was started,
 * it starts `spawn` of them, which takes up to seconds. Returns:
 *   0         there can be an executor
 *   -ENOTSUP  there can be none; the log says why
 *   -EAGAIN   the ranks cannot be spawned; the log says why
 */
int fl__mpi_require_ranks(unsigned spawn);

/*
 * The end of rank 0: tells the worker ranks to end. The MPI thread does so if it runs, otherwise
 * the caller.
 */
void fl__mpi_dismiss(void);
