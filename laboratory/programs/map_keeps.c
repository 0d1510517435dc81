/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. What mapped memory points to is no leak. */
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(void)
{
	char **kept = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(kept != MAP_FAILED);
	kept[0] = malloc(1);
	return 0;
}
