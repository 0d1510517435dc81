/* SPDX-License-Identifier: BSD-2-Clause */
/* Implements sites.h: the table of steps, and the report of how many deaths each step has had. */
#include "sites.h"
#include "tools.h"
#include <link.h>

static uintptr_t base;

static int find_base(struct dl_phdr_info *info, size_t size, void *found)
{
	(void)size;
	*(uintptr_t *)found = info->dlpi_addr;
	return 1; /* stops, because the first object is the program */
}

void sites_open(void)
{
	(void)dl_iterate_phdr(find_base, &base);
}

struct site *site_of(struct site sites[SITES], uintptr_t pc)
{
	const uintptr_t at = pc - base;
	for (size_t i = at * 0x9e3779b97f4a7c15u >> 54, n = 0; n < SITES; i = (i + 1) % SITES, n++) {
		struct site *s = &sites[i];
		uintptr_t found = fl__load_relaxed(&s->at);
		if (found == 0 &&
		    __atomic_compare_exchange_n(&s->at, &found, at, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return s;
		if (found == at)
			return s;
	}
	fail("more than %d sites", SITES);
}

uintptr_t rare_site(struct site sites[SITES], uint64_t random)
{
	uintptr_t best = 0;
	uint32_t kills = UINT32_MAX;
	for (unsigned i = 0; i < SITES; i++) {
		const struct site *s = &sites[(i + random) % SITES];
		const uintptr_t at = fl__load_relaxed(&s->at);
		if (at == 0)
			continue;
		uint32_t n = fl__load_relaxed(&s->kills) + (uint32_t)(draw(&random) % 64);
		if (n < kills) {
			kills = n;
			best = at;
		}
	}
	return best;
}

static int by_kills(const void *a, const void *b)
{
	const struct site *x = a, *y = b;
	return x->kills < y->kills ? -1 : x->kills > y->kills;
}

/* Opens the function and the line of each site, as addr2line of binutils prints them. */
static FILE *names_of(const struct site *sites, size_t n)
{
	size_t room = 64 + n * 20, used;
	char *command = malloc(room);
	if (!command)
		return NULL;
	used = (size_t)snprintf(command, room, "addr2line -s -f -e /proc/%d/exe", (int)getpid());
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(command + used, room - used, " %lx", (unsigned long)(sites[i].at - 1));
	FILE *out = popen(command, "r");
	free(command);
	return out;
}

static void strip(char *line)
{
	line[strcspn(line, " \n")] = '\0';
}

size_t print_sites(struct site sites[SITES], uint32_t enough, bool all)
{
	size_t n = 0;
	for (size_t i = 0; i < SITES; i++)
		if (sites[i].at)
			sites[n++] = sites[i];
	qsort(sites, n, sizeof *sites, by_kills);
	FILE *names = names_of(sites, n);
	size_t below = 0;
	for (size_t i = 0; i < n; i++) {
		char function[128] = "?\n", line[128] = "?\n";
		if (names && (!fgets(function, sizeof function, names) || !fgets(line, sizeof line, names)))
			(void)strcpy(line, "?\n");
		strip(function);
		strip(line);
		below += sites[i].kills < enough;
		if (all || sites[i].kills < enough)
			printf("  %9u  %-24s %s\n", sites[i].kills, line, function);
	}
	if (names)
		(void)pclose(names);
	printf("%zu steps, %zu of them with fewer than %u kills\n", n, below, enough);
	return below;
}
