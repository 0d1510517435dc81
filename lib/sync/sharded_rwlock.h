/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_SHARDED_RWLOCK_H
#define FL_SYNC_SHARDED_RWLOCK_H

#include <stdint.h>

/*
 * The number of rows that each sharded readers-writer lock uses: a power of two, up to
 * FL_SHARDED_RWLOCK_ROWS. 0 until the first use of a lock, then constant. The laboratory sets it.
 */
extern uint32_t fl__sharded_rwlock_rows;

#endif
