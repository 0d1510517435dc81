/* SPDX-License-Identifier: BSD-2-Clause */
/* Cells and their free list: whoever has popped an entry is alone with it, and with all that was done to it before. */
#include "exec/cells.h"
#include "cases.h"

struct entry {
	void *next; /* the list's */
	int uses;   /* plain: of whoever has popped it */
};

static bool use_one(struct fl__free_list *list)
{
	struct entry *entry = fl__free_list_pop(list);
	if (!entry)
		return false;
	entry->uses++;
	fl__free_list_push(list, entry);
	return true;
}

static int count(struct fl__free_list *list, int *uses)
{
	struct entry *entry;
	int n = 0;
	while ((entry = fl__free_list_pop(list)) && n++ < 8)
		*uses += entry->uses;
	return n;
}

/*
 * aba_recycle: an entry comes and goes while another stands before its compare-and-swap. Two entries for two: never
 * empty.
 */
struct cells_recycle {
	struct fl__free_list list;
	struct entry entries[2];
};

FL_STRESS_SETUP(cells_recycle)
{
	fl__free_list_push(&s->list, &s->entries[0]);
	fl__free_list_push(&s->list, &s->entries[1]);
}

FL_STRESS_ACTOR(cells_recycle, one)
{
	FL_STRESS_CHECK(use_one(&s->list));
}

FL_STRESS_ACTOR(cells_recycle, two)
{
	FL_STRESS_CHECK(use_one(&s->list));
	FL_STRESS_CHECK(use_one(&s->list));
}

FL_STRESS(cells_recycle, one, two)
{
	int uses = 0;
	FL_FORBIDDEN(count(&s->list, &uses) != 2, "an entry lost, or twice in the list");
	FL_ACCEPTABLE(uses == 3, "each use alone");
	FL_FORBIDDEN(1, "lost use");
}

/*
 * The same where the second pop finds another order of entries: one that was head is head again, with another behind
 * it.
 */
struct cells_reorder {
	struct fl__free_list list;
	struct entry entries[3];
	struct entry *kept;
};

FL_STRESS_SETUP(cells_reorder)
{
	for (int i = 0; i < 3; i++)
		fl__free_list_push(&s->list, &s->entries[i]);
}

FL_STRESS_ACTOR(cells_reorder, one)
{
	FL_STRESS_CHECK(use_one(&s->list));
}

FL_STRESS_ACTOR(cells_reorder, two)
{
	struct entry *first = fl__free_list_pop(&s->list);
	s->kept = fl__free_list_pop(&s->list);
	FL_STRESS_CHECK(first && s->kept);
	first->uses++;
	s->kept->uses++;
	fl__free_list_push(&s->list, first);
	s->kept->uses++;
}

FL_STRESS(cells_reorder, one, two)
{
	int uses = 0;
	FL_FORBIDDEN(count(&s->list, &uses) != 2, "an entry lost, or free and kept");
	FL_ACCEPTABLE(uses + s->kept->uses == 4, "each use alone");
	FL_FORBIDDEN(1, "lost use");
}

/* Three for one entry: a pop may find none, and that is no error. */
struct cells_scarce {
	struct fl__free_list list;
	struct entry entry;
	int used[3];
};

FL_STRESS_SETUP(cells_scarce)
{
	fl__free_list_push(&s->list, &s->entry);
}

FL_STRESS_ACTOR(cells_scarce, one)
{
	s->used[0] = use_one(&s->list);
}

FL_STRESS_ACTOR(cells_scarce, two)
{
	s->used[1] = use_one(&s->list);
}

FL_STRESS_ACTOR(cells_scarce, three)
{
	s->used[2] = use_one(&s->list);
}

FL_STRESS(cells_scarce, one, two, three)
{
	int uses = 0;
	FL_FORBIDDEN(count(&s->list, &uses) != 1, "lost, or twice in the list");
	FL_FORBIDDEN(uses != s->used[0] + s->used[1] + s->used[2], "lost use");
	FL_ACCEPTABLE(uses == 3, "each had it");
	FL_ACCEPTABLE(uses > 0, "some found none");
	FL_FORBIDDEN(1, "nobody had it");
}

/*
 * One pops while two entries are popped and pushed back by others: the head it saw is head again, with a generation
 * that it saw, too, but not with the same entry behind it. See ck_stack_pop_torn_pair in planted/ck.c.
 */
struct cells_pair {
	struct fl__free_list list;
	struct entry entries[3];
	struct entry *popped;
	_Atomic(struct entry *) first, second;
};

FL_STRESS_SETUP(cells_pair)
{
	for (int i = 0; i < 3; i++)
		fl__free_list_push(&s->list, &s->entries[i]);
}

FL_STRESS_ACTOR(cells_pair, one)
{
	SET(&s->first, fl__free_list_pop(&s->list));
}

FL_STRESS_ACTOR(cells_pair, popper)
{
	s->popped = fl__free_list_pop(&s->list);
}

FL_STRESS_ACTOR(cells_pair, two)
{
	SET(&s->second, fl__free_list_pop(&s->list));
}

FL_STRESS_ACTOR(cells_pair, pusher)
{
	struct entry *first = atomic_exchange_explicit(&s->first, NULL, memory_order_relaxed);
	struct entry *second = atomic_exchange_explicit(&s->second, NULL, memory_order_relaxed);
	if (first)
		fl__free_list_push(&s->list, first);
	if (second)
		fl__free_list_push(&s->list, second);
}

FL_STRESS(cells_pair, one, popper, two, pusher)
{
	int uses = 0;
	int owned = (s->popped != NULL) + (LOOK(&s->first) != NULL) + (LOOK(&s->second) != NULL);
	FL_FORBIDDEN(count(&s->list, &uses) + owned != 3, "an entry lost, or free and owned");
	FL_ACCEPTABLE(1, "each has its own");
}

/* --- the pool of cells --- */

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

static struct fl__cell *take(struct fl__cells *pool, int value)
{
	struct fl__cell *cell = fl__cell_new(pool, &type, 1, SIZE_MAX);
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
	s->pool = fl__cells_new(NULL);
	if (fl_stress_choose(2))
		fl__cell_free(fl__cell_new(s->pool, &type, 1, SIZE_MAX));
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
	s->pool = fl__cells_new(NULL);
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
