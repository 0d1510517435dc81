/* SPDX-License-Identifier: BSD-2-Clause */
/* What test_queue_many.c asks of a queue, asked of one by priority. */
#include "fl_queue_equal.h"

#include "test_queue_many.c" /* NOLINT(bugprone-suspicious-include) */
