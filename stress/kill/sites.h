/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_SITES_H
#define STRESS_KILL_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of deaths at each step: a table in memory that all processes of a campaign share. */
enum { SITES = 1024 };

struct site {
	/*
	 * The address behind the operation, relative to the program, which differs between
	 * processes.
	 */
	uintptr_t at;
	uint32_t kills;
};

/* Called first, in each process or in the process that forks it. */
void sites_open(void);

/* The entry of the operation that returns to `pc`; all processes fill the table. */
struct site *site_of(struct site sites[SITES], uintptr_t pc);

/* One of the sites with the fewest deaths. 0: none is known yet. */
uintptr_t rare_site(struct site sites[SITES], uint64_t random);

/*
 * Prints all sites, or those with fewer than `enough` deaths, fewest first; destroys the table.
 * Returns the number of sites with too few.
 */
size_t print_sites(struct site sites[SITES], uint32_t enough, bool all);

#endif
