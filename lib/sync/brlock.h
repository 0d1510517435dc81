/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_BRLOCK_H
#define FL_SYNC_BRLOCK_H

#include <stdint.h>

/*
 * The number of rows that each big-reader lock uses: a power of two, up to FL_BRLOCK_ROWS. 0 until
 * the first use of a lock, then constant. The laboratory sets it.
 */
extern uint32_t fl__brlock_rows;

#endif
