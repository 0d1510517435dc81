/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cells and their pools.
 *
 * A pool has slabs of cells, and a free list. A pop of the free list may read the link of a cell that another context has
 * popped, used and even pushed again; so the memory of cells stays that of cells while anybody may pop: slabs are given
 * back with the pool alone. `refs` counts the executor and each cell in use; whoever pops or pushes holds one of these, and
 * the last to let go frees the slabs. So futures outlive their executor.
 *
 * A cell's link is not used for anything else, and is never cleared.
 */
#include "cells.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/mutex.h>
#include <string.h>

/* A define, so that a build can have every cell in memory of its own (0), where tools see its last use. */
#ifndef FL__CELL_BYTES
#define FL__CELL_BYTES 256
#endif

enum { CELL_BYTES = FL__CELL_BYTES, SLAB_LEAST = 16, SLAB_MOST = 256 /* cells */ };

struct slab {
	struct slab *next;
};

struct fl__cells {
	struct fl__free_list free;
	uint32_t refs;
	fl_mutex growing; /* guards the rest */
	struct slab *slabs;
	size_t cells_next; /* in the next slab */
	void *owner;
};

_Static_assert(FL_TASK_ALIGN_MAX % _Alignof(struct fl__cell) == 0, "a cell may stand wherever an argument may");
_Static_assert(CELL_BYTES % FL_TASK_ALIGN_MAX == 0, "so may the next one");

static size_t align_up(size_t n, size_t alignment)
{
	return alignment > 1 ? (n + alignment - 1) & ~(alignment - 1) : n;
}

static void *align_pointer(void *memory)
{
	uintptr_t address = (uintptr_t)memory;
	return (char *)memory + (align_up(address, FL_TASK_ALIGN_MAX) - address);
}

struct fl__cells *fl__cells_new(void *owner)
{
	struct fl__cells *pool = fl__alloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pool->refs = 1;
	pool->cells_next = SLAB_LEAST;
	pool->owner = owner;
	return pool;
}

void fl__cells_free(struct fl__cells *pool)
{
	/* acq_rel: the last one frees what the others used; pairs with itself */
	if (fl__sub_acq_rel(&pool->refs, 1) > 1)
		return;
	for (struct slab *s = pool->slabs; s;) {
		struct slab *next = s->next;
		fl__free(s);
		s = next;
	}
	fl__free(pool->owner);
	fl__free(pool);
}

static void push(struct fl__cells *pool, struct fl__cell *cell)
{
	fl__tsan_release(cell); /* pairs with pop() */
	fl__free_list_push(&pool->free, cell);
}

static struct fl__cell *pop(struct fl__cells *pool)
{
	struct fl__cell *cell = fl__free_list_pop(&pool->free);
	if (cell)
		fl__tsan_acquire(cell); /* pairs with push() */
	return cell;
}

/* Adds a slab and returns one of its cells; the others go to the free list. */
static struct fl__cell *grow(struct fl__cells *pool)
{
	FL_LOCKED(&pool->growing);
	struct fl__cell *cell = pop(pool); /* another was faster */
	if (cell)
		return cell;
	size_t n = pool->cells_next;
	struct slab *slab = fl__alloc(1, sizeof *slab + FL_TASK_ALIGN_MAX - 1 + n * CELL_BYTES);
	if (!slab)
		return NULL;
	slab->next = pool->slabs;
	pool->slabs = slab;
	if (pool->cells_next < SLAB_MOST)
		pool->cells_next *= 2;
	char *first = align_pointer(slab + 1);
	for (size_t i = 0; i < n; i++) {
		cell = (struct fl__cell *)(void *)(first + i * CELL_BYTES);
		cell->pool = pool;
		if (i + 1 < n)
			push(pool, cell);
	}
	return cell;
}

static struct fl__cell *new_common(struct fl__cells *pool, size_t bytes)
{
	struct fl__cell *cell = pop(pool);
	if (!cell)
		cell = grow(pool);
	if (!cell)
		return NULL;
	const size_t kept = offsetof(struct fl__cell, executor);
	memset((char *)cell + kept, 0, bytes - kept);
	fl__add_relaxed(&pool->refs, 1); /* relaxed: the caller's reference keeps the pool alive */
	return cell;
}

static struct fl__cell *new_own(struct fl__cells *pool, size_t bytes)
{
	void *memory = fl__alloc(1, bytes + FL_TASK_ALIGN_MAX - 1);
	if (!memory)
		return NULL;
	struct fl__cell *cell = align_pointer(memory);
	cell->memory = memory;
	cell->pool = pool;
	fl__add_relaxed(&pool->refs, 1); /* relaxed: as above */
	return cell;
}

struct fl__cell *fl__cell_new(struct fl__cells *pool, const fl_task_type *type, uint32_t count, size_t most)
{
	size_t result_size = count * type->result_size <= most ? count * type->result_size : 0;
	size_t arg = align_up(sizeof(struct fl__cell), type->arg_align);
	size_t result = align_up(arg + count * type->arg_size, type->result_align);
	size_t bytes = result + result_size;
	struct fl__cell *cell = bytes <= CELL_BYTES ? new_common(pool, bytes) : new_own(pool, bytes);
	if (!cell)
		return NULL;
	cell->future.arg = type->arg_size ? (char *)cell + arg : NULL;
	cell->future.result = result_size ? (char *)cell + result : NULL;
	cell->count = count;
	return cell;
}

void fl__cell_free(struct fl__cell *cell)
{
	struct fl__cells *pool = cell->pool;
	if (cell->memory)
		fl__free(cell->memory);
	else
		push(pool, cell);
	fl__cells_free(pool);
}
