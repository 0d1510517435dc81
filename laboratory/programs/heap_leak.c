/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects LEAK "never freed". Nothing points to the block any more. */
#include <stdlib.h>

static void *lost;

int main(void)
{
	lost = malloc(24);
	lost = NULL;
	return 0;
}
