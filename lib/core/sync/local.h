/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../wait/context.h"

/* At the context's end: runs destructors and frees the table. */
void fl__locals_end(struct fl__ctx *ctx);
