/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "outside any block". The access is one byte behind a block. */
#include <stdlib.h>

int main(void)
{
	char *text = malloc(5);
	text[5] = 0;
	free(text);
	return 0;
}
