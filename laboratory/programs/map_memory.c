/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects USE AFTER FREE "map_memory.c:23". Mapped memory is zero, and ends with
 * munmap().
 */
#include "two_threads.h"
#include <sys/mman.h>

static void ignore(void)
{
}

int main(void)
{
	char **one = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *two = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(one != MAP_FAILED && !one[0] && !one[1023] && (size_t)one % 4096 == 0);
	assert(pthread_atfork(ignore, ignore, ignore) == 0);
	one[0] = two;
	two[5] = 1;
	assert(madvise(two, 4096, MADV_DONTNEED) == 0 && two[5] == 0);
	assert(munmap(two, 4096) == 0);
	return two[5];
}
