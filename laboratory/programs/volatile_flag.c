/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "stop". A volatile flag is no atomic one. */
#include "two_threads.h"

static volatile int stop;

static void *run(void *arg)
{
	stop = 1;
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	while (!stop)
		;
	pthread_join(other, NULL);
	return 0;
}
