/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_ORDER_H
#define FL_DEBUG_ORDER_H

#include "table.h"

/*
 * The order of locks: an edge from each lock that a context holds to each that it then waits for. Takes part of what the
 * acquisition `op` means for it, and reports the cycles that it closes. Outside of the table.
 */
void fl__order_locking(const struct fl__debug_op *op);

/* Forgets a lock and its edges. Inside of the table. */
void fl__order_drop(const void *lock);

#endif
