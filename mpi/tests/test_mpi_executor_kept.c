/* SPDX-License-Identifier: BSD-2-Clause */
#define CASES "core/exec/test_executor_kept.c"
#include "fl_over_mpi.h"
