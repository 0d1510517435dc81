/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../wait/context.h"

/*
 * The values of context variables (context_var.c). NULL: no values, in a context and in a copy.
 *
 *     start:  f->values = fl__values_copy();                  // the starter's
 *     begin:  struct fl__values *outer = fl__values_enter(ctx, f->values);
 *             function(arg);
 *     end:    fl__values_leave(ctx, outer);                   // releases what is left of f->values
 */
struct fl__values;

struct fl__values *fl__values_ref(struct fl__values *values);

/* The reference is not NULL. May call the variables' `release`. */
void fl__values_unref(struct fl__values *values);

static inline void fl__values_free(struct fl__values *values)
{
	if (fl__unlikely(values != NULL))
		fl__values_unref(values);
}

static inline struct fl__values *fl__values_copy(void)
{
	const struct fl__ctx *ctx = fl__ctx_current; /* NULL: a thread that has no values either */
	if (fl__likely(ctx != NULL) && fl__unlikely(ctx->front.values != NULL))
		return fl__values_ref(ctx->front.values);
	return NULL;
}

/* Returns the calling context's own values. */
static inline struct fl__values *fl__values_enter(struct fl__ctx *ctx, struct fl__values *values)
{
	struct fl__values *outer = ctx->front.values;
	ctx->front.values = values;
	return outer;
}

/* Releases the present values. */
static inline void fl__values_leave(struct fl__ctx *ctx, struct fl__values *outer)
{
	struct fl__values *values = ctx->front.values;
	ctx->front.values = outer;
	fl__values_free(values);
}

/* As fl__values_enter() in a context without values. */
static inline void fl__values_begin(struct fl__ctx *ctx, struct fl__values *values)
{
	if (fl__unlikely(values != NULL))
		ctx->front.values = values;
}

/* The present values are not NULL. */
void fl__values_clear(struct fl__ctx *ctx);

/* As fl__values_leave(), to no values. */
static inline void fl__values_end(struct fl__ctx *ctx)
{
	if (fl__unlikely(ctx->front.values != NULL))
		fl__values_clear(ctx);
}

/* At the unload: frees another thread's values, without `release`. */
void fl__values_forget(struct fl__ctx *ctx);
