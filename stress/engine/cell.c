/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cells: eight bytes of memory that an execution has touched, by hash of their address. A cell of an older generation is
 * empty, so a new execution clears nothing.
 */
#include "model.h"
#include <stdlib.h>
#include <string.h>

enum { CELLS_LOG2 = 15, CELLS = 1 << CELLS_LOG2, MOST = CELLS - CELLS / 4 };

static struct lab_cell *cells; /* zeroed pages until they are touched */
static uint32_t used, used_generation;

static void grow_up(void)
{
	cells = calloc(CELLS, sizeof *cells);
	if (!cells)
		abort();
}

static uint32_t place_of(uintptr_t granule)
{
	if (__builtin_expect(!cells, 0))
		grow_up();
	/* Neighbours stay neighbours, which caches like; what is far apart goes to different parts. */
	return (uint32_t)(granule + (granule >> CELLS_LOG2) * 0x9e3779b1u) % CELLS;
}

static struct lab_cell *cell_new(struct lab_cell *cell, uintptr_t granule)
{
	if (used_generation != lab.generation) {
		used_generation = lab.generation;
		used = 0;
	}
	if (++used > MOST)
		lab_fail(LAB_NONDETERMINISM, "more than %d KiB of memory touched in one execution", MOST * 8 / 1024);
	cell->generation = lab.generation;
	cell->granule = granule;
	cell->n_records = 0;
	cell->locations = NULL;
	return cell;
}

struct lab_cell *lab_cell(uintptr_t address)
{
	uintptr_t granule = address >> 3;
	for (uint32_t at = place_of(granule);; at = (at + 1) % CELLS) {
		if (cells[at].generation != lab.generation)
			return cell_new(&cells[at], granule);
		if (cells[at].granule == granule)
			return &cells[at];
	}
}

struct lab_cell *lab_cell_find(uintptr_t address)
{
	uintptr_t granule = address >> 3;
	for (uint32_t at = place_of(granule);; at = (at + 1) % CELLS) {
		if (cells[at].generation != lab.generation)
			return NULL;
		if (cells[at].granule == granule)
			return &cells[at];
	}
}
