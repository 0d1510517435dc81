/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MPI_START_H
#define FL_MPI_START_H

/*
 * The start of MPI, in fl_main(). On a worker rank that serves, and ends the process. On rank 0 it
 * returns, and MPI ends at the end of the process. Without a launcher MPI is not started.
 */
void fl__mpi_main(int argc, char **argv);

/*
 * Any thread: makes sure that this is rank 0, and that there are worker ranks. If none was started,
 * starts `spawn` of them, which takes up to seconds. Returns 0; or after a line in the log:
 *
 *   -ENOTSUP  there can be no executor
 *   -EAGAIN   the ranks cannot be spawned
 */
int fl__mpi_require_ranks(unsigned spawn);

/* At the end of rank 0: ends the MPI thread, which tells the worker ranks to end. */
void fl__mpi_dismiss(void);

#endif
