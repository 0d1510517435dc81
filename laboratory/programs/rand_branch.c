/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Random numbers are the same in each execution. */
#include "two_threads.h"

static void *run(void *arg)
{
	int *n = arg;
	*n = rand() % 2;
	return NULL;
}

int main(void)
{
	int a = -1, b = -1;
	srand(7);
	in_two_threads_with(run, &a, run, &b);
	assert(a >= 0 && b >= 0);
	return 0;
}
