/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_OR_SKIP_H
#define FL_TEST_MPI_OR_SKIP_H

/*
 * Each file mpi/tests/test_*.c begins by including this, directly or through fl_over_mpi.h. In a
 * build without MPI such a program has only one case, which is skipped. The build defines
 * FL_TEST_MPI if it has found MPI.
 */
#include "fl_test.h"

#ifndef FL_TEST_MPI
FL_TEST(mpi_was_not_found_by_the_build)
{
	FL_SKIP("this build has no fairlead-mpi: meson found no MPI (libopenmpi-dev, libmpich-dev)");
}
#endif

#endif
