/* SPDX-License-Identifier: BSD-2-Clause */
#define CASES "core/exec/test_executor_workers.c"
#include "fl_over_mpi.h"
