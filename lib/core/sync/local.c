/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locals. Each context has a table of values, whose index is the id of a local. When any context
 * first sets a local, the local gets its id forever. Each context calls fl__locals_end() when it
 * ends. A thread that the library did not start calls it through the `end` of its data, unless the
 * library is unloaded earlier, which only frees the table.
 */
#include "local.h"
#include "../base/anew.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/lock.h"
#include <fairlead/thread.h>
#include <string.h>

enum { LOCAL_IDS = 1024, LOCAL_ROUNDS = 4, LOCAL_LEAST = 8 };

struct fl__locals {
	uint32_t size;
	void *values[];
};

static struct {
	uint32_t lock;
	uint32_t count; /* the ids from 1 to count are assigned; guarded by the lock */
	void (*destroy[LOCAL_IDS + 1])(void *);
} local_registry;

/* Returns the id of `local`, and assigns one if it has none. Returns 0 if no id is left. */
static uint32_t local_id(fl_local *local)
{
	/* acquire: pairs with the release below, so that fl__locals_end() sees the destructor */
	uint32_t id = fl__load_acquire(&local->id_);
	if (id != 0)
		return id;
	FL__LOCKED(&local_registry.lock);
	id = fl__load_relaxed(&local->id_); /* relaxed: written under the lock */
	if (id == 0 && local_registry.count < LOCAL_IDS) {
		id = ++local_registry.count;
		local_registry.destroy[id] = local->destroy_;
		fl__store_release(&local->id_, id); /* release: pairs with the acquire above */
	}
	return id;
}

FL__COLD static void local_end_adopted(struct fl__ctx *ctx, bool unloads)
{
	if (unloads)
		fl__free(ctx->locals);
	else
		fl__locals_end(ctx);
}

static int local_grow(struct fl__ctx *ctx, uint32_t id)
{
	struct fl__locals *old = ctx->locals;
	uint32_t size = old ? old->size : LOCAL_LEAST;
	while (size <= id)
		size *= 2;
	struct fl__locals *locals = fl__alloc(1, sizeof *locals + size * sizeof locals->values[0]);
	if (!locals)
		return -ENOMEM;
	fl__thread_data()->end = local_end_adopted; /* only called if the library did not start the thread */
	locals->size = size;
	if (old)
		memcpy(locals->values, old->values, old->size * sizeof old->values[0]);
	ctx->locals = locals;
	fl__free(old);
	return 0;
}

void *fl_local_get(const fl_local *local)
{
	const struct fl__locals *locals = fl__ctx_get()->locals;
	/* relaxed: this context set each value in its table after it had acquired the id */
	uint32_t id = fl__load_relaxed(&local->id_);
	return locals && id < locals->size ? locals->values[id] : NULL;
}

int fl_local_set(fl_local *local, void *value)
{
	struct fl__ctx *ctx = fl__ctx_get();
	uint32_t id = local_id(local);
	if (id == 0)
		return -ENOSPC;
	if (!ctx->locals || id >= ctx->locals->size) {
		int rc = value ? local_grow(ctx, id) : 0;
		if (rc != 0 || !value)
			return rc;
	}
	ctx->locals->values[id] = value;
	return 0;
}

/* Runs the destructors of all values, in the order of the ids. Returns false if there was none. */
static bool local_destroy_round(struct fl__ctx *ctx)
{
	bool any = false;
	for (uint32_t id = 1; id < ctx->locals->size; id++) {
		void *value = ctx->locals->values[id];
		ctx->locals->values[id] = NULL;
		/* The destructor was written before the id was published. */
		if (value && local_registry.destroy[id]) {
			local_registry.destroy[id](value);
			any = true;
		}
	}
	return any;
}

static FL__NOINLINE void local_end_table(struct fl__ctx *ctx)
{
	for (int i = 0; i < LOCAL_ROUNDS && local_destroy_round(ctx); i++)
		;
	fl__free(ctx->locals);
	ctx->locals = NULL;
}

void fl__locals_end(struct fl__ctx *ctx)
{
	if (fl__unlikely(ctx->locals != NULL))
		local_end_table(ctx);
}

static void local_make_anew(void)
{
	fl__store_relaxed(&local_registry.lock, 0); /* relaxed: the child has one thread */
}

FL__MAKES_ANEW(local_make_anew)
