/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A sleep ends although another thread computes all the time. */
#include "two_threads.h"
#include <stdatomic.h>
#include <unistd.h>

static atomic_int stop, turns;

static void *run(void *arg)
{
	while (!stop)
		turns++;
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	sleep(1);
	stop = 1;
	pthread_join(other, NULL);
	return 0;
}
