/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_WAITS_H
#define FL_DEBUG_WAITS_H

#include "table.h"

/* The current context waits for the lock of `op` from now on. Reports the deadlock that it closes. Outside of the table. */
void fl__waits_begin(const struct fl__debug_op *op);

/* It waits for that lock no more. Inside of the table. */
void fl__waits_end(struct fl__holder *h);

#endif
