/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_SITES_H
#define STRESS_KILL_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often anyone has died at each step: a table in memory that all processes of a campaign share. */
enum { SITES = 1024 };

struct site {
	uintptr_t
	    at; /* behind the operation, from the program's beginning: that may lie elsewhere in another process */
	uint32_t kills;
};

/* Before anything else, in each process or one that it is forked from. */
void sites_open(void);

/* The place of the operation that returns to `pc`; all processes fill the table. */
struct site *site_of(struct site sites[SITES], uintptr_t pc);

/* A site where few have died: the best of some. 0: none is known yet. */
uintptr_t rare_site(struct site sites[SITES], uint64_t random);

/*
 * Prints all, or those with fewer than `enough`, fewest first; the table is of no more use then. Returns how many had too few.
 */
size_t print_sites(struct site sites[SITES], uint32_t enough, bool all);

#endif
