/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "assert(tickets >= 0)". A broadcast wakes two threads for one ticket. */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
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
	pthread_t one, two;
	sem_init(&ready, 0, 0);
	pthread_create(&one, NULL, take, NULL);
	pthread_create(&two, NULL, take, NULL);
	sem_wait(&ready);
	sem_wait(&ready);
	pthread_mutex_lock(&lock);
	tickets = 1;
	open = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
