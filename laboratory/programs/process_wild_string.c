/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "in main at process_wild_string.c:10 (main)".
 * The C library reads memory that is not there.
 */
#include <stdlib.h>

int main(int n)
{
	return atoi((char *)(long)n);
}
