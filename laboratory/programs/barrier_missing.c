/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "before". The second round has no barrier. */
#include "two_threads.h"

static pthread_barrier_t barrier;
static int before[2];

static void *run(void *arg)
{
	long self = (long)arg;
	before[self] = 1;
	pthread_barrier_wait(&barrier);
	before[1 - self]++;
	before[self]++;
	return NULL;
}

int main(void)
{
	pthread_barrier_init(&barrier, NULL, 2);
	in_two_threads_with(run, (void *)0, run, (void *)1);
	pthread_barrier_destroy(&barrier);
	return 0;
}
