/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../wait/context.h"

/* At the context's end: runs destructors, frees the table, releases values of context variables. */
void fl__locals_end(struct fl__ctx *ctx);

/* Before the calling context gets something to end: a thread of the program will end it. */
void fl__local_watch_end(void);
