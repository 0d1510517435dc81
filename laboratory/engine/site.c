/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sites of atomic operations that were reached, by their return addresses. Mutants and coverage
 * use them.
 */
#include "model.h"

enum { SITES_LOG2 = 12, SITES = 1 << SITES_LOG2 };

static struct lab_site sites[SITES];
static struct lab_site *list;

const char *lab_order_name(int order)
{
	switch (order) {
	case __ATOMIC_RELAXED:
		return "relaxed";
	case __ATOMIC_CONSUME:
	case __ATOMIC_ACQUIRE:
		return "acquire";
	case __ATOMIC_RELEASE:
		return "release";
	case __ATOMIC_ACQ_REL:
		return "acq_rel";
	default:
		return "seq_cst";
	}
}

void lab_site_reached(uintptr_t pc, const char *operation, int order)
{
	uint32_t at = (uint32_t)((pc * 0x9e3779b97f4a7c15u) >> (64 - SITES_LOG2));
	while (sites[at].pc != pc && sites[at].pc != 0)
		at = (at + 1) % SITES;
	struct lab_site *site = &sites[at];
	if (site->pc == 0) {
		site->pc = pc;
		site->operation = operation;
		site->order = lab_order_name(order);
		site->weaker = order == __ATOMIC_RELAXED ? 0 : order == __ATOMIC_ACQ_REL ? 2 : 1;
		if (operation[0] == 'f')
			site->weaker = 1; /* a mutant drops the fence */
	}
}

size_t lab_sites(const struct lab_site **found)
{
	size_t n = 0;
	if (!list)
		list = calloc(SITES, sizeof *list);
	for (unsigned i = 0; list && i < SITES; i++)
		if (sites[i].pc)
			list[n++] = sites[i];
	*found = list;
	return n;
}
