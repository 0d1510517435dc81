/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MPI_START_H
#define FL_MPI_START_H

/*
 * The start of MPI, in fl_main(). On a worker rank that serves, and ends the process. On rank 0 it
 * returns, and MPI ends at the end of the process. Without a launcher of MPI it does nothing.
 */
void fl__mpi_main(int argc, char **argv);

/* At the end of rank 0: ends the MPI thread, which tells the worker ranks to end. */
void fl__mpi_dismiss(void);

#endif
