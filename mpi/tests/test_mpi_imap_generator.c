/* SPDX-License-Identifier: BSD-2-Clause */
#define CASES "core/exec/test_imap_generator.c"
#include "fl_over_mpi.h"
