/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A post makes known what came before. */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>

static sem_t full;
static int item;

static void *run(void *arg)
{
	item = 7;
	sem_post(&full);
	return arg;
}

int main(void)
{
	pthread_t other;
	sem_init(&full, 0, 0);
	pthread_create(&other, NULL, run, NULL);
	sem_wait(&full);
	assert(item == 7);
	pthread_join(other, NULL);
	sem_destroy(&full);
	return 0;
}
