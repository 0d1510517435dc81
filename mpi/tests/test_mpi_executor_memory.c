/* SPDX-License-Identifier: BSD-2-Clause */
#define CASES "core/exec/test_executor_memory.c"
#include "fl_over_mpi.h"
