/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DEADLOCK "". The barrier waits for more threads than come. */
#include "two_threads.h"

static pthread_barrier_t barrier;

static void *run(void *arg)
{
	pthread_barrier_wait(&barrier);
	return arg;
}

int main(void)
{
	pthread_barrier_init(&barrier, NULL, 3);
	pthread_t other = start(run);
	pthread_barrier_wait(&barrier);
	pthread_join(other, NULL);
	return 0;
}
