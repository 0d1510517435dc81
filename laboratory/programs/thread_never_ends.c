/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The return of main ends a thread that would never end. */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int turns;

static void *run(void *arg)
{
	for (;;)
		turns++;
	return arg;
}

int main(void)
{
	start(run);
	return 0;
}
