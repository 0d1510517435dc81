/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_LOCAL_H
#define FL_SYNC_LOCAL_H

#include "../wait/context.h"

/*
 * Runs the destructors of the locals of `ctx`, frees their table, and releases the values of
 * context variables. `ctx` is the current context, and about to end.
 */
void fl__locals_end(struct fl__ctx *ctx);

/*
 * Called before `ctx` gets its first value of a context variable, so that the end of its thread
 * calls fl__locals_end(). Returns 0, -ENOMEM.
 */
int fl__local_watch_values(struct fl__ctx *ctx);

#endif
