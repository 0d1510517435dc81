/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cell records what an execution did to eight bytes of memory. Cells are found by a hash of the
 * address. A cell of an older generation counts as empty, so a new execution clears nothing.
 */
#include "model.h"
#include <sys/mman.h>

enum { CELLS_LOG2 = 16, CELLS = 1 << CELLS_LOG2, MOST = CELLS - CELLS / 4 };

/* zeroed pages until they are first used; each cell has a cache line of its own */
static struct lab_cell *cells;
static uint16_t touched[CELLS]; /* the cells in use */

static void grow_up(void)
{
	void *memory = mmap(NULL, CELLS * sizeof *cells, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		abort();
	cells = memory;
}

static uint32_t place_of(uintptr_t granule)
{
	if (__builtin_expect(!cells, 0))
		grow_up();
	/* The eight cells of a cache line are neighbours in the table. A hash spreads the lines. */
	uint64_t line = (uint64_t)(granule >> 3) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(line >> (64 - CELLS_LOG2 + 3)) << 3 | (granule & 7);
}

/* Globals of different processes have the same address, but are different words. */
static uintptr_t granule_of(uintptr_t address)
{
	uintptr_t granule = address >> 3;
	if (__builtin_expect(lab.processes, 0) && lab_is_global(address))
		granule |= (uintptr_t)lab.self->process << 56;
	return granule;
}

struct lab_record *lab_more_records(void)
{
	enum { POOL = 1 << 15, EACH = LAB_RECORDS - LAB_FEW };
	static struct lab_record pool[POOL][EACH];
	if (lab.more_records == POOL)
		lab_fail(LAB_UNMODELLED,
		         "more than %d words with accesses to single bytes in one execution, which is a limit of the "
		         "laboratory",
		         POOL);
	return pool[lab.more_records++];
}

static struct lab_cell *cell_new(struct lab_cell *cell, uintptr_t granule)
{
	if (++lab.cells > MOST)
		lab_fail(LAB_UNMODELLED,
		         "more than %d KiB of memory touched in one execution, which is a limit of the laboratory",
		         MOST * 8 / 1024);
	touched[lab.cells - 1] = (uint16_t)(cell - cells);
	cell->generation = lab.generation;
	cell->granule = granule;
	cell->n_records = 0;
	cell->objects = 0;
	cell->more = NULL;
	cell->locations = NULL;
	if (lab_is_heap(granule << 3))
		lab_heap_born(cell);
	return cell;
}

/* Returns the cell of the granule, or the place where it will go. */
static inline struct lab_cell *cell_at(uintptr_t granule)
{
	uint32_t at = place_of(granule);
	while (cells[at].generation == lab.generation && cells[at].granule != granule)
		at = (at + 1) % CELLS;
	return &cells[at];
}

struct lab_cell *lab_cell(uintptr_t address)
{
	const uintptr_t granule = granule_of(address);
	struct lab_cell *cell = cell_at(granule);
	return cell->generation == lab.generation ? cell : cell_new(cell, granule);
}

void lab_cells_in(uintptr_t address, size_t size, void (*visit)(const struct lab_cell *cell))
{
	if (size / 8 < lab.cells) {
		for (size_t at = 0; at < size; at += 8) {
			const struct lab_cell *cell = cell_at(granule_of(address + at));
			if (cell->generation == lab.generation)
				visit(cell);
		}
		return;
	}
	for (uint32_t i = 0; i < lab.cells; i++)
		if ((cells[touched[i]].granule << 3) - address < size)
			visit(&cells[touched[i]]);
}
