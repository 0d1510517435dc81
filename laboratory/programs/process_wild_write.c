/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "in main at process_wild_write.c:12 (main)". A plain write to memory that does not
 * exist.
 */
#include <stdint.h>

int main(void)
{
	uintptr_t nowhere = 0xdeadbee8;
	int *wild = (int *)nowhere;
	*wild = 1;
	return 0;
}
