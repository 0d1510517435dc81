/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "in main at process_wild_string.c:11 (main)". The C library reads memory that does
 * not exist.
 */
#include <stdlib.h>

int main(void)
{
	volatile long one = 1;
	return atoi((char *)one);
}
