/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_LOCAL_H
#define FL_SYNC_LOCAL_H

#include "../wait/context.h"

/*
 * Runs the destructors of the locals of `ctx`, and frees their table. `ctx` is the current context,
 * and about to end.
 */
void fl__locals_end(struct fl__ctx *ctx);

#endif
