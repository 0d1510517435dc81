/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "shared". The result of a try is not looked at. */
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int shared;

static void *first(void *arg)
{
	pthread_mutex_lock(&lock);
	shared = 1;
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *second(void *arg)
{
	int taken = pthread_mutex_trylock(&lock);
	shared = 2;
	if (taken == 0)
		pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	pthread_t one, two;
	pthread_create(&one, NULL, first, NULL);
	pthread_create(&two, NULL, second, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
