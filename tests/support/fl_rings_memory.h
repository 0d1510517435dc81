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

/*
 * The number of the submission that this worker runs; 0: none. `reply`, which may be NULL, gets its
 * completion.
 */
static inline uint32_t order_under_way(struct fl__completion **reply)
{
	const struct fl__submission_ring *orders = find_memory("r--s", sizeof *orders);
	struct fl__completion_ring *replies = find_memory("rw-s", sizeof *replies);
	for (unsigned i = 0; i < FL__RINGS_DEPTH; i++) {
		const uint32_t seq = orders->entry[i].seq;
		if (replies->claim[i] != (seq << 2 | 1) || replies->entry[i].done == seq)
			continue;
		if (reply)
			*reply = &replies->entry[i];
		return seq;
	}
	return 0;
}

#endif
