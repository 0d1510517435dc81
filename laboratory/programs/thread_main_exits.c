/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "assert(0)". pthread_exit() in main lets the other threads go on. */
#include "two_threads.h"

static void *run(void *arg)
{
	assert(0);
	return arg;
}

int main(void)
{
	start(run);
	pthread_exit(NULL);
}
