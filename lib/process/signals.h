/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * What the calling thread blocks, without the signals that an fl_signals has blocked. Signal 1 is
 * bit 0. A process for a task blocks no signal of a fault.
 */
uint64_t fl__signals_blocked(bool for_task);
