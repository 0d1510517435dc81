/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_RINGS_MEMORY_H
#define FL_TEST_RINGS_MEMORY_H

/*
 * For tasks that play a hostile worker: the address of the memory that their process shares with
 * the executor.
 */
#include "fl_test.h"

#include "process/pool/rings.h"
#include <inttypes.h>

/* By its rights, as /proc/self/maps has them, and its size. */
static void *find_memory(const char *rights, size_t size)
{
	char line[512], is[8];
	uintptr_t from, to;
	void *found = NULL;
	FILE *maps = fopen("/proc/self/maps", "re");
	FL_CHECK(maps != NULL);
	while (!found && fgets(line, sizeof line, maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, is) == 3 && to - from == size &&
		    strcmp(is, rights) == 0 && strstr(line, "memfd:fairlead"))
			found = (void *)from; /* cast: an address that was read */
	(void)fclose(maps);
	FL_CHECK(found != NULL);
	return found;
}

#endif
