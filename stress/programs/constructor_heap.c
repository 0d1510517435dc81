/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A block of a constructor has its first contents when an execution begins. */
#include <assert.h>
#include <stdlib.h>

static int *counts;

__attribute__((constructor)) static void make_counts(void)
{
	counts = realloc(malloc(1), 2 * sizeof *counts);
	counts[0] = counts[1] = 1;
}

int main(void)
{
	assert(++counts[0] == 2);
	counts = realloc(counts, 4 * sizeof *counts);
	assert(counts[0] == 2 && counts[1]++ == 1);
	free(counts);
	return 0;
}
