/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_ORDER_H
#define FL_DEBUG_ORDER_H

#include "table.h"

/*
 * The lock order: an edge leads from each lock that a context holds to each lock that it then waits
 * for. Adds the edges of the acquisition `op` and reports the cycles that they close. Called
 * without the table's lock.
 */
void fl__order_locking(const struct fl__debug_op *op);

/* Removes a lock and its edges. Under the table's lock. */
void fl__order_drop(const void *lock);

#endif
