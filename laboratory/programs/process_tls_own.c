/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Each thread has its own thread-locals, which begin with their initial values. */
#include "two_threads.h"

static _Thread_local int mine = 5;

static void *run(void *arg)
{
	assert(mine == 5);
	mine++;
	assert(mine == 6);
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	mine = 9;
	pthread_join(other, NULL);
	assert(mine == 9);
	return 0;
}
