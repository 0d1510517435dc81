/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A block of a constructor has its first contents when an execution begins. */
#include "two_threads.h"
#include <stdint.h>
#include <string.h>

static int *counts, *aligned;
static void *made;
static char *text, *part;

__attribute__((constructor)) static void make_counts(void)
{
	counts = realloc(malloc(1), 2 * sizeof *counts);
	counts[0] = counts[1] = 1;
	aligned = aligned_alloc(256, 256);
	*aligned = posix_memalign(&made, 64, 64);
	*(char *)made = 0;
	text = strdup("text");
	part = strndup("part", 2);
}

int main(void)
{
	assert(++counts[0] == 2);
	counts = realloc(counts, 4 * sizeof *counts);
	assert(counts[0] == 2 && counts[1]++ == 1);
	free(counts);
	assert((uintptr_t)aligned % 256 == 0 && ++*aligned == 1);
	assert((uintptr_t)made % 64 == 0 && ++*(char *)made == 1);
	assert(strcmp(text, "text") == 0 && strcmp(part, "pa") == 0);
	text[0] = part[0] = 'x';
	return 0;
}
