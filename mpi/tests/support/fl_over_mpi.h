/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_OVER_MPI_H
#define FL_OVER_MPI_H

/*
 * Runs the cases of the file CASES, a path relative to tests/, for the kinds of executors over MPI.
 */
#define CONFORMANCE_MPI 1
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include CASES
#endif

#endif
