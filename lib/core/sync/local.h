/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_LOCAL_H
#define FL_SYNC_LOCAL_H

#include "../wait/context.h"

/*
 * For the current context, about to end: runs the destructors, frees the table, and releases the
 * values of context variables.
 */
void fl__locals_end(struct fl__ctx *ctx);

/*
 * Before `ctx` gets its first value of a context variable: the end of its thread will call
 * fl__locals_end(). 0, -ENOMEM.
 */
int fl__local_watch_values(struct fl__ctx *ctx);

#endif
