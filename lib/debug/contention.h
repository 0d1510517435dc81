/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_CONTENTION_H
#define FL_DEBUG_CONTENTION_H

#include "table.h"

/* Whether this acquisition is one of those that are measured though they do not wait. */
bool fl__contention_turn(void);

/* The acquisition ended at `now`, as `held`, or, NULL, by giving up. One cell. Inside of the table. */
void fl__contention_locked(const struct fl__debug_op *op, struct fl__held *held, int64_t now);

/* `held` is about to end. Inside of the table. */
void fl__contention_unlocking(const struct fl__held *held, int64_t now);

#endif
