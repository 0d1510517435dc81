/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "before". The second round has no barrier. */
#include <pthread.h>

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
	pthread_t other;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&other, NULL, run, (void *)1);
	run((void *)0);
	pthread_join(other, NULL);
	pthread_barrier_destroy(&barrier);
	return 0;
}
