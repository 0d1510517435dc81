/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "count". A semaphore with two permits is no lock. */
#include <pthread.h>
#include <semaphore.h>

static sem_t permits;
static int count;

static void *add(void *arg)
{
	sem_wait(&permits);
	count++;
	sem_post(&permits);
	return arg;
}

int main(void)
{
	pthread_t one, two;
	sem_init(&permits, 0, 2);
	pthread_create(&one, NULL, add, NULL);
	pthread_create(&two, NULL, add, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	sem_destroy(&permits);
	return 0;
}
