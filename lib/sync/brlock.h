/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_BRLOCK_H
#define FL_SYNC_BRLOCK_H

#include <stdint.h>

/*
 * How many rows of a big-reader lock are in use: a power of two, up to FL_BRLOCK_ROWS; 0 until one is used for the first time,
 * and then the same for good. The laboratory sets it.
 */
extern uint32_t fl__brlock_rows;

#endif
