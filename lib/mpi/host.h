/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MPI_HOST_H
#define FL_MPI_HOST_H

/* Serves on the main thread until EXIT. */
void fl__mpi_host_serve(void);

#endif
