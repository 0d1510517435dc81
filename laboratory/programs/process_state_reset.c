/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. Globals, statics, the heap and functions of atexit() begin anew in each
 * execution.
 */
#include "two_threads.h"

static int runs;
static char *kept;

static void at_end(void)
{
	runs++;
	assert(runs == 2);
}

int main(void)
{
	static int calls = 3;
	assert(runs++ == 0 && calls++ == 3 && !kept);
	kept = malloc(10);
	atexit(at_end);
	return in_two_threads(contend, contend);
}
