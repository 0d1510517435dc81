/* SPDX-License-Identifier: BSD-2-Clause */
#define CASES "core/exec/test_imap_free.c"
#include "fl_over_mpi.h"
