/* SPDX-License-Identifier: BSD-2-Clause */
/* What the end of a context does with its locals (local.c). */
#pragma once

#include "../wait/context.h"

/* Called when a context ends. Runs the destructors of its values, and frees its table. */
void fl__locals_end(struct fl__ctx *ctx);
