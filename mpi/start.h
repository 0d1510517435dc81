/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Called in fl_main(). A worker rank serves, and ends. Rank 0 returns, and MPI ends at the end of
 * the process. Without a launcher MPI is not started.
 */
void fl__mpi_main(int argc, char **argv);

/*
 * Any thread. If no worker rank was started, starts `spawn` of them, which takes up to seconds.
 * Returns 0; or after a line in the log:
 *   -ENOTSUP  there can be no executor
 *   -EAGAIN   the ranks cannot be spawned
 */
int fl__mpi_require_ranks(unsigned spawn);

/* At the end of rank 0: the MPI thread tells the worker ranks to end. */
void fl__mpi_dismiss(void);
