/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_CONTENTION_H
#define FL_DEBUG_CONTENTION_H

#include "table.h"

/* Whether to measure this acquisition even if it does not wait. */
bool fl__contention_turn(void);

/*
 * Records that the acquisition ended at `now`. `held`: its record; NULL: the context gave up. Takes
 * at most one cell. Under the table's lock.
 */
void fl__contention_locked(const struct fl__debug_op *op, struct fl__held *held, int64_t now);

/* Records the end of `held`. Under the table's lock. */
void fl__contention_unlocking(const struct fl__held *held, int64_t now);

#endif
