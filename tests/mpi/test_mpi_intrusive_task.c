/* SPDX-License-Identifier: BSD-2-Clause */
/* tests/core/exec/test_intrusive_task.c for the executor over MPI. */
#define CONFORMANCE_MPI 1
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
/* NOLINTNEXTLINE(bugprone-suspicious-include): the same cases, for other kinds */
#include "../core/exec/test_intrusive_task.c"
#endif
