/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "in main at process_wild_call.c:11 (main)".
 * A call of a function that is not there.
 */
#include <stdlib.h>

int main(int argc, char **argv)
{
	(void)argv;
	return ((int (*)(void))(long)argc)();
}
