/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "count". A semaphore with two permits is not a lock. */
#include "two_threads.h"
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
	sem_init(&permits, 0, 2);
	in_two_threads(add, add);
	sem_destroy(&permits);
	return 0;
}
