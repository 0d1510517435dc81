/* SPDX-License-Identifier: BSD-2-Clause */
#define CASES "core/exec/test_intrusive_task.c"
#include "fl_over_mpi.h"
