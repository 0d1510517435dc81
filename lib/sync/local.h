/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_LOCAL_H
#define FL_SYNC_LOCAL_H

#include "../wait/context.h"

/* Runs the destructors of the locals of `ctx`, which is the current context and about to end, and frees their table. */
void fl__locals_end(struct fl__ctx *ctx);

#endif
