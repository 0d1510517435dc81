/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../wait/context.h"

/* At the context's end: runs destructors, frees the table, releases values of context variables. */
void fl__locals_end(struct fl__ctx *ctx);

/* Before a first value of a context variable: the thread will call fl__locals_end(). 0, -ENOMEM. */
int fl__local_watch_values(struct fl__ctx *ctx);
