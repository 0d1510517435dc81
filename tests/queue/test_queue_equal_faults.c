/* SPDX-License-Identifier: BSD-2-Clause */
/* What test_queue_faults.c asks of a queue, asked of one by priority. */
#include "fl_queue_equal.h"

#include "test_queue_faults.c" /* NOLINT(bugprone-suspicious-include) */
