/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_WAITS_H
#define FL_DEBUG_WAITS_H

#include "table.h"

/*
 * Records that the current context waits for the lock of `op`, and reports a deadlock that the wait
 * closes. Called without the table's lock.
 */
void fl__waits_begin(const struct fl__debug_op *op);

/* Removes that record. Under the table's lock. */
void fl__waits_end(struct fl__holder *h);

#endif
