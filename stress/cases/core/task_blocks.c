/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of task blocks and their pool. In the model's copy of the library a pool has two
 * caches, and chains of two blocks (laboratory/meson.build).
 */
#include "core/exec/task_blocks.h"
#include "../cases.h"

static int nothing(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 0;
}

static const fl_task_type type = {
    .size = sizeof(fl_task_type),
    .name = "blocks",
    .run = nothing,
    .arg_size = sizeof(int),
    .arg_align = _Alignof(int),
    .result_size = sizeof(int),
    .result_align = _Alignof(int),
};

static struct fl__task_blocks *new_pool(void)
{
	return fl__task_blocks_new(&(struct fl__task_block_owner){.executor = NULL});
}

/* Takes a block; for odd values it first tries the short way, as most submits do. */
static struct fl__task_block *take(struct fl__task_blocks *pool, int value)
{
	struct fl__task_block *block = value % 2 ? fl__task_block_new_small(pool, &type, fl__ctx_get()) : NULL;
	if (!block)
		block = fl__task_block_new(pool, &type, 1, SIZE_MAX, 0);
	FL_STRESS_CHECK(block && *(int *)block->future.result == 0);
	*(int *)block->future.arg = value;
	return block;
}

static void give(struct fl__task_block *block, int value)
{
	FL_STRESS_CHECK(*(int *)block->future.arg == value);
	*(int *)block->future.result = value;
	fl__task_block_release(block);
}

/*
 * A block has one owner, and is zeroed whatever its last use left. Both contexts may find that the
 * pool must grow.
 */
struct task_blocks_alone {
	struct fl__task_blocks *pool;
};

FL_STRESS_SETUP(task_blocks_alone)
{
	s->pool = new_pool();
	if (fl_stress_choose(2))
		give(take(s->pool, 3), 3);
}

static void take_and_give(struct task_blocks_alone *s, int i)
{
	give(take(s->pool, i + 1), i + 1);
}

TWO_ACTORS(task_blocks_alone, take_and_give)

FL_STRESS(task_blocks_alone, one, two)
{
	give(take(s->pool, 2), 2);
	fl__task_blocks_free(s->pool);
	FL_ACCEPTABLE(1, "each its own");
}

/*
 * Futures outlive their executor. The pool is freed with the last of the two blocks and the
 * executor.
 */
struct task_blocks_last {
	struct fl__task_blocks *pool;
	struct fl__task_block *blocks[2];
};

FL_STRESS_SETUP(task_blocks_last)
{
	s->pool = new_pool();
	s->blocks[0] = take(s->pool, 1);
	s->blocks[1] = take(s->pool, 2);
}

static void give_block(struct task_blocks_last *s, int i)
{
	give(s->blocks[i], i + 1);
}

TWO_ACTORS(task_blocks_last, give_block)

FL_STRESS_ACTOR(task_blocks_last, executor)
{
	fl__task_blocks_free(s->pool);
}

FL_STRESS(task_blocks_last, one, two, executor)
{
	/* Otherwise the model would report a leak, or a use after free. */
	FL_ACCEPTABLE(1, "freed once, after its last use");
}

/*
 * One context makes more blocks than its cache has, and another context frees more than its cache
 * keeps. Chains go round, and no block has two owners.
 */
struct task_blocks_pass {
	struct fl__task_blocks *pool;
	struct fl__task_block *blocks[7];
};

FL_STRESS_SETUP(task_blocks_pass)
{
	s->pool = new_pool();
	for (int i = 0; i < 7; i++)
		s->blocks[i] = take(s->pool, i);
}

FL_STRESS_ACTOR(task_blocks_pass, maker)
{
	struct fl__task_block *made[3];
	for (int i = 0; i < 3; i++)
		made[i] = take(s->pool, 10 + i);
	for (int i = 0; i < 3; i++)
		give(made[i], 10 + i);
}

FL_STRESS_ACTOR(task_blocks_pass, freer)
{
	for (int i = 0; i < 7; i++)
		give(s->blocks[i], i);
}

FL_STRESS(task_blocks_pass, maker, freer)
{
	for (int i = 0; i < 7; i++)
		s->blocks[i] = take(s->pool, i);
	for (int i = 0; i < 7; i++)
		give(s->blocks[i], i);
	fl__task_blocks_free(s->pool);
	FL_ACCEPTABLE(1, "each its own");
}

/*
 * The pool ends while blocks are freed into two caches, and a chain goes to the shared list. The
 * end waits for that.
 */
struct task_blocks_late {
	struct fl__task_blocks *pool;
	struct fl__task_block *blocks[7];
};

FL_STRESS_SETUP(task_blocks_late)
{
	s->pool = new_pool();
	for (int i = 0; i < 7; i++)
		s->blocks[i] = take(s->pool, i);
}

FL_STRESS_ACTOR(task_blocks_late, many)
{
	for (int i = 0; i < 6; i++)
		give(s->blocks[i], i);
}

FL_STRESS_ACTOR(task_blocks_late, one)
{
	give(s->blocks[6], 6);
}

FL_STRESS_ACTOR(task_blocks_late, executor)
{
	fl__task_blocks_free(s->pool);
}

FL_STRESS(task_blocks_late, many, one, executor)
{
	FL_ACCEPTABLE(1, "freed once, after its last use");
}

/*
 * Contexts use the pool without a block of its slabs. There are three, so that two of them share a
 * cache.
 */
struct task_blocks_users {
	struct fl__task_blocks *pool;
};

static void use(struct fl__task_blocks *pool)
{
	fl__task_blocks_ref(pool);
	fl__task_blocks_unref(pool);
}

FL_STRESS_SETUP(task_blocks_users)
{
	s->pool = new_pool();
}

FL_STRESS_ACTOR(task_blocks_users, user)
{
	use(s->pool);
}

FL_STRESS(task_blocks_users, user, user, user)
{
	fl__task_blocks_free(s->pool);
	FL_ACCEPTABLE(1, "counted, and uncounted");
}
