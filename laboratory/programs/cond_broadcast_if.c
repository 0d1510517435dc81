/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(tickets >= 0)". A broadcast wakes two threads for one ticket. No thread waits
 * for `closed`.
 */
#include "two_threads.h"
#include <semaphore.h>
#include <stdbool.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER, closed = PTHREAD_COND_INITIALIZER;
static sem_t ready;
static int tickets;
static bool open;

static void *take(void *arg)
{
	pthread_mutex_lock(&lock);
	sem_post(&ready);
	while (!open)
		pthread_cond_wait(&changed, &lock);
	tickets--;
	assert(tickets >= 0);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	sem_init(&ready, 0, 0);
	pthread_t one = start(take);
	pthread_t two = start(take);
	sem_wait(&ready);
	sem_wait(&ready);
	pthread_mutex_lock(&lock);
	tickets = 1;
	open = true;
	pthread_cond_broadcast(&changed);
	pthread_cond_signal(&closed);
	pthread_mutex_unlock(&lock);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
