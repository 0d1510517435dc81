/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "freed twice". Two threads free one block. */
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *shared;

static void *first(void *arg)
{
	pthread_mutex_lock(&lock);
	free(shared);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *second(void *arg)
{
	return first(arg);
}

int main(void)
{
	pthread_t one, two;
	shared = malloc(8);
	pthread_create(&one, NULL, first, NULL);
	pthread_create(&two, NULL, second, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
