/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A post makes known what came before. */
#include "two_threads.h"
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
	sem_init(&full, 0, 0);
	pthread_t other = start(run);
	sem_wait(&full);
	assert(item == 7);
	pthread_join(other, NULL);
	sem_destroy(&full);
	return 0;
}
