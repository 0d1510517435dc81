/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CRASH "in main at process_wild.c:10 (main)". An atomic access to memory that is not there. */
#include <stdatomic.h>
#include <stdint.h>

int main(void)
{
	uintptr_t nowhere = 0xdeadbee8;
	atomic_int *wild = (atomic_int *)nowhere;
	atomic_fetch_add(wild, 1);
	return 0;
}
