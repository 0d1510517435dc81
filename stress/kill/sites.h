/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_SITES_H
#define STRESS_KILL_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The number of deaths at each step, in a table in memory that all processes of a campaign share. A
 * step is identified by its site, the address in the program to which its operation returns.
 */
enum { SITES = 1024 };

struct site {
	/*
	 * The address behind the operation, relative to the program. The program's own address
	 * differs between processes.
	 */
	uintptr_t at;
	uint32_t kills;
};

/* Called first, in each process or in the process that forks it. */
void sites_open(void);

/* Returns the entry of the operation that returns to `pc`. All processes fill the table. */
struct site *site_of(struct site sites[SITES], uintptr_t pc);

/* Returns a random site among those with few deaths, or 0 if no site is known yet. */
uintptr_t rare_site(struct site sites[SITES], uint64_t random);

/*
 * Prints all sites, or those with fewer than `enough` deaths, the fewest first. Destroys the table.
 * Returns how many sites have too few.
 */
size_t print_sites(struct site sites[SITES], uint32_t enough, bool all);

#endif
