/* SPDX-License-Identifier: BSD-2-Clause */
/* What test_queue_many.c asks of a queue, asked of one with one producer and one consumer. */
#include "fl_queue_pair.h"

#include "test_queue_many.c" /* NOLINT(bugprone-suspicious-include) */
