/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects LEAK "never freed". A block that nothing points to any more. */
#include <stdlib.h>

static void *lost;

int main(void)
{
	lost = malloc(24);
	lost = NULL;
	return 0;
}
