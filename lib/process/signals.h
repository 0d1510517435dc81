/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Returns the signals that the calling thread blocks, except those that an fl_signals has blocked.
 * Signal 1 is bit 0. With `for_task` the result omits the signals of faults, for example SIGSEGV.
 */
uint64_t fl__signals_blocked(bool for_task);
