/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cells and their pool. In the model's copy of the library a pool has two shards, and chains of two cells: stress/meson.build.
 */
#include "exec/cells.h"
#include "../../lib/wait/context.h"
#include "cases.h"

static int nothing(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)ctx;
	(void)arg;
	(void)result;
	return 0;
}

static const fl_task_type type = {
    .size = sizeof(fl_task_type),
    .name = "cells",
    .run = nothing,
    .arg_size = sizeof(int),
    .arg_align = _Alignof(int),
    .result_size = sizeof(int),
    .result_align = _Alignof(int),
};

static struct fl__cells *new_pool(void)
{
	return fl__cells_new(&(struct fl__cells_of){.fork_count = fl__fork_count}, NULL);
}

static struct fl__cell *take(struct fl__cells *pool, int value)
{
	struct fl__cell *cell = fl__cell_new(pool, &type, 1, SIZE_MAX, 0);
	FL_STRESS_CHECK(cell && *(int *)cell->future.result == 0);
	*(int *)cell->future.arg = value;
	return cell;
}

static void give(struct fl__cell *cell, int value)
{
	FL_STRESS_CHECK(*(int *)cell->future.arg == value);
	*(int *)cell->future.result = value;
	fl__cell_free(cell);
}

/* A cell is its owner's alone, and zeroed however it was left; both may find that the pool must grow. */
struct cells_alone {
	struct fl__cells *pool;
};

FL_STRESS_SETUP(cells_alone)
{
	s->pool = new_pool();
	if (fl_stress_choose(2))
		give(take(s->pool, 3), 3);
}

FL_STRESS_ACTOR(cells_alone, one)
{
	give(take(s->pool, 1), 1);
}

FL_STRESS_ACTOR(cells_alone, two)
{
	give(take(s->pool, 2), 2);
}

FL_STRESS(cells_alone, one, two)
{
	fl__cells_free(s->pool);
	FL_ACCEPTABLE(1, "each its own");
}

/* Futures outlive their executor: the pool goes with the last of the two cells and the executor, whoever has it. */
struct cells_last {
	struct fl__cells *pool;
	struct fl__cell *cells[2];
};

FL_STRESS_SETUP(cells_last)
{
	s->pool = new_pool();
	s->cells[0] = take(s->pool, 1);
	s->cells[1] = take(s->pool, 2);
}

FL_STRESS_ACTOR(cells_last, one)
{
	give(s->cells[0], 1);
}

FL_STRESS_ACTOR(cells_last, two)
{
	give(s->cells[1], 2);
}

FL_STRESS_ACTOR(cells_last, executor)
{
	fl__cells_free(s->pool);
}

FL_STRESS(cells_last, one, two, executor)
{
	FL_ACCEPTABLE(1, "freed once, after its last use"); /* the model would see a leak, or a use after free */
}

/* One makes more than its shard has, another frees more than its shard keeps: chains go round, and no cell has two owners. */
struct cells_pass {
	struct fl__cells *pool;
	struct fl__cell *cells[7];
};

FL_STRESS_SETUP(cells_pass)
{
	s->pool = new_pool();
	for (int i = 0; i < 7; i++)
		s->cells[i] = take(s->pool, i);
}

FL_STRESS_ACTOR(cells_pass, maker)
{
	struct fl__cell *made[3];
	for (int i = 0; i < 3; i++)
		made[i] = take(s->pool, 10 + i);
	for (int i = 0; i < 3; i++)
		give(made[i], 10 + i);
}

FL_STRESS_ACTOR(cells_pass, freer)
{
	for (int i = 0; i < 7; i++)
		give(s->cells[i], i);
}

FL_STRESS(cells_pass, maker, freer)
{
	for (int i = 0; i < 7; i++)
		s->cells[i] = take(s->pool, i);
	for (int i = 0; i < 7; i++)
		give(s->cells[i], i);
	fl__cells_free(s->pool);
	FL_ACCEPTABLE(1, "each its own");
}

/* The pool ends while cells are freed into two shards, and a chain goes to the depot: it waits for that. */
struct cells_late {
	struct fl__cells *pool;
	struct fl__cell *cells[7];
};

FL_STRESS_SETUP(cells_late)
{
	s->pool = new_pool();
	for (int i = 0; i < 7; i++)
		s->cells[i] = take(s->pool, i);
}

FL_STRESS_ACTOR(cells_late, many)
{
	for (int i = 0; i < 6; i++)
		give(s->cells[i], i);
}

FL_STRESS_ACTOR(cells_late, one)
{
	give(s->cells[6], 6);
}

FL_STRESS_ACTOR(cells_late, executor)
{
	fl__cells_free(s->pool);
}

FL_STRESS(cells_late, many, one, executor)
{
	FL_ACCEPTABLE(1, "freed once, after its last use");
}
